import { join } from 'node:path'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import type { Receipt } from '../../src/ledger/receipt.ts'
import { DuckDbSink } from '../../src/sink/duckdb.ts'
import {
  addDays,
  centralDay,
  intervalHeader,
  type MeterDay,
  makeEsiid,
  makeIntervalReport,
  makeMeterDay,
  reissueMeterDay
} from '../../src/testing/index.ts'
import { deliver, fileOf } from '../conformance/sink.ts'
import { query } from '../support/duckdb.ts'
import { failureOf } from '../support/failure.ts'
import { scratchFolder } from '../support/scratch.ts'
import { csv, esiid, iso, quarter, read, rejectsOf, row } from './support.ts'

// The ways in which the scripts that this package replaces bent readings and times: the table at the end of
// docs/time.md names each with its test.

interface Stored {
  readonly direction: string
  /** ISO 8601, UTC. */
  readonly start: string
  /** With five places. */
  readonly kwh: string
  readonly estimated: boolean
}

/** Brings files in, one after another; gives what is in the store then, by time. */
async function store(...files: readonly (string | Uint8Array)[]): Promise<{ receipts: Receipt[]; rows: Stored[] }> {
  const path = join(scratchFolder(), 'smt.duckdb')
  const sink = new DuckDbSink({ path })
  const receipts: Receipt[] = []
  for (const [i, content] of files.entries()) receipts.push(await deliver(sink, fileOf(`${i}.csv`, content)))
  await sink.close()
  const found = await query(
    path,
    `SELECT direction::VARCHAR AS direction, epoch_ms(start)::DOUBLE AS at, kwh::VARCHAR AS kwh, estimated
     FROM intervals ORDER BY start, direction`
  )
  const rows = found.map(({ at, ...rest }) => ({ start: iso(at as number), ...rest }) as Stored)
  return { receipts, rows }
}

/** What a maker promises, as the store must have it. */
function promised(days: readonly MeterDay[]): Stored[] {
  return [...makeIntervalReport(days).expected()]
    .map(({ direction, start, milliKwh, estimated }) => ({
      start: iso(start)!,
      direction,
      kwh: `${(milliKwh / 1000).toFixed(3)}00`,
      estimated
    }))
    .sort((a, b) => (a.start + a.direction < b.start + b.direction ? -1 : 1))
}

const bytesOf = (...days: readonly MeterDay[]) => makeIntervalReport(days).bytes
const kwhOf = (rows: readonly Stored[]) => rows.map(({ kwh }) => Number(kwh))
const sum = (numbers: readonly number[]) => Math.round(numbers.reduce((a, b) => a + b, 0) * 1000) / 1000

/** The day with the same reading everywhere, in thousandths of a kWh. */
function levelled(day: MeterDay, milli: number): MeterDay {
  return { ...day, series: day.series.map(series => ({ ...series, milliKwh: series.milliKwh.map(() => milli) })) }
}

