// The figures this library wants to reach, against what was measured.
import { ratioIn, rightRun, secondsOf, tableOf, times } from '../shared/figures.js'
import { atLeast } from '../shared/verdicts.js'
import { LINE_MARGIN } from './measure.js'

const figures = [
  { own: 'smt-ingest-one-channel', rival: 'sftp-client-get', trip: 40, must: 12 },
  { own: 'smt-ingest', rival: 'openssh', trip: 40, must: 0.9, aim: 1.5 },
  { own: 'smt-ingest', rival: 'openssh-long-requests', trip: 40, must: 0.9, aim: 1.5 },
  { own: 'smt-ingest', rival: 'openssh', trip: 0, must: 0.7 },
  { own: 'smt-ingest', rival: 'openssh-long-requests', trip: 0, must: 0.7 }
]

export function reachTable({ races }) {
  const rows = figures.map(({ own, rival, trip, must, aim }) => {
    const race = races.find(race => race.trip === trip)
    const ratio = race && isLong(race) ? ratioIn(race, own, rival) : undefined
    const figure = `${race?.title ?? `at ${trip} ms`}: ${own}, as fast as ${rival}`
    const limits = [must, aim].map(limit => (limit === undefined ? '' : times(limit)))
    return [figure, ...limits, ratio === undefined ? '' : times(ratio), atLeast({ must, aim }, [ratio])]
  })
  return tableOf(['figure', 'must', 'aim', 'measured', 'verdict'], rows)
}

/** Whether the line itself was so fast that it held nobody up. */
export function isLong(race) {
  if (race.copySeconds === undefined) return true
  const fastest = Math.min(...race.runs.filter(({ wrong }) => wrong === null).map(secondsOf))
  return race.copySeconds * LINE_MARGIN <= fastest
}

export function marginText(race) {
  const fastest = race.runs.filter(({ name }) => rightRun(race, name)).sort((a, b) => secondsOf(a) - secondsOf(b))[0]
  return times(secondsOf(fastest) / race.copySeconds)
}
