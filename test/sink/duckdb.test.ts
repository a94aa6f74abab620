import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ingest } from '../../src/ingest.ts'
import type { Ledger } from '../../src/ledger/ledger.ts'
import type { Receipt } from '../../src/ledger/receipt.ts'
import { IntervalParser } from '../../src/parse/interval-parser.ts'
import { DuckDbStore } from '../../src/sink/duckdb/store.ts'
import { DuckDbSink } from '../../src/sink/duckdb.ts'
import { DirectorySource } from '../../src/source/directory-source.ts'
import { makeEsiid, makeIntervalReport, makeZip, reissueMeterDay } from '../../src/testing/index.ts'
import { testMergingSink } from '../conformance/merging-sink.ts'
import { type Other, overtaken } from '../conformance/overtaken.ts'
import { testReplayingSink } from '../conformance/replaying-sink.ts'
import { reportsSql, testMergingReportSink, testReportSink } from '../conformance/reports.ts'
import {
  csv,
  days,
  deliver,
  encrypted,
  failing,
  fileOf,
  type RowParts,
  readParts,
  rowsOf,
  rowText,
  sha256Of,
  testDurableSink,
  testSink,
  visible
} from '../conformance/sink.ts'
import { query } from '../support/duckdb.ts'
import { scratchFolder } from '../support/scratch.ts'
import { Child, compile, type Program } from './child.ts'

testSink('DuckDbSink', open)
testDurableSink('DuckDbSink', open)
testMergingSink('DuckDbSink', open)
testReplayingSink('DuckDbSink', open)
testReportSink('DuckDbSink', open)
testMergingReportSink('DuckDbSink', open)

function open(folder: string) {
  const path = join(folder, 'smt.duckdb')
  const sink = new DuckDbSink({ path })
  const rows = async () => {
    await sink.close()
    return storedRows(path)
  }
  return {
    sink,
    rows,
    path,
    provenance: async () => {
      await sink.close()
      return provenance(path)
    },
    reports: async () => {
      await sink.close()
      return reportsIn(path, false)
    },
    reportProvenance: async () => {
      await sink.close()
      return (await reportsIn(path, true)).sort()
    }
  }
}

const ownTables = [
  ...['daily_reads', 'entries', 'files', 'interval_rows', 'meters', 'monthly_bills', 'payloads', 'rejects'],
  'schema_version'
]
const fresh = () => open(scratchFolder())

test('I2: an interval whose ledger row somebody took out is found all the same, and not doubled', async () => {
  const folder = scratchFolder()
  const first = open(folder)
  await deliver(first.sink, fileOf('x.csv', csv([{ quarter: 4 }])))
  await first.sink.close()
  for (const table of ['files', 'entries']) await query(join(folder, 'smt.duckdb'), `DELETE FROM ${table}`)
  const second = open(folder)
  expect((await deliver(second.sink, fileOf('x.csv', csv([{ quarter: 4 }])))).rows).toMatchObject({
    inserted: 0,
    unchanged: 1
  })
  await second.sink.close()
  expect(await second.rows()).toHaveLength(1)
})

