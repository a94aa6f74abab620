// csv-parse as most of its users write it: an object per row. The delimiters are named, which spares their discovery
// (https://csv.js.org/parse/options/); rows are taken in the loop of its README. Tried without gain: `quote: null` on
// unquoted files, `encoding: 'latin1'`, larger chunks, the `data` event. `on_record` instead of the stream is slower.
import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { parse } from 'csv-parse'
import { versionOf } from '../../shared/package-version.js'
import { takeRow } from './convert.js'
import { Tally } from './tally.js'

export const version = versionOf('csv-parse')
export const settings = "`columns: true`, `delimiter: ','`, `record_delimiter: '\\n'`"

export async function run(file) {
  const tally = new Tally()
  await pipeline(createReadStream(file), parserInto(tally))
  return tally
}

/** A parser that hands its rows on. */
export function parserInto(tally) {
  const parser = parse({ columns: true, delimiter: ',', record_delimiter: '\n' })
  parser.on('readable', () => {
    for (let row = parser.read(); row !== null; row = parser.read()) {
      takeRow(
        tally,
        row.ESIID,
        row.USAGE_DATE,
        row.REVISION_DATE,
        row.USAGE_END_TIME,
        row.USAGE_KWH,
        row.ESTIMATED_ACTUAL,
        row.CONSUMPTION_SURPLUSGENERATION
      )
    }
  })
  return parser
}
