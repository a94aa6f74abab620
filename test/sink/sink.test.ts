import { pipeline } from 'node:stream/promises'
import { setTimeout as pause } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { ConfigError, SinkError } from '../../src/errors.ts'
import { type IngestFile, type Interval, type RowsStored, Sink, type SinkTransaction } from '../../src/index.ts'
import { explain } from '../../src/ledger/explain.ts'
import type { Claim } from '../../src/ledger/ledger.ts'
import { MemoryLedger } from '../../src/ledger/memory-ledger.ts'
import { isWhole, type Receipt } from '../../src/ledger/receipt.ts'
import { IntervalParser } from '../../src/parse/interval-parser.ts'
import { makeDailyReport, makeIntervalReport, makeZip } from '../../src/testing/index.ts'
import { closedOf, days, deliver, failing, fileOf, readParts, rowText, testSink } from '../conformance/sink.ts'

/** All that the author of a sink writes. */
class ArraySink extends Sink {
  readonly rows: Interval[] = []

  protected override async begin(_file: IngestFile): Promise<SinkTransaction> {
    const staged: Interval[] = []
    return {
      write: batch => void staged.push(...batch),
      commit: async () => {
        this.rows.push(...staged)
        return inserted(staged.length)
      },
      rollback: async () => {}
    }
  }
}

testSink('a sink of ten lines', () => {
  const sink = new ArraySink()
  return { sink, rows: async () => sink.rows.map(row => rowText({ ...row, kwh: row.kwh.toFixed(5) })) }
})

test('what a sink does not take of reports beside intervals is counted as undeliverable, and its file is not whole', async () => {
  const sink = new ArraySink()
  const zip = makeZip([
    { name: 'a.csv', bytes: makeIntervalReport(days(1)).bytes },
    { name: 'b.csv', bytes: makeDailyReport(days(3)) }
  ])
  const receipt = await deliver(sink, fileOf('a.zip', zip))
  expect(receipt).toMatchObject({
    ...{ state: 'committed', rows: { accepted: 96, inserted: 96 } },
    reports: { 'daily-reads': { read: 3, accepted: 3, inserted: 0, undeliverable: 3 } }
  })
  expect(isWhole(receipt)).toBe(false)
  const [record] = await (await sink.ledger()).records()
  expect(explain(record!)).toMatch(/: 96 intervals, 3 daily reads, 3 daily reads of them in no store\.$/)
})

test('I7: a sink that takes reports must say what became of each of their rows', async () => {
  const rows = new Map<string, number>()
  const { sink } = scripted({ writeReports: ({ kind, length }) => void rows.set(kind, length) })
  const { error } = await failing(sink, fileOf('b.csv', ''), await readParts(fileOf('b.csv', makeDailyReport(days(3)))))
  expect([...rows]).toEqual([['daily-reads', 3]])
  expect(error).toMatchObject({ code: 'SINK_ROW_EQUATION' })
})

const report = makeIntervalReport(days(2))
const file = fileOf('a.csv', report.bytes)

/** A sink whose transactions are given, and which writes down what is asked of them. */
function scripted(script: Partial<SinkTransaction>) {
  const calls: string[] = []
  class ScriptedSink extends Sink {
    protected override async begin(): Promise<SinkTransaction> {
      calls.push('begin')
      return {
        async write(batch) {
          calls.push('write')
          await script.write?.(batch)
        },
        ...(script.writeReports && { writeReports: script.writeReports }),
        async commit(account, closing) {
          calls.push('commit')
          return (await script.commit?.(account, closing)) ?? inserted(account.rows.accepted)
        },
        async rollback() {
          calls.push('rollback')
          await script.rollback?.()
        }
      }
    }
  }
  return { sink: new ScriptedSink(), calls }
}

test('I4: asks the source for its proof after the last row and before the one commit', async () => {
  const { sink, calls } = scripted({})
  const verify = () => {
    calls.push('verify')
    return file.verify()
  }
  await deliver(sink, { ...file, verify })
  expect(calls).toEqual(['begin', 'write', 'verify', 'commit'])
})