describe('beside the intervals', () => {
  test('keeps each entry with its counts and its parser, and each reject without its text', async () => {
    const { sink, path } = fresh()
    const bytes = Buffer.from(csv([{}, { quarter: 1, kwh: 'n/a' }, { quarter: 2, kwh: '', flag: '' }]))
    const zip = makeZip([
      { name: 'notes.txt', bytes: Buffer.from('hello\n') },
      { name: 'IntervalMeterUsage1.CSV', bytes }
    ])
    await deliver(sink, fileOf('a.zip', zip))
    await sink.close()
    const entries = await query(path, 'SELECT * FROM entries ORDER BY ordinal')
    expect(entries).toMatchObject([
      { ordinal: 0, name: 'notes.txt', kind: 'unknown', outcome: 'unhandled', header: 'hello', rows_read: 0n },
      {
        ordinal: 1,
        name: 'IntervalMeterUsage1.CSV',
        kind: 'intervals',
        outcome: 'used',
        layout: 'smt-interval',
        bytes: BigInt(bytes.length),
        crc32: expect.stringMatching(/^[0-9a-f]{8}$/),
        rows_read: 3n,
        rows_accepted: 1n,
        rows_rejected: 1n,
        rows_placeholder: 0n,
        rows_missing: 1n,
        rows_repeated_header: 0n,
        parser_version: expect.any(Number)
      }
    ])
    const rejects = await query(path, 'SELECT name, line, byte_offset, code FROM rejects JOIN entries USING (entry_id)')
    const at = bytes.indexOf('n/a')
    const offset = BigInt(bytes.lastIndexOf('\n', at) + 1)
    expect(rejects).toEqual([{ name: 'IntervalMeterUsage1.CSV', line: 3, byte_offset: offset, code: 'ROW_BAD_KWH' }])
    expect(await query(path, 'SELECT line FROM intervals')).toEqual([{ line: 2 }])
  })

  test('keeps every file with its hashes, its reason and its whole receipt', async () => {
    const { sink, path } = fresh()
    const good = fileOf('good.csv', csv([{}]), { modifiedAt: 1_752_500_000_123 })
    const bad = fileOf('bad.csv', csv([{}]))
    const receipt = await deliver(sink, good)
    await failing(sink, bad, [])
    await deliver(sink, fileOf('again.csv', csv([{}])))
    await sink.close()
    const files = await query(path, 'SELECT * REPLACE (epoch_ms(modified_at) AS modified_at) FROM files ORDER BY path')
    const sha256 = sha256Of(csv([{}]))
    expect(files).toMatchObject([
      { path: 'again.csv', state: 'duplicate', duplicate_of: 'good.csv', payload_sha256: sha256, code: null },
      { path: 'bad.csv', state: 'quarantined', code: 'SINK_NO_ACCOUNT', reason: expect.stringContaining('bad.csv') },
      { path: 'good.csv', state: 'committed', epoch: 1, fetched_sha256: sha256, modified_at: 1_752_500_000_123n }
    ])
    expect(JSON.parse(files[2]!.receipt as string)).toEqual({ ...receipt, elapsedMs: expect.any(Number) })
  })

  test('leaves no staging behind a commit, a rollback or a duplicate', async () => {
    const { sink, path } = fresh()
    const text = csv([{}, { quarter: 1 }, {}])
    await deliver(sink, fileOf('a.csv', text))
    await deliver(sink, fileOf('b.csv', text))
    await failing(sink, fileOf('c.csv', text), (await readParts(fileOf('c.csv', text))).slice(0, 1))
    await sink.close()
    expect(await tablesOf(path)).toEqual(ownTables)
  })

  test('I8: leaves nothing but the store in its folder, of this run or of a dead one', async () => {
    const folder = scratchFolder()
    const path = join(folder, 'smt.duckdb')
    mkdirSync(`${path}.tmp`)
    writeFileSync(join(`${path}.tmp`, 'duckdb_temp_storage-0.tmp'), 'readings of a run that died')
    const sink = new DuckDbSink({ path, memoryLimit: '64MB' })
    const file = fileOf('a.csv', makeIntervalReport(days(400)).bytes)
    const during: string[] = []
    const verify = () => {
      during.push(...readdirSync(folder))
      return file.verify()
    }
    await deliver(sink, { ...file, verify })
    await sink.close()
    expect(during).not.toContain('smt.duckdb.tmp')
    expect(readdirSync(folder)).toEqual(['smt.duckdb'])
    expect(await storedRows(path)).toHaveLength(400 * 96 + 200 * 96)
  })
})

