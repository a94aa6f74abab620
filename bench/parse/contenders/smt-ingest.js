// Ours, through the public stream: every check, conversion and count on. Chunks of 1 MiB take a tenth more time, chunks
// of 4 MiB 10 MB more memory.
import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { FileAccount, IntervalParser } from '@intelliwatt/smt-ingest'
import { ownVersion } from '../../shared/package-version.js'
import { lastFour, revisionsFrom, Tally } from './tally.js'

export const version = ownVersion
export const settings = '`new IntervalParser()`, chunks of 2 MiB'

export async function run(file) {
  const tally = new ColumnTally()
  await pipeline(
    createReadStream(file, { highWaterMark: 2 * 1024 * 1024 }),
    new IntervalParser().stream(),
    async batches => {
      for await (const batch of batches) if (!(batch instanceof FileAccount)) tally.add(batch)
    }
  )
  return tally.end()
}

// Times are added up from here, so that the sums of a batch are exact and are divided once.
const from = revisionsFrom * 1000
/** In the order in which they stand in a `Tally`. */
const names = Object.keys(new Tally())

/**
 * What a `Tally` adds up, column by column over batches. A loop is a function of its own here and ends with nothing but its
 * sum, and sums are in an array of doubles: otherwise V8 takes back what it compiled, hundreds of times in some runs, and
 * the sums of the bench take longer than the parser.
 */
export class ColumnTally {
  #sums = new Float64Array(names.length)

  add({ length, start, revision, kwh, estimated, direction, meter, esiids }) {
    const sums = this.#sums
    sums[0] += length
    sums[1] += thousandthsOf(kwh, length)
    sums[2] += (timesSince(start, length) + length * from) / 900_000
    sums[3] += timesSince(revision, length) / 1000
    sums[4] += flagsIn(estimated, length)
    sums[5] += flagsIn(direction, length)
    sums[6] += tailsOf(meter, Int32Array.from(esiids, lastFour), length)
  }

  /** Adds the sums of another one. */
  merge(other) {
    for (let i = 0; i < names.length; i++) this.#sums[i] += other.#sums[i]
  }

  end() {
    return Object.fromEntries(names.map((name, i) => [name, this.#sums[i]]))
  }
}

function thousandthsOf(kwh, length) {
  let sum = 0
  for (let i = 0; i < length; i++) sum += Math.round(kwh[i] * 1000)
  return sum
}

function timesSince(times, length) {
  let sum = 0
  for (let i = 0; i < length; i++) sum += times[i] - from
  return sum
}

function flagsIn(flags, length) {
  let sum = 0
  for (let i = 0; i < length; i++) sum += flags[i]
  return sum
}

function tailsOf(meter, tails, length) {
  let sum = 0
  for (let i = 0; i < length; i++) sum += tails[meter[i]]
  return sum
}
