// Writes what was measured: Markdown for the terminal and for RESULTS.md.
import {
  databaseText,
  median,
  megabytesText,
  ratioIn,
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
import { lossesText, lossesTo, nearestRival, widestSpread, wrongAnswers } from '../shared/findings.js'
import { contenders } from './measure.js'
import { reachTable } from './reach.js'

/** What every contender of a database is compared with. */
const yardsticks = { PostgreSQL: 'multi-row-insert', DuckDB: 'duckdb-csv' }
const ours = contenders.filter(({ own }) => own)

/** Every section by the name of its marks in RESULTS.md. */
export function sectionsOf(results) {
  return {
    scope: scope(results),
    races: results.races.map(race => `### ${race.title}\n\n${raceTable(race)}`).join('\n\n'),
    reach: reachTable(results),
    sizes: sizesTable(results),
    reading: readingTable(results),
    settings: settingsTable(results),
    findings: findingsList(results),
    losses: lossesText(ours.flatMap(({ name, database }) => lossesTo(rivalsIn(database), results.races, name)))
  }
}

function scope({ machine, meters, days, rounds, minutes, bytes, races, databases, missing, idleRssMb }) {
  return [
    `${thousands(races[0].rows)} intervals: ${meters} meters, ${days} days, every tenth meter with a second direction; a file of ${megabytesText(bytes / 1e6)}.`,
    `Medians of ${rounds} rounds (3 for the slow ones), smallest and largest in brackets; the run took ${minutes} minutes.`,
    ...missing.map(name => `**${name} took no part: its program is not installed.**`),
    `${machine}. A Node process that does nothing peaks at ${megabytesText(idleRssMb)}.`,
    '',
    ...Object.entries(databases).map(([name, settings]) => `- ${databaseText(name, settings)}`)
  ].join('\n')
}

function raceTable(race) {
  const yardstick = yardsticks[race.database]
  const rows = rightRuns(race).map((run, i) => raceRow(race, run, i + 1, yardstick))
  const wrong = wrongRuns(race).map(({ name, wrong }) => ['', name, `wrong: ${wrong}`, '', '', ''])
  const head = ['rank', 'contender', 'seconds', 'intervals/s', `to ${yardstick}`, 'peak memory']
  return tableOf(head, [...rows, ...wrong])
}

function raceRow(race, run, rank, yardstick) {
  const ratio = ratioIn(race, run.name, yardstick)
  return [
    rank,
    ours.some(({ name }) => name === run.name) ? `**${run.name}**` : run.name,
    secondsText(run),
    `${thousands(race.rows / 1000 / secondsOf(run))} k`,
    ratio === undefined || run.name === yardstick ? '' : `${times(ratio)} as fast`,
    megabytesText(rssOf(run))
  ]
}

function sizesTable({ stores }) {
  const names = [...new Set(stores.flatMap(({ sizes }) => Object.keys(sizes)))]
  const rows = stores.map(({ name, sizes }) => [name, ...names.map(at => sizeText(sizes[at]))])
  return tableOf(['MB of tables + indexes after', ...names], rows)
}

function sizeText(size) {
  return size === undefined ? '' : `${size.tables.toFixed(1)} + ${size.indexes.toFixed(1)}`
}

function readingTable({ stores }) {
  const rows = stores
    .filter(({ monthMs }) => monthMs.length > 0)
    .map(({ name, monthMs, allMs }) => [name, `${median(monthMs).toFixed(2)} ms`, `${median(allMs).toFixed(0)} ms`])
  return tableOf(['store', 'a month of one meter', 'the energy of all'], rows)
}

function findingsList({ races }) {
  const near = race =>
    ours
      .filter(({ database }) => database === race.database)
      .flatMap(({ name, database }) => nearestRival(race, name, rivalsIn(database)))
  return [...races.flatMap(near), ...races.flatMap(wrongAnswers), widestSpread(races)].join('\n')
}

function rivalsIn(database) {
  return contenders.filter(other => !other.own && other.database === database).map(({ name }) => name)
}
