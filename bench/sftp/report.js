// Writes what was measured: Markdown for the terminal and for RESULTS.md.
import {
  megabytesText,
  ratioIn,
  rightRuns,
  rssOf,
  secondsOf,
  secondsText,
  settingsTable,
  tableOf,
  times,
  wrongRuns
} from '../shared/figures.js'
import { lossesText, lossesTo, widestSpread, wrongAnswers } from '../shared/findings.js'
import { contenders, LINE_MARGIN } from './measure.js'
import { isLong, marginText, reachTable } from './reach.js'

/** What the others are compared with. */
const yardstick = 'openssh'

/** Every section by the name of its marks in RESULTS.md. */
export function sectionsOf(results) {
  const { races } = results
  const rivals = contenders.filter(({ rival }) => rival).map(({ name }) => name)
  const shown = races.filter(isLong)
  return {
    scope: scope(results),
    races: races.map(race => `### ${race.title}\n\n${isLong(race) ? raceTable(race) : tooShort(race)}`).join('\n\n'),
    reach: reachTable(results),
    settings: settingsTable(results),
    findings: [...lines(shown), ...shown.flatMap(wrongAnswers), widestSpread(shown)].join('\n'),
    losses: lossesText(lossesTo(rivals, shown, 'smt-ingest'))
  }
}

function scope({ machine, rounds, minutes, megabytes, server, idleRssMb }) {
  return [
    `One file of ${megabytesText(megabytes)} that cannot be packed, from \`sshd\` (${server}), over a line of its own program.`,
    'The time from the first request on; connecting is left out. Contenders that keep one request in flight fetch 4 MB once; their time is that for the whole file.',
    `Medians of ${rounds} rounds, smallest and largest in brackets; the run took ${minutes} minutes.`,
    `${machine}. A Node process that does nothing peaks at ${megabytesText(idleRssMb)}.`
  ].join('\n')
}

function raceTable(race) {
  const rows = rightRuns(race).map(run => [
    run.name,
    secondsText(run),
    (race.bytes / 1e6 / secondsOf(run)).toFixed(1),
    run.name === yardstick ? '' : ratioText(race, run),
    megabytesText(rssOf(run))
  ])
  const wrong = wrongRuns(race).map(({ name, wrong }) => [name, `wrong: ${wrong}`, '', '', ''])
  return tableOf(['contender', 'seconds', 'MB/s', `to ${yardstick}`, 'peak memory'], [...rows, ...wrong])
}

function ratioText(race, { name }) {
  const ratio = ratioIn(race, name, yardstick)
  return ratio === undefined ? '' : times(ratio)
}

function lines(races) {
  return races
    .filter(({ copySeconds }) => copySeconds !== undefined)
    .map(race => `- ${race.title}: the line alone is ${marginText(race)} as fast as the fastest on it.`)
}

function tooShort(race) {
  return `Not shown: the line alone is only ${marginText(race)} as fast as the fastest on it, not ${LINE_MARGIN}x.`
}
