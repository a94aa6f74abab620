// Makes the files that are stored one after another, and notes what the store must hold after each.
import { createHash } from 'node:crypto'
import { copyFileSync, mkdirSync, readFileSync } from 'node:fs'
import { reissueMeterDay } from '@intelliwatt/smt-ingest/testing'
import { meterDays } from '../shared/meter-days.js'
import { madeOnce, writeReport, writeWhole } from '../shared/report-files.js'
import { StoredTruth } from '../shared/stored.js'

const recipe = 1
/** One roof in so many has panels. */
export const solarEvery = 10
const revision = '2025-08-01 06:41:12'

/**
 * The files of the cases in order. The second and the third have the readings of the first in other bytes: the hash of
 * a payload decides between equal readings, so one has a smaller hash than the first file and one a greater.
 */
export function filesFor(meters, days) {
  return madeOnce(`sinks-${meters}x${days}`, recipe, async folder => {
    mkdirSync(folder, { recursive: true })
    const path = name => `${folder}/${name}.csv`
    const first = write(path('empty'), meterDays({ meters, days, solarEvery }))
    const newer = write(path('newer'), reissued(meterDays({ meters, days, solarEvery })))
    writeOtherBytes(path('empty'), path('smaller'), (hash, first) => hash < first)
    writeOtherBytes(path('empty'), path('greater'), (hash, first) => hash > first)
    copyFileSync(path('empty'), path('duplicate'))
    return {
      bytes: first.bytes,
      paths: Object.fromEntries(['empty', 'smaller', 'greater', 'duplicate', 'newer'].map(name => [name, path(name)])),
      first: first.truth,
      newer: newer.truth
    }
  })
}

function write(path, days) {
  const truth = new StoredTruth()
  const bytes = writeReport(path, days, { take: day => truth.add(day) })
  return { bytes, truth: truth.end() }
}

function* reissued(days) {
  for (const day of days) yield reissueMeterDay(day, revision)
}

/** Writes the same readings in other bytes: one of them has a zero more at its end. Which one, the hash decides. */
function writeOtherBytes(from, to, fits) {
  const text = readFileSync(from, 'latin1')
  const first = sha256(text)
  for (let at = text.indexOf('\n'); ; at = text.indexOf('\n', at + 1)) {
    const row = text.slice(at + 1, text.indexOf('\n', at + 1))
    const other = text.slice(0, at + 1) + row.replace(/(\.\d+),/, '$10,') + text.slice(at + 1 + row.length)
    if (!fits(sha256(other), first)) continue
    writeWhole(to, write => write(Buffer.from(other, 'latin1')))
    return
  }
}

function sha256(text) {
  return createHash('sha256').update(text, 'latin1').digest('hex')
}
