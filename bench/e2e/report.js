// Writes what was measured: Markdown for the terminal and for RESULTS.md.
import {
  databaseText,
  megabytesText,
  percent,
  ratioIn,
  rightRun,
  rightRuns,
  rssOf,
  secondsOf,
  secondsText,
  settingsTable,
  tableOf,
  thousands,
  wrongRuns
} from '../shared/figures.js'
import { widestSpread, wrongAnswers } from '../shared/findings.js'
import { contenders } from './measure.js'
import { reachTable } from './reach.js'

/** What the others are compared with. */
const yardstick = 'asc-to-intervals'

/** Every section by the name of its marks in RESULTS.md. */
export function sectionsOf(results) {
  const { races } = results
  return {
    scope: scope(results),
    races: races.map(race => `### ${race.title}\n\n${raceTable(race)}`).join('\n\n'),
    reach: reachTable(results, contenders),
    settings: settingsTable(results),
    findings: [...races.flatMap(costOfStages), ...races.flatMap(wrongAnswers), widestSpread(races)].join('\n')
  }
}

function scope({ machine, rounds, minutes, races, postgres, idleRssMb }) {
  const sizes = races.map(({ title, bytes, ascBytes, rows }) => {
    const packed = `${megabytesText(bytes / 1e6)} of CSV, ${megabytesText(ascBytes / 1e6)} as \`.asc\``
    return `${title}: ${thousands(rows)} intervals, ${packed}`
  })
  return [
    `${sizes.join(' · ')}.`,
    `Medians of ${rounds} rounds, smallest and largest in brackets; the run took ${minutes} minutes.`,
    `${machine}. A Node process that does nothing peaks at ${megabytesText(idleRssMb)}.`,
    `\n${databaseText('PostgreSQL', postgres)}`
  ].join('\n')
}

function raceTable(race) {
  const rows = rightRuns(race).map(run => [
    run.name,
    secondsText(run),
    thousands(race.bytes / 1e6 / secondsOf(run)),
    `${(race.rows / 1e6 / secondsOf(run)).toFixed(2)} M`,
    speedText(race, run),
    megabytesText(rssOf(run))
  ])
  const wrong = wrongRuns(race).map(({ name, wrong }) => [name, `wrong: ${wrong}`, '', '', '', ''])
  const head = ['contender', 'seconds', 'MB/s of CSV', 'intervals/s', `speed of ${yardstick}`, 'peak memory']
  return tableOf(head, [...rows, ...wrong])
}

function speedText(race, { name }) {
  const ratio = ratioIn(race, name, yardstick)
  return ratio === undefined || name === yardstick ? '' : percent(ratio)
}

/** What each step takes on top of the one before. */
function costOfStages(race) {
  const steps = ['csv-to-intervals', 'asc-to-intervals', 'asc-to-postgres'].map(name => rightRun(race, name))
  if (steps.includes(undefined)) return []
  const [parsing, opening, storing] = steps.map(secondsOf)
  const more = [opening - parsing, storing - opening].map(seconds => `${seconds.toFixed(2)} s`)
  return [
    `- ${race.title}: reading and parsing the CSV takes ${parsing.toFixed(2)} s; opening the messages adds ${more[0]}, storing ${more[1]}.`
  ]
}
