// What the tables say at a glance, in the words of RESULTS.md.
import { percent, rightRun, secondsOf } from '../shared/figures.js'
import { lossesText, lossesTo, nearestRival, widestSpread, wrongAnswers } from '../shared/findings.js'
import { own, raceOf } from './figures.js'
import { contenders } from './measure.js'

const rivals = contenders.filter(({ name, floor }) => name !== own && !floor).map(({ name }) => name)

export function findingsList(results) {
  const { races, clockChanges } = results
  const right = clockChanges.filter(({ autumn, spring }) => autumn.exact && spring.exact).map(({ name }) => name)
  return [
    ...races.flatMap(race => nearestRival(race, own, rivals)),
    ...['shuffled', 'quoted'].flatMap(shape => costOfShape(results, shape)),
    ...races.flatMap(wrongAnswers),
    `- Right on both days of the clock change: ${right.join(', ') || 'none'}.`,
    widestSpread(races)
  ].join('\n')
}

export function lossesList({ races }) {
  return lossesText(lossesTo(rivals, races, own))
}

function costOfShape({ races, megabytes }, shape) {
  const [plain, other] = ['sorted', shape].map(name => perRow(raceOf(races, name, megabytes)))
  if (plain === undefined || other === undefined) return []
  const cost = other / plain - 1
  const more = `${percent(Math.abs(cost))} ${cost < 0 ? 'less' : 'more'} time`
  return [`- A row of a ${shape} file takes ours ${more} than one of a sorted file.`]
}

function perRow(race) {
  const run = rightRun(race, own)
  return run && secondsOf(run) / race.rows
}
