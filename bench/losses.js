// Where a rival is faster than ours or needs less memory, in the words of RESULTS.md.
import { rightRun, rssOf, secondsOf, times, titleOf } from './figures.js'
import { contenders, own } from './measure.js'

export function lossesList({ races }) {
  const rivals = contenders.filter(({ name, floor }) => name !== own && !floor)
  const lines = rivals.flatMap(({ name }) => {
    const faster = races.flatMap(race => lossOf(race, name, secondsOf, (ours, theirs) => times(ours / theirs)))
    const smaller = races.flatMap(race =>
      lossOf(race, name, rssOf, (ours, theirs) => `${Math.round(ours - theirs)} MB`)
    )
    return [
      ...(faster.length > 0 ? [`- ${name} is faster: ${faster.join(', ')}.`] : []),
      ...(smaller.length > 0 ? [`- ${name} needs less memory: ${smaller.join(', ')}.`] : [])
    ]
  })
  return lines.length > 0 ? lines.join('\n') : 'To no rival in this run, neither in time nor in memory.'
}

function lossOf(race, name, figureOf, written) {
  const [ours, theirs] = [rightRun(race, own), rightRun(race, name)]
  if (!ours || !theirs || figureOf(theirs) >= figureOf(ours)) return []
  return [`${titleOf(race)} (${written(figureOf(ours), figureOf(theirs))})`]
}