describe('I5: a worker whose claim passed to another', () => {
  test.each(['holds', 'has finished'] as const)('cannot commit while the other one %s the file', async other => {
    const path = join(scratchFolder(), 'smt.duckdb')
    const sink = new OvertakenSink(path, other)
    const file = fileOf('a.csv', csv([{}]))
    const { error, receipt } = await failing(sink, file, await readParts(file))
    expect(error).toMatchObject({ code: 'STORE_FENCED', file: 'a.csv' })
    expect(receipt).toMatchObject({ state: 'seen', reason: { code: 'STORE_FENCED' } })
    await sink.close()
    expect(await storedRows(path)).toEqual([])
    expect(await query(path, 'SELECT * FROM entries')).toEqual([])
    const state = other === 'holds' ? 'claimed' : 'quarantined'
    expect(await query(path, 'SELECT state, epoch, payload_sha256 FROM files')).toEqual([
      { state, epoch: 2, payload_sha256: null }
    ])
    expect(await tablesOf(path)).toEqual(ownTables)
  })

  test('cannot write down a duplicate either', async () => {
    const path = join(scratchFolder(), 'smt.duckdb')
    const first = new DuckDbSink({ path })
    await deliver(first, fileOf('a.csv', csv([{}])))
    await first.close()
    const sink = new OvertakenSink(path, 'holds')
    const file = fileOf('b.csv', csv([{}]))
    const { error } = await failing(sink, file, await readParts(file))
    expect(error).toMatchObject({ code: 'STORE_FENCED' })
    await sink.close()
    expect(await query(path, `SELECT state, epoch FROM files WHERE path = 'b.csv'`)).toEqual([
      { state: 'claimed', epoch: 2 }
    ])
  })

  test('cannot write down why it failed, and says its own reason', async () => {
    const path = join(scratchFolder(), 'smt.duckdb')
    const sink = new OvertakenSink(path, 'has finished', 'claimed')
    const { error } = await failing(sink, fileOf('a.csv', csv([{}])), [])
    expect(error).toMatchObject({ code: 'SINK_NO_ACCOUNT' })
    await sink.close()
    expect(await query(path, 'SELECT state, epoch, code FROM files')).toEqual([
      { state: 'quarantined', epoch: 2, code: 'DECRYPT_CORRUPT' }
    ])
  })
})

describe('opening', () => {
  test('the same file twice in one process is refused as busy, by whatever path', async () => {
    const folder = scratchFolder()
    const { sink, path } = open(folder)
    await deliver(sink, fileOf('a.csv', csv([{}])))
    symlinkSync(path, join(folder, 'link.duckdb'))
    for (const other of [path, join(folder, 'link.duckdb'), join(folder, '.', 'smt.duckdb')]) {
      const second = new DuckDbSink({ path: other })
      await expect(deliver(second, fileOf('b.csv', csv([{}])))).rejects.toMatchObject({
        code: 'STORE_BUSY',
        retryable: true
      })
      await second.close()
    }
    await sink.close()
    const third = open(folder)
    expect(await deliver(third.sink, fileOf('b.csv', csv([{}])))).toMatchObject({ state: 'duplicate' })
    await third.sink.close()
  })

  test.each([
    ['is no database', 'this is no database, but a text\n'.repeat(400)],
    ['is too short to be one', 'short']
  ])('a file that %s is refused, and left as it is', async (_, content) => {
    // "block" and "lock" stand in many paths and messages that have nothing to do with a lock.
    const folder = join(scratchFolder(), 'block-lock')
    mkdirSync(folder)
    const path = join(folder, 'smt.duckdb')
    writeFileSync(path, content)
    const sink = new DuckDbSink({ path })
    await expect(deliver(sink, fileOf('a.csv', csv([{}])))).rejects.toMatchObject({
      code: 'STORE_OPEN',
      retryable: false
    })
    await sink.close()
    expect(readFileSync(path, 'utf8')).toBe(content)
  })

  test('a damaged database is refused as damaged, not as busy', async () => {
    const { sink, path } = fresh()
    await deliver(sink, fileOf('a.csv', csv([{}])))
    await sink.close()
    const bytes = readFileSync(path)
    for (const at of [4096, 8192]) bytes[at + 100]! ^= 0xff
    writeFileSync(path, bytes)
    await expect(deliver(sink, fileOf('b.csv', csv([{}])))).rejects.toMatchObject({ code: 'STORE_OPEN' })
    await sink.close()
  })

  test('a store in a folder that is not there is refused', async () => {
    const sink = new DuckDbSink({ path: join(scratchFolder(), 'gone', 'smt.duckdb') })
    await expect(deliver(sink, fileOf('a.csv', csv([{}])))).rejects.toMatchObject({ code: 'STORE_OPEN' })
    await sink.close()
  })

  test('a store of a newer version is refused, left as it is, and given free', async () => {
    const { sink, path } = fresh()
    await deliver(sink, fileOf('a.csv', csv([{}])))
    await sink.close()
    await query(path, 'UPDATE schema_version SET version = 999')
    await query(path, `UPDATE files SET state = 'claimed'`)
    const error = await deliver(sink, fileOf('b.csv', csv([{}]))).catch(error => error)
    expect(error).toMatchObject({ code: 'STORE_OPEN', message: expect.stringContaining('999') })
    await sink.close()
    // A process that could not use the store does not keep it from others.
    const child = new Child(program, 'hold', 'duckdb', path)
    expect(await child.says()).toBe('STORE_OPEN')
    expect(await child.ends()).toBe(1)
    expect(await query(path, 'SELECT state FROM files')).toEqual([{ state: 'claimed' }])
  })

  test('a database whose tables are somebody else’s is refused', async () => {
    const { sink, path } = fresh()
    await query(path, 'CREATE TABLE files (name VARCHAR)')
    await expect(deliver(sink, fileOf('a.csv', csv([{}])))).rejects.toMatchObject({ code: 'STORE_OPEN' })
    await sink.close()
    expect(await query(path, 'FROM files')).toEqual([])
  })
})

