import { getEventListeners, once } from 'node:events'
import { PassThrough, Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { inspect } from 'node:util'
import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { ConfigError, DecryptError, ParseError } from '../../src/errors.ts'
import { rowsAddUp } from '../../src/parse/file-account.ts'
import { IntervalParser, type IntervalParserOptions } from '../../src/parse/interval-parser.ts'
import {
  dailyHeader,
  intervalHeader,
  makeEsiid,
  makeIntervalReport,
  makeMeterDay,
  makeZip,
  missingReading,
  spoiledReading
} from '../../src/testing/index.ts'
import { failureOf } from '../support/failure.ts'
import {
  type Bytes,
  csv,
  cuts,
  esiid,
  goodRows,
  inFileOrder,
  iso,
  longEsiid,
  quarter,
  type Reading,
  read,
  rejectsOf,
  row
} from './support.ts'

const path = '/inbox/IntervalData_2025.csv'

/** What a maker promises, in the words of the parser. */
const promised = (report: ReturnType<typeof makeIntervalReport>) =>
  [...report.expected()].map(({ milliKwh, ...rest }) => ({ ...rest, kwh: milliKwh / 1000 }))

const distinct = ({ intervals }: Reading) => new Set(intervals.map(({ start }) => start)).size

describe('cells', () => {
  test('reads a row as SMT writes it', async () => {
    const { intervals, account } = await read(csv(row()))
    expect(intervals).toEqual([
      {
        esiid,
        start: Date.parse('2025-07-14T05:00:00Z'),
        kwh: 0.231,
        estimated: false,
        direction: 'consumption',
        revision: Date.parse('2025-07-15T11:41:12Z')
      }
    ])
    expect(account.entries[0]).toMatchObject({
      kind: 'intervals',
      outcome: 'used',
      layout: 'smt-interval',
      crc32: null
    })
  })

  test.each([`'${esiid}`, esiid, `' ${esiid}`, `'${esiid}'`, ` ${esiid} `])('takes the ESIID %j', async cell => {
    expect((await read(csv(row({ esiid: cell })))).intervals[0]!.esiid).toBe(esiid)
  })

  test('takes an ESIID of 22 digits', async () => {
    expect((await read(csv(row({ esiid: `'${longEsiid}` })))).intervals[0]!.esiid).toBe(longEsiid)
  })

  test.each([
    ['a blank before times', ' 12:00', ' 12:15'],
    ['no blank', '12:00', '12:15'],
    ['a blank before one of them', '12:00', ' 12:15']
  ])('takes times with %s', async (_, start, end) => {
    expect(iso((await read(csv(row({ start, end })))).intervals[0]!.start)).toBe('2025-07-14T17:00:00.000Z')
  })

  test.each(['00:00', '24:00', '0:00'])('takes %s as the end of the day', async end => {
    const { intervals } = await read(csv(row({ start: '23:45', end })))
    expect(iso(intervals[0]!.start)).toBe('2025-07-15T04:45:00.000Z')
  })

  test('takes what a spreadsheet makes of it', async () => {
    const cells = { date: '7/4/2025', revision: '7/15/2025 6:41', start: '0:00', end: '0:15', kwh: '0.31' }
    const [interval] = (await read(csv(row(cells)))).intervals
    expect(interval).toMatchObject({ kwh: 0.31, revision: Date.parse('2025-07-15T11:41:00Z') })
    expect(iso(interval!.start)).toBe('2025-07-04T05:00:00.000Z')
  })

  test('takes a blank revision for none', async () => {
    const { batches, intervals } = await read(csv(row({ revision: '' })))
    expect(intervals[0]!.revision).toBeNull()
    expect(batches[0]!.revision[0]).toBeNaN()
  })

  test('takes a revision in the repeated hour for its first pass, and one in the skipped hour for an hour later', async () => {
    const rows = [row({ revision: '11/02/2025 01:30:00' }), row({ revision: '03/09/2025 02:30:00' })]
    const { intervals } = await read(csv(...rows))
    expect(intervals.map(({ revision }) => iso(revision))).toEqual([
      '2025-11-02T06:30:00.000Z',
      '2025-03-09T08:30:00.000Z'
    ])
  })

  test.each([
    ['A', false],
    ['E', true],
    ['a', false],
    ['e', true],
    [' E ', true]
  ])('takes the flag %j', async (flag, estimated) => {
    expect((await read(csv(row({ flag })))).intervals[0]!.estimated).toBe(estimated)
  })

  test.each([
    ['Surplus Generation', 'surplus-generation'],
    ['SurplusGeneration', 'surplus-generation'],
    ['SURPLUS  GENERATION', 'surplus-generation'],
    [' consumption ', 'consumption']
  ])('takes the direction %j', async (direction, expected) => {
    expect((await read(csv(row({ direction })))).intervals[0]!.direction).toBe(expected)
  })
})

describe('kWh', () => {
  test.each([
    ['.145', 0.145],
    ['.1', 0.1],
    ['0', 0],
    ['0.000', 0],
    ['-0.000', 0],
    ['+0.231', 0.231],
    ['5.', 5],
    ['00000000001.50', 1.5],
    ['0.00001', 0.00001],
    ['1.2300000', 1.23],
    ['9999999.99999', 9_999_999.99999],
    ['1234567.89012', 1_234_567.89012]
  ])('reads %s exactly', async (cell, kwh) => {
    // Twice: the second row goes the fast way when it can.
    const { intervals } = await read(csv(row({ kwh: cell }), row({ kwh: cell }), row(), row()))
    expect(intervals.slice(0, 2).map(interval => interval.kwh)).toEqual([kwh, kwh])
  })

  test('gives the double nearest to every decimal of five places', async () => {
    const cells = Array.from(
      { length: 3000 },
      (_, i) => `${(i * 7919) % 1000}.${String((i * 104_729) % 100_000).padStart(5, '0')}`
    )
    const { intervals } = await read(csv(...cells.map((kwh, i) => row({ ...quarter(i % 96), kwh }))))
    expect(intervals.map(({ kwh }) => kwh)).toEqual(cells.map(Number))
  })

  test('adds up without losing a thousandth', async () => {
    const rows = Array.from({ length: 1000 }, (_, i) => row({ ...quarter(i % 96), kwh: '0.1' }))
    expect((await read(csv(...rows))).account.quality.kwh.consumption).toBe(100)
  })

  test('counts real zeros as readings', async () => {
    const { account } = await read(csv(row({ kwh: '0.000' })))
    expect(account.rows).toMatchObject({ accepted: 1, missing: 0 })
  })

  test('never takes a blank reading for zero', async () => {
    const { account, intervals } = await read(csv(row({ kwh: '', flag: '' }), row({ kwh: ' ', flag: 'A' })))
    expect(intervals).toEqual([])
    expect(account.rows).toMatchObject({ read: 2, missing: 2, accepted: 0 })
  })
})

describe('spring', () => {
  const date = '2025-03-09'
  const day = makeMeterDay({ esiid, date })

  test.each([true, false])('has 92 distinct instants, with placeholders: %s', async placeholders => {
    const report = makeIntervalReport([day], { placeholders })
    const reading = await read(report.bytes)
    expect(reading.intervals).toEqual(promised(report))
    expect(distinct(reading)).toBe(92)
    expect(reading.account.rows).toMatchObject({ accepted: 92, placeholder: placeholders ? 4 : 0, missing: 0 })
  })

  test('goes from 01:45 to 03:00 without a gap', async () => {
    const at = { date: '03/09/2025' }
    const { intervals } = await read(csv(row({ ...at, ...quarter(7) }), row({ ...at, ...quarter(12) })))
    expect(intervals[1]!.start - intervals[0]!.start).toBe(15 * 60_000)
  })

  test('takes 01:45,03:00 for the quarter hour that it is', async () => {
    const { intervals } = await read(csv(row({ date: '03/09/2025', start: '01:45', end: '03:00' })))
    expect(intervals.map(({ start }) => iso(start))).toEqual(['2025-03-09T07:45:00.000Z'])
  })

  test('rejects a reading in the hour that does not exist', async () => {
    const rows = [7, 8, 9, 10, 11, 12].map(n => row({ date: '03/09/2025', ...quarter(n), kwh: '0.000' }))
    const reading = await read(csv(...rows))
    expect(rejectsOf(reading)).toEqual([3, 4, 5, 6].map(line => ['ROW_NONEXISTENT_HOUR', line]))
    expect(reading.lines).toEqual([2, 7])
  })
})

describe('autumn', () => {
  const date = '2025-11-02'
  const day = makeMeterDay({ esiid, date })
  const hour = (cells: [number, number][], more = {}) =>
    cells.map(([start, end]) =>
      row({ date: '11/02/2025', start: quarter(start).start, end: quarter(end - 1).end, ...more })
    )
  const first: [number, number][] = [
    [4, 5],
    [5, 6],
    [6, 7],
    [7, 8]
  ]
  const marker: [number, number] = [8, 5]
  const second: [number, number][] = [marker, ...first.slice(1)]
  const utc = ({ intervals }: Reading) => intervals.map(({ start }) => iso(start)!.slice(11, 16))
  const all = ['06:00', '06:15', '06:30', '06:45', '07:00', '07:15', '07:30', '07:45']

  test('has 100 distinct instants, although a row says 02:00,01:15', async () => {
    const report = makeIntervalReport([day])
    expect(report.bytes.toString()).toContain(' 02:00, 01:15,')
    const reading = await read(report.bytes)
    expect(reading.intervals).toEqual(promised(report))
    expect(distinct(reading)).toBe(100)
    expect(reading.account.quality.ambiguousHourAssumed).toBe(0)
  })

  test('has 100 distinct instants when the second pass is labelled properly', async () => {
    const report = makeIntervalReport([day], { properRepeat: true })
    const reading = await read(report.bytes)
    expect(reading.intervals).toEqual(promised(report))
    expect(distinct(reading)).toBe(100)
  })

  test('without a second pass assumes the first, and says so', async () => {
    const report = makeIntervalReport([day], { secondPass: false })
    const reading = await read(report.bytes)
    expect(inFileOrder(reading)).toEqual(promised(report))
    expect(reading.account).toMatchObject({ rows: { accepted: 96 }, quality: { ambiguousHourAssumed: 1 } })
  })

  test.each([false, true])('keeps interleaved directions apart, labelled properly: %s', async properRepeat => {
    const report = makeIntervalReport([makeMeterDay({ esiid, date, solar: true })], { properRepeat })
    const reading = await read(report.bytes)
    expect(inFileOrder(reading)).toEqual(promised(report))
    expect([distinct(reading), reading.intervals.length]).toEqual([100, 200])
  })

  test('keeps meters and revisions apart however their rows are mixed', async () => {
    const revised = makeMeterDay({ esiid, date, revision: '2025-11-05 07:00:00' })
    const days = [day, revised, makeMeterDay({ esiid: longEsiid, date, revision: null })]
    const reports = days.map(day => makeIntervalReport([day]))
    const columns = reports.map(({ bytes }) => bytes.toString().trimEnd().split('\n').slice(1))
    const mixed = columns[0]!.flatMap((_, i) => columns.map(rows => rows[i]!))
    const expected = reports.map(promised)
    expect(inFileOrder(await read(csv(...mixed)))).toEqual(
      expected[0]!.flatMap((_, i) => expected.map(rows => rows[i]))
    )
  })

  test.each([
    ['the last row of the first pass', [...first.slice(0, 3), ...second], all.filter(at => at !== '06:45')],
    ['the whole first pass', second, all.slice(4)],
    ['the row 02:00,01:15', [...first, ...second.slice(1)], all.filter(at => at !== '07:00')],
    ['the end of the second pass', [...first, ...second.slice(0, 2)], all.slice(0, 6)]
  ] as [string, [number, number][], string[]][])('reads the rest right when %s is lost', async (_, cells, expected) => {
    expect(utc(await read(csv(...hour(cells))))).toEqual(expected)
  })

  test('rejects what may be sorted by its labels: a row that ends as the one before does', async () => {
    const reading = await read(csv(...hour([...first.slice(0, 2), ...second.slice(1), [8, 9]])))
    expect(utc(reading)).toEqual(['08:00'])
    expect(rejectsOf(reading)).toEqual([2, 3, 4, 5, 6].map(line => ['ROW_AMBIGUOUS_HOUR', line]))
  })

  test('reads a day that the file lists twice', async () => {
    const { bytes } = makeIntervalReport([day, day])
    const { intervals } = await read(bytes)
    expect(intervals.slice(100)).toEqual(intervals.slice(0, 100))
  })

  test('takes a blank reading in the repeated hour as a step of the clock too', async () => {
    const rows = [...hour(first), ...hour([marker], { kwh: '', flag: '' }), ...hour(second.slice(1))]
    const reading = await read(csv(...rows))
    expect(utc(reading)).toEqual(all.filter(at => at !== '07:00'))
    expect(reading.account.rows.missing).toBe(1)
  })

  test('takes a row with a bad reading as a step of the clock too', async () => {
    const rows = [...hour(first), ...hour([marker], { kwh: 'n/a' }), ...hour(second.slice(1))]
    const reading = await read(csv(...rows))
    expect(utc(reading)).toEqual(all.filter(at => at !== '07:00'))
    expect(rejectsOf(reading)).toEqual([['ROW_BAD_KWH', 6]])
  })

  test('rejects the repeated hour where its rows are out of order', async () => {
    const afterwards = hour([[8, 9], ...first])
    expect(rejectsOf(await read(csv(...afterwards)))).toEqual([3, 4, 5, 6].map(line => ['ROW_AMBIGUOUS_HOUR', line]))
    const thrice = hour([...first, ...second, [5, 6]])
    expect(rejectsOf(await read(csv(...thrice)))).toEqual([['ROW_AMBIGUOUS_HOUR', 10]])
  })

  test('of a day listed backwards rejects the repeated hour alone', async () => {
    const { bytes } = makeIntervalReport([day])
    const rows = bytes.toString().trimEnd().split('\n').slice(1).reverse()
    const reading = await read(csv(...rows))
    expect(rejectsOf(reading).map(([code]) => code)).toEqual(new Array(8).fill('ROW_AMBIGUOUS_HOUR'))
    expect(distinct(reading)).toBe(92)
  })

  test('takes 02:00,01:15 for no quarter hour on any other day', async () => {
    const reading = await read(csv(row(), row({ start: '02:00', end: '01:15' })))
    expect(rejectsOf(reading)).toEqual([['ROW_NOT_15_MINUTES', 3]])
  })
})

describe('the shape of the file', () => {
  const report = makeIntervalReport([
    makeMeterDay({ esiid, date: '2025-07-14', solar: true, estimated: true }),
    makeMeterDay({ esiid: longEsiid, date: '2025-07-14' })
  ])
  const text = report.bytes.toString()
  const expected = promised(report)

  test.each([
    ['LF', text],
    ['CR LF', text.replaceAll('\n', '\r\n')],
    ['CR', text.replaceAll('\n', '\r')],
    ['CR CR LF', text.replaceAll('\n', '\r\r\n')],
    ['a byte-order mark', `\ufeff${text}`],
    ['no final line end', text.trimEnd()],
    ['a CR and no LF at the end', text.replaceAll('\n', '\r\n').slice(0, -1)],
    ['blank lines', `${text.replaceAll('Surplus Generation\n', 'Surplus Generation\n\n \n')}\n\n`],
    ['blanks around every cell', text.replaceAll(',', ' , ')],
    ['every cell quoted', text.replace(/[^,\n]+/g, '"$&"')],
    ['the header in small letters', text.replace(intervalHeader, intervalHeader.toLowerCase())]
  ])('reads %s', async (_, text) => {
    const { intervals, account } = await read(text)
    expect(intervals).toEqual(expected)
    expect(account.rows).toMatchObject({ read: expected.length, rejected: 0 })
  })

  test('reads columns in another order, with others between them', async () => {
    const order = ['extra', 7, 0, 3, 2, 6, 5, 'other', 4, 1] as const
    const mixed = text
      .trimEnd()
      .split('\n')
      .map((line, i) => {
        const cells = line.split(',')
        return order.map(at => (typeof at === 'number' ? cells[at] : i === 0 ? at : 'x')).join(',')
      })
    expect((await read(mixed.join('\n'))).intervals).toEqual(expected)
  })

  test('reads the six columns of before 2019 as consumption without revision', async () => {
    const header = 'ESIID,USAGE_DATE,USAGE_START_TIME,USAGE_END_TIME,USAGE_KWH,ESTIMATED_ACTUAL'
    const { intervals, account } = await read(`${header}\n'${esiid},07/14/2018, 12:00, 12:15,0.874,E\n`)
    expect(account.entries[0]!.layout).toBe('smt-interval-2018')
    expect(intervals).toMatchObject([{ kwh: 0.874, estimated: true, direction: 'consumption', revision: null }])
  })

  test('counts a repeated header, and goes on', async () => {
    const { lines, account } = await read(csv(row(), intervalHeader, row(quarter(1)), intervalHeader))
    expect(lines).toEqual([2, 4])
    expect(account.rows).toMatchObject({ read: 4, accepted: 2, repeatedHeader: 2 })
  })

  test('counts the header of a joined file as repeated, byte-order mark and all', async () => {
    const { account } = await read(csv(row(), `\ufeff${intervalHeader}`, row(quarter(1))))
    expect(account.rows).toMatchObject({ read: 3, accepted: 2, repeatedHeader: 1 })
  })

  test('passes over blank lines before the header, and counts them as lines', async () => {
    const reading = await read(`\n  \r\n${csv(row(), row({ kwh: 'x' }))}`)
    expect(reading.lines).toEqual([4])
    expect(rejectsOf(reading)).toEqual([['ROW_BAD_KWH', 5]])
  })

  test('does not take what macOS puts beside a member for intervals', async () => {
    const shadow = { name: '__MACOSX/._IntervalData.csv', bytes: Buffer.from('\0\u0005\u0016\u0007') }
    const { account } = await read(makeZip([{ name: 'IntervalData.csv', bytes: Buffer.from(csv(row())) }, shadow]))
    expect(account.entries.map(({ outcome }) => outcome)).toEqual(['used', 'unhandled'])
  })

  test.each([
    ['LF rows behind CR rows', (a: string, b: string) => `${a.replaceAll('\n', '\r')}${b}`],
    ['CR rows behind LF rows', (a: string, b: string) => `${a}${b.replaceAll('\n', '\r')}`],
    ['CR LF rows behind CR rows', (a: string, b: string) => `${a.replaceAll('\n', '\r')}${b.replaceAll('\n', '\r\n')}`]
  ])('reads files that were joined with other line ends: %s', async (_, join) => {
    const rows = Array.from({ length: 8 }, (_, n) => row(quarter(n)))
    const bytes = Buffer.from(join(csv(...rows.slice(0, 4)), `${rows.slice(4).join('\n')}\n`))
    const { account, intervals } = await read(bytes)
    expect(account.rows).toMatchObject({ read: 8, accepted: 8 })
    for (const chunks of cuts(bytes)) expect((await read(chunks)).intervals).toEqual(intervals)
  })

  test('lets an unclosed quote cost its own row alone', async () => {
    const reading = await read(csv(row(), row({ kwh: '"0.231' }), row(quarter(1))))
    expect(rejectsOf(reading)).toEqual([['ROW_UNCLOSED_QUOTE', 3]])
    expect(reading.lines).toEqual([2, 4])
  })

  test('reads the same rows wherever a chunk ends', async () => {
    const bad = row({ kwh: 'n/a' })
    const rows = [row(), row(quarter(1)), bad, `"${esiid}"${row().slice(18)}`, intervalHeader, '', row(quarter(2))]
    const bytes = Buffer.from(`\ufeff${csv(...rows).replaceAll('\n', '\r\n')}${row({ date: '11/02/2025' })}`)
    const { intervals, lines, account } = await read(bytes)
    expect(account.rows).toEqual({ read: 7, accepted: 5, rejected: 1, placeholder: 0, missing: 0, repeatedHeader: 1 })
    for (const chunks of cuts(bytes)) expect(await read(chunks)).toMatchObject({ intervals, lines, account })
  })

  test.each([1, 2, 3, 8192])(
    'gives each row its own meter wherever a chunk ends, in batches of %i',
    async batchRows => {
      const other = "'10443720009999002"
      const bytes = Buffer.from(csv(row({ esiid: other, kwh: '0.2315' }), ...[0, 1, 2, 3].map(n => row(quarter(n)))))
      const meters = [other.slice(1), ...new Array(4).fill(esiid)]
      for (const chunks of cuts(bytes)) {
        const { intervals, batches } = await read(chunks, { batchRows })
        expect(intervals.map(({ esiid }) => esiid)).toEqual(meters)
        expect(batches.flatMap(({ esiids }) => esiids).every(text => meters.includes(text))).toBe(true)
      }
    }
  )

  test('gives each row its own meter in a file of many, whatever the size of the chunks', async () => {
    const days = Array.from({ length: 200 }, (_, n) =>
      makeMeterDay({ esiid: makeEsiid(n, n % 3 ? 17 : 22), date: '2025-07-14' })
    )
    const report = makeIntervalReport(days)
    const meters = [...report.expected()].map(({ esiid }) => esiid)
    for (let size = 3001; size < 12_000; size += 701) {
      const { intervals } = await read(pieces(report.bytes, size), { batchRows: 100 })
      expect(intervals.map(({ esiid }) => esiid)).toEqual(meters)
    }
  })

  test('neither keeps nor changes the chunks it is given', async () => {
    async function* overwritten() {
      const chunk = Buffer.alloc(97)
      for (let at = 0; at < report.bytes.length; at += 97) {
        const piece = report.bytes.subarray(at, at + 97)
        chunk.fill(0).set(piece)
        const given = chunk.subarray(0, piece.length)
        yield given
        expect(given.equals(piece)).toBe(true)
      }
    }
    const values = new IntervalParser().stream()
    const out: unknown[] = []
    values.on('data', value => out.push(...(Symbol.iterator in value ? value : [])))
    for await (const chunk of overwritten()) {
      // The next one overwrites it, so it must have been taken in.
      values.write(chunk)
      await new Promise(setImmediate)
    }
    values.end()
    await once(values, 'end')
    expect(out).toEqual(expected)
  })
})

describe('batches', () => {
  const report = makeIntervalReport([
    makeMeterDay({ esiid, date: '2025-07-14', missing: 3 }),
    makeMeterDay({ esiid: longEsiid, date: '2025-11-02' })
  ])

  test.each([1, 7, 64, 8192])('say the same in pieces of %i rows', async batchRows => {
    const { intervals, batches } = await read(report.bytes, { batchRows })
    expect(intervals).toEqual(promised(report))
    expect(batches.slice(0, -1).every(({ length }) => length === batchRows)).toBe(true)
    expect(batches.at(-1)!.length).toBeLessThanOrEqual(batchRows)
  })

  test('point at the line of each row', async () => {
    const lines = report.bytes.toString().split('\n')
    const reading = await read(report.bytes, { batchRows: 50 })
    expect(reading.intervals).toHaveLength(193)
    for (const [i, line] of reading.lines.entries()) {
      const cells = lines[line - 1]!.split(',')
      expect([cells[0], Number(cells[5])]).toEqual([`'${reading.intervals[i]!.esiid}`, reading.intervals[i]!.kwh])
    }
  })

  test('come wholly from one entry, and name it', async () => {
    const zip = makeZip([
      { name: 'IntervalA.csv', bytes: Buffer.from(csv(...goodRows(30))) },
      { name: 'IntervalB.csv', bytes: Buffer.from(csv(...goodRows(20))) }
    ])
    const { batches } = await read(zip, { batchRows: 12 })
    expect(batches.map(({ entry, length }) => [entry.index, entry.name, length])).toEqual([
      [0, 'IntervalA.csv', 12],
      [0, 'IntervalA.csv', 12],
      [0, 'IntervalA.csv', 6],
      [1, 'IntervalB.csv', 12],
      [1, 'IntervalB.csv', 8]
    ])
    expect(batches[3]!.line[0]).toBe(2)
  })

  test('hold each meter once', async () => {
    const { batches } = await read(report.bytes)
    expect(batches[0]!.esiids).toEqual([esiid, longEsiid])
    expect([batches[0]!.esiid(0), batches[0]!.esiid(192)]).toEqual([esiid, longEsiid])
  })
})

describe('rows that cannot be read', () => {
  test.each([
    ['ROW_CELL_COUNT', `${row()},more`],
    ['ROW_CELL_COUNT', "'10443720009999001,07/14/2025"],
    ['ROW_UNCLOSED_QUOTE', row({ direction: '"Consumption' })],
    ['ROW_BAD_ESIID', row({ esiid: '' })],
    ['ROW_BAD_ESIID', row({ esiid: '20443720009999001' })],
    ['ROW_BAD_ESIID', row({ esiid: `${esiid}0` })],
    ['ROW_BAD_ESIID', row({ esiid: `${longEsiid}0` })],
    ['ROW_BAD_ESIID', row({ esiid: '1044372000999900l' })],
    ['ROW_ESIID_AS_NUMBER', row({ esiid: '1.04437E+16' })],
    ['ROW_ESIID_AS_NUMBER', row({ esiid: "'1.0089e21" })],
    ['ROW_BAD_DATE', row({ date: '' })],
    ['ROW_BAD_DATE', row({ date: '2025-07-14' })],
    ['ROW_BAD_DATE', row({ date: '02/29/2025' })],
    ['ROW_BAD_DATE', row({ date: '13/01/2025' })],
    ['ROW_BAD_DATE', row({ date: '00/10/2025' })],
    ['ROW_BAD_DATE', row({ date: '07/14/0025' })],
    ['ROW_TWO_DIGIT_YEAR', row({ date: '7/14/25' })],
    ['ROW_TWO_DIGIT_YEAR', row({ revision: '7/15/25 6:41' })],
    ['ROW_BAD_REVISION', row({ revision: '07/15/2025' })],
    ['ROW_BAD_REVISION', row({ revision: 'n/a' })],
    ['ROW_BAD_REVISION', row({ revision: '02/30/2025 06:41:12' })],
    ['ROW_BAD_REVISION', row({ revision: '07/15/2025 24:00:00' })],
    ['ROW_TWELVE_HOUR_CLOCK', row({ revision: '7/15/2025 6:41 AM' })],
    ['ROW_BAD_TIME', row({ start: '' })],
    ['ROW_BAD_TIME', row({ start: '00:60' })],
    ['ROW_BAD_TIME', row({ end: '24:15' })],
    ['ROW_BAD_TIME', row({ end: '00:15:00' })],
    ['ROW_TWELVE_HOUR_CLOCK', row({ start: '6:41 AM' })],
    ['ROW_TWELVE_HOUR_CLOCK', row({ end: '12:15 p.m.' })],
    ['ROW_NOT_15_MINUTES', row({ start: '00:00', end: '02:00' })],
    ['ROW_NOT_15_MINUTES', row({ start: '00:05', end: '00:20' })],
    ['ROW_NOT_15_MINUTES', row({ start: '00:15', end: '00:15' })],
    ['ROW_BAD_TIME', row({ start: '24:00', end: '00:15' })],
    ['ROW_BAD_TIME', row({ start: ' 25:00', end: ' 00:15' })],
    ['ROW_NONEXISTENT_HOUR', row({ date: '03/09/2025', start: '02:00', end: '02:15' })],
    ['ROW_BAD_KWH', row({ kwh: 'n/a' })],
    ['ROW_BAD_KWH', row({ kwh: '.' })],
    ['ROW_BAD_KWH', row({ kwh: '-' })],
    ['ROW_BAD_KWH', row({ kwh: '1e-3' })],
    ['ROW_BAD_KWH', row({ kwh: '"1,234.5"' })],
    ['ROW_BAD_KWH', row({ kwh: '0x1' })],
    ['ROW_NEGATIVE_KWH', row({ kwh: '-0.001' })],
    ['ROW_KWH_OUT_OF_RANGE', row({ kwh: '10000000' })],
    ['ROW_KWH_OUT_OF_RANGE', row({ kwh: '0.000001' })],
    ['ROW_KWH_OUT_OF_RANGE', row({ kwh: '9999999.999999' })],
    ['ROW_BAD_FLAG', row({ flag: 'X' })],
    ['ROW_BAD_FLAG', row({ flag: '' })],
    ['ROW_BAD_FLAG', row({ kwh: '', flag: 'X' })],
    ['ROW_BAD_DIRECTION', row({ direction: '' })],
    ['ROW_BAD_DIRECTION', row({ direction: 'Generation' })]
  ])('%s: %s', async (code, bad) => {
    const reading = await read(csv(row(), bad, row(quarter(1))))
    expect(rejectsOf(reading)).toEqual([[code, 3]])
    expect(reading.lines).toEqual([2, 4])
  })

  test('ROW_AMBIGUOUS_HOUR: a row of the repeated hour after the hour', async () => {
    const at = { date: '11/02/2025' }
    const reading = await read(csv(row({ ...at, ...quarter(9) }), row({ ...at, ...quarter(5) })))
    expect(rejectsOf(reading)).toEqual([['ROW_AMBIGUOUS_HOUR', 3]])
  })

  test('are named by the byte at which they begin, too', async () => {
    const text = csv(row(), row({ kwh: 'n/a' }), row())
    const [reject] = (await read(text)).account.entries[0]!.rejects
    expect(text.slice(reject!.offset)).toMatch(/^'10443720009999001,.*n\/a/)
  })

  test('are not kept: they identify homes', async () => {
    const { account } = await read(csv(row(), row({ kwh: 'n/a' })))
    expect(Object.keys(account.entries[0]!.rejects[0]!)).toEqual(['code', 'line', 'offset', 'reason'])
  })
})

describe('too many rejected rows', () => {
  const bad = (n: number) => new Array<string>(n).fill(row({ kwh: 'n/a' }))
  const tooMany = async (bytes: Bytes, options?: IntervalParserOptions) => {
    const error = await failureOf(read(bytes, { path, ...options }))
    expect(error).toMatchObject({ code: 'PARSE_TOO_MANY_REJECTS', retryable: false, file: path })
    return error
  }

  test.each([1, 20, 1500])('when all %i rows are rejected for one reason, that is the reason of the file', async n => {
    const error = await failureOf(read(csv(...bad(n)), { path }))
    expect(error).toMatchObject({ code: 'ROW_BAD_KWH', file: path, line: 2 })
  })

  test('when they are rejected for several reasons, their number is', async () => {
    await tooMany(csv(row({ kwh: 'n/a' }), row({ flag: 'X' })))
  })

  test('ten pass in every file, eleven do not', async () => {
    expect((await read(csv(row(), ...bad(10)))).account.rows.rejected).toBe(10)
    const error = await tooMany(csv(row(), ...bad(10), row({ flag: 'X' })))
    expect(error).toMatchObject({ line: 3 })
    expect(error.message).toContain('11 of 12 rows rejected (ROW_BAD_KWH 10, ROW_BAD_FLAG 1)')
  })

  test('of a long file one in a thousand passes', async () => {
    const good = goodRows(12_000 - 12)
    expect((await read(csv(...good, ...bad(12)))).account.rows.rejected).toBe(12)
    await tooMany(csv(...good.slice(1), ...bad(13)))
  })

  test('a thousand pass at most, and the thousand and first ends the reading', async () => {
    const options = { maxRejectShare: 1 }
    expect((await read(csv(row(), ...bad(1000)), options)).account.rows.rejected).toBe(1000)
    async function* endless() {
      yield Buffer.from(csv(row()))
      for (;;) yield Buffer.from(`${row({ kwh: 'n/a' })}\n`)
    }
    // The line is the one of the first reject: there somebody has to look.
    const error = await tooMany(endless(), options)
    expect(error).toMatchObject({ line: 3 })
    expect(error.message).toContain('1001 of 1002 rows rejected')
  })

  test('the limits can be set', async () => {
    expect((await read(csv(row(), ...bad(30)), { maxRejectShare: 1 })).account.rows.rejected).toBe(30)
    await tooMany(csv(row(), ...bad(1)), { maxRejects: 0 })
    await tooMany(csv(row(), ...bad(4)), { maxRejects: 3 })
  })

  test('are counted over all entries', async () => {
    const zip = makeZip(['a', 'b'].map(name => ({ name, bytes: Buffer.from(csv(row(), ...bad(6))) })))
    expect((await tooMany(zip)).message).toContain('12 of 14 rows rejected')
    await tooMany(zip, { maxRejects: 11, maxRejectShare: 1 })
  })
})

describe('a file that cannot be read, of a message that turns out to be altered', () => {
  async function* altered(bytes: number) {
    yield Buffer.from(csv(row()).replace('USAGE_KWH,', ''))
    for (let left = bytes; left > 0; left -= 1024 * 1024) yield Buffer.alloc(1024 * 1024, 120)
    throw new DecryptError('DECRYPT_CORRUPT', 'the message was altered')
  }

  test('fails for the alteration, not for the nonsense that came of it', async () => {
    expect(await failureOf(read(altered(1024 * 1024)))).toMatchObject({ code: 'DECRYPT_CORRUPT' })
  })

  test('is not read on for ever to find that out', async () => {
    expect(await failureOf(read(altered(80 * 1024 * 1024)))).toMatchObject({ code: 'PARSE_MISSING_COLUMN' })
  })
})

describe('what no stage before has opened', () => {
  const zip = makeZip([{ name: 'a.csv', bytes: Buffer.from(csv(row())) }])
  test.each([
    ['an armored message', Buffer.from('-----BEGIN PGP MESSAGE-----\n\nabc\n')],
    ['one below a line of text', Buffer.from('Your report:\n-----BEGIN PGP MESSAGE-----\n\nabc\n')],
    ['a binary message', Buffer.from([0xc1, 0x0c, 3, 1, 2, 3, 4, 5, 6, 7, 8, 1, 0, 0, 0xd2, 0x02, 1, 9])],
    ['gzip', gzipSync(csv(row()))],
    ['a ZIP with a byte before it', Buffer.concat([Buffer.from('x'), zip])],
    ['a ZIP that is cut to three bytes', zip.subarray(0, 3)],
    ['a ZIP that extracts itself', Buffer.concat([Buffer.from('MZ\x90\0\x03'.padEnd(20_000, '\0'), 'latin1'), zip])]
  ])('is refused and not taken for a report of another kind: %s', async (_, bytes) => {
    const options = { path: '/in/20250715.CSV.asc' }
    expect(await failureOf(read(bytes, options))).toMatchObject({ code: 'PARSE_UNOPENED' })
    const one = Array.from(bytes, byte => Uint8Array.of(byte))
    expect(await failureOf(read(one, options))).toMatchObject({ code: 'PARSE_UNOPENED' })
  })
})

describe('files that cannot be read', () => {
  const utf16 = Buffer.from(csv(row()), 'utf16le')
  const page = '<!DOCTYPE html>\n<html><body>Session expired</body></html>\n'
  const cases: [string, Bytes, string][] = [
    ['an empty file', '', 'PARSE_EMPTY'],
    ['a header and no row', csv(), 'PARSE_NO_ROWS'],
    ['a header and no line end', intervalHeader, 'PARSE_NO_ROWS'],
    ['an HTML error page', page, 'PARSE_HTML'],
    ['an HTML page in capitals', `  ${page.toUpperCase()}`, 'PARSE_HTML'],
    ['an XHTML page', '<?xml version="1.0"?><html></html>', 'PARSE_HTML'],
    [
      'an .xlsx renamed .csv',
      makeZip([{ name: '[Content_Types].xml', bytes: Buffer.from('<Types/>') }]),
      'PARSE_SPREADSHEET'
    ],
    ['UTF-16 LE with its mark', Buffer.concat([Buffer.from([0xff, 0xfe]), utf16]), 'PARSE_UTF16'],
    ['UTF-16 LE without', utf16, 'PARSE_UTF16'],
    ['UTF-16 BE with its mark', Buffer.concat([Buffer.from([0xff, 0xfe]), utf16]).swap16(), 'PARSE_UTF16'],
    ['UTF-16 BE without', Buffer.from(utf16).swap16(), 'PARSE_UTF16'],
    ['semicolons', csv(row()).replaceAll(',', ';'), 'PARSE_SEPARATOR'],
    ['tabs', csv(row()).replaceAll(',', '\t'), 'PARSE_SEPARATOR'],
    ['a missing column', csv(row()).replace('USAGE_KWH,', ''), 'PARSE_MISSING_COLUMN'],
    [
      'a missing direction beside a revision',
      csv(row()).replace(',CONSUMPTION_SURPLUSGENERATION', ''),
      'PARSE_MISSING_COLUMN'
    ],
    ['a column that stands twice', csv(row()).replace('USAGE_KWH,', 'USAGE_KWH,usage_kwh,'), 'PARSE_DUPLICATE_COLUMN'],
    ['another header', 'MeterNumber,Reading\n1,2\n', 'PARSE_UNKNOWN_HEADER'],
    ['a line that never ends', `${csv(row())}${'x'.repeat(100_000)}`, 'PARSE_LINE_TOO_LONG']
  ]

  test.each(cases)('refuses %s', async (_, bytes, code) => {
    const error = await failureOf(read(bytes, { path }))
    expect(error).toBeInstanceOf(ParseError)
    expect(error).toMatchObject({ code, file: path, retryable: false, stopsRun: false })
    expect(error.message).toContain(path)
  })

  test.each(cases.filter(([, bytes]) => bytes.toString() !== ''))('refuses %s byte by byte', async (_, bytes, code) => {
    const one = Array.from(Buffer.from(bytes as string), byte => Buffer.from([byte]))
    expect((await failureOf(read(one, { path }))).code).toBe(code)
  })

  test.each([
    ['PARSE_EMPTY', Buffer.alloc(0)],
    ['PARSE_NO_ROWS', Buffer.from(csv())],
    ['PARSE_HTML', Buffer.from(page)],
    ['PARSE_UTF16', utf16],
    ['PARSE_SEPARATOR', Buffer.from(csv(row()).replaceAll(',', ';'))],
    ['PARSE_MISSING_COLUMN', Buffer.from(csv(row()).replace('USAGE_KWH,', ''))],
    ['PARSE_DUPLICATE_COLUMN', Buffer.from(csv(row()).replace('USAGE_KWH,', 'USAGE_KWH,usage_kwh,'))],
    ['PARSE_UNKNOWN_HEADER', Buffer.from('MeterNumber,Reading\n')],
    ['PARSE_LINE_TOO_LONG', Buffer.from(`${csv(row())}${'x'.repeat(10_000)}`)],
    ['PARSE_TOO_MANY_REJECTS', Buffer.from(csv(row(), ...new Array<string>(11).fill(row({ kwh: 'n/a' }))))],
    ['ROW_BAD_KWH', Buffer.from(csv(row({ kwh: 'n/a' })))]
  ])('%s names the entry of an archive', async (code, bytes) => {
    const zip = makeZip([
      { name: 'readme.txt', bytes: Buffer.from('hello') },
      { name: 'IntervalMeterUsage.CSV', bytes }
    ])
    const error = await failureOf(read(zip, { path: '/inbox/x.zip' }))
    expect(error).toMatchObject({ code, file: '/inbox/x.zip', entry: 'IntervalMeterUsage.CSV' })
    expect(error.message).toContain('/inbox/x.zip entry IntervalMeterUsage.CSV')
  })

  test('names the line that is too long, wherever a chunk ends', async () => {
    const bytes = Buffer.from(`${csv(row(), row(quarter(1)))}${'x'.repeat(9000)}\n`)
    const [a, b] = [bytes.subarray(0, 600), bytes.subarray(600)]
    for (const chunks of [[bytes], [a, b]]) {
      expect(await failureOf(read(chunks, { path }))).toMatchObject({ code: 'PARSE_LINE_TOO_LONG', line: 4 })
    }
  })

  test('names the columns that are missing', async () => {
    const one = csv(row()).replace('USAGE_KWH,', '')
    expect((await failureOf(read(one))).message).toBe('column USAGE_KWH is missing from the header')
    const two = one.replace('ESIID,', '')
    expect((await failureOf(read(two))).message).toContain('columns ESIID, USAGE_KWH are missing')
  })

  test('gives no account of a file that fails, whatever came before', async () => {
    const parser = new IntervalParser({ batchRows: 2 }).stream()
    const seen: string[] = []
    const work = pipeline(
      Readable.from([Buffer.from(csv(...goodRows(6))), Buffer.alloc(20_000, 'x')]),
      parser,
      async values => {
        for await (const value of values) seen.push(value.constructor.name)
      }
    )
    expect((await failureOf(work)).code).toBe('PARSE_LINE_TOO_LONG')
    expect(seen).not.toContain('FileAccount')
  })
})

describe('entries that are not intervals', () => {
  const intervals = { name: 'IntervalMeterUsage.CSV', bytes: Buffer.from(csv(...goodRows(3))) }

  test('are recorded as unhandled, and cost nothing', async () => {
    const bytes = Buffer.from('METER,STATE\n1,on\n')
    const { account } = await read(makeZip([{ name: 'meters.csv', bytes }, intervals]))
    expect(account.entries.map(({ name, outcome, rows }) => [name, outcome, rows.read])).toEqual([
      ['meters.csv', 'unhandled', 0],
      ['IntervalMeterUsage.CSV', 'used', 3]
    ])
    expect(account.entries[0]).toMatchObject({ kind: 'unknown', bytes: bytes.length, header: 'METER,STATE' })
    expect(account.entries[0]!.crc32).toMatch(/^[0-9a-f]{8}$/)
  })

  test('have the digits of their header masked', async () => {
    const zip = makeZip([{ name: 'x.txt', bytes: Buffer.from(`'${esiid},1234567,${longEsiid}\n`) }, intervals])
    expect((await read(zip)).account.entries[0]!.header).toBe(`'${'#'.repeat(17)},1234567,${'#'.repeat(22)}`)
  })

  test('have their header cut short and made safe for a terminal', async () => {
    const zip = makeZip([{ name: 'x.bin', bytes: Buffer.from(`\u001b[31m${'y'.repeat(5000)}`) }, intervals])
    const { header } = (await read(zip)).account.entries[0]!
    expect(header).toMatch(/^·\[31my+…$/)
    expect(header!.length).toBeLessThan(210)
  })

  test('may be folders, empty, binary, HTML or UTF-16', async () => {
    const others = [
      { name: 'reports/', bytes: Buffer.alloc(0), method: 'store' as const },
      { name: 'empty.txt', bytes: Buffer.alloc(0) },
      { name: 'logo.png', bytes: Buffer.from(Array.from({ length: 70_000 }, (_, i) => (i * 7) % 256)) },
      { name: 'readme.html', bytes: Buffer.from('<html></html>') },
      { name: 'notes.txt', bytes: Buffer.from('\ufeffnotes for you', 'utf16le') }
    ]
    const { account } = await read(makeZip([...others, intervals]))
    expect(account.entries.map(({ kind }) => kind)).toEqual(['folder', ...new Array(4).fill('unknown'), 'intervals'])
    expect(account.entries.map(({ bytes }) => bytes)).toEqual([...others, intervals].map(({ bytes }) => bytes.length))
  })

  test('fail the file when they are named like intervals', async () => {
    for (const name of ['IntervalMeterUsage.CSV', 'a/b/INTERVALDATA.txt', 'a\\b\\my_interval.csv']) {
      const error = await failureOf(read(makeZip([{ name, bytes: Buffer.from('MeterNumber,Reading\n') }])))
      expect(error).toMatchObject({ code: 'PARSE_UNKNOWN_HEADER', entry: name })
    }
  })

  test('do not fail the file when only a folder of theirs is named like intervals', async () => {
    const zip = makeZip([{ name: 'intervals/readme.txt', bytes: Buffer.from('hello') }, intervals])
    expect((await read(zip)).account.entries[0]!.outcome).toBe('unhandled')
  })

  test('are told by their header first: an interval report under any name is used', async () => {
    const { account } = await read(makeZip([{ ...intervals, name: 'DailyMeterUsage.CSV' }]))
    expect(account.entries[0]!.outcome).toBe('used')
  })

  test('alone make no interval file of one that is named so', async () => {
    const row = `'${esiid},07/14/2025,,1,2,1`
    const zip = makeZip([{ name: 'DailyMeterUsage.CSV', bytes: Buffer.from(`${dailyHeader}\n${row}\n`) }])
    expect((await read(zip, { path: '/inbox/Daily.zip' })).intervals).toEqual([])
    const error = await failureOf(read(zip, { path: '/inbox/IntervalData.zip' }))
    expect(error).toMatchObject({ code: 'PARSE_UNKNOWN_HEADER', file: '/inbox/IntervalData.zip' })
  })
})

describe('I7: every row accounted for', () => {
  test('rows read equal the sum of their outcomes, per entry and in all', async () => {
    const day = makeMeterDay({ esiid, date: '2025-03-09', missing: 5, estimated: true })
    day.series[0]!.milliKwh[90] = spoiledReading
    const report = makeIntervalReport([day, makeMeterDay({ esiid: longEsiid, date: '2025-07-14' })])
    const bytes = Buffer.concat([report.bytes, Buffer.from(`${intervalHeader}\n`)])
    const { account, intervals } = await read(
      makeZip([
        { name: 'a', bytes },
        { name: 'b', bytes: report.bytes }
      ])
    )
    expect(account.rows).toEqual({
      read: 385,
      accepted: 364,
      rejected: 2,
      placeholder: 8,
      missing: 10,
      repeatedHeader: 1
    })
    expect(account.entries.map(({ rows }) => rows.read)).toEqual([193, 192])
    expect([account, ...account.entries].every(rowsAddUp)).toBe(true)
    expect(intervals).toHaveLength(account.rows.accepted)
  })

  test('quality sums up what the accepted rows say', async () => {
    const day = makeMeterDay({ esiid, date: '2025-07-14', solar: true, estimated: true })
    day.series[0]!.milliKwh[0] = missingReading
    const { totals, bytes } = makeIntervalReport([day])
    const { quality } = (await read(bytes)).account
    expect(quality).toEqual({
      estimated: totals.estimated,
      kwh: {
        consumption: totals.milliKwh.consumption / 1000,
        surplusGeneration: totals.milliKwh['surplus-generation'] / 1000
      },
      first: Date.parse('2025-07-14T05:00:00Z'),
      last: Date.parse('2025-07-15T04:45:00Z'),
      ambiguousHourAssumed: 0,
      repeats: { duplicates: 0, conflicts: 0, overlaps: 0, unchecked: 0 }
    })
  })

  test('a file of nothing but blank readings is read, and gives no interval', async () => {
    const { account, batches } = await read(csv(row({ kwh: '', flag: '' })))
    expect(batches).toEqual([])
    expect(account.quality).toMatchObject({ first: null, last: null })
  })
})

describe('I11: ESIIDs stay secret', () => {
  const anyEsiid = /10\d{15}/

  test('a batch is printed without meters and readings', async () => {
    const { batches } = await read(csv(row()), { path })
    const [batch] = batches
    expect(inspect(batch)).toBe('IntervalBatch { 1 intervals of 1 meters, entry IntervalData_2025.csv }')
    expect(inspect({ deep: [batch] }, { depth: 9, showHidden: true })).not.toMatch(anyEsiid)
  })

  test('an error shortens the ESIID of a file name, and masks that of a header', async () => {
    const named = await failureOf(read(csv(), { path: `/inbox/Interval_${esiid}.csv` }))
    expect(named.message).toContain('Interval_…9001.csv')
    const headless = await failureOf(read(`${row()}\n`, { path }))
    expect(headless.code).toBe('PARSE_UNKNOWN_HEADER')
    expect(inspect(headless)).not.toMatch(anyEsiid)
  })

  test('no error about rows holds what stands in them', async () => {
    for (const bad of [row({ kwh: 'n/a' }), `${row()}${'x'.repeat(9000)}`]) {
      const error = await failureOf(read(csv(...new Array<string>(11).fill(bad)), { path }))
      expect(inspect(error, { showHidden: true })).not.toMatch(anyEsiid)
    }
  })

  test('an account is printed without ESIIDs', async () => {
    const zip = makeZip([
      { name: 'x.txt', bytes: Buffer.from(row()) },
      { name: 'Interval.csv', bytes: Buffer.from(csv(row(), row({ kwh: 'n/a' }))) }
    ])
    expect(inspect((await read(zip)).account, { depth: 9 })).not.toMatch(anyEsiid)
  })
})

describe('the stage', () => {
  test.each([
    [{ batchRows: 0 }, 'batchRows'],
    [{ batchRows: 1.5 }, 'batchRows'],
    [{ maxRejects: -1 }, 'maxRejects'],
    [{ maxRejectShare: 2 }, 'maxRejectShare'],
    [{ maxRejectshare: 0.5 }, 'maxRejectshare']
  ])('refuses the options %j by name', (options, name) => {
    const make = () => new IntervalParser(options as IntervalParserOptions)
    expect(make).toThrow(ConfigError)
    expect(make).toThrow(`IntervalParser option \`${name}\``)
  })

  test('does not write to the options it is given', () => {
    const options = Object.freeze({ batchRows: 5 })
    expect(() => new IntervalParser(options)).not.toThrow()
  })

  test('reads several files at a time', async () => {
    const parser = new IntervalParser({ batchRows: 10 })
    const work = [1, 2, 3].map(async n => {
      const esiids = new Set<string>()
      const { bytes } = makeIntervalReport([makeMeterDay({ esiid: makeEsiid(n), date: '2025-11-02' })])
      await pipeline(Readable.from(pieces(bytes, 100)), parser.stream(), async values => {
        for await (const value of values) if (Symbol.iterator in value) for (const { esiid } of value) esiids.add(esiid)
      })
      return [...esiids]
    })
    expect(await Promise.all(work)).toEqual([[makeEsiid(1)], [makeEsiid(2)], [makeEsiid(3)]])
  })

  test('stops at once when its signal was raised before', async () => {
    const error = await failureOf(read(csv(row()), { path, signal: AbortSignal.abort('enough') }))
    expect(error).toMatchObject({ code: 'ABORTED', retryable: true, file: path, cause: 'enough' })
  })

  test('stops on its signal although nothing more arrives', async () => {
    const abort = new AbortController()
    const stalled = new PassThrough()
    stalled.write(csv(row()))
    const work = failureOf(pipeline(stalled, new IntervalParser().stream(undefined, { signal: abort.signal }).resume()))
    setTimeout(() => abort.abort(), 10)
    expect((await work).code).toBe('ABORTED')
    expect(stalled.destroyed).toBe(true)
  })

  test('lets go of the signal when it ends', async () => {
    const { signal } = new AbortController()
    await read(csv(row()), { signal })
    expect(getEventListeners(signal, 'abort')).toEqual([])
  })

  test('passes on what broke upstream', async () => {
    async function* broken() {
      yield Buffer.from(csv(row()))
      throw new RangeError('cable cut')
    }
    await expect(read(broken())).rejects.toThrow(new RangeError('cable cut'))
  })

  test('reads slowly when it is read slowly', async () => {
    let asked = 0
    async function* source() {
      const chunk = Buffer.from(goodRows(100).join('\n').concat('\n'))
      yield Buffer.from(`${intervalHeader}\n`)
      for (asked = 0; asked < 500; asked++) yield chunk
    }
    const stream = Readable.from(source()).pipe(new IntervalParser({ batchRows: 100 }).stream())
    await once(stream, 'readable')
    await new Promise(resolve => setTimeout(resolve, 50))
    expect(stream.read()).toHaveLength(100)
    expect(asked).toBeLessThan(60)
  })

  test('disposes of itself', async () => {
    await expect(new IntervalParser()[Symbol.asyncDispose]()).resolves.toBeUndefined()
  })
})

test('a damaged archive gives the same rows, or none that count and a typed error', async () => {
  const zip = makeZip([{ name: 'IntervalA.csv', bytes: Buffer.from(csv(row())) }], { dataDescriptors: true })
  const whole = await read(zip, { path: '/inbox/Interval.zip' })
  for (let at = 0; at < zip.length; at++) {
    const damaged = Buffer.from(zip)
    damaged[at]! ^= 0xff
    const outcome = await read(damaged, { path: '/inbox/Interval.zip' }).catch(error => error)
    if (!(outcome instanceof Error)) expect(outcome.intervals, `byte ${at}`).toEqual(whole.intervals)
    else expect(outcome).toMatchObject({ code: expect.stringMatching(/^(ZIP|PARSE)_/), file: '/inbox/Interval.zip' })
  }
})

function* pieces(bytes: Buffer, size: number): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}
