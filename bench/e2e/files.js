// Makes the files that are taken in, plain and as SMT sends them, and notes what must come of them.
import { mkdirSync, readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { addTotals, emptyTotals, makePgpKey, totalsOf, wrapAsSmt } from '@intelliwatt/smt-ingest/testing'
import { meterDay, meterDays } from '../shared/meter-days.js'
import { madeOnce, writeReport } from '../shared/report-files.js'
import { StoredTruth } from '../shared/stored.js'

const recipe = 2

/** Reports of one day: of so many meters each, and one meter's days lie in so many files. */
const daily = { meters: 6, days: 20, solarEvery: 8 }

/** One file with about so many megabytes of CSV. */
export function oneFile(megabytes) {
  return delivery(`e2e-${megabytes}`, [[meterDays(), megabytes * 1e6]])
}

/** So many files of a few meters, a day in each. */
export function dailyFiles(count) {
  return delivery(
    `e2e-daily-${count}`,
    Array.from({ length: count }, (_, n) => [dayOf(n), undefined])
  )
}

function* dayOf(number) {
  const first = Math.floor(number / daily.days) * daily.meters
  for (let meter = 1; meter <= daily.meters; meter++) yield meterDay(first + meter, number % daily.days, daily)
}

/** The folders of some reports, plain and wrapped, the key that opens them, and the truth about all of them. */
function delivery(name, reports) {
  return madeOnce(name, recipe, async folder => {
    const [csv, asc] = ['csv', 'asc'].map(kind => `${folder}/${kind}`)
    for (const kind of [csv, asc]) mkdirSync(kind, { recursive: true })
    const { privateKey, publicKey } = await makePgpKey()
    const totals = emptyTotals()
    const stored = new StoredTruth()
    const take = day => {
      addTotals(totals, totalsOf([day]))
      stored.add(day)
    }
    const sizes = { csv: 0, asc: 0 }
    for (const [i, [days, bytes]] of reports.entries()) {
      const report = `IntervalMeterUsage${String(i).padStart(4, '0')}`
      const path = `${csv}/${report}.csv`
      sizes.csv += writeReport(path, days, { take, bytes })
      const message = await wrapAsSmt([{ name: `${report}.csv`, bytes: readFileSync(path) }], publicKey)
      await writeFile(`${asc}/${report}.asc`, message)
      sizes.asc += message.length
    }
    return { csv, asc, privateKey, files: reports.length, sizes, intervals: sumsOf(totals), stored: stored.end() }
  })
}

function sumsOf({ rows, milliKwh, estimated }) {
  return { rows: rows.accepted, milliKwh: milliKwh.consumption + milliKwh['surplus-generation'], estimated }
}
