// Writes what was measured: Markdown for the terminal and for RESULTS.md.
import {
  megabytesText,
  rightRuns,
  rssOf,
  secondsOf,
  secondsText,
  settingsTable,
  tableOf,
  thousands,
  times,
  wrongRuns
} from '../shared/figures.js'
import { own, ratioTo } from './figures.js'
import { findingsList, lossesList } from './findings.js'
import { contenders } from './measure.js'
import { growths, reachTable } from './reach.js'

const floors = contenders.filter(({ floor }) => floor).map(({ name }) => name)

/** Every section by the name of its marks in RESULTS.md. */
export function sectionsOf(results) {
  return {
    scope: scope(results),
    races: results.races.map(race => `### ${race.title}\n\n${raceTable(race)}`).join('\n\n'),
    reach: reachTable(results),
    hour: hourTable(results),
    memory: memoryTable(results),
    settings: settingsTable(results),
    findings: findingsList(results),
    losses: lossesList(results)
  }
}

function scope({ machine, megabytes, large, rounds, minutes, races }) {
  const rows = races.map(race => `${race.title}: ${thousands(race.rows)}`).join(' · ')
  return [
    `Files of ${[megabytes, large].filter(Boolean).join(' and ')} MB, rows: ${rows}.`,
    `Medians of ${rounds} rounds (3 for the slow ones), smallest and largest in brackets; the run took ${minutes} minutes.`,
    `${machine}.`
  ].join('\n')
}

function raceTable(race) {
  const right = rightRuns(race)
  const ranked = right.filter(({ name }) => !floors.includes(name))
  const rows = right.map(run => raceRow(race, run, floors.includes(run.name) ? 'floor' : ranked.indexOf(run) + 1))
  const wrong = wrongRuns(race).map(({ name, wrong }) => ['', name, `wrong: ${wrong}`, '', '', '', ''])
  const head = ['rank', 'contender', 'seconds', 'MB/s', 'rows/s', 'ours is', 'peak memory']
  return tableOf(head, [...rows, ...wrong])
}

function raceRow(race, run, rank) {
  const seconds = secondsOf(run)
  const ratio = ratioTo(race, run.name)
  return [
    rank,
    run.name === own ? `**${run.name}**` : run.name,
    secondsText(run),
    thousands(race.bytes / 1e6 / seconds),
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