test('rolls back once, and never after a commit', async () => {
  const { sink, calls } = scripted({})
  await failing(sink, file, (await readParts(file)).slice(0, 2))
  expect(calls).toEqual(['begin', 'write', 'write', 'rollback'])
  await deliver(sink, file, { retryQuarantined: true })
  expect(calls.slice(4)).toEqual(['begin', 'write', 'commit'])
})

test('does not begin a file that is known', async () => {
  const { sink, calls } = scripted({})
  await deliver(sink, file)
  await deliver(sink, file)
  expect(calls).toEqual(['begin', 'write', 'commit'])
})

test('rolls back a commit that failed, and the next run tries again', async () => {
  let full = true
  const { sink, calls } = scripted({
    async commit(account) {
      if (full) throw new SinkError('STORE_WRITE', 'the disk is full')
      return inserted(account.rows.accepted)
    }
  })
  const { error, receipt } = await failing(sink, file, await readParts(file))
  expect(error).toMatchObject({ code: 'STORE_WRITE' })
  expect(receipt).toMatchObject({ state: 'seen', reason: { code: 'STORE_WRITE' } })
  expect(calls.slice(-2)).toEqual(['commit', 'rollback'])
  full = false
  expect(await deliver(sink, file)).toMatchObject({ state: 'committed' })
})

test('an abort in the middle of a write rolls back when that has ended', async () => {
  let end: () => void = () => {}
  const { sink, calls } = scripted({
    async write() {
      await new Promise<void>(resolve => (end = resolve))
      calls.push('written')
    }
  })
  const stream = sink.stream(file)
  stream.on('error', () => {})
  await stream.wanted()
  stream.write((await readParts(file))[0])
  stream.destroy()
  setImmediate(() => end())
  await closedOf(stream)
  expect(calls).toEqual(['begin', 'write', 'written', 'rollback'])
})

test('an abort after the commit was sent waits for its answer', async () => {
  let answer: (stored: RowsStored) => void = () => {}
  let sent: () => void = () => {}
  const asked = new Promise<void>(resolve => (sent = resolve))
  const { sink, calls } = scripted({
    commit: () =>
      new Promise(resolve => {
        answer = resolve
        sent()
      })
  })
  const stream = sink.stream(file)
  stream.on('error', () => {})
  const parts = await readParts(file)
  for (const part of parts) stream.write(part)
  stream.end()
  await asked
  stream.destroy()
  answer(inserted(192 + 96))
  await closedOf(stream)
  expect(stream.receipt).toMatchObject({ state: 'committed' })
  expect(calls).not.toContain('rollback')
  expect(await deliver(sink, file)).toMatchObject({ state: 'duplicate', known: true })
})

test('an abort while the proof is under way commits nothing', async () => {
  const { sink, calls } = scripted({})
  let prove: () => void = () => {}
  const asked = new Promise<void>(resolve => (prove = resolve))
  let release: () => void = () => {}
  const held = new Promise<void>(resolve => (release = resolve))
  const stream = sink.stream({
    ...file,
    async verify() {
      prove()
      await held
      return file.verify()
    }
  })
  stream.on('error', () => {})
  for (const part of await readParts(file)) stream.write(part)
  stream.end()
  await asked
  stream.destroy()
  release()
  await closedOf(stream)
  expect(stream.receipt).toMatchObject({ state: 'seen', reason: { code: 'ABORTED' } })
  expect(calls).not.toContain('commit')
  expect(calls.at(-1)).toBe('rollback')
})