describe('rows', () => {
  test('the two series of a solar home are both kept, reading by reading', async () => {
    const day = makeMeterDay({ esiid, date: '2025-07-14', solar: true })
    const { receipts, rows } = await store(bytesOf(day))
    expect(rows).toEqual(promised([day]))
    expect(receipts[0]!.rows).toMatchObject({ inserted: 192, replaced: 0, superseded: 0 })
    for (const { direction, milliKwh } of day.series) {
      const series = rows.filter(row => row.direction === direction)
      expect([series.length, sum(kwhOf(series))]).toEqual([96, sum([...milliKwh]) / 1000])
      expect(sum(kwhOf(series))).toBeGreaterThan(0)
    }
  })

  test('of all versions in one file the newest wins, in whatever order they stand', async () => {
    const day = makeMeterDay({ esiid, date: '2025-07-14' })
    const versions = [null, '2025-07-15 06:41:12', '2025-07-16 05:00:00'].map((revision, i) => ({
      ...levelled(day, 100 + i),
      revision
    }))
    const [blank, old, newest] = versions as [MeterDay, MeterDay, MeterDay]
    for (const order of [
      [blank, old, newest],
      [newest, old, blank],
      [old, newest, blank]
    ]) {
      const { receipts, rows } = await store(bytesOf(...order))
      expect(rows).toEqual(promised([newest]))
      expect(receipts[0]!.rows).toMatchObject({ accepted: 288, inserted: 96, superseded: 192, conflicts: 0 })
    }
  })

  test('an estimate stays marked as one, and only an estimate is', async () => {
    const day = makeMeterDay({ esiid, date: '2025-07-14', solar: true, estimated: true })
    const { receipts, rows } = await store(bytesOf(day))
    expect(rows.filter(({ estimated }) => estimated)).toHaveLength(32)
    expect(rows).toEqual(promised([day]))
    expect(receipts[0]!.quality!.estimated).toBe(32)
  })

  test('a column is known by its whole name, and a blank reading takes its kWh from no other', async () => {
    const header = `TOTAL_USAGE_KWH,${intervalHeader},USAGE,USAGE_KWH_ESTIMATE,DAILY_USAGE_KWH`
    const lines = [row({ kwh: '0.111' }), row({ ...quarter(1), kwh: '', flag: '' }), row({ ...quarter(2), kwh: '' })]
    const { receipts, rows } = await store([header, ...lines.map(line => `9.1,${line},9.2,9.3,9.4`)].join('\n'))
    expect(kwhOf(rows)).toEqual([0.111])
    expect(receipts[0]!.rows).toMatchObject({ read: 3, accepted: 1, missing: 2, rejected: 0 })
  })

  test('no other column is taken for USAGE_KWH where that one is not there', async () => {
    for (const name of ['KWH', 'USAGE', 'USAGE_KWH_TOTAL', 'USAGE (KWH)']) {
      const error = await failureOf(read(csv(row()).replace('USAGE_KWH', name)))
      expect(error).toMatchObject({ code: 'PARSE_MISSING_COLUMN' })
      expect(error.message).toContain('USAGE_KWH is missing')
    }
  })

  test('a negative reading is rejected by its line, and stored neither as zero nor as its amount', async () => {
    const { receipts, rows } = await store(csv(row(), row({ ...quarter(1), kwh: '-0.420' }), row(quarter(2))))
    expect(receipts[0]!.entries[0]!.rejects).toMatchObject([{ line: 3, code: 'ROW_NEGATIVE_KWH' }])
    expect(rows.map(({ start }) => start.slice(11, 16))).toEqual(['05:00', '05:30'])
    expect(kwhOf(rows)).toEqual([0.231, 0.231])
  })

  test('a reading that is no number is rejected by its line, and nothing is stored for it', async () => {
    const bad = ['n/a', 'x', '-', '.', 'NaN', '1e3', '0x10', '1 2', '0.1.2']
    const { receipts, rows } = await store(csv(...bad.map((kwh, n) => row({ ...quarter(n), kwh })), row(quarter(20))))
    const expected = bad.map((_, i) => ({ line: i + 2, code: 'ROW_BAD_KWH' }))
    expect(receipts[0]!.entries[0]!.rejects).toMatchObject(expected)
    expect(rows.map(({ start }) => start.slice(11, 16))).toEqual(['10:00'])
  })

  test('a zero is a reading: it replaces an older one, and is replaced by a newer one alone', async () => {
    const day = (milli: number, hour: number) => ({
      ...levelled(makeMeterDay({ esiid, date: '2025-07-14' }), milli),
      revision: `2025-07-15 0${hour}:00:00`
    })
    const [old, zero, late] = [day(500, 1), day(0, 2), day(300, 3)]
    const replaced = await store(bytesOf(old), bytesOf(zero))
    expect(replaced.rows).toEqual(promised([zero]))
    expect(replaced.receipts[1]!.rows).toMatchObject({ accepted: 96, replaced: 96, missing: 0 })
    const kept = await store(bytesOf(zero), bytesOf(old))
    expect(kept.rows).toEqual(promised([zero]))
    expect(kept.receipts[1]!.rows).toMatchObject({ superseded: 96, replaced: 0 })
    expect((await store(bytesOf(zero), bytesOf(late), bytesOf(old))).rows).toEqual(promised([late]))
  })

  test('a gap stays a gap: a lost row and a blank one leave nothing in the store', async () => {
    const rows = Array.from({ length: 96 }, (_, n) => row(quarter(n)))
    const blank = [8, 9, 10].map(n => row({ ...quarter(n), kwh: '', flag: '' }))
    const given = [...rows.slice(0, 8), ...blank, ...rows.slice(11, 40), ...rows.slice(56)]
    const { receipts, rows: stored } = await store(csv(...given))
    expect(stored).toHaveLength(96 - 3 - 16)
    expect(kwhOf(stored).every(kwh => kwh === 0.231)).toBe(true)
    expect(receipts[0]!.rows).toMatchObject({ read: 80, accepted: 77, missing: 3 })
  })

  test('a day that was stored as zeros is corrected by its later revision', async () => {
    const day = makeMeterDay({ esiid, date: '2025-11-02', estimated: true })
    const zeros = levelled(day, 0)
    const right = reissueMeterDay(day, '2025-11-15 06:00:00')
    const { receipts, rows } = await store(bytesOf(zeros), bytesOf(right))
    expect(rows).toEqual(promised([right]))
    expect(receipts[1]!.rows).toMatchObject({ inserted: 0, replaced: 100, superseded: 0 })
  })
})

