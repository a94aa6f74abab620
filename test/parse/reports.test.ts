import { readFileSync } from 'node:fs'
import { inspect } from 'node:util'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { reportLayouts } from '../../src/parse/reports/layouts.ts'
import type { DailyReadRow } from '../../src/report-batch.ts'
import {
  addDays,
  centralInstant,
  dailyHeader,
  makeBills,
  makeDailyReport,
  makeEsiid,
  makeMeterDay,
  makeMeterInfo,
  makeMonthlyReport,
  makeZip,
  meterInfoHeader,
  monthlyHeader
} from '../../src/testing/index.ts'
import { failureOf } from '../support/failure.ts'
import { type Bytes, csv, cuts, esiid, goodRows, longEsiid, type ReadOptions, read } from './support.ts'

const intervals = { name: 'IntervalMeterUsage.CSV', bytes: Buffer.from(csv(...goodRows(3))) }
const daily = (...rows: readonly string[]) => `${[dailyHeader, ...rows].join('\n')}\n`
const monthly = (...rows: readonly string[]) => `${[monthlyHeader, ...rows].join('\n')}\n`
const dailyRow = `'${esiid},07/14/2025,07/15/2025 06:41:12,24002.915,24038.915,36.000`

/** The rows of a file of reports, and their lines. */
async function rowsOf(bytes: Bytes, options?: ReadOptions) {
  const { reports, account } = await read(bytes, options)
  return { rows: reports.flatMap(batch => [...batch.rows]), lines: reports.flatMap(batch => batch.lines), account }
}

describe('a report of daily reads', () => {
  test('gives each row with its exact decimals, its local day and its version', async () => {
    const text = daily(
      dailyRow,
      `${longEsiid},7/15/2025,7/16/2025 6:40,.145,00120.000,0`,
      `'${esiid}',12/31/2025,,,123456789.12345,-0.0`
    )
    const { rows, lines, account } = await rowsOf(text, { path: '/in/DailyMeterUsage20250715.CSV' })
    expect(rows).toEqual([
      {
        esiid,
        date: '2025-07-14',
        revision: centralInstant('2025-07-15', '06:41:12'),
        startReading: '24002.915',
        endReading: '24038.915',
        kwh: '36'
      },
      {
        esiid: longEsiid,
        date: '2025-07-15',
        revision: centralInstant('2025-07-16', '06:40'),
        startReading: '0.145',
        endReading: '120',
        kwh: '0'
      },
      { esiid, date: '2025-12-31', revision: null, startReading: null, endReading: '123456789.12345', kwh: '0' }
    ])
    expect(lines).toEqual([2, 3, 4])
    expect(account.reports).toEqual({
      'daily-reads': {
        ...{ read: 3, accepted: 3, rejected: 0, placeholder: 0, missing: 0, repeatedHeader: 0 },
        dates: { first: '2025-07-14', last: '2025-12-31' }
      }
    })
    expect(account.rows.read).toBe(0)
    expect(account.entries).toMatchObject([
      { kind: 'daily-reads', outcome: 'used', layout: 'daily-reads-unverified', header: null }
    ])
  })

  test('gives what a maker of test files put into it', async () => {
    const days = ['2025-03-09', '2025-07-14', '2025-11-02'].map(date => makeMeterDay({ esiid, date }))
    const { rows } = await rowsOf(makeDailyReport(days))
    const sums = days.map(({ series }) => series[0]!.milliKwh.reduce((sum, milli) => sum + Math.max(0, milli), 0))
    expect(rows.map(row => [(row as DailyReadRow).date, Math.round(Number((row as DailyReadRow).kwh) * 1000)])).toEqual(
      days.map(({ date }, i) => [date, sums[i]])
    )
  })

  test('reads versions on the clock of Texas, at its changes too', async () => {
    const stamps = [
      ['11/02/2025 01:30:00', '2025-11-02T06:30:00.000Z'],
      ['11/02/2025 02:00:00', '2025-11-02T08:00:00.000Z'],
      ['11/02/2025 00:59:59', '2025-11-02T05:59:59.000Z'],
      ['03/09/2025 01:59:00', '2025-03-09T07:59:00.000Z'],
      ['03/09/2025 02:30:00', '2025-03-09T08:30:00.000Z'],
      ['03/09/2025 03:00', '2025-03-09T08:00:00.000Z'],
      ['12/15/2025 06:41:12', '2025-12-15T12:41:12.000Z']
    ] as const
    const { rows } = await rowsOf(daily(...stamps.map(([stamp]) => `${esiid},07/14/2025,${stamp},1,2,1`)))
    expect(rows.map(({ revision }) => new Date(revision!).toISOString())).toEqual(stamps.map(([, instant]) => instant))
  })

  test('counts a row without any value as missing, and its own header among the rows', async () => {
    const { account, rows } = await rowsOf(daily(dailyRow, `${esiid},07/15/2025,,,,`, dailyHeader, '', ' '))
    expect(rows).toHaveLength(1)
    expect(account.entries[0]!.rows).toEqual({
      ...{ read: 3, accepted: 1, rejected: 0, placeholder: 0, missing: 1, repeatedHeader: 1 }
    })
  })
})

