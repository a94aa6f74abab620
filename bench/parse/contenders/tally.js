// What every contender must count from the typed values of every row.

/** Revisions are summed from here: from 1970 the sum of a large file would pass 2 ** 53. */
export const revisionsFrom = Date.UTC(2025, 0, 1) / 1000

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
}

/** The last four digits of an ESIID as a number. */
export function lastFour(esiid) {
  const at = esiid.length - 4
  const thousands = esiid.charCodeAt(at) * 1000 + esiid.charCodeAt(at + 1) * 100
  return thousands + esiid.charCodeAt(at + 2) * 10 + esiid.charCodeAt(at + 3) - 48 * 1111
}
