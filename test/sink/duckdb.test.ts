import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { DecryptError } from '../../src/errors.ts'
import type { Claim, Ledger } from '../../src/ledger/ledger.ts'
import type { LedgerFile } from '../../src/ledger/receipt.ts'
import { failed } from '../../src/ledger/receipt.ts'
import { DuckDbSink } from '../../src/sink/duckdb.ts'
import { makeEsiid, makeIntervalReport, makeZip } from '../../src/testing/index.ts'
import {
  csv,
  days,
  deliver,
  encrypted,
  failing,
  fileOf,
  type Row,
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

function open(folder: string) {
  const path = join(folder, 'smt.duckdb')
  const sink = new DuckDbSink({ path })
  const rows = async () => {
    await sink.close()
    return storedRows(path)
  }
  return { sink, rows, path }
}

const ownTables = ['entries', 'files', 'intervals', 'rejects', 'schema_version']
const fresh = () => open(scratchFolder())

/** The newest reading wins, whatever the order of the files. */
describe('I6: of two readings of one interval', () => {
  const key = { quarter: 4 }

  test.each<[string, Row, Row]>([
    ['the later revision wins', { revision: '07/15/2025 06:41:12' }, { revision: '07/15/2025 06:41:13' }],
    ['any revision wins over a blank one', { revision: '' }, { revision: '01/01/2019 00:00:00' }],
    [
      'the later revision wins although it is an estimate',
      { revision: '07/15/2025 06:00:00', flag: 'A' },
      { revision: '07/16/2025 06:00:00', flag: 'E' }
    ],
    ['the actual one wins over the estimate of the same revision', { flag: 'E' }, { flag: 'A' }],
    ['the actual one wins over the estimate when both have no revision', rowOf('', 'E'), rowOf('', 'A')]
  ])('%s', async (_, older, newer) => {
    const [low, high] = [csv([{ ...key, ...older, kwh: '0.9' }]), csv([{ ...key, ...newer, kwh: '0.1' }])]
    const upwards = fresh()
    await deliver(upwards.sink, fileOf('low.csv', low))
    const replaced = await deliver(upwards.sink, fileOf('high.csv', high))
    expect(replaced.rows).toMatchObject({ inserted: 0, replaced: 1, unchanged: 0, superseded: 0, conflicts: 0 })

    const downwards = fresh()
    await deliver(downwards.sink, fileOf('high.csv', high))
    const superseded = await deliver(downwards.sink, fileOf('low.csv', low))
    expect(superseded.rows).toMatchObject({ inserted: 0, replaced: 0, unchanged: 0, superseded: 1, conflicts: 0 })

    const stored = await upwards.rows()
    expect(stored).toEqual(await downwards.rows())
    expect(stored.map(row => row.split(' ')[3])).toEqual(['0.10000'])
    expect(await provenance(upwards.path)).toEqual(await provenance(downwards.path))
  })

  test('the one of the greater payload hash wins when all else is equal, and the conflict is counted', async () => {
    const texts = ['0.9', '0.1'].map(kwh => csv([{ ...key, kwh }]))
    const [low, high] = texts.sort((a, b) => (sha256Of(a) < sha256Of(b) ? -1 : 1))
    const upwards = fresh()
    await deliver(upwards.sink, fileOf('low.csv', low!))
    const replaced = await deliver(upwards.sink, fileOf('high.csv', high!))
    expect(replaced.rows).toMatchObject({ replaced: 1, superseded: 0, conflicts: 1 })
    const downwards = fresh()
    await deliver(downwards.sink, fileOf('high.csv', high!))
    const superseded = await deliver(downwards.sink, fileOf('low.csv', low!))
    expect(superseded.rows).toMatchObject({ replaced: 0, superseded: 1, conflicts: 1 })
    expect(await upwards.rows()).toEqual(await downwards.rows())
  })

  test('equal ones are unchanged, whichever came first, and are no conflict', async () => {
    const { sink, rows } = fresh()
    const more = csv([{ quarter: 4 }, { quarter: 5 }])
    await deliver(sink, fileOf('a.csv', csv([{ quarter: 4 }])))
    expect((await deliver(sink, fileOf('b.csv', more))).rows).toMatchObject({ inserted: 1, unchanged: 1, conflicts: 0 })
    expect(await rows()).toHaveLength(2)
  })

  test('the two directions are two series', async () => {
    const { sink, rows } = fresh()
    await deliver(sink, fileOf('a.csv', csv([{ ...key, kwh: '1' }])))
    const surplus = csv([{ ...key, kwh: '2', direction: 'Surplus Generation' }])
    expect((await deliver(sink, fileOf('b.csv', surplus))).rows).toMatchObject({ inserted: 1, replaced: 0 })
    expect((await rows()).map(row => row.split(' ')[3]).sort()).toEqual(['1.00000', '2.00000'])
  })

  test('in one file the loser is superseded', async () => {
    const { sink, rows } = fresh()
    const text = csv([
      { ...key, revision: '07/16/2025 06:00:00', kwh: '0.3' },
      { ...key, revision: '07/15/2025 06:00:00', kwh: '0.2' },
      { ...key, revision: '', kwh: '0.1' },
      { quarter: 5, kwh: '0.5' }
    ])
    expect((await deliver(sink, fileOf('a.csv', text))).rows).toMatchObject({
      accepted: 4,
      inserted: 2,
      superseded: 2,
      conflicts: 0
    })
    expect((await visible(rows)).map(row => row.split(' ')[3])).toEqual(['0.30000', '0.50000'])
  })

  test('in one file a conflict is counted wherever the other readings stand', async () => {
    for (const texts of [
      ['0.2', '0.1', '0.1'],
      ['0.1', '0.2', '0.1'],
      ['0.1', '0.1', '0.2']
    ]) {
      const { sink } = fresh()
      const file = fileOf('x.csv', csv(texts.map(kwh => ({ ...key, kwh }))))
      expect((await deliver(sink, file)).rows).toMatchObject({ inserted: 1, superseded: 2, conflicts: 1 })
      await sink.close()
    }
  })

  test('I2: one whose ledger row somebody took out is found all the same, and not doubled', async () => {
    const folder = scratchFolder()
    const first = open(folder)
    await deliver(first.sink, fileOf('x.csv', csv([key])))
    await first.sink.close()
    for (const table of ['files', 'entries']) await query(join(folder, 'smt.duckdb'), `DELETE FROM ${table}`)
    const second = open(folder)
    expect((await deliver(second.sink, fileOf('x.csv', csv([key])))).rows).toMatchObject({ inserted: 0, unchanged: 1 })
    await second.sink.close()
    expect(await second.rows()).toHaveLength(1)
  })

  test('in one file the later line wins when all else is equal, and the conflict is counted', async () => {
    const { sink, rows, path } = fresh()
    const text = csv([{ ...key, kwh: '0.9' }, { quarter: 5 }, { ...key, kwh: '0.1' }])
    expect((await deliver(sink, fileOf('a.csv', text))).rows).toMatchObject({
      inserted: 2,
      superseded: 1,
      conflicts: 1
    })
    expect((await visible(rows)).map(row => row.split(' ')[3])).toEqual(['0.10000', '0.31000'])
    expect((await provenance(path)).map(row => row.split(' ').at(-1))).toEqual(['4', '3'])
  })

  test('in one archive the later entry wins when all else is equal', async () => {
    const { sink, rows } = fresh()
    const zip = makeZip(
      ['0.9', '0.1'].map((kwh, i) => ({
        name: `IntervalMeterUsage${i}.CSV`,
        bytes: Buffer.from(csv([{ quarter: 9 }, { ...key, kwh }].slice(1 - i)))
      }))
    )
    expect((await deliver(sink, fileOf('a.zip', zip))).rows).toMatchObject({ accepted: 3, superseded: 1, conflicts: 1 })
    expect((await visible(rows)).map(row => row.split(' ')[3])).toEqual(['0.10000', '0.31000'])
  })

  test('a blank reading never replaces one', async () => {
    const { sink, rows } = fresh()
    await deliver(sink, fileOf('a.csv', csv([{ ...key, kwh: '0.7' }])))
    const blank = csv([
      { ...key, kwh: '', flag: '', revision: '07/20/2025 06:00:00' },
      { quarter: 5, revision: '07/20/2025 06:00:00' }
    ])
    expect((await deliver(sink, fileOf('b.csv', blank))).rows).toMatchObject({ missing: 1, inserted: 1, replaced: 0 })
    expect((await visible(rows)).map(row => row.split(' ')[3])).toEqual(['0.70000', '0.31000'])
  })
})

test('I6: files and rows in any order give the same store, provenance included', async () => {
  const row = fc.record({
    esiid: fc.constantFrom(makeEsiid(1), makeEsiid(2, 22)),
    quarter: fc.integer({ min: 0, max: 3 }),
    kwh: fc.constantFrom('0.1', '0.2', '0.3'),
    flag: fc.constantFrom('A', 'E'),
    revision: fc.constantFrom('', '07/15/2025 06:41:12', '07/16/2025 06:41:12'),
    direction: fc.constantFrom('Consumption', 'Surplus Generation')
  })
  const file = fc.array(row, { minLength: 1, maxLength: 12 })
  const files = fc.array(file, { minLength: 2, maxLength: 4 })
  const orders = files.chain(files => {
    const whole = files.map((rows, i) => ({ name: `${i}.csv`, text: csv(rows) }))
    const order = () => fc.shuffledSubarray(whole, { minLength: whole.length, maxLength: whole.length })
    return fc.tuple(order(), order())
  })
  const store = async (order: readonly { name: string; text: string }[]) => {
    const { sink, path } = fresh()
    for (const { name, text } of order) await deliver(sink, fileOf(name, text), { batchRows: 5 })
    await sink.close()
    return provenance(path)
  }
  await fc.assert(
    fc.asyncProperty(orders, async ([one, other]) => {
      const winners = await store(one)
      expect(winners).toEqual(await store(other))
      expect(new Set(winners.map(row => row.split(' ').slice(0, 3).join(' '))).size).toBe(winners.length)
    }),
    { numRuns: 12 }
  )
})

test('stores every kWh of DECIMAL(12,5) exactly', async () => {
  const units = fc.oneof(fc.integer({ min: 0, max: 999_999_999_999 }), fc.integer({ min: 0, max: 2_000_000 }))
  await fc.assert(
    fc.asyncProperty(fc.array(units, { minLength: 50, maxLength: 90 }), async units => {
      const { sink, path } = fresh()
      const kwh = units.map(units => `${Math.floor(units / 1e5)}.${String(units % 1e5).padStart(5, '0')}`)
      await deliver(sink, fileOf('a.csv', csv(kwh.map((kwh, quarter) => ({ quarter, kwh })))))
      await sink.close()
      const rows = await query(path, 'SELECT kwh::VARCHAR AS kwh FROM intervals ORDER BY start')
      expect(rows.map(row => row.kwh)).toEqual(kwh)
    }),
    { numRuns: 5 }
  )
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
    const sink = new OvertakenSink(path, 'has finished')
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

function rowOf(revision: string, flag: string): Row {
  return { revision, flag }
}

/** A sink whose every claim passes to another worker at once. */
class OvertakenSink extends DuckDbSink {
  readonly #other: 'holds' | 'has finished'

  constructor(path: string, other: 'holds' | 'has finished') {
    super({ path })
    this.#other = other
  }

  protected override async openLedger(): Promise<Ledger> {
    const ledger = await super.openLedger()
    return {
      claim: async file => {
        const answer = await ledger.claim(file)
        if (answer.claim) await this.#overtake(ledger, file, answer.claim)
        return answer
      },
      findPayload: sha256 => ledger.findPayload(sha256),
      settle: (claim, receipt) => ledger.settle(claim, receipt),
      passOver: (file, receipt) => ledger.passOver(file, receipt),
      close: () => ledger.close()
    }
  }

  async #overtake(ledger: Ledger, file: LedgerFile, claim: Claim): Promise<void> {
    await ledger.settle(claim, failed(file, 0, 'seen', undefined))
    const { claim: newer } = await ledger.claim(file)
    const corrupt = new DecryptError('DECRYPT_CORRUPT', 'the message was altered')
    if (this.#other === 'has finished') await ledger.settle(newer!, failed(file, 0, 'quarantined', corrupt))
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
     FROM intervals JOIN entries USING (entry_id) JOIN files USING (file_id) ORDER BY ALL`
  )
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
