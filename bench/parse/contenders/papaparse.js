// Papa Parse in streaming mode with a `chunk` callback ("after every chunk", not after every row) and its fast mode,
// which "only works when the input has no quoted fields" (https://www.papaparse.com/docs#config). Named delimiters spare
// the guessing. Slower: `step`, `header: true`; chunks of 1 MiB on quoted files, of 4 MiB on all.
import { createReadStream } from 'node:fs'
import Papa from 'papaparse'
import { versionOf } from '../../shared/package-version.js'
import { takeRow } from './convert.js'
import { isQuoted } from './is-quoted.js'
import { Tally } from './tally.js'

export const version = versionOf('papaparse')
export const settings = "`chunk`, `fastMode: true` (off for quoted files), `delimiter: ','`, `newline: '\\n'`"

export function run(file) {
  const tally = new Tally()
  let first = 1
  return new Promise((resolve, reject) => {
    Papa.parse(createReadStream(file, { highWaterMark: 256 * 1024 }), {
      delimiter: ',',
      newline: '\n',
      fastMode: !isQuoted(file),
      chunk({ data }) {
        for (let i = first; i < data.length; i++) {
          const row = data[i]
          // The line end of the last row is followed by a row of one empty cell.
          if (row.length > 1) takeRow(tally, row[0], row[1], row[2], row[4], row[5], row[6], row[7])
        }
        first = 0
      },
      complete: () => resolve(tally),
      error: reject
    })
  })
}