let program: Program
beforeAll(async () => {
  program = await compile(new URL('./child-program.ts', import.meta.url))
})
afterAll(() => program.remove())

describe('another process', () => {
  test('gets a retryable STORE_BUSY while this one holds the store, and the store afterwards', async () => {
    const folder = scratchFolder()
    const { sink, path } = open(folder)
    await deliver(sink, fileOf('a.csv', csv([{}])))
    const inbox = inboxOf(folder, csv([{}]))
    expect(await new Child(program, 'take', 'duckdb', path, inbox).says()).toBe('STORE_BUSY')
    await sink.close()
    expect(await new Child(program, 'take', 'duckdb', path, inbox).says()).toBe('duplicate')
  })

  test('that holds the store keeps this one out, until it is gone', async () => {
    const { sink, path } = fresh()
    const child = new Child(program, 'hold', 'duckdb', path)
    expect(await child.says()).toBe('held')
    const file = fileOf('a.csv', csv([{}]))
    await expect(deliver(sink, file)).rejects.toMatchObject({ code: 'STORE_BUSY', retryable: true })
    expect(await child.kill()).toBe('SIGKILL')
    expect(await deliver(sink, file)).toMatchObject({ state: 'committed' })
    await sink.close()
  })

  test('that holds the store ends a run with STORE_BUSY; nothing of its files is in, and the next run takes them', async () => {
    const folder = scratchFolder()
    const { sink, path, rows } = open(folder)
    const inbox = inboxOf(folder, csv([{}]))
    const run = async () => {
      const receipts: Receipt[] = []
      const source = new DirectorySource({ directories: [inbox], settleMs: 1 })
      for await (const receipt of ingest({ source, parser: new IntervalParser(), sink })) receipts.push(receipt)
      return receipts
    }
    const child = new Child(program, 'hold', 'duckdb', path)
    expect(await child.says()).toBe('held')
    await expect(run()).rejects.toMatchObject({ code: 'STORE_BUSY', retryable: true, stopsRun: true })
    await child.kill()
    expect(await rows()).toEqual([])
    expect(await query(path, `SELECT path FROM files WHERE state <> 'ignored'`)).toEqual([])
    expect(await run()).toMatchObject([{ state: 'committed', rows: { inserted: 1 } }])
    await sink.close()
  })

  test('I1: killed in the middle of staging leaves nothing half, and its file is taken again', async () => {
    const folder = scratchFolder()
    const { sink, path, rows } = open(folder)
    const before = makeIntervalReport(days(1, '2025-07-01'))
    await deliver(sink, fileOf('before.csv', before.bytes))
    await sink.close()

    // More rows than an appender keeps to itself.
    const report = makeIntervalReport(days(1000))
    const inbox = inboxOf(folder, report.bytes)
    const child = new Child(program, 'stop-while-staging', 'duckdb', path, inbox)
    expect(await child.says()).toBe('staged')
    expect(await child.kill()).toBe('SIGKILL')
    expect(await query(path, 'SELECT state FROM files ORDER BY path DESC')).toEqual([
      { state: 'committed' },
      { state: 'claimed' }
    ])
    expect(await visible(rows)).toEqual(rowsOf(before.expected()))

    const next = new Child(program, 'take', 'duckdb', path, inbox)
    expect(await next.says()).toBe('committed')
    expect(await next.ends()).toBe(0)
    expect((await rows()).length).toBe(96 + report.totals.rows.accepted)
    expect(await tablesOf(path)).toEqual(ownTables)
    expect(readdirSync(folder).sort()).toEqual(['inbox', 'smt.duckdb'])
  }, 60_000)
})