describe('a report of monthly bills', () => {
  test('gives each row with its exact decimals, its period and its version', async () => {
    const { rows, account } = await rowsOf(
      monthly(
        `'${esiid},06/12/2025,07/14/2025,07/15/2025 09:12:44,1532,7.91,0,0,0`,
        `'${esiid},5/13/2025,6/12/2025,6/20/2025 10:02,1211,6.40,,,`
      )
    )
    const blank = { billedKw: null, meteredKva: null, billedKva: null }
    expect(rows).toEqual([
      {
        ...{ esiid, startDate: '2025-06-12', endDate: '2025-07-14', actualKwh: '1532', meteredKw: '7.91' },
        ...{ billedKw: '0', meteredKva: '0', billedKva: '0', revision: centralInstant('2025-07-15', '09:12:44') }
      },
      {
        ...{ esiid, startDate: '2025-05-13', endDate: '2025-06-12', actualKwh: '1211', meteredKw: '6.4' },
        ...{ ...blank, revision: centralInstant('2025-06-20', '10:02') }
      }
    ])
    expect(account.reports['monthly-bills']).toMatchObject({
      accepted: 2,
      dates: { first: '2025-05-13', last: '2025-06-12' }
    })
    expect(account.entries[0]).toMatchObject({ kind: 'monthly-bills', layout: 'monthly-bills-unverified' })
  })

  test('gives what a maker of test files put into it', async () => {
    const bills = [esiid, longEsiid].flatMap(esiid => makeBills({ esiid, from: '2024-12-13', periods: 14 }))
    const { rows } = await rowsOf(makeMonthlyReport(bills))
    const plain = (text: string) => text.replace(/\.?0+$/, match => (text.includes('.') ? '' : match))
    expect(rows).toEqual(
      bills.map(bill => ({
        ...bill,
        meteredKw: plain(bill.meteredKw),
        revision: centralInstant(bill.revision!.slice(0, 10), bill.revision!.slice(11))
      }))
    )
  })
})

