// Makes the files that are taken in, plain and as SMT sends them, and notes what must come of them.
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { crc32 } from 'node:zlib'
import { encryptMessage, makePgpKey, makeZip } from '@intelliwatt/smt-ingest/testing'
import { TallyTruth } from '../parse/tally-truth.js'
import { meterDay, meterDays } from '../shared/meter-days.js'
import { madeOnce, writeReport } from '../shared/report-files.js'
import { StoredTruth } from '../shared/stored.js'
import { digestOf, fileLine } from './evidence.js'

const recipe = 3

/** Reports of one day: of so many meters each, and one meter's days lie in so many files. */
const daily = { meters: 6, days: 20, solarEvery: 8 }

/** One file with about so many megabytes of CSV. */
export function oneFile(megabytes) {
  return delivery(`e2e-${megabytes}`, { type: 'ecc' }, [[meterDays(), megabytes * 1e6]])
}

/** So many files of a few meters, a day in each, all for one RSA key: what opens such a key takes longest. */
export function dailyFiles(count) {
  return delivery(
    `e2e-daily-${count}`,
    { type: 'rsa', rsaBits: 3072 },
    Array.from({ length: count }, (_, n) => [dayOf(n), undefined])
  )
}

function* dayOf(number) {
  const first = Math.floor(number / daily.days) * daily.meters
  for (let meter = 1; meter <= daily.meters; meter++) yield meterDay(first + meter, number % daily.days, daily)
}

/** The folders of some reports, plain and wrapped, the key that opens them, and the truth about all of them. */
function delivery(name, key, reports) {
  return madeOnce(name, recipe, async folder => {
    const [csv, asc] = ['csv', 'asc'].map(kind => `${folder}/${kind}`)
    for (const kind of [csv, asc]) mkdirSync(kind, { recursive: true })
    const { privateKey, publicKey } = await makePgpKey(key)
    const tally = new TallyTruth()
    const stored = new StoredTruth()
    const sizes = { csv: 0, asc: 0 }
    const lines = { csv: [], asc: [] }
    for (const [i, [days, bytes]] of reports.entries()) {
      const report = `IntervalMeterUsage${String(i).padStart(4, '0')}`
      const path = `${csv}/${report}.csv`
      let rows = 0
      const take = day => {
        rows += tally.add(day)
        stored.add(day)
      }
      sizes.csv += writeReport(path, days, { take, bytes })
      const text = readFileSync(path)
      const zip = makeZip([{ name: `${report}.csv`, bytes: text }])
      const message = await encryptMessage(zip, { publicKeys: [publicKey] })
      await writeFile(`${asc}/${report}.asc`, message)
      sizes.asc += message.length
      const facts = { rows, accepted: rows, entryBytes: text.length }
      lines.csv.push(fileLine({ ...facts, fetched: sha256(text), payload: sha256(text), crc32: null }))
      lines.asc.push(fileLine({ ...facts, fetched: sha256(message), payload: sha256(zip), crc32: crcOf(text) }))
    }
    return {
      csv,
      asc,
      privateKey,
      files: reports.length,
      sizes,
      intervals: tally.end(),
      evidence: { csv: digestOf(lines.csv), asc: digestOf(lines.asc) },
      stored: stored.end()
    }
  })
}

function sha256(bytes) {
  return createHash('sha256').update(bytes).digest('hex')
}

function crcOf(bytes) {
  return crc32(bytes).toString(16).padStart(8, '0')
}
