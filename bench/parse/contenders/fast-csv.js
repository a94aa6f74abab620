// fast-csv with rows as arrays (`headers: false`), its fastest form
// (https://c2fo.github.io/fast-csv/docs/parsing/options). Without gain: `quote: null` on unquoted files, other chunks.
import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { parse } from 'fast-csv'
import { versionOf } from '../../shared/package-version.js'
import { takeRow } from './convert.js'
import { Tally } from './tally.js'

export const version = versionOf('fast-csv')
export const settings = '`headers: false`, `skipLines: 1`'

export async function run(file) {
  const tally = new Tally()
  const parser = parse({ headers: false, skipLines: 1 })
  parser.on('data', row => takeRow(tally, row[0], row[1], row[2], row[4], row[5], row[6], row[7]))
  await pipeline(createReadStream(file), parser)
  return tally
}
