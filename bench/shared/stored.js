// What a store must hold in the end: one question in SQL for all of them, and the answer of the files' maker, who shares
// no code with any reader. The sum of the hashes of all rows sees each bit of each row, in whatever order they stand.
import { createHash } from 'node:crypto'
import { expectedIntervals } from '@intelliwatt/smt-ingest/testing'

/** The question. `seconds` and `hash` are how a database says the epoch of an instant, and 60 bits of an MD5. */
export function storedSql(intervals, { seconds, hash }) {
  const columns = ['esiid', 'direction', seconds('start'), '(kwh * 100000)::bigint', 'estimated::int']
  return `
    SELECT direction, count(*)::text AS intervals, sum(kwh)::text AS kwh,
      sum(CASE WHEN estimated THEN 1 ELSE 0 END)::text AS estimated,
      min(${seconds('start')})::text AS first, max(${seconds('start')})::text AS last, sum(${hash('whole')})::text AS hashes
    FROM (
      SELECT *, concat_ws('|', ${columns.join(', ')}, ${seconds('revision')}) AS whole
      FROM ${intervals}
    ) AS wholes
    GROUP BY direction`
}

/** The answer's rows as one object, `consumption kwh` and so on. */
export function answerOf(rows) {
  const facts = rows.flatMap(({ direction, ...facts }) =>
    Object.entries(facts).map(([name, value]) => [`${direction} ${name}`, value])
  )
  return Object.fromEntries(facts)
}

export class StoredTruth {
  #directions = new Map()

  /** Adds what storing a meter-day must give. */
  add(day) {
    for (const { esiid, direction, start, milliKwh, estimated, revision } of expectedIntervals([day])) {
      const sums = this.#sumsOf(direction)
      const seconds = start / 1000
      const line = [esiid, direction, seconds, milliKwh * 100, estimated ? 1 : 0]
      if (revision !== null) line.push(revision / 1000)
      sums.intervals += 1
      sums.milliKwh += milliKwh
      sums.estimated += estimated ? 1 : 0
      sums.first = Math.min(sums.first, seconds)
      sums.last = Math.max(sums.last, seconds)
      sums.hashes += BigInt(`0x${createHash('md5').update(line.join('|')).digest('hex').slice(0, 15)}`)
    }
  }

  /** What {@link answerOf} must be. */
  end() {
    const rows = [...this.#directions].map(([direction, { intervals, milliKwh, estimated, first, last, hashes }]) => ({
      direction,
      intervals: String(intervals),
      kwh: `${Math.floor(milliKwh / 1000)}.${String(milliKwh % 1000).padStart(3, '0')}00`,
      estimated: String(estimated),
      first: String(first),
      last: String(last),
      hashes: String(hashes)
    }))
    return answerOf(rows)
  }

  #sumsOf(direction) {
    const known = this.#directions.get(direction)
    if (known) return known
    const sums = {
      intervals: 0,
      milliKwh: 0,
      estimated: 0,
      first: Number.POSITIVE_INFINITY,
      last: Number.NEGATIVE_INFINITY,
      hashes: 0n
    }
    this.#directions.set(direction, sums)
    return sums
  }
}