describe('times', () => {
  test('the autumn day keeps its second hour in the store, and every thousandth of its kWh', async () => {
    const day = makeMeterDay({ esiid, date: '2025-11-02', solar: true })
    const { rows } = await store(bytesOf(day))
    for (const { direction, milliKwh } of day.series) {
      const series = rows.filter(row => row.direction === direction)
      expect(new Set(series.map(({ start }) => start)).size).toBe(100)
      expect(sum(kwhOf(series))).toBe(sum([...milliKwh]) / 1000)
    }
    expect(rows).toEqual(promised([day]))
  })

  test('a year of 365 days has 35,040 readings in the store, and no day is cut to 96', async () => {
    const days = Array.from({ length: 365 }, (_, i) => makeMeterDay({ esiid, date: addDays('2025-01-01', i) }))
    const { rows } = await store(bytesOf(...days))
    expect(rows).toHaveLength(35_040)
    const calendar = new Intl.DateTimeFormat('en-CA', { timeZone: 'America/Chicago' })
    const counts = new Map<string, number>()
    for (const { start } of rows) {
      const date = calendar.format(Date.parse(start))
      counts.set(date, (counts.get(date) ?? 0) + 1)
    }
    expect(counts.size).toBe(365)
    expect([...counts].filter(([, count]) => count !== 96)).toEqual([
      ['2025-03-09', 92],
      ['2025-11-02', 100]
    ])
  })

  test('two o’clock is two o’clock on every day but one', async () => {
    const dates = Array.from({ length: 365 }, (_, i) => addDays('2025-01-01', i))
    const rows = dates.flatMap(date => {
      const [year, month, day] = date.split('-')
      return [8, 9, 10, 11].map(n => row({ date: `${month}/${day}/${year}`, ...quarter(n) }))
    })
    const reading = await read(csv(...rows))
    const clock = new Intl.DateTimeFormat('en-CA', {
      timeZone: 'America/Chicago',
      dateStyle: 'short',
      timeStyle: 'short',
      hourCycle: 'h23'
    })
    const others = dates.filter(date => date !== '2025-03-09')
    expect(reading.intervals.map(({ start }) => clock.format(start))).toEqual(
      others.flatMap(date => ['02:00', '02:15', '02:30', '02:45'].map(time => `${date}, ${time}`))
    )
    expect(rejectsOf(reading).map(([code]) => code)).toEqual(Array(4).fill('ROW_NONEXISTENT_HOUR'))
  })

  test('a file gives the same instants in whatever zone the machine stands', async () => {
    const dates = ['2025-03-08', '2025-03-09', '2025-07-14', '2025-11-02', '2025-12-31']
    const { bytes, expected } = makeIntervalReport(dates.map(date => makeMeterDay({ esiid, date })))
    const truth = [...expected()].map(({ start, revision }) => [start, revision])
    for (const [zone, offset] of [
      ['America/Chicago', 360],
      ['UTC', 0],
      ['Asia/Tokyo', -540],
      ['Pacific/Kiritimati', -840]
    ] as const) {
      await inZone(zone, async () => {
        expect(new Date(2025, 0, 1).getTimezoneOffset()).toBe(offset)
        const { read } = await freshParser()
        const { intervals } = await read(bytes)
        expect(intervals.map(({ start, revision }) => [start, revision])).toEqual(truth)
      })
    }
  })

  test('an ISO time is not guessed at where SMT’s form is expected', async () => {
    const rows = [
      row({ date: '2025-07-14' }),
      row({ date: '2025-07-14T00:00:00' }),
      row({ start: '2025-07-14T00:00:00' }),
      row({ end: '2025-07-14 00:15' }),
      row({ revision: '2025-07-15T06:41:12' })
    ]
    const reading = await read(csv(row(), ...rows))
    const codes = ['ROW_BAD_DATE', 'ROW_BAD_DATE', 'ROW_BAD_TIME', 'ROW_BAD_TIME', 'ROW_BAD_REVISION']
    expect(rejectsOf(reading)).toEqual(codes.map((code, i) => [code, i + 3]))
    expect(reading.lines).toEqual([2])
  })

  test('the date and the times of a row make one instant', async () => {
    const rows = ['11/01/2025', '11/02/2025', '11/03/2025'].flatMap(date => [
      row({ date, ...quarter(0) }),
      row({ date, ...quarter(52) }),
      row({ date, ...quarter(95) })
    ])
    expect((await read(csv(...rows))).intervals.map(({ start }) => iso(start))).toEqual([
      '2025-11-01T05:00:00.000Z',
      '2025-11-01T18:00:00.000Z',
      '2025-11-02T04:45:00.000Z',
      '2025-11-02T05:00:00.000Z',
      '2025-11-02T19:00:00.000Z',
      '2025-11-03T05:45:00.000Z',
      '2025-11-03T06:00:00.000Z',
      '2025-11-03T19:00:00.000Z',
      '2025-11-04T05:45:00.000Z'
    ])
  })

  test('start and end are told by the header, whichever quarter hour stands first', async () => {
    const slots = centralDay('2025-07-14')
    const rows = Array.from({ length: 96 }, (_, n) => row(quarter(n)))
    const turned = (line: string) => {
      const [esiid, date, revision, start, end, ...rest] = line.split(',')
      return [end, esiid, date, revision, ...rest, start].join(',')
    }
    for (const first of [0, 1, 2, 52, 95]) {
      const text = csv(...rows.slice(first), ...rows.slice(0, first))
      const expected = [...slots.slice(first), ...slots.slice(0, first)].map(({ start }) => start)
      for (const bytes of [text, text.trimEnd().split('\n').map(turned).join('\n')]) {
        expect((await read(bytes)).intervals.map(({ start }) => start)).toEqual(expected)
      }
    }
  })

  test('the evening of a local day belongs to it, although UTC has the next date', async () => {
    const days = ['2025-07-13', '2025-07-14'].map(date => makeMeterDay({ esiid, date }))
    const { rows } = await store(bytesOf(...days))
    expect(rows).toHaveLength(2 * 96)
    expect(rows.at(-1)!.start).toBe('2025-07-15T04:45:00.000Z')
    expect(rows.filter(({ start }) => start.startsWith('2025-07-15'))).toHaveLength(20)
    expect(rows).toEqual(promised(days))
  })

  test('Intl is asked about each day, and not about each row', async () => {
    const dates = Array.from({ length: 31 }, (_, i) => addDays('2025-07-01', i))
    const homes = (count: number) =>
      bytesOf(
        ...dates.flatMap(date => Array.from({ length: count }, (_, i) => makeMeterDay({ esiid: makeEsiid(i), date })))
      )
    const [one, ten] = [await questionsToIntl(homes(1)), await questionsToIntl(homes(10))]
    expect(ten).toBe(one)
    // A handful of questions for each of the 31 days and the day of the last revision.
    expect(one).toBeLessThanOrEqual(32 * 10)
  })

  test('nothing is left out for being new: today and the two days before it are stored', async () => {
    const today = new Intl.DateTimeFormat('en-CA', { timeZone: 'America/Chicago' }).format(Date.now())
    const days = [-2, -1, 0].map(count => makeMeterDay({ esiid, date: addDays(today, count) }))
    const { receipts, rows } = await store(bytesOf(...days))
    expect(rows).toEqual(promised(days))
    expect(receipts[0]!.rows!.inserted).toBe(rows.length)
  })
})

/** Lets the whole process stand in another time zone for a while. */
async function inZone(zone: string, work: () => Promise<void>): Promise<void> {
  const before = process.env.TZ
  process.env.TZ = zone
  try {
    await work()
  } finally {
    if (before === undefined) delete process.env.TZ
    else process.env.TZ = before
  }
}

/** The parser as a new process has it, which has not met any day yet. */
async function freshParser(): Promise<typeof import('./support.ts')> {
  vi.resetModules()
  onTestFinished(() => {
    vi.resetModules()
  })
  return import('./support.ts')
}

/** How often Intl's clock is asked while a new parser reads a file. */
async function questionsToIntl(bytes: Uint8Array): Promise<number> {
  const { read } = await freshParser()
  const spies = [
    vi.spyOn(Intl.DateTimeFormat.prototype, 'formatToParts'),
    vi.spyOn(Intl.DateTimeFormat.prototype as { format: unknown }, 'format', 'get')
  ]
  try {
    await read(bytes)
    return spies.reduce((calls, spy) => calls + spy.mock.calls.length, 0)
  } finally {
    for (const spy of spies) spy.mockRestore()
  }
}
