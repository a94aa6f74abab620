// Numbers out of what was measured, and how they are written.

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)]
}

/** A contender's part of a race, if it gave the right answer. */
export function rightRun(race, name) {
  return race?.runs.find(run => run.name === name && run.wrong === null)
}

/** Those that gave the right answer, fastest first. */
export function rightRuns(race) {
  return race.runs.filter(({ wrong }) => wrong === null).sort((a, b) => secondsOf(a) - secondsOf(b))
}

export function wrongRuns(race) {
  return race.runs.filter(({ wrong }) => wrong !== null)
}

export function secondsOf(run) {
  return median(run.seconds)
}

export function rssOf(run) {
  return median(run.rssMb)
}

/** How many times as fast as another one a contender is, or undefined. */
export function ratioIn(race, name, other) {
  const [its, theirs] = [rightRun(race, name), rightRun(race, other)]
  return its && theirs && secondsOf(theirs) / secondsOf(its)
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

export function thousands(number) {
  return Math.round(number).toLocaleString('en-US')
}

/** The median, smallest and largest in brackets. */
export function secondsText({ seconds }) {
  return `${median(seconds).toFixed(3)} (${Math.min(...seconds).toFixed(3)}–${Math.max(...seconds).toFixed(3)})`
}

export function tableOf(head, rows) {
  return [head, head.map(() => '---'), ...rows].map(cells => `| ${cells.join(' | ')} |`).join('\n')
}

/** Settings of a database in words. */
export function databaseText(name, settings) {
  const texts = Object.entries(settings).map(([setting, value]) => `\`${setting}\` ${value}`)
  return `${name}, the same for all: ${texts.join(', ')}.`
}

export function settingsTable({ settings }) {
  const rows = Object.entries(settings).map(([name, { version, settings }]) => [name, version, settings])
  return tableOf(['contender', 'version', 'settings'], rows)
}
