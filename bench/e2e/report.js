// Writes what was measured: Markdown for the terminal and for RESULTS.md.
import {
  databaseText,
  median,
  megabytesText,
  ratioIn,
  rightRun,
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

/** What the others are compared with. */
const yardstick = 'asc-to-intervals'
const rivals = contenders.filter(({ own, opens }) => !own && !opens).map(({ name }) => name)

/** Every section by the name of its marks in RESULTS.md. */
export function sectionsOf(results) {
  const { races } = results
  return {
    scope: scope(results),
    races: races.map(race => `### ${race.title}\n\n${raceTable(race)}`).join('\n\n'),
    loop: loopTable(results),
    reach: reachTable(results, contenders),
    settings: settingsTable(results),
    findings: [
      ...races.flatMap(race => nearestRival(race, yardstick, rivals)),
      ...races.flatMap(costOfStages),
      ...races.flatMap(wrongAnswers),
      widestSpread(races)
    ].join('\n'),
    losses: lossesText(lossesTo(rivals, races, yardstick))
  }
}

function scope({ machine, rounds, minutes, races, postgres, missing = [], idleRssMb }) {
  const sizes = races.map(({ title, bytes, ascBytes, rows }) => {
    const packed = `${megabytesText(bytes / 1e6)} of CSV, ${(ascBytes / 1e6).toFixed(1)} MB as \`.asc\``
    return `${title}: ${thousands(rows)} intervals, ${packed}`
  })
  return [
    `${sizes.join(' · ')}.`,
    `Medians of ${rounds} rounds (3 for the slow ones), smallest and largest in brackets; the run took ${minutes} minutes.`,
    ...missing.map(name => `**${name} took no part: its programs are not installed.**`),
    `${machine}. A Node process that does nothing peaks at ${megabytesText(idleRssMb)}.`,
    `\n${databaseText('PostgreSQL', postgres)}`
  ].join('\n')
}

function loopTable({ loop }) {
  if (!loop) return 'Not measured.'
  const ms = (delays, figure) => median(delays.map(each => each[figure])).toFixed(1)
  const rows = loop.delays.map(({ name, own, twin }) => {
    return [name, ms(own, 'p99'), ms(twin, 'p99'), ms(own, 'max'), ms(twin, 'max')]
  })
  const head = ['contender', 'p99, ms', 'p99 of its twin', 'latest, ms', 'latest of its twin']
  return `${loop.title}:\n\n${tableOf(head, rows)}`
}

function raceTable(race) {
  const rate = race.files > 1 ? 'files/s' : 'intervals/s'
  const head = ['contender', 'seconds', 'CPU seconds', 'MB/s of CSV', rate, `${yardstick} is`, 'peak memory']
  const rows = rightRuns(race).map(run => [
    nameIn(run),
    secondsText(run),
    run.cpuSeconds ? median(run.cpuSeconds).toFixed(2) : '',
    opensOnly(run) ? '' : thousands(race.bytes / 1e6 / secondsOf(run)),
    race.files > 1 ? thousands(race.files / secondsOf(run)) : `${(race.rows / 1e6 / secondsOf(run)).toFixed(2)} M`,
    speedText(race, run),
    megabytesText(rssOf(run))
  ])
  const wrong = wrongRuns(race).map(run => [nameIn(run), `wrong: ${run.wrong}`, ...Array(head.length - 2).fill('')])
  return tableOf(head, [...rows, ...wrong])
}

function nameIn({ name }) {
  if (opensOnly({ name })) return `*${name}*`
  return contenders.some(contender => contender.name === name && contender.own) ? `**${name}**` : name
}

function opensOnly({ name }) {
  return contenders.some(contender => contender.name === name && contender.opens)
}

function speedText(race, { name }) {
  const ratio = ratioIn(race, yardstick, name)
  return ratio === undefined || name === yardstick ? '' : `${times(ratio)} as fast`
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