describe('a report beside intervals', () => {
  test('is told by its header, whatever its name; also within the archive of intervals', async () => {
    const zip = makeZip([
      intervals,
      { name: 'x.csv', bytes: Buffer.from(daily(dailyRow)) },
      { name: 'y', bytes: makeMonthlyReport(makeBills({ esiid, from: '2025-01-03' })) }
    ])
    const { account, reports, intervals: read3 } = await read(zip, { path: '/in/IntervalMeterUsage.zip' })
    expect(read3).toHaveLength(3)
    expect(account.rows).toMatchObject({ read: 3, accepted: 3 })
    expect(reports.map(({ kind, length, entry }) => [kind, length, entry.index])).toEqual([
      ['daily-reads', 1, 1],
      ['monthly-bills', 1, 2]
    ])
    expect(account.entries.map(({ kind, outcome }) => [kind, outcome])).toEqual([
      ['intervals', 'used'],
      ['daily-reads', 'used'],
      ['monthly-bills', 'used']
    ])
  })

  test.each(
    reportLayouts.flatMap(({ kind, columns }) =>
      Object.entries(columns).flatMap(([field, names]) => names.map(name => [kind, field, name] as const))
    )
  )('of %s may name its column of %s %s', async (kind, field, name) => {
    const { columns } = reportLayouts.find(layout => layout.kind === kind)!
    const header = Object.entries(columns).map(([other, [first]]) => (other === field ? name.toLowerCase() : first))
    const value = (column: string) =>
      column === 'esiid' ? esiid : /date$/i.test(column) ? '07/14/2025' : column === 'revision' ? '' : '5'
    const row = Object.keys(columns).map(value)
    // Any order: turned round here.
    const { rows } = await rowsOf(`${header.reverse().join(' , ')}\n${row.reverse().join(',')}\n`)
    expect(rows).toMatchObject([{ esiid }])
    const expected = { esiid, revision: null, date: '2025-07-14', startDate: '2025-07-14', endDate: '2025-07-14' }
    expect((rows[0] as unknown as Record<string, unknown>)[field]).toBe(
      (expected as never)[field] ?? (field === 'revision' ? null : '5')
    )
  })

  test('has the columns and names that docs/other-files.md lists', () => {
    const page = readFileSync(new URL('../../docs/other-files.md', import.meta.url), 'utf8')
    for (const { name, columns } of reportLayouts) {
      const section = page.split(`\n### \`${name}\`\n`)[1]!.split('\n#')[0]!
      const lines = [...section.matchAll(/^\| `(\w+)` \| (.*?) \|/gm)].map(([, field, names]) => [
        field,
        [...names!.matchAll(/`([^`]+)`/g)].map(([, alias]) => alias)
      ])
      expect(Object.fromEntries(lines)).toEqual(columns)
    }
  })

  test.each([
    ['a column that nobody knows', `${dailyHeader},READING_TYPE`],
    ['a column twice, under two of its names', `${dailyHeader},KWH`],
    ['no day', 'ESIID,REVISION_DATE,USAGE_KWH'],
    ['no value', 'ESIID,READ_DATE,REVISION_DATE'],
    ['a name that is only part of a known one', 'ESIID,READ_DATE,USAGE_KWH_TOTAL'],
    ['other separators', dailyHeader.replaceAll(',', ';')]
  ])('whose header has %s is left, by name, and leaves the intervals alone', async (_, header) => {
    const bytes = Buffer.from(`${header}\n${dailyRow}\n`)
    const zip = makeZip([{ name: 'DailyMeterUsage20250714.CSV', bytes }, intervals])
    const { account, intervals: rows, reports } = await read(zip)
    expect([rows.length, reports]).toEqual([3, []])
    expect(account.entries[0]).toMatchObject({ kind: 'daily-reads', outcome: 'unhandled', layout: null, header })
    expect(account.reports).toEqual({})
  })

  test('does not pass for intervals: a file that is named like them and has none fails', async () => {
    const error = await failureOf(read(daily(dailyRow), { path: '/in/IntervalMeterUsage.CSV' }))
    expect(error).toMatchObject({ code: 'PARSE_UNKNOWN_HEADER', file: '/in/IntervalMeterUsage.CSV' })
  })

  test('is not what an interval report that lost a column becomes', async () => {
    const lost = csv(...goodRows(3)).replace('USAGE_END_TIME,', '')
    expect(await failureOf(read(lost))).toMatchObject({ code: 'PARSE_MISSING_COLUMN' })
  })

  test('that has a header and no row fails, where nothing else is in the file', async () => {
    expect(await failureOf(read(daily(), { path: '/in/d.csv' }))).toMatchObject({ code: 'PARSE_NO_ROWS' })
    const { account } = await read(makeZip([{ name: 'd.csv', bytes: Buffer.from(daily()) }, intervals]))
    expect(account.reports['daily-reads']).toMatchObject({ read: 0, dates: null })
  })

  test('is left where the options say so', async () => {
    const { account, reports } = await read(daily(dailyRow), { reports: 'leave' })
    expect(reports).toEqual([])
    expect(account.entries).toMatchObject([{ kind: 'daily-reads', outcome: 'unhandled', header: dailyHeader }])
  })

  test('I11: is printed without meters and readings', async () => {
    const { reports } = await read(daily(dailyRow), { path: `/in/${esiid}.csv` })
    expect(inspect(reports)).toMatch(/^\[ ReportBatch \{ 1 daily-reads, entry …9001.csv \} \]$/)
  })
})

describe('lines before the header', () => {
  const titles = ['Daily Meter Usage', '', 'Requested by "ACME', `Meter,${esiid}`, 'a,b,c']

  test('are passed over, and counted', async () => {
    const { rows, lines } = await rowsOf([...titles, daily(dailyRow, dailyRow)].join('\n'))
    expect(rows).toHaveLength(2)
    expect(lines).toEqual([7, 8])
  })

  test('may be nineteen, and the header stands within the first four kilobytes', async () => {
    const outcome = async (text: string) => (await read(text)).account.entries[0]!.outcome
    expect(await outcome('x\n'.repeat(19) + daily(dailyRow))).toBe('used')
    expect(await outcome('x\n'.repeat(20) + daily(dailyRow))).toBe('unhandled')
    // The header's line end is the last byte but one, or the last one.
    const upTo = (bytes: number) => `${'x'.repeat(bytes - dailyHeader.length - 2)}\n${daily(dailyRow)}`
    expect(await outcome(upTo(4095))).toBe('used')
    expect(await outcome(upTo(4096))).toBe('unhandled')
  })

  test.each(['\n', '\r\n', '\r'])(
    'change nothing wherever a chunk ends around the four kilobytes: %j',
    async lineEnd => {
      for (let title = 4015; title < 4045; title++) {
        const text = `${'x'.repeat(title)}\n${daily(dailyRow)}`.replaceAll('\n', lineEnd)
        const bytes = Buffer.from(text)
        const [whole, ...others] = await Promise.all(
          [
            [bytes],
            [bytes.subarray(0, 4095), bytes.subarray(4095)],
            [bytes.subarray(0, 4096), bytes.subarray(4096)]
          ].map(async chunks => {
            const { rows, lines, account } = await rowsOf(chunks)
            return { rows, lines, account }
          })
        )
        for (const other of others) expect(other).toEqual(whole)
      }
    }
  )
})

test.each([
  [
    'daily reads',
    `\ufeffTitle\r\n${daily(dailyRow, `"${esiid}" , 7/15/2025 ,,"1","2",""`, 'bad').replaceAll('\n', '\r\n')}`
  ],
  [
    'monthly bills',
    monthly(`${esiid},06/12/2025,07/14/2025,,1,"2,3",0,0,0`, `${esiid},5/1/2025,6/1/2025,,1,,,,`).slice(0, -1)
  ],
  ['daily reads by CR alone', daily(dailyRow, dailyRow).replaceAll('\n', '\r')]
])('the same rows of %s come wherever a chunk ends', async (_, text) => {
  const bytes = Buffer.from(text)
  const whole = await rowsOf(bytes)
  expect(whole.rows.length).toBeGreaterThan(0)
  for (const chunks of cuts(bytes)) expect(await rowsOf(chunks)).toEqual(whole)
})

describe('a bad row', () => {
  const good = Array.from({ length: 5 }, (_, i) => `${esiid},07/${10 + i}/2025,,1,2,1`)
  const bad: readonly (readonly [code: string, row: string])[] = [
    ['ROW_CELL_COUNT', `${esiid},07/14/2025,,1,2`],
    ['ROW_CELL_COUNT', `${esiid},07/14/2025,,1,2,1,`],
    ['ROW_UNCLOSED_QUOTE', `${esiid},07/14/2025,,1,2,"1`],
    ['ROW_BAD_QUOTE', `${esiid},07/14/2025,,1,2,1"0`],
    ['ROW_BAD_QUOTE', `"${esiid}"5,07/14/2025,,1,2,1`],
    ['ROW_BAD_ESIID', `10443720009,07/14/2025,,1,2,1`],
    ['ROW_ESIID_AS_NUMBER', '1.04437E+16,07/14/2025,,1,2,1'],
    ['ROW_BAD_DATE', `${esiid},02/29/2025,,1,2,1`],
    ['ROW_BAD_DATE', `${esiid},2025-07-14,,1,2,1`],
    ['ROW_BAD_DATE', `${esiid},,,1,2,1`],
    ['ROW_TWO_DIGIT_YEAR', `${esiid},7/14/25,,1,2,1`],
    ['ROW_BAD_REVISION', `${esiid},07/14/2025,07/15/2025,1,2,1`],
    ['ROW_TWELVE_HOUR_CLOCK', `${esiid},07/14/2025,07/15/2025 6:41 AM,1,2,1`],
    ['ROW_BAD_NUMBER', `${esiid},07/14/2025,,1,2,n/a`],
    ['ROW_BAD_NUMBER', `${esiid},07/14/2025,,1e3,2,1`],
    ['ROW_NEGATIVE_NUMBER', `${esiid},07/14/2025,,1,-2,1`],
    ['ROW_NUMBER_OUT_OF_RANGE', `${esiid},07/14/2025,,1234567890,2,1`],
    ['ROW_NUMBER_OUT_OF_RANGE', `${esiid},07/14/2025,,1,2,0.123456`]
  ]

  test.each(bad)('is rejected as %s with its line and its place: %s', async (code, row) => {
    const text = daily(...good.slice(0, 2), row, ...good.slice(2))
    const { rows, account } = await rowsOf(text)
    expect(rows).toHaveLength(5)
    expect(account.entries[0]!.rejects).toMatchObject([{ code, line: 4, offset: text.indexOf(row) }])
    expect(account.reports['daily-reads']).toMatchObject({ read: 6, accepted: 5, rejected: 1 })
  })

  test('with a quotation mark that is never closed costs no other row, however many follow', async () => {
    const many = Array.from({ length: 1500 }, (_, i) => `${makeEsiid(i)},07/14/2025,,1,2,1`)
    const { rows, account } = await rowsOf(daily(`${esiid},07/14/2025,,1,2,"1`, ...many, `"${esiid},07/14/2025,,1,2,1`))
    expect(rows).toHaveLength(1500)
    expect(account.entries[0]!.rejects.map(({ code, line }) => [code, line])).toEqual([
      ['ROW_UNCLOSED_QUOTE', 2],
      ['ROW_UNCLOSED_QUOTE', 1503]
    ])
  })

  test('with a quotation mark that a later row seems to close costs no other row', async () => {
    const text = daily(good[0]!, `${esiid},07/14/2025,,1,2,"1`, ...good.slice(1), '9"')
    const { rows, account } = await rowsOf(text)
    expect(rows).toHaveLength(5)
    expect(account.entries[0]!.rejects.map(({ code, line }) => [code, line])).toEqual([
      ['ROW_UNCLOSED_QUOTE', 3],
      ['ROW_BAD_QUOTE', 8]
    ])
  })

  test('of a period that ends before it begins is rejected', async () => {
    const row = (start: string, end: string) => `${esiid},${start},${end},,1,0,0,0,0`
    const { account } = await rowsOf(monthly(row('06/12/2025', '06/11/2025'), row('06/12/2025', '06/12/2025')))
    expect(account.entries[0]!.rejects).toMatchObject([{ code: 'ROW_BAD_PERIOD', line: 2 }])
  })

  test('more than ten of them fail the file, as with intervals; so does a report of nothing else', async () => {
    const bads = (count: number) => Array.from({ length: count }, () => `${esiid},07/14/2025,,1,2,x`)
    expect((await rowsOf(daily(...good, ...bads(10)))).account.reports['daily-reads']).toMatchObject({ rejected: 10 })
    const error = await failureOf(rowsOf(daily(...good, ...bads(11)), { path: '/in/d.csv' }))
    expect(error).toMatchObject({ code: 'PARSE_TOO_MANY_REJECTS', file: '/in/d.csv', line: 7 })
    expect(await failureOf(rowsOf(daily(...bads(2))))).toMatchObject({ code: 'ROW_BAD_NUMBER' })
    const zip = makeZip([intervals, { name: 'd.csv', bytes: Buffer.from(daily(...bads(2))) }])
    expect(await failureOf(rowsOf(zip))).toMatchObject({ code: 'ROW_BAD_NUMBER', entry: 'd.csv', line: 2 })
    expect(await failureOf(rowsOf(daily(...good, ...bads(4)), { maxRejects: 3 }))).toMatchObject({
      code: 'PARSE_TOO_MANY_REJECTS'
    })
  })

  test('of more than eight kilobytes fails the file, wherever it is cut', async () => {
    const text = daily(dailyRow, `${esiid},${'x'.repeat(9000)}`)
    for (const size of [100, 8192, 20_000]) {
      const bytes = Buffer.from(text)
      const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
        bytes.subarray(i * size, (i + 1) * size)
      )
      expect(await failureOf(rowsOf(chunks))).toMatchObject({ code: 'PARSE_LINE_TOO_LONG', line: 3 })
    }
  })
})

/** A cell as it may be written, and what it says: null nothing, undefined that its row is bad. */
type Written<T> = readonly [text: string, means: T | null | undefined]

const quoted = (text: string) => fc.constantFrom(text, text, ` ${text}`, `"${text}"`, ` "${text}" `)
const number = fc
  .tuple(fc.integer({ min: 0, max: 999_999_999 }), fc.integer({ min: 0, max: 99_999 }), fc.integer({ min: 0, max: 5 }))
  .map(([whole, part, places]): Written<string> => {
    const decimals = String(part).padStart(5, '0').slice(0, places)
    // Its value, written as few people would: by the rules of division, without a point where none is needed.
    const scaled = BigInt(whole) * 100_000n + BigInt(decimals.padEnd(5, '0'))
    const rest = scaled % 100_000n
    const plain = rest === 0n ? '' : `.${String(rest).padStart(5, '0')}`.replace(/0+$/, '')
    return [`${whole}${places > 0 ? '.' : ''}${decimals}`, `${scaled / 100_000n}${plain}`]
  })
const value = fc.oneof(
  { weight: 6, arbitrary: number },
  { weight: 2, arbitrary: fc.constant<Written<string>>(['', null]) },
  { weight: 1, arbitrary: fc.constantFrom<Written<string>>(['-1', undefined], ['1,5', undefined], ['kWh', undefined]) }
)
const date = fc.integer({ min: 0, max: 20_000 }).chain(days => {
  const iso = addDays('1990-01-01', days)
  const [year, month, day] = iso.split('-').map(Number)
  return fc.constantFrom<Written<string>>(
    [`${month}/${day}/${year}`, iso],
    [`${iso.slice(5, 7)}/${iso.slice(8)}/${year}`, iso]
  )
})
const line = fc
  .record({ esiid: fc.constantFrom(makeEsiid(1), makeEsiid(2, 22)), date, values: fc.tuple(value, value, value) })
  .chain(({ esiid, date, values }) => {
    // A comma parts cells unless marks stand around it.
    const texts = [`'${esiid}`, date[0], '', ...values.map(([text]) => (text.includes(',') ? `"${text}"` : text))]
    const cells = fc.tuple(...texts.map(text => (text.includes('"') || text === '' ? fc.constant(text) : quoted(text))))
    return cells.map(cells => ({
      text: cells.join(','),
      esiid,
      date: date[1],
      values: values.map(([, means]) => means)
    }))
  })

test('rows written in many ways are read as whoever wrote them meant, in chunks and batches of any size', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(line, { minLength: 1, maxLength: 30 }),
      fc.integer({ min: 1, max: 60 }),
      fc.integer({ min: 1, max: 7 }),
      fc.constantFrom('\n', '\r\n', '\r'),
      async (lines, size, batchRows, lineEnd) => {
        const bytes = Buffer.from([dailyHeader, ...lines.map(({ text }) => text)].join(lineEnd))
        const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
          bytes.subarray(i * size, (i + 1) * size)
        )
        const good = lines.filter(({ values }) => !values.includes(undefined))
        const given = good.filter(({ values }) => values.some(value => value !== null))
        const options = { batchRows, maxRejects: 100, maxRejectShare: 1 }
        if (given.length === 0) {
          if (good.length === lines.length) expect((await rowsOf(chunks, options)).rows).toEqual([])
          return
        }
        const { rows, lines: at, account } = await rowsOf(chunks, options)
        expect(rows).toEqual(
          given.map(({ esiid, date, values: [startReading, endReading, kwh] }) => ({
            ...{ esiid, date, revision: null, startReading, endReading, kwh }
          }))
        )
        expect(at).toEqual(given.map(row => lines.indexOf(row) + 2))
        expect(account.entries[0]!.rows).toMatchObject({
          read: lines.length,
          accepted: given.length,
          rejected: lines.length - good.length,
          missing: good.length - given.length
        })
      }
    ),
    { numRuns: 150, seed: 2026 }
  )
}, 60_000)

