// The two days on which Texas changes its clocks, read by each contender with the code that is timed elsewhere. `run`
// gives sums only; so it reads the first row, the first two, the first three …, and what the sums grow by is what became
// of the row that was added.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { expectedIntervals, makeEsiid, makeIntervalReport, makeMeterDay } from '@intelliwatt/smt-ingest/testing'
import { say } from '../shared/command.js'
import { folder } from '../shared/report-files.js'
import { askContender } from './measure.js'

/** In autumn 100 rows as SMT writes them, `02:00,01:15` included; in spring 96, four of them blank placeholders. */
const days = { autumn: '2025-11-02', spring: '2025-03-09' }

/** What each contender makes of the two days. */
export async function readClockChanges(names) {
  mkdirSync(folder, { recursive: true })
  const place = mkdtempSync(`${folder}/clock-`)
  try {
    const reports = Object.entries(days).map(([season, date]) => reportOf(season, date, place))
    const found = []
    for (const name of names) {
      say(`the repeated hour: ${name}`)
      const seasons = {}
      for (const report of reports) seasons[report.season] = await readBy(name, report, place)
      found.push({ name, ...seasons })
    }
    return found
  } finally {
    rmSync(place, { recursive: true })
  }
}

function reportOf(season, date, place) {
  const day = makeMeterDay({ esiid: makeEsiid(1), date })
  const report = makeIntervalReport([day])
  const path = `${place}/${season}.csv`
  writeFileSync(path, report.bytes)
  return { season, path, rows: report.totals.rows.read, expected: [...expectedIntervals([day])] }
}

async function readBy(name, { path, rows, expected }, place) {
  let sums
  try {
    sums = await askContender('prefixes', name, path, place)
  } catch (error) {
    return { failed: error.message.split('\n')[0] }
  }
  const readings = readingsOf(sums)
  // Every reading of these files stands in the file's order, so those of a right reader pair with the expected ones.
  const truth = new Map(expected.map(({ start, milliKwh }) => [start, milliKwh]))
  const taken = new Map()
  for (const { start, milliKwh } of readings) taken.set(start, [...(taken.get(start) ?? []), milliKwh])
  const instants = [...taken.keys()].filter(start => truth.has(start))
  return {
    rows,
    truly: expected.length,
    readings: readings.length,
    instants: instants.length,
    // Energy of quarter hours that nobody gives, and energy given to one that has its own already.
    lostMilliKwh: sum(expected.filter(({ start }) => !taken.has(start)).map(({ milliKwh }) => milliKwh)),
    doubledMilliKwh: sum([...taken.values()].flatMap(values => values.slice(1))),
    exact: readings.length === expected.length && readings.every((reading, i) => same(reading, expected[i]))
  }
}

/** Single readings from the sums over ever longer files. */
function readingsOf(sums) {
  let before = { rows: 0, milliKwh: 0, startSum: 0 }
  return sums.flatMap(now => {
    const grown = now.rows - before.rows
    const reading = { start: (now.startSum - before.startSum) * 900_000, milliKwh: now.milliKwh - before.milliKwh }
    before = now
    return grown === 0 ? [] : [reading]
  })
}

function same(reading, expected) {
  return reading.start === expected.start && reading.milliKwh === expected.milliKwh
}

function sum(values) {
  return values.reduce((total, value) => total + value, 0)
}
