// What the tables say at a glance, in the words of RESULTS.md.
import { ratioIn, rightRun, rightRuns, rssOf, secondsOf, times, wrongRuns } from './figures.js'

/** The fastest of the rivals, beside ours. */
export function nearestRival(race, own, rivals) {
  const rival = rightRuns(race).find(({ name }) => rivals.includes(name))
  const ratio = rival && ratioIn(race, own, rival.name)
  return ratio === undefined
    ? []
    : [`- ${race.title}: the nearest rival of ${own} is ${rival.name}, ours is ${times(ratio)} as fast.`]
}

export function wrongAnswers(race) {
  return wrongRuns(race).map(({ name, wrong }) => `- ${race.title}: ${name} is wrong: ${wrong}.`)
}

export function widestSpread(races) {
  const spreads = races.flatMap(race =>
    rightRuns(race).map(run => ({
      name: `${run.name} on ${race.title}`,
      ratio: Math.max(...run.seconds) / secondsOf(run)
    }))
  )
  const [widest] = spreads.sort((a, b) => b.ratio - a.ratio)
  if (widest === undefined) return '- No contender was right.'
  return `- The widest spread: a pass of ${widest.name} took ${times(widest.ratio)} the median. Smaller differences may be noise.`
}

/** Where a rival is faster than ours or needs less memory. */
export function lossesTo(rivals, races, own) {
  return rivals.flatMap(name => {
    const faster = races.flatMap(race => lossOf(race, own, name, secondsOf, (ours, theirs) => times(ours / theirs)))
    const smaller = races.flatMap(race =>
      lossOf(race, own, name, rssOf, (ours, theirs) => `${Math.round(ours - theirs)} MB`)
    )
    return [
      ...(faster.length > 0 ? [`- ${name} is faster than ${own}: ${faster.join(', ')}.`] : []),
      ...(smaller.length > 0 ? [`- ${name} needs less memory than ${own}: ${smaller.join(', ')}.`] : [])
    ]
  })
}

function lossOf(race, own, name, figureOf, written) {
  const [ours, theirs] = [rightRun(race, own), rightRun(race, name)]
  if (!ours || !theirs || figureOf(theirs) >= figureOf(ours)) return []
  return [`${race.title} (${written(figureOf(ours), figureOf(theirs))})`]
}

/** A list of losses as it stands in RESULTS.md. */
export function lossesText(lines) {
  return lines.length > 0 ? lines.join('\n') : 'To no rival in this run, neither in time nor in memory.'
}
