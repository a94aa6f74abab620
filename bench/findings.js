// What the tables say at a glance, in the words of RESULTS.md.
import { percent, raceOf, ranked, ratioTo, rightRun, secondsOf, times, titleOf } from './figures.js'
import { own } from './measure.js'

export function findingsList(results) {
  const { races, clockChanges } = results
  const right = clockChanges.filter(({ autumn, spring }) => autumn.exact && spring.exact).map(({ name }) => name)
  return [
    ...races.flatMap(nearestRival),
    ...['shuffled', 'quoted'].flatMap(shape => costOfShape(results, shape)),
    ...races.flatMap(wrongAnswers),
    `- Right on both days of the clock change: ${right.join(', ') || 'none'}.`,
    widestSpread(races)
  ].join('\n')
}

function nearestRival(race) {
  const rival = ranked(race).find(({ name }) => name !== own)
  const ratio = rival && ratioTo(race, rival.name)
  return ratio === undefined
    ? []
    : [`- ${titleOf(race)}: the nearest rival is ${rival.name}, ours is ${times(ratio)} as fast.`]
}

function wrongAnswers(race) {
  return race.runs
    .filter(({ wrong }) => wrong)
    .map(({ name, wrong }) => `- ${titleOf(race)}: ${name} is wrong: ${wrong}.`)
}

function costOfShape(results, shape) {
  const [plain, other] = ['sorted', shape].map(name => perRow(raceOf(results, name, results.megabytes)))
  if (plain === undefined || other === undefined) return []
  const cost = other / plain - 1
  const more = `${percent(Math.abs(cost))} ${cost < 0 ? 'less' : 'more'} time`
  return [`- A row of a ${shape} file takes ours ${more} than one of a sorted file.`]
}

function perRow(race) {
  const run = rightRun(race, own)
  return run && secondsOf(run) / race.rows
}

function widestSpread(races) {
  const spreads = races.flatMap(race =>
    race.runs
      .filter(({ wrong }) => wrong === null)
      .map(run => ({ name: `${run.name} on ${titleOf(race)}`, ratio: Math.max(...run.seconds) / secondsOf(run) }))
  )
  const [widest] = spreads.sort((a, b) => b.ratio - a.ratio)
  if (widest === undefined) return '- No contender was right.'
  return `- The widest spread: a pass of ${widest.name} took ${times(widest.ratio)} the median. Smaller differences may be noise.`
}
