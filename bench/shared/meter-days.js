// The meters that stand in the files. June and July: no clock change.
import { addDays, makeEsiid, makeMeterDay } from '@intelliwatt/smt-ingest/testing'

const firstDay = '2025-06-01'

/** The ESIID of a meter, counted from 1. Every fourth is a long one. */
export function esiidOf(meter) {
  return makeEsiid(meter, meter % 4 === 3 ? 22 : 17)
}

/**
 * A day of a meter, both counted; `days` is how many days of it there are. One day in 23 has an estimated block, one
 * roof in `solarEvery` has panels.
 */
export function meterDay(meter, day, { days, solarEvery }) {
  return makeMeterDay({
    esiid: esiidOf(meter),
    date: addDays(firstDay, day),
    solar: meter % solarEvery === 0,
    estimated: (meter * days + day) % 23 === 0
  })
}

/** Meter after meter, each day by day. */
export function* meterDays({ meters = Number.POSITIVE_INFINITY, days = 61, solarEvery = 8 } = {}) {
  for (let meter = 1; meter <= meters; meter++) {
    for (let day = 0; day < days; day++) yield meterDay(meter, day, { days, solarEvery })
  }
}
