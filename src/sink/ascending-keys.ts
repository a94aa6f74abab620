import type { IntervalBatch } from '../batch.ts'

/** Meters whose last instants are remembered; about 10 MB when full. */
const MOST_METERS = 50_000

/**
 * Tells whether a file may hold two rows of one key. SMT lists each series of a meter in ascending order, and while
 * that holds no key can occur twice, so that the search for rivals within the file can be left out.
 *
 * Memory: two numbers for each meter, for {@link MOST_METERS} at most; with more it says "maybe".
 */
export class AscendingKeys {
  /** True once a row did not follow the one before it of its series. */
  mayRepeat = false
  /** For each meter the last start in either direction. */
  readonly #last = new Map<string, Float64Array>()

  take({ length, esiids, meter, direction, start }: IntervalBatch): void {
    if (this.mayRepeat) return
    const last = esiids.map(esiid => this.#lastOf(esiid))
    if (this.#last.size > MOST_METERS) this.mayRepeat = true
    for (let i = 0; i < length && !this.mayRepeat; i++) {
      const series = last[meter[i]!]!
      if (start[i]! > series[direction[i]!]!) series[direction[i]!] = start[i]!
      else this.mayRepeat = true
    }
    if (this.mayRepeat) this.#last.clear()
  }

  #lastOf(esiid: string): Float64Array {
    let last = this.#last.get(esiid)
    if (last === undefined) {
      last = new Float64Array(2).fill(Number.NEGATIVE_INFINITY)
      this.#last.set(esiid, last)
    }
    return last
  }
}
