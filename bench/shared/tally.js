// What every contender must count from the typed values of every row.

/** Revisions are summed from here: from 1970 the sum of a large file would pass 2 ** 53. */
export const revisionsFrom = Date.UTC(2025, 0, 1) / 1000

/** The same in milliseconds: so the sums of a batch are exact and are divided once. */
const from = revisionsFrom * 1000

export class Tally {
  rows = 0
  milliKwh = 0
  startSum = 0
  revisionSum = 0
  estimated = 0
  surplus = 0
  esiidSum = 0

  /** `start` and `revision` are UTC epoch milliseconds. */
  add(esiid, start, revision, kwh, estimated, surplus) {
    this.rows += 1
    this.milliKwh += Math.round(kwh * 1000)
    this.startSum += start / 900_000
    this.revisionSum += revision / 1000 - revisionsFrom
    if (estimated) this.estimated += 1
    if (surplus) this.surplus += 1
    this.esiidSum += lastFour(esiid)
  }

  /** What `add` does, over the columns of one of our batches. */
  addBatch({ length, start, revision, kwh, estimated, direction, meter, esiids }) {
    const tails = esiids.map(lastFour)
    let milliKwh = 0
    let startSum = 0
    let revisionSum = 0
    let estimates = 0
    let surplus = 0
    let esiidSum = 0
    for (let i = 0; i < length; i++) {
      milliKwh += Math.round(kwh[i] * 1000)
      startSum += start[i] - from
      revisionSum += revision[i] - from
      estimates += estimated[i]
      surplus += direction[i]
      esiidSum += tails[meter[i]]
    }
    this.rows += length
    this.milliKwh += milliKwh
    this.startSum += (startSum + length * from) / 900_000
    this.revisionSum += revisionSum / 1000
    this.estimated += estimates
    this.surplus += surplus
    this.esiidSum += esiidSum
  }
}

/** The last four digits of an ESIID as a number. */
function lastFour(esiid) {
  const at = esiid.length - 4
  const thousands = esiid.charCodeAt(at) * 1000 + esiid.charCodeAt(at + 1) * 100
  return thousands + esiid.charCodeAt(at + 2) * 10 + esiid.charCodeAt(at + 3) - 48 * 1111
}
