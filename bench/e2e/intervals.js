// What the contenders that are ours have in common when nothing is stored: files of a directory become intervals.
import { pipeline } from 'node:stream/promises'
import { DirectorySource, FileAccount, IntervalParser } from '@intelliwatt/smt-ingest'
import { Tally } from '../shared/tally.js'

export function openIntervals(directory, decryptor) {
  const source = new DirectorySource({ directories: [directory], settleMs: 0 })
  const parser = new IntervalParser()
  return {
    async load() {
      const tally = new Tally()
      for await (const file of source.files()) {
        const opened = decryptor ? [decryptor.stream(file)] : []
        await pipeline([file.stream(), ...opened, parser.stream(file), batches => addTo(tally, batches)])
      }
      return tally
    },
    close: () => source.close()
  }
}

async function addTo(tally, batches) {
  for await (const batch of batches) if (!(batch instanceof FileAccount)) tally.addBatch(batch)
}