describe('meter information and enrolment reports', () => {
  test.each([
    ['meter-info', 'x.csv', makeMeterInfo([esiid])],
    ['meter-info', 'MeterInfo20250714.CSV', Buffer.from('a,b\n')],
    ['enrolment', 'EnrollmentReport1.csv', Buffer.from('a,b\n')],
    ['unknown', '__MACOSX/._EnrollmentReport1.csv', Buffer.from('a,b\n')],
    ['monthly-bills', '20250715T141200_MonthlyBilling1.CSV', Buffer.from('a,b\n')]
  ])('are recorded as %s and left: %s', async (kind, name, bytes) => {
    const { account } = await read(makeZip([{ name, bytes }, intervals]))
    expect(account.entries[0]).toMatchObject({ kind, name, outcome: 'unhandled', bytes: bytes.length, layout: null })
    expect(account.entries[0]!.header).toMatch(/^(a,b|ESIID,METER_SERIAL_NUMBER,.*)$/)
  })

  test('are told by the folder of SMT’s server too', async () => {
    const { account } = await read('a,b\n', { path: '/EnrollmentReports/x.csv' })
    expect(account.entries).toMatchObject([{ kind: 'enrolment', outcome: 'unhandled' }])
  })

  test('keep the header that stands below titles', async () => {
    const { account } = await read(`Titles\n\n${makeMeterInfo([esiid])}`)
    expect(account.entries).toMatchObject([{ kind: 'meter-info', header: meterInfoHeader }])
  })
})