test('keeps the reason although giving up fails too, and gives the claim back', async () => {
  let broken = true
  const { sink } = scripted({
    write() {
      if (broken) throw new SinkError('STORE_WRITE', 'the disk is full')
    },
    async rollback() {
      throw new Error('the disk is full here too')
    }
  })
  const { error, receipt } = await failing(sink, file, await readParts(file))
  expect(error).toBeInstanceOf(AggregateError)
  expect((error as AggregateError).errors).toMatchObject([
    { code: 'STORE_WRITE' },
    { message: 'the disk is full here too' }
  ])
  expect((error as AggregateError).cause).toMatchObject({ code: 'STORE_WRITE' })
  expect(receipt).toMatchObject({ state: 'seen', reason: { code: 'STORE_WRITE' } })
  broken = false
  expect(await deliver(sink, file)).toMatchObject({ state: 'committed' })
})

test('a file that could not be begun may be taken again', async () => {
  let full = true
  class Reluctant extends ArraySink {
    protected override async begin(file: IngestFile): Promise<SinkTransaction> {
      if (full) throw new SinkError('STORE_WRITE', 'the disk is full')
      return super.begin(file)
    }
  }
  const sink = new Reluctant()
  await expect(deliver(sink, file)).rejects.toMatchObject({ code: 'STORE_WRITE' })
  full = false
  expect(await deliver(sink, file)).toMatchObject({ state: 'committed' })
})

test('a ledger that could not be opened is tried again', async () => {
  let busy = true
  class Late extends ArraySink {
    protected override async openLedger() {
      if (busy) throw new SinkError('STORE_BUSY', 'another process holds the store')
      return super.openLedger()
    }
  }
  const sink = new Late()
  await expect(deliver(sink, file)).rejects.toMatchObject({ code: 'STORE_BUSY', retryable: true })
  await sink.close()
  busy = false
  expect(await deliver(sink, file)).toMatchObject({ state: 'committed' })
})

test('a renewal that is slower than the commit takes nothing back', async () => {
  // One that was sent before the commit, and gets its answer after it.
  class SlowLedger extends MemoryLedger {
    override async renew(claim: Claim, state: 'claimed' | 'staged') {
      if (state === 'claimed') await pause(300)
      return super.renew(claim, state)
    }
    override async settle(claim: Claim, receipt: Receipt, costsAttempt?: boolean) {
      await super.settle(claim, receipt, costsAttempt)
      await pause(400)
    }
  }
  class SlowSink extends ArraySink {
    protected override async openLedger() {
      return new SlowLedger()
    }
  }
  const stream = new SlowSink().stream(file, { leaseMs: 300 })
  await stream.wanted()
  await pause(150)
  await pipeline(file.stream(), new IntervalParser().stream(file), stream)
  expect(stream.receipt).toMatchObject({ state: 'committed' })
})

test('I7: refuses a store whose counts do not add up to the accepted rows', async () => {
  const { sink } = scripted({ commit: async () => inserted(1) })
  const { error, receipt } = await failing(sink, file, await readParts(file))
  expect(error).toMatchObject({ code: 'SINK_ROW_EQUATION' })
  expect(receipt).toMatchObject({ state: 'quarantined' })
})

test('an option that cannot work is refused by name, when the sink is made', async () => {
  const { DuckDbSink } = await import('../../src/sink/duckdb.ts')
  const { NdjsonSink } = await import('../../src/sink/ndjson.ts')
  const make = (what: () => unknown) => {
    try {
      return what()
    } catch (error) {
      return error
    }
  }
  const wrong = [
    make(() => new DuckDbSink({ path: '' })),
    make(() => new DuckDbSink({ path: 'x', memoryLimit: 'much' })),
    make(() => new DuckDbSink({ path: 'x', threads: 0 })),
    make(() => new NdjsonSink({ directory: 'x', folder: 'y' } as { directory: string }))
  ]
  expect(wrong.map(error => (error as Error).message.match(/`(.*)`/)?.[1])).toEqual([
    'path',
    'memoryLimit',
    'threads',
    'folder'
  ])
  for (const error of wrong) expect(error).toBeInstanceOf(ConfigError)
})

function inserted(rows: number): RowsStored {
  return { inserted: rows, replaced: 0, unchanged: 0, superseded: 0, conflicts: 0 }
}
