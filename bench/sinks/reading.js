// How long it takes to read what was stored, warm.
import { median } from '../shared/figures.js'
import { esiidOf } from '../shared/meter-days.js'
import { solarEvery } from './files.js'

const month = ['2025-06-01 America/Chicago', '2025-07-01 America/Chicago']
const daysOfMonth = 30

/** So few that what is read of them stays in the server's memory, whatever the table's size. */
const readMeters = 25

/** Milliseconds: medians for a month of one meter, and for the energy of all. */
export async function readingTimes(place, { meters, days }) {
  const asked = Array.from({ length: 250 }, (_, i) => 1 + (i % Math.min(readMeters, meters)))
  const months = await place.timesOf(
    intervals => `SELECT start, direction, kwh, estimated, revision FROM ${intervals}
      WHERE esiid = $1 AND start >= $2 AND start < $3`,
    asked.map(meter => [esiidOf(meter), ...month])
  )
  for (const [i, { rows }] of months.entries()) {
    const truly = 96 * Math.min(days, daysOfMonth) * (asked[i] % solarEvery === 0 ? 2 : 1)
    if (rows !== truly) throw new Error(`a month of a meter has ${rows} rows, not ${truly}`)
  }
  const all = await place.timesOf(
    intervals => `SELECT direction, count(*), sum(kwh) FROM ${intervals} GROUP BY direction`,
    Array(7).fill([])
  )
  const medianOf = found => median(found.map(({ ms }) => ms))
  return { monthMs: medianOf(months.slice(50)), allMs: medianOf(all.slice(2)) }
}
