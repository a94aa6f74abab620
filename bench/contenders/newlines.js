// Only finds the line ends: what reading costs before anything is understood.
import { createReadStream } from 'node:fs'

export async function run(file) {
  let lines = 0
  for await (const chunk of createReadStream(file, { highWaterMark: 256 * 1024 })) {
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) lines++
  }
  return { rows: lines - 1, milliKwh: null }
}
