import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { ConfigError } from '../../src/errors.ts'
import { ingest } from '../../src/ingest.ts'
import type { Receipt } from '../../src/ledger/receipt.ts'
import { IntervalParser, type IntervalParserOptions } from '../../src/parse/interval-parser.ts'
import type { IntervalLayout } from '../../src/parse/layouts.ts'
import { DuckDbSink } from '../../src/sink/duckdb.ts'
import { NdjsonSink } from '../../src/sink/ndjson.ts'
import type { Sink } from '../../src/sink/sink.ts'
import { DirectorySource } from '../../src/source/directory-source.ts'
import {
  addDays,
  intervalHeader,
  makeIntervalReport,
  makeMeterDay,
  makeZip,
  quarterHours
} from '../../src/testing/index.ts'
import { failureOf } from '../support/failure.ts'
import { scratchFolder } from '../support/scratch.ts'
import { csv, cuts, esiid, iso, quarter, read, rejectsOf, row } from './support.ts'

const path = '/inbox/IntervalData.csv'

/** `2025-07-14T05:00Z` and so on: the instants of a reading. */
const starts = ({ intervals }: Awaited<ReturnType<typeof read>>) =>
  intervals.map(({ start }) => iso(start)!.replace(':00.000', ''))

describe('a layout of the user’s own', () => {
  const iso8601: IntervalLayout = {
    name: 'ours',
    columns: { esiid: 'ESIID', start: 'Start Date/Time', kwh: 'Usage (kWh)' }
  }
  const fileOf = (header: string, ...rows: string[]) => [header, ...rows, ''].join('\n')
  const readWith = (layout: IntervalLayout, text: string, more: IntervalParserOptions = {}) =>
    read(text, { layouts: [layout], path, ...more })

  test('has one time, a local date and time, that is declared to be the start', async () => {
    const rows = [
      '2025-07-14T00:00',
      '2025-07-14 23:45',
      '07/15/2025 00:00',
      '7/15/2025 0:15:00',
      '2025-07-15T00:30:00'
    ]
    const reading = await readWith(
      iso8601,
      fileOf('ESIID,Meter,Start Date/Time,Usage (kWh)', ...rows.map(at => `${esiid},M1,${at},0.231`))
    )
    expect(starts(reading)).toEqual([
      '2025-07-14T05:00Z',
      '2025-07-15T04:45Z',
      '2025-07-15T05:00Z',
      '2025-07-15T05:15Z',
      '2025-07-15T05:30Z'
    ])
    expect(reading.account.entries[0]).toMatchObject({ layout: 'ours', outcome: 'used' })
    expect(reading.intervals[0]).toMatchObject({
      esiid,
      kwh: 0.231,
      estimated: false,
      direction: 'consumption',
      revision: null
    })
  })

  test('has one time that is declared to be the end: midnight closes the day before', async () => {
    const layout = { ...iso8601, columns: { esiid: 'ESIID', end: 'When', kwh: 'kWh' } }
    const rows = ['2025-07-14T00:15', '2025-07-15T00:00', '2025-07-15T24:00']
    const reading = await readWith(layout, fileOf('ESIID,When,kWh', ...rows.map(at => `${esiid},${at},1`)))
    expect(starts(reading)).toEqual(['2025-07-14T05:00Z', '2025-07-15T04:45Z', '2025-07-16T04:45Z'])
  })

  test('I7: rejects a bad reading beside an instant by name, and does not count it as missing', async () => {
    const kwh = ['0.1', 'n/a', '-1', '0.123456', '']
    const rows = kwh.map((text, i) => `${esiid},M1,2025-07-14T00:${String((i * 15) % 60).padStart(2, '0')}Z,${text}`)
    const reading = await readWith(iso8601, fileOf('ESIID,Meter,Start Date/Time,Usage (kWh)', ...rows))
    expect(reading.account.rows).toMatchObject({ read: 5, accepted: 1, rejected: 3, missing: 1 })
    expect(rejectsOf(reading)).toEqual([
      ['ROW_BAD_KWH', 3],
      ['ROW_NEGATIVE_KWH', 4],
      ['ROW_KWH_OUT_OF_RANGE', 5]
    ])
  })

  test('names the meter and the direction of all rows, and instants with an offset', async () => {
    const layout: IntervalLayout = {
      name: 'instants',
      columns: { end: 'timestamp', kwh: 'kwh' },
      esiid,
      direction: 'surplus-generation'
    }
    const rows = [
      '2025-11-02T06:15:00Z',
      '2025-11-02T02:00:00-05:00',
      '2025-11-02T01:15:00-0600',
      '2025-11-02T08:00:00.000Z'
    ]
    const reading = await readWith(layout, fileOf('timestamp,kwh', ...rows.map(at => `${at},0.5`)))
    // Both passes of the repeated hour: an offset leaves nothing to be guessed.
    expect(starts(reading)).toEqual([
      '2025-11-02T06:00Z',
      '2025-11-02T06:45Z',
      '2025-11-02T07:00Z',
      '2025-11-02T07:45Z'
    ])
    expect(new Set(reading.intervals.map(({ direction }) => direction))).toEqual(new Set(['surplus-generation']))
    expect(reading.intervals[0]!.esiid).toBe(esiid)
  })

  test.each([
    ['closing-day', ['2025-07-14T05:00Z', '2025-07-15T04:45Z']],
    ['next-day', ['2025-07-14T05:00Z', '2025-07-14T04:45Z']]
  ] as const)('says which date stands beside the end 00:00: %s', async (midnight, expected) => {
    const layout: IntervalLayout = {
      name: 'ends',
      columns: { esiid: 'ESIID', date: 'Usage Date', end: 'Interval End Time', kwh: 'kWh' },
      midnight
    }
    const rows = ['07/14/2025,00:15', '07/14/2025,00:00'].map(at => `${esiid},${at},1`)
    expect(starts(await readWith(layout, fileOf('ESIID,Usage Date,Interval End Time,kWh', ...rows)))).toEqual(expected)
  })

  test('knows no start at 24:00, no month but twelve, and no midnight that it has no use for', async () => {
    const starts = [
      '2025-11-02T24:00',
      '11/02/2025 24:00',
      '2025-13-05T00:00Z',
      '2025-00-05T00:00Z',
      '2025-11-02T00:00'
    ]
    const layout = { name: 'starts', columns: { esiid: 'METER', start: 'TS', kwh: 'KWH' } }
    const text = ['METER,TS,KWH', ...starts.map(start => `${esiid},${start},1`)].join('\n')
    const { account, intervals } = await read(text, { layouts: [layout] })
    expect(account.entries[0]!.rejects.map(({ line, code }) => [line, code])).toEqual(
      [2, 3, 4, 5].map(line => [line, 'ROW_BAD_TIME'])
    )
    expect(intervals.map(({ start }) => iso(start))).toEqual(['2025-11-02T05:00:00.000Z'])
    const both = { esiid: 'METER', date: 'DAY', start: 'FROM', end: 'TO', kwh: 'KWH' }
    expect(() => new IntervalParser({ layouts: [{ name: 'both', columns: both, midnight: 'next-day' }] })).toThrow(
      /layouts\.0` says that 00:00 closes the day before/
    )
  })

  test('is looked for before the known ones, and leaves those to other files', async () => {
    const layout = { ...iso8601, columns: { esiid: 'ESIID', end: 'When', kwh: 'kWh' } }
    const ours = await readWith(layout, fileOf('when,KWH,esiid', `2025-07-14T00:15,1,${esiid}`))
    expect(ours.account.entries[0]!.layout).toBe('ours')
    expect((await readWith(layout, csv(row()))).account.entries[0]!.layout).toBe('smt-interval')
  })

  test('reads the two days of a clock change from one column of local times', async () => {
    for (const date of ['2025-03-09', '2025-11-02']) {
      const report = makeIntervalReport([makeMeterDay({ esiid, date })], { properRepeat: true, placeholders: false })
      const rows = report.bytes.toString().trimEnd().split('\n').slice(1)
      const text = rows.map(line => {
        const [, , , start, , kwh] = line.split(',')
        return `${esiid},${date}T${start!.trim()},${kwh}`
      })
      const reading = await readWith(iso8601, fileOf('ESIID,Start Date/Time,Usage (kWh)', ...text))
      expect(reading.intervals.map(({ start }) => start)).toEqual([...report.expected()].map(({ start }) => start))
      expect(reading.intervals).toHaveLength(quarterHours(date))
    }
  })

  test.each([
    ['ROW_BAD_TIME', '2025-07-14'],
    ['ROW_BAD_TIME', '2025-07-14T00:15:30'],
    ['ROW_BAD_TIME', '2025-02-30T00:15Z'],
    ['ROW_BAD_DATE', '2025-02-30T00:15'],
    ['ROW_TWO_DIGIT_YEAR', '7/14/25 00:15'],
    ['ROW_TWELVE_HOUR_CLOCK', '7/14/2025 1:15 PM'],
    ['ROW_NOT_15_MINUTES', '2025-07-14T00:20'],
    ['ROW_NOT_15_MINUTES', '2025-07-14T05:20Z'],
    ['ROW_NONEXISTENT_HOUR', '2025-03-09T02:15']
  ])('rejects by name, %s: %s', async (code, at) => {
    const good = `${esiid},2025-07-14T00:15,1`
    const reading = await readWith(iso8601, fileOf('ESIID,Start Date/Time,Usage (kWh)', good, `${esiid},${at},1`))
    expect(rejectsOf(reading)).toEqual([[code, 3]])
  })

  test('gives the same wherever a chunk ends', async () => {
    const text = fileOf(
      'ESIID,Start Date/Time,Usage (kWh)',
      `${esiid},2025-07-14T00:15,1`,
      `${esiid},"2025-07-14T00:30",x`
    )
    const whole = await readWith(iso8601, text)
    for (const chunks of cuts(Buffer.from(text))) {
      const { intervals, account } = await read(chunks, { layouts: [iso8601], path })
      expect({ intervals, account }).toEqual({ intervals: whole.intervals, account: whole.account })
    }
  })

  test.each([
    [{ columns: { kwh: 'kWh', start: 'When' } }, 'must say where the ESIID stands'],
    [{ columns: { esiid: 'E', kwh: 'kWh', start: 'When' }, esiid }, 'must say where the ESIID stands'],
    [{ columns: { esiid: 'E', kwh: 'kWh' } }, 'must name the column of the start or of the end'],
    [{ columns: { esiid: 'E', kwh: 'kWh', start: 'A', end: 'B' } }, 'has no date column'],
    [{ columns: { esiid: 'E', kwh: 'A', start: ' a ' } }, 'names a column twice'],
    [{ columns: { esiid: 'E', kwh: 'kWh', start: 'A', direction: 'D' }, direction: 'consumption' }, 'direction stands'],
    [{ columns: { kwh: 'kWh', start: 'When' }, esiid: '123' }, 'must be an ESIID']
  ])('is refused when it contradicts itself: %j', (layout, what) => {
    const make = () => new IntervalParser({ layouts: [{ name: 'ours', ...layout } as IntervalLayout] })
    expect(make).toThrow(ConfigError)
    expect(make).toThrow(what)
  })
})

describe('layouts that nobody could show', () => {
  const wide = (names: string[]) => `ESIID,USAGE_DATE,${names.join(',')}\n`
  test.each([
    ['LSE', '00000001,10443720009999001,4,20250714000000,20250714235959,Y,N\n'],
    ['wide day rows', wide(Array.from({ length: 96 }, (_, i) => `INT${i + 1}`))],
    ['wide day rows', wide(Array.from({ length: 100 }, (_, i) => `INT_${String(i + 1).padStart(3, '0')}`))],
    ['wide day rows', wide(Array.from({ length: 96 }, (_, i) => quarter(i).end.trim()))]
  ])('are recognised and refused: %s', async (name, text) => {
    const error = await failureOf(read(text, { path }))
    expect(error).toMatchObject({ code: 'LAYOUT_UNVERIFIED', file: path, retryable: false })
    expect(error.message).toContain(name)
    expect(error.message).not.toMatch(/10\d{15}/)
    const packed = await failureOf(read(makeZip([{ name: 'data.txt', bytes: Buffer.from(text) }])))
    expect(packed.code).toBe('LAYOUT_UNVERIFIED')
  })
})

describe('an unknown header', () => {
  test('is refused with the header, masked, and the nearest known layout', async () => {
    const error = await failureOf(read(`ESIID,USAGE_DATE,${esiid},kWh\n`, { path }))
    expect(error.code).toBe('PARSE_UNKNOWN_HEADER')
    expect(error.message).toContain(`unknown header ESIID,USAGE_DATE,${'#'.repeat(17)},kWh`)
    expect(error.message).toMatch(/the nearest known layout, smt-interval-2018, also has USAGE_START_TIME, .*USAGE_KWH/)
  })

  test.each(intervalHeader.split(','))('that lacks %s or has it twice fails the file and names it', async name => {
    const without = intervalHeader
      .split(',')
      .filter(other => other !== name)
      .join(',')
    const [missing, doubled] = [without, `${intervalHeader},${name}`].map(header => `${header}\n${row()}\n`)
    expect(await failureOf(read(doubled!, { path }))).toMatchObject({
      code: 'PARSE_DUPLICATE_COLUMN',
      message: expect.stringContaining(`column ${name} stands twice`)
    })
    const error = await failureOf(read(missing!, { path }))
    expect(error).toMatchObject({ code: 'PARSE_MISSING_COLUMN' })
    expect(error.message).toContain(`column ${name} is missing`)
  })
})

describe('intervals of other lengths', () => {
  const at = (start: string, end: string, more = {}) => row({ start, end, ...more })

  test('are rejected by name, never read as quarter hours', async () => {
    const reading = await read(csv(row(), at('01:00', '01:30'), at('02:00', '03:00'), at('23:00', '00:00')))
    expect(rejectsOf(reading)).toEqual([3, 4, 5].map(line => ['ROW_OTHER_LENGTH', line]))
    expect(reading.batches[0]!.minutes).toBeUndefined()
    expect(reading.intervals[0]).not.toHaveProperty('minutes')
  })

  test('are taken where the option allows them, and say how long they are', async () => {
    const text = csv(row(), at('01:00', '01:30'), at('02:00', '03:00'), at('23:00', '00:00'))
    const reading = await read(text, { intervalMinutes: [15, 30, 60] })
    expect(reading.intervals.map(({ start, minutes }) => [iso(start)!.slice(11, 16), minutes])).toEqual([
      ['05:00', 15],
      ['06:00', 30],
      ['07:00', 60],
      ['04:00', 60]
    ])
    expect(rejectsOf(await read(text, { intervalMinutes: [15, 60] }))).toEqual([['ROW_OTHER_LENGTH', 3]])
    expect(rejectsOf(await read(text, { intervalMinutes: [60] })).map(([, line]) => line)).toEqual([2, 3])
  })

  test.each([
    ['01:15', '02:15'],
    ['01:15', '01:45'],
    ['01:00', '02:45'],
    ['01:00', '03:00']
  ])('must begin on their own grid: %s to %s does not', async (start, end) => {
    const reading = await read(csv(row(), at(start, end)), { intervalMinutes: [15, 30, 60] })
    expect(rejectsOf(reading)).toEqual([['ROW_NOT_15_MINUTES', 3]])
  })

  test('hourly rows give 23 and 25 distinct hours on the days of a clock change', async () => {
    const hours = (date: string, labels: number[]) =>
      labels.map(hour => row({ date, start: `${hour}:00`, end: `${(hour + 1) % 24}:00` }))
    const all = Array.from({ length: 24 }, (_, hour) => hour)
    const autumn = await read(csv(...hours('11/02/2025', [0, 1, ...all.slice(1)])), { intervalMinutes: [60] })
    const spring = await read(
      csv(
        ...hours(
          '03/09/2025',
          all.filter(hour => hour !== 2)
        )
      ),
      { intervalMinutes: [60] }
    )
    for (const [{ intervals }, day, count] of [
      [autumn, '2025-11-02', 25],
      [spring, '2025-03-09', 23]
    ] as const) {
      const first = Date.parse(`${day}T${day === '2025-11-02' ? '05' : '06'}:00Z`)
      expect(intervals.map(({ start }) => start)).toEqual(
        Array.from({ length: count }, (_, i) => first + i * 3_600_000)
      )
    }
  })

  test('go into a sink that says how long they are, and into no other', async () => {
    const folder = scratchFolder()
    mkdirSync(join(folder, 'inbox'))
    writeFileSync(join(folder, 'inbox', 'IntervalData.csv'), csv(row(), at('01:00', '02:00')))
    const into = async (sink: Sink) => {
      const source = new DirectorySource({ directories: [join(folder, 'inbox')], settleMs: 1 })
      const receipts: Receipt[] = []
      for await (const receipt of ingest({ source, parser: new IntervalParser({ intervalMinutes: [15, 60] }), sink })) {
        receipts.push(receipt)
      }
      await sink.close()
      return receipts[0]!
    }
    const refused = await into(new DuckDbSink({ path: join(folder, 'smt.duckdb') }))
    expect(refused).toMatchObject({ state: 'quarantined', reason: { code: 'SINK_INTERVAL_LENGTH' } })
    const directory = join(folder, 'intervals')
    expect(await into(new NdjsonSink({ directory }))).toMatchObject({ state: 'committed', rows: { accepted: 2 } })
    const name = readdirSync(directory).find(name => name.startsWith('IntervalData'))!
    const lines = readFileSync(join(directory, name), 'utf8').trimEnd().split('\n')
    expect(lines.map(line => JSON.parse(line).minutes)).toEqual([15, 60])
  })
})

describe('rows that come again in a file', () => {
  const repeats = async (...rows: string[]) =>
    (await read(csv(...rows), { intervalMinutes: [15, 60] })).account.quality.repeats
  const none = { duplicates: 0, conflicts: 0, overlaps: 0, unchecked: 0 }
  const later = { revision: '07/16/2025 06:41:12' }

  test('are duplicates when they say the same', async () => {
    expect(await repeats(row(), row(quarter(1)), row())).toEqual({ ...none, duplicates: 1 })
    expect(await repeats(row({ kwh: '.2310' }), row(), row())).toEqual({ ...none, duplicates: 2 })
  })

  test('are conflicts when the same version says another kWh', async () => {
    expect(await repeats(row(), row({ kwh: '0.232' }), row())).toEqual({ ...none, conflicts: 2 })
    expect(await repeats(row({ kwh: '9999999' }), row({ kwh: '9999999' }), row({ kwh: '9999998.99999' }))).toEqual({
      ...none,
      duplicates: 1,
      conflicts: 1
    })
  })

  test('are overlaps when another version, flag or length says it', async () => {
    expect(await repeats(row(), row(later), row({ revision: '' }))).toEqual({ ...none, overlaps: 2 })
    expect(await repeats(row(), row({ flag: 'E' }))).toEqual({ ...none, overlaps: 1 })
    expect(await repeats(row(quarter(1)), row({ start: '00:00', end: '01:00' }), row(quarter(3)))).toEqual({
      ...none,
      overlaps: 2
    })
  })

  test('are neither when they speak of another meter, direction, day or quarter hour', async () => {
    const others = [
      { esiid: "'10443720009999002" },
      { direction: 'Surplus Generation' },
      { date: '07/15/2025' },
      quarter(1)
    ]
    expect(await repeats(row(), ...others.map(row))).toEqual(none)
  })

  test('are found in another entry of the file, too', async () => {
    const bytes = Buffer.from(csv(row()))
    const zip = makeZip(['IntervalA.csv', 'IntervalB.csv'].map(name => ({ name, bytes })))
    const { account } = await read(zip)
    expect(account.entries.map(({ quality }) => quality.repeats.duplicates)).toEqual([0, 1])
    expect(account.quality.repeats).toEqual({ ...none, duplicates: 1 })
  })

  test('are counted as unchecked, not as new, when their day was met too long ago', async () => {
    const days = Array.from({ length: 20_000 }, (_, i) => {
      const date = addDays('2024-04-01', i % 200)
      return row({ esiid: `'1044372${String(1e9 + Math.floor(i / 200)).padStart(10, '0')}`, date: usDate(date) })
    })
    const reading = await read(csv(row(), ...days, row(), days.at(-1)!))
    expect(reading.account.quality.repeats).toEqual({ ...none, duplicates: 1, unchecked: 1 })
    expect(reading.account.rows.accepted).toBe(20_003)
  })

  test('are found among 80,000 versions of one day, in the time that it takes', async () => {
    const stamp = (n: number) => {
      const at = new Date(Date.UTC(2025, 6, 15) + n * 1000).toISOString()
      return `07/${at.slice(8, 10)}/2025 ${at.slice(11, 19)}`
    }
    const rows = Array.from({ length: 80_000 }, (_, n) => row({ revision: stamp(n) }))
    const { account } = await read([csv(rows[0]!).trimEnd(), ...rows.slice(1), rows[0]!].join('\n'))
    expect(account.rows.accepted).toBe(80_001)
    expect(account.quality.repeats.duplicates + account.quality.repeats.unchecked).toBeGreaterThan(0)
  })

  test('reach the sink all the same', async () => {
    expect((await read(csv(row(), row(), row({ kwh: '1' })))).intervals).toHaveLength(3)
  })
})

function usDate(date: string): string {
  return date.replace(/(\d+)-(\d+)-(\d+)/, '$2/$3/$1')
}
