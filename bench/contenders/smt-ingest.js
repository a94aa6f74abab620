// Ours, with every check, conversion and count on.
import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { FileAccount, IntervalParser } from '@intelliwatt/smt-ingest'

export async function run(file) {
  let rows = 0
  let kwh
  await pipeline(
    createReadStream(file, { highWaterMark: 256 * 1024 }),
    new IntervalParser().stream(),
    async batches => {
      for await (const batch of batches) {
        if (batch instanceof FileAccount) kwh = batch.quality.kwh
        else rows += batch.length
      }
    }
  )
  return { rows, milliKwh: Math.round((kwh.consumption + kwh.surplusGeneration) * 1000) }
}