test('the queries of docs/sinks/duckdb.md answer what they are said to', async () => {
  const { sink, path } = fresh()
  const esiid = '10443720009999001'
  const rows = [...Array(96).keys()].map(quarter => ({ esiid, date: '07/14/2025', quarter, kwh: '0.25' }))
  await deliver(sink, fileOf('/adhocusage/report.asc', csv([...rows, { ...rows[3]!, date: '07/15/2025' }])))
  await sink.close()
  const page = readFileSync(new URL('../../docs/sinks/duckdb.md', import.meta.url), 'utf8')
  const answers = []
  for (const text of /```sql\n([\s\S]+?)```/.exec(page)![1]!.split(';').slice(0, -1)) {
    answers.push(await query(path, `SET TimeZone = 'Asia/Tokyo'; ${text}`))
  }
  const [month, latest, byDay, why] = answers
  expect(month).toHaveLength(97)
  expect(String(month![0]!.kwh)).toBe('0.25000')
  expect(latest!.map(row => [row.esiid, String(row.day)])).toEqual([[esiid, '2025-07-15']])
  expect(byDay!.map(row => [String(row.day), String(row.kwh), row.intervals])).toEqual([
    ['2025-07-14', '24.00000', 96n],
    ['2025-07-15', '0.25000', 1n]
  ])
  expect(why).toMatchObject([{ state: 'committed', code: null }])
})

