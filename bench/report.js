// Writes what was measured: Markdown for the terminal, and the marked sections of RESULTS.md.
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { megabytesText, order, ranked, ratioTo, rssOf, secondsOf, tableOf, times, titleOf } from './figures.js'
import { findingsList } from './findings.js'
import { lossesList } from './losses.js'
import { own } from './measure.js'
import { growths, reachTable } from './reach.js'

const resultsPage = fileURLToPath(new URL('RESULTS.md', import.meta.url))

/** Every section by the name of its marks in RESULTS.md. */
export function sectionsOf(results) {
  return {
    scope: scope(results),
    races: results.races.map(race => `### ${titleOf(race)}\n\n${raceTable(race)}`).join('\n\n'),
    reach: reachTable(results),
    hour: hourTable(results),
    memory: memoryTable(results),
    settings: settingsTable(results),
    findings: findingsList(results),
    losses: lossesList(results)
  }
}

/** Puts each section between its marks. What stands outside them was written by hand and stays. */
export function writeResultsPage(sections) {
  let page = readFileSync(resultsPage, 'utf8')
  for (const [name, text] of Object.entries(sections)) {
    const [open, close] = [`<!-- parse:${name} -->`, `<!-- /parse:${name} -->`]
    const [before, rest] = page.split(open)
    const after = rest?.split(close)[1]
    if (after === undefined) throw new Error(`no place for the section: ${open}`)
    page = `${before}${open}\n\n${text}\n\n${close}${after}`
  }
  writeFileSync(resultsPage, page)
}

function scope({ machine, megabytes, large, rounds, minutes, races }) {
  const rows = races.map(race => `${titleOf(race)}: ${race.rows.toLocaleString('en-US')}`).join(' · ')
  return [
    `Files of ${[megabytes, large].filter(Boolean).join(' and ')} MB, rows: ${rows}.`,
    `Medians of ${rounds} rounds (3 for the slow ones), smallest and largest in brackets; the run took ${minutes} minutes.`,
    `${machine}.`
  ].join('\n')
}

function raceTable(race) {
  const rank = new Map(ranked(race).map(({ name }, i) => [name, i + 1]))
  const rows = [...race.runs].sort((a, b) => order(a) - order(b)).map(run => raceRow(race, run, rank.get(run.name)))
  return tableOf(['rank', 'contender', 'seconds', 'MB/s', 'rows/s', 'ours is', 'peak memory'], rows)
}

function raceRow(race, run, rank) {
  if (run.wrong !== null) return ['', run.name, `wrong: ${run.wrong}`, '', '', '', '']
  const seconds = secondsOf(run)
  const ratio = ratioTo(race, run.name)
  return [
    rank ?? 'floor',
    run.name === own ? `**${run.name}**` : run.name,
    `${seconds.toFixed(3)} (${Math.min(...run.seconds).toFixed(3)}–${Math.max(...run.seconds).toFixed(3)})`,
    Math.round(race.bytes / 1e6 / seconds).toLocaleString('en-US'),
    `${(race.rows / 1e6 / seconds).toFixed(2)} M`,
    run.name === own || ratio === undefined ? '' : `${times(ratio)} as fast`,
    megabytesText(rssOf(run))
  ]
}

function hourTable({ clockChanges }) {
  const rows = clockChanges.map(({ name, autumn, spring }) => {
    const failed = autumn.failed ?? spring.failed
    if (failed) return [name, '', '', '', '', failed]
    return [
      name,
      `${autumn.instants} of ${autumn.truly}`,
      kwh(autumn.lostMilliKwh),
      kwh(autumn.doubledMilliKwh),
      `${spring.instants} of ${spring.truly}`,
      wordFor(autumn, spring)
    ]
  })
  const head = ['contender', 'autumn: instants', 'kWh lost', 'kWh doubled', 'spring: instants', 'word']
  return tableOf(head, rows)
}

function kwh(milli) {
  return (milli / 1000).toFixed(3)
}

function wordFor(autumn, spring) {
  const words = []
  if (!autumn.exact) {
    if (autumn.readings < autumn.truly) words.push('drops rows')
    else words.push(autumn.instants < autumn.truly ? 'loses the hour' : 'shifts the hour')
  }
  if (!spring.exact) words.push(spring.readings > spring.truly ? 'placeholder read as zero' : 'spring is wrong')
  return words.length === 0 ? 'right' : words.join(', ')
}

function memoryTable(results) {
  const rows = growths(results).map(({ shape, small, big, allowed }) => {
    const grown = Math.round(big - small)
    return [shape, megabytesText(small), megabytesText(big), `${grown} MB`, megabytesText(allowed)]
  })
  const head = ['shape', `${results.megabytes} MB file`, `${results.large} MB file`, 'more', 'allowed peak']
  const idle = `A Node process that does nothing peaks at ${megabytesText(results.idleRssMb)}, which every figure includes.`
  return rows.length === 0 ? `Only one size was measured. ${idle}` : `${tableOf(head, rows)}\n\n${idle}`
}

function settingsTable({ settings }) {
  const rows = Object.entries(settings).map(([name, { version, settings }]) => [name, version, settings])
  return tableOf(['contender', 'version', 'settings'], rows)
}
