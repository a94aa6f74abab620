// Numbers out of what was measured, and how they are written.
import { contenders, own } from './measure.js'

function median(values) {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)]
}

/** The race of a shape and size, or undefined. */
export function raceOf(results, shape, megabytes) {
  return results.races.find(race => race.shape === shape && race.megabytes === megabytes)
}

/** A contender's part of a race, if it gave the right answer. */
export function rightRun(race, name) {
  return race?.runs.find(run => run.name === name && run.wrong === null)
}

export function secondsOf(run) {
  return median(run.seconds)
}

/** By time; a wrong answer comes last. */
export function order(run) {
  return run.wrong === null ? secondsOf(run) : Number.POSITIVE_INFINITY
}

/** Those that gave the right answer, fastest first, the floor left out. */
export function ranked(race) {
  const floors = contenders.filter(({ floor }) => floor).map(({ name }) => name)
  return race.runs.filter(run => run.wrong === null && !floors.includes(run.name)).sort((a, b) => order(a) - order(b))
}

export function rssOf(run) {
  return median(run.rssMb)
}

/** How many times as fast as a contender ours is, or undefined. */
export function ratioTo(race, name) {
  const ours = rightRun(race, own)
  const theirs = rightRun(race, name)
  return ours && theirs && secondsOf(theirs) / secondsOf(ours)
}

export function times(ratio) {
  return `${ratio.toFixed(ratio < 2 ? 2 : 1)}x`
}

export function percent(share) {
  return `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`
}

export function megabytesText(megabytes) {
  return `${Math.round(megabytes)} MB`
}

export function tableOf(head, rows) {
  return [head, head.map(() => '---'), ...rows].map(cells => `| ${cells.join(' | ')} |`).join('\n')
}

/** `quoted, 100 MB` */
export function titleOf({ shape, megabytes }) {
  return `${shape}, ${megabytes} MB`
}