describe('a file of more rows than are merged at once', () => {
  const meters = 2000
  const old = makeIntervalReport(days(meters))
  const total = old.totals.rows.accepted
  /** Every interval once, none of them lost; `newer` of them of the reissue. */
  const summary = `SELECT count(*) AS intervals, count(DISTINCT (esiid, direction, start)) AS keys,
    count(*) FILTER (revision >= '2030-01-01 12:00:00Z') AS newer FROM intervals`
  const reissued = (from: number, to: number) =>
    days(meters)
      .slice(from, to)
      .map(day => reissueMeterDay(day, '2030-01-01 06:00:00'))

  test('is merged as one, with what another file has of it', async () => {
    const { sink, path } = fresh()
    expect(total).toBeGreaterThan(245_760)
    // From the second half of what is stored to beyond its end, then back over all of it.
    const newer = makeIntervalReport(reissued(1000, 2000))
    const again = makeIntervalReport([
      ...days(meters).slice(1, 2),
      ...days(meters).slice(0, 1),
      ...days(meters).slice(2)
    ])
    expect((await deliver(sink, fileOf('a.csv', old.bytes))).rows).toMatchObject({ inserted: total })
    expect((await deliver(sink, fileOf('b.csv', newer.bytes))).rows).toMatchObject({
      inserted: 0,
      replaced: newer.totals.rows.accepted
    })
    expect((await deliver(sink, fileOf('c.csv', again.bytes))).rows).toMatchObject({
      inserted: 0,
      unchanged: total - newer.totals.rows.accepted,
      superseded: newer.totals.rows.accepted,
      conflicts: 0
    })
    await sink.close()
    const intervals = BigInt(total)
    expect(await query(path, summary)).toEqual([
      { intervals, keys: intervals, newer: BigInt(newer.totals.rows.accepted) }
    ])
  })

  test('finds readings of one interval that stand far apart', async () => {
    const { sink, path } = fresh()
    const tail = makeIntervalReport(reissued(0, 10))
    const header = tail.bytes.indexOf(10) + 1
    const file = fileOf('a.csv', Buffer.concat([old.bytes, tail.bytes.subarray(header)]))
    const late = tail.totals.rows.accepted
    expect((await deliver(sink, file)).rows).toMatchObject({ inserted: total, superseded: late, conflicts: 0 })
    await sink.close()
    const intervals = BigInt(total)
    expect(await query(path, summary)).toEqual([{ intervals, keys: intervals, newer: BigInt(late) }])
  })
})

test('I6: a file that repeats what more than a hundred others gave takes over from those with a lesser payload', async () => {
  const { sink, path } = fresh()
  const meters = Array.from({ length: 103 }, (_, i) => ({ esiid: makeEsiid(i) }))
  const texts = meters.map(meter => csv([meter]))
  for (const [i, text] of texts.entries()) await deliver(sink, fileOf(`${i}.csv`, text))
  const whole = csv(meters)
  const lesser = texts.filter(text => sha256Of(text) < sha256Of(whole)).length
  expect((await deliver(sink, fileOf('whole.csv', whole))).rows).toMatchObject({
    inserted: 0,
    unchanged: 103,
    conflicts: 0
  })
  await sink.close()
  const taken = `SELECT count(*) AS n FROM intervals JOIN entries USING (entry_id) JOIN files USING (file_id)
    WHERE path = 'whole.csv'`
  expect(lesser).toBeGreaterThan(0)
  expect(lesser).toBeLessThan(103)
  expect(await query(path, taken)).toEqual([{ n: BigInt(lesser) }])
})

test('I2: a meter that comes again after fifty thousand others is the same meter', async () => {
  const { sink, path } = fresh()
  const others = Array.from({ length: 50_000 }, (_, i) => ({ esiid: makeEsiid(i + 2) }))
  const first = { esiid: makeEsiid(1) }
  const text = csv([{ ...first, kwh: '0.1' }, ...others, { ...first, kwh: '0.2' }, { ...first, quarter: 1 }])
  expect((await deliver(sink, fileOf('a.csv', text))).rows).toMatchObject({
    inserted: 50_002,
    superseded: 1,
    conflicts: 1
  })
  await sink.close()
  expect(
    await query(path, `SELECT kwh::VARCHAR AS kwh FROM intervals WHERE esiid = '${first.esiid}' ORDER BY start`)
  ).toEqual([{ kwh: '0.20000' }, { kwh: '0.31000' }])
  expect(await query(path, 'SELECT count(*) AS meters FROM meters')).toEqual([{ meters: 50_001n }])
})

test('a memoryLimit that is too small for a file is named, and nothing of the file is in', async () => {
  const folder = scratchFolder()
  const path = join(folder, 'smt.duckdb')
  const file = fileOf('a.csv', makeIntervalReport(days(1500)).bytes)
  const sink = new DuckDbSink({ path, memoryLimit: '8MB' })
  const { error } = await failing(sink, file, await readParts(file))
  expect(error).toMatchObject({ code: 'STORE_WRITE', message: expect.stringContaining('memoryLimit is too small') })
  await sink.close()
  expect(await storedRows(path)).toEqual([])
  const { sink: roomy } = open(folder)
  expect(await deliver(roomy, file)).toMatchObject({ state: 'committed' })
  await roomy.close()
})

