// What is delivered, and what the store must hold after it: from the generator's own data, by plain code that shares
// nothing with the parser or the sinks.
import { createHash } from 'node:crypto'
import { mkdirSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as testing from '@intelliwatt/smt-ingest/testing'

const { centralInstant, encryptMessage, makeDailyReport, makeEsiid, makeIntervalReport, makeMeterDay } = testing
const { makePgpKey, makeZip, randomFrom, reissueMeterDay, spoiledReading } = testing

const sha256 = bytes => createHash('sha256').update(bytes).digest('hex')
const [one, two, solar, late] = [makeEsiid(1), makeEsiid(2, 22), makeEsiid(3), makeEsiid(4)]

/** Folders with the same files in other orders of arrival. */
export const ORDERS = 4

/**
 * Makes the files, and writes them into `0` to `3` below a folder, and with a large one more, twice, into `large`. Each folder
 * has its files in another order of arrival.
 */
export async function makeDelivery(folder, seed) {
  const key = await makePgpKey()
  const encrypt = bytes => encryptMessage(bytes, { publicKeys: [key.publicKey] })
  const zip = report => makeZip([{ name: 'IntervalMeterUsage.CSV', bytes: report.bytes }])
  const files = []
  const add = (name, bytes, content) => files.push({ name, bytes, ...content })
  const good = (report, payload, daily) => {
    const rows = [...[...report.expected()].map(rowOf), ...(daily ? dailyRows(daily) : [])]
    return { rows, sha256: sha256(payload), entries: daily ? 2 : 1, rejected: report.totals.rows.rejected }
  }
  /** An archive of intervals and of daily reads, as SMT sends it. */
  const both = (report, daily) =>
    makeZip([
      { name: 'IntervalMeterUsage.CSV', bytes: report.bytes },
      { name: 'DailyMeterUsage.CSV', bytes: daily }
    ])

  const first = [one, two, solar].map(esiid =>
    makeMeterDay({ esiid, date: '2025-07-14', seed, estimated: esiid !== two, solar: esiid === solar })
  )
  const newer = [first[0], first[2]].map(day => reissueMeterDay(day, '2025-08-01 06:41:12'))
  // Of one version, with other readings: the payload's hash decides.
  const rival = { ...newer[0], series: newer[0].series.map(series => withMore(series, 3)) }
  const autumn = [one, solar].map(esiid => makeMeterDay({ esiid, date: '2025-11-02', seed, solar: esiid === solar }))
  const spoilt = makeMeterDay({ esiid: two, date: '2025-07-15', seed, missing: 5 })
  spoilt.series[0].milliKwh[40] = spoiledReading
  const whole = makeIntervalReport([makeMeterDay({ esiid: late, date: '2025-07-14', seed })])
  const again = makeIntervalReport([
    makeMeterDay({ esiid: late, date: '2025-07-14', seed: seed + 1, revision: '2025-08-02 06:00:00' })
  ])

  const report = makeIntervalReport(first)
  const reads = makeDailyReport(first)
  const packed = both(report, reads)
  const sealed = await encrypt(packed)
  add('first.asc', sealed, good(report, packed, reads))
  add('first under another name.asc', sealed, good(report, packed, reads))
  const revision = makeIntervalReport(newer)
  const newerReads = makeDailyReport(newer)
  const repacked = both(revision, newerReads)
  add('revision.asc', await encrypt(repacked), good(revision, repacked, newerReads))
  add('revision encrypted anew.asc', await encrypt(repacked), good(revision, repacked, newerReads))
  const other = makeIntervalReport([rival])
  add('rival.zip', zip(other), good(other, zip(other)))
  const clock = makeIntervalReport(autumn)
  add('autumn.csv', clock.bytes, good(clock, clock.bytes))
  const rejects = makeIntervalReport([spoilt])
  add('one bad row.csv', rejects.bytes, good(rejects, rejects.bytes))
  for (const [name, source, from, to] of [
    ['part of a day.csv', whole, 0, 40],
    ['its rest, and some of it again.csv', whole, 30, 96],
    ['newer part.csv', again, 35, 60]
  ]) {
    const part = partOf(source, from, to)
    add(name, part.bytes, good(part, part.bytes))
  }
  const lost = await encrypt(zip(makeIntervalReport([makeMeterDay({ esiid: makeEsiid(5), date: '2025-07-14', seed })])))
  add('damaged.asc', damaged(lost), { state: 'quarantined' })
  add('.unfinished.tmp', sealed.subarray(0, 1000), { state: 'ignored' })

  for (let order = 0; order < ORDERS; order++)
    write(join(folder, String(order)), files, randomFrom(seed, 'order', order))
  // So many days that some are copied before the file's end: the last 512 are held, and a megabyte waits for a copy.
  const largeDays = Array.from({ length: 1700 }, (_, i) =>
    makeMeterDay({ esiid: makeEsiid(100 + i), date: '2025-07-14', seed })
  )
  const [large, largeReads] = [makeIntervalReport(largeDays), makeDailyReport(largeDays)]
  const largeZip = both(large, largeReads)
  const withLarge = [
    ...files,
    // Of two with the same content one is staged in vain.
    ...['large.zip', 'large again.zip'].map(name => ({ name, bytes: largeZip, ...good(large, largeZip, largeReads) }))
  ]
  write(join(folder, 'large'), withLarge, randomFrom(seed, 'order', 'large'))
  const keyFile = join(folder, 'key.asc')
  writeFileSync(keyFile, key.privateKey, { mode: 0o600 })
  return { folder, keyFile, files: withLarge, small: files }
}

function write(folder, files, random) {
  mkdirSync(folder, { recursive: true })
  const shuffled = files.map(file => [random(), file]).sort(([a], [b]) => a - b)
  for (const [i, [, { name, bytes }]] of shuffled.entries()) {
    writeFileSync(join(folder, name), bytes)
    utimesSync(join(folder, name), 1_752_580_000 + i, 1_752_580_000 + i)
  }
}

function withMore(series, milli) {
  return { ...series, milliKwh: series.milliKwh.map(value => (value < 0 ? value : value + milli)) }
}

/** Some rows of a report of one series without a gap. */
function partOf(report, from, to) {
  const [header, ...lines] = report.bytes.toString('latin1').trimEnd().split('\n')
  const bytes = Buffer.from(`${[header, ...lines.slice(from, to)].join('\n')}\n`, 'latin1')
  return { bytes, expected: () => [...report.expected()].slice(from, to), totals: { rows: { rejected: 0 } } }
}

/** One letter in the middle of an armored message is another one. */
function damaged(armored) {
  const bytes = Buffer.from(armored)
  let at = bytes.length >> 1
  while (!/[A-Za-z]/.test(String.fromCharCode(bytes[at]))) at++
  bytes[at] ^= 0x20
  return bytes
}

/** A reading as a store must show it, and what it is compared by. */
export function rowOf({ esiid, direction, start, milliKwh, estimated, revision }) {
  return {
    key: `${esiid} ${direction} ${start}`,
    value: `${(milliKwh / 1000).toFixed(5)} ${estimated} ${revision ?? -1}`,
    rank: [revision ?? -1, estimated ? 0 : 1]
  }
}

/** The daily reads of a report, as a store must show them. */
function dailyRows(report) {
  const lines = report.toString('latin1').trimEnd().split('\n').slice(1)
  return lines.map(line => {
    const [esiid, date, stamp, ...numbers] = line.slice(1).split(',')
    const day = date.replace(/(\d+)\/(\d+)\/(\d+)/, '$3-$1-$2')
    const [stampDate, time] = stamp.split(' ')
    const revision = centralInstant(stampDate.replace(/(\d+)\/(\d+)\/(\d+)/, '$3-$1-$2'), time)
    const value = `${numbers.map(number => Number(number).toFixed(5)).join(' ')} ${revision}`
    return { key: `${esiid} daily ${day}`, value, rank: [revision, 1] }
  })
}

/** The rows that a merging store must show when these files are in: value and payload's hash by key. */
export function merged(files) {
  const store = new Map()
  for (const { sha256, rows } of files) {
    for (const { key, value, rank } of rows) {
      const before = store.get(key)
      const mine = [...rank, sha256]
      if (before === undefined || isGreater(mine, before.rank))
        store.set(key, { rank: mine, text: `${value} ${sha256}` })
    }
  }
  return new Map([...store].map(([key, { text }]) => [key, text]))
}

function isGreater(a, b) {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return a[i] > b[i]
  return false
}
