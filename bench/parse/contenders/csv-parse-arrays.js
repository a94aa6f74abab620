// csv-parse without `columns`: an array per row, its default. Else as with objects.
import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { parse } from 'csv-parse'
import { versionOf } from '../../shared/package-version.js'
import { takeRow } from './convert.js'
import { Tally } from './tally.js'

export const version = versionOf('csv-parse')
export const settings = "`from_line: 2`, `delimiter: ','`, `record_delimiter: '\\n'`"

export async function run(file) {
  const tally = new Tally()
  await pipeline(createReadStream(file), parserInto(tally))
  return tally
}

/** A parser that hands its rows on. */
export function parserInto(tally) {
  const parser = parse({ from_line: 2, delimiter: ',', record_delimiter: '\n' })
  parser.on('readable', () => {
    for (let row = parser.read(); row !== null; row = parser.read()) {
      takeRow(tally, row[0], row[1], row[2], row[4], row[5], row[6], row[7])
    }
  })
  return parser
}