test('a report encrypted anew changes nothing, byte for byte of what can be asked', async () => {
  const { sink, path } = fresh()
  const { bytes } = makeIntervalReport(days(2))
  await deliver(sink, encrypted('a.asc', bytes, 'once'))
  await sink.close()
  const before = await query(path, 'FROM intervals ORDER BY ALL')
  await deliver(sink, encrypted('b.asc', bytes, 'twice'))
  await sink.close()
  expect(await query(path, 'FROM intervals ORDER BY ALL')).toEqual(before)
  expect(await query(path, 'SELECT count(*) AS entries FROM entries')).toEqual([{ entries: 1n }])
})

/** A sink whose every claim passes to another worker. */
class OvertakenSink extends DuckDbSink {
  readonly #overtaken: (ledger: Ledger) => Ledger

  constructor(path: string, ...how: [Other, ('claimed' | 'staged')?]) {
    super({ path })
    this.#overtaken = ledger => overtaken(ledger, ...how)
  }

  protected override async openLedger(): Promise<Ledger> {
    return this.#overtaken(await super.openLedger())
  }
}

async function storedRows(path: string): Promise<string[]> {
  const rows = await query(
    path,
    `SELECT esiid, epoch_ms(start) AS start, direction::VARCHAR AS direction, kwh::VARCHAR AS kwh, estimated,
       epoch_ms(revision) AS revision FROM intervals`
  )
  return rows.map(row => {
    const { start, revision, ...rest } = row as { start: bigint; revision: bigint | null }
    const numbers = { start: Number(start), revision: revision === null ? null : Number(revision) }
    return rowText({ ...(rest as Pick<RowParts, 'esiid' | 'direction' | 'kwh' | 'estimated'>), ...numbers })
  })
}

/** Every interval with the content it came from and the place in it: what no order of files may change. */
async function provenance(path: string): Promise<string[]> {
  const rows = await query(
    path,
    `SELECT concat_ws(' ', esiid, direction, epoch_ms(start), kwh, estimated, coalesce(epoch_ms(revision), -1),
       payload_sha256, ordinal, line) AS row
     FROM intervals JOIN entries USING (entry_id) JOIN files USING (file_id)`
  )
  return rows.map(({ row }) => row as string).sort()
}

async function reportsIn(path: string, withPlace: boolean): Promise<string[]> {
  const rows = await query(path, reportsSql('', { ms: instant => `epoch_ms(${instant})`, withPlace }))
  return rows.map(({ row }) => row as string)
}

/** The store's own tables and whatever else stands beside them. */
async function tablesOf(path: string): Promise<string[]> {
  const rows = await query(path, 'SELECT table_name FROM duckdb_tables() ORDER BY table_name')
  return rows.map(row => row.table_name as string)
}

function inboxOf(folder: string, content: string | Buffer): string {
  const inbox = join(folder, 'inbox')
  if (!existsSync(inbox)) mkdirSync(inbox)
  writeFileSync(join(inbox, 'z.csv'), content)
  return inbox
}

test('a store is open, and nobody else’s, until the last connection is given back', async () => {
  const options = { path: join(scratchFolder(), 'a.duckdb'), memoryLimit: '128MB', threads: 1 }
  const store = await DuckDbStore.open(options)
  const connections = [await store.connect(), await store.connect()]
  let isClosed = false
  const closing = store.close().then(() => (isClosed = true))
  for (const connection of connections) {
    await connection.run('SELECT 1')
    expect(isClosed).toBe(false)
    await expect(DuckDbStore.open(options)).rejects.toMatchObject({ code: 'STORE_BUSY' })
    store.disconnect(connection)
  }
  await closing
  await (await DuckDbStore.open(options)).close()
})
