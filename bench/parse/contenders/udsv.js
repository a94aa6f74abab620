// uDSV, incremental, as its README shows: `parser.chunk` with a row handler, so that nothing is kept, and with string
// arrays, the "native format (fastest)"; its typed arrays are made from those and know no local times. The schema is
// inferred from the first chunk, delimiters and quotes are named. 64 KiB, Node's own chunk, is best for it.
import { createReadStream } from 'node:fs'
import { inferSchema, initParser } from 'udsv'
import { versionOf } from '../../shared/package-version.js'
import { takeRow } from './convert.js'
import { isQuoted } from './is-quoted.js'
import { Tally } from './tally.js'

export const version = versionOf('udsv')
export const settings =
  "`chunk` with `stringArrs` and a handler, schema `{ col: ',', row: '\\n', encl: '' }` (`'\"'` for quoted files)"

export async function run(file) {
  const tally = new Tally()
  const schema = { col: ',', row: '\n', encl: isQuoted(file) ? '"' : '' }
  let parser
  const takeCells = row => takeRow(tally, row[0], row[1], row[2], row[4], row[5], row[6], row[7])
  for await (const chunk of createReadStream(file)) {
    const text = chunk.latin1Slice()
    parser ??= initParser(inferSchema(text, schema))
    parser.chunk(text, parser.stringArrs, takeCells)
  }
  parser.end()
  return tally
}
