import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { expect, test } from 'vitest'
import type { Receipt } from '../../src/ledger/receipt.ts'
import { replayUnhandled } from '../../src/ledger/replay-unhandled.ts'
import { IntervalParser, type IntervalParserOptions } from '../../src/parse/interval-parser.ts'
import { DuckDbSink } from '../../src/sink/duckdb.ts'
import type { Sink } from '../../src/sink/sink.ts'
import type { IngestFile } from '../../src/source/source.ts'
import {
  dailyHeader,
  makeDailyReport,
  makeEsiid,
  makeIntervalReport,
  makeMeterInfo,
  makeZip,
  meterInfoHeader
} from '../../src/testing/index.ts'
import { days, fileOf } from '../conformance/sink.ts'
import { query } from '../support/duckdb.ts'
import { scratchFolder } from '../support/scratch.ts'

const intervals = { name: 'IntervalMeterUsage.CSV', bytes: makeIntervalReport(days(1)).bytes }
const files = [
  fileOf('daily.zip', makeZip([intervals, { name: 'DailyMeterUsage.CSV', bytes: makeDailyReport(days(2)) }])),
  fileOf('info.csv', makeMeterInfo([makeEsiid(1)])),
  fileOf('notes.txt', 'hello\n'),
  fileOf('plain.csv', makeIntervalReport(days(2)).bytes)
]

async function deliver(sink: Sink, file: IngestFile, options: IntervalParserOptions): Promise<Receipt> {
  const stream = sink.stream(file)
  await pipeline(file.stream(), new IntervalParser(options).stream(file), stream)
  return stream.receipt!
}

test('files of which something was left are read anew once somebody takes it, and those alone', async () => {
  const path = join(scratchFolder(), 'smt.duckdb')
  const sink = new DuckDbSink({ path })
  for (const file of files) await deliver(sink, file, { reports: 'leave' })
  await sink.close()
  const page = readFileSync(new URL('../../docs/other-files.md', import.meta.url), 'utf8')
  const left = await query(path, /```sql\n([\s\S]*?)```/.exec(page)![1]!)
  expect(left.map(({ kind, header, path }) => [kind, header, path]).sort()).toEqual([
    ['daily-reads', dailyHeader, 'daily.zip'],
    ['meter-info', meterInfoHeader, 'info.csv'],
    ['unknown', 'hello', 'notes.txt']
  ])
  const ledger = await sink.ledger()
  const due = async () => (await ledger.records({ isReplayDue: true })).map(({ file }) => file.path).sort()

  expect(await replayUnhandled(ledger, new IntervalParser({ reports: 'leave' }))).toBe(0)
  expect(await due()).toEqual([])

  expect(await replayUnhandled(ledger, new IntervalParser())).toBe(1)
  expect(await due()).toEqual(['daily.zip'])
  const receipt = await deliver(sink, files[0]!, {})
  expect(receipt).toMatchObject({ rows: { inserted: 0 }, reports: { 'daily-reads': { inserted: 2 } } })
  expect(await due()).toEqual([])
  expect(await replayUnhandled(ledger, new IntervalParser())).toBe(0)

  const seen: string[] = []
  const handlers = { 'meter-info': ({ name }: { name: string }) => void seen.push(name) }
  expect(await replayUnhandled(ledger, new IntervalParser({ handlers }))).toBe(1)
  expect(await due()).toEqual(['info.csv'])
  for (const file of files) await deliver(sink, file, { handlers })
  expect(seen).toEqual(['info.csv'])
  const [{ receipt: kept } = { receipt: null }] = await ledger.records({ path: 'info.csv' })
  expect(kept?.entries).toMatchObject([{ kind: 'meter-info', outcome: 'handled' }])
  expect(await replayUnhandled(ledger, new IntervalParser({ handlers }))).toBe(0)
  await sink.close()
})
