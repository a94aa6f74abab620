// What the contenders that are ours have in common: `ingest()` takes the files of a directory in, and every receipt is
// kept as evidence.
import { DirectorySource, IntervalParser, ingest } from '@intelliwatt/smt-ingest'
import { CountingSink } from './counting-sink.js'
import { digestOf, receiptLine } from './evidence.js'

/** Takes the files of a directory into a sink. Gives the digest of what the receipts say. */
export async function takeIn(directory, { decryptor, sink, concurrency = 1 }) {
  const source = new DirectorySource({ directories: [directory], settleMs: 0 })
  const stages = { source, ...(decryptor && { decryptor }), parser: new IntervalParser(), sink }
  const lines = []
  for await (const receipt of ingest({ ...stages, concurrency })) lines.push(receiptLine(receipt))
  return digestOf(lines)
}

/** Files become intervals, which are counted and forgotten. */
export function openIntervals(directory, how) {
  const sink = new CountingSink()
  return {
    async load() {
      const evidence = await takeIn(directory, { ...how, sink })
      return { ...sink.tally.end(), evidence }
    },
    close: () => sink.close()
  }
}
