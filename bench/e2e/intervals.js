// What the contenders that are ours have in common when nothing is stored: files of a directory become intervals.
import { pipeline } from 'node:stream/promises'
import { DirectorySource, FileAccount, IntervalParser } from '@intelliwatt/smt-ingest'

export function openIntervals(directory, decryptor) {
  const source = new DirectorySource({ directories: [directory], settleMs: 0 })
  const parser = new IntervalParser()
  return {
    async load() {
      const sums = { rows: 0, milliKwh: 0, estimated: 0 }
      for await (const file of source.files()) {
        const opened = decryptor ? [decryptor.stream(file)] : []
        await pipeline([file.stream(), ...opened, parser.stream(file), batches => addTo(sums, batches)])
      }
      return sums
    },
    close: () => source.close()
  }
}

/** As little as tells that all is there: what storing is compared with should not wait for a bench's sums. */
async function addTo(sums, batches) {
  for await (const batch of batches) {
    if (batch instanceof FileAccount) continue
    const { length, kwh, estimated } = batch
    let milliKwh = 0
    let estimates = 0
    for (let i = 0; i < length; i++) {
      milliKwh += kwh[i]
      estimates += estimated[i]
    }
    sums.rows += length
    // A batch of thousandths adds up to within a millionth of one of them.
    sums.milliKwh += Math.round(milliKwh * 1000)
    sums.estimated += estimates
  }
}
