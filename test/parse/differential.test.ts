import fc from 'fast-check'
import { expect, test } from 'vitest'
import { makeIntervalReport, makeMeterDay } from '../../src/testing/index.ts'
import { readPlainly } from '../support/plain-reader.ts'
import { esiid, longEsiid, read } from './support.ts'

/** Days of every kind; the two clock changes more often than a calendar has them. */
const dates = ['2025-07-14', '2025-07-15', '2024-02-29', '2025-03-09', '2025-11-02', '2024-11-03', '2025-12-31']

/** What may stand in a row's cells instead of what SMT writes: good, odd or wrong. */
const oddCells = [
  ['', "'1.04437E+16", '20443720009999001', "'10443720009999002'", '1044372000999900', longEsiid],
  ['7/4/2025', '7/14/25', '2025-07-14', '02/29/2025', '11/2/2025', '3/9/2025', '00/00/0000', ''],
  ['', '7/15/2025 6:41', '7/15/2025 6:41 AM', '11/02/2025 01:30:00', '3/9/2025 2:30', '07/15/2025', '7/5/25 6:41'],
  ['0:00', '01:00', '24:00', '02:00', ' 1:45', '6:41 AM', '00:60', '', '00:07'],
  ['0:15', '01:15', '24:00', '00:00', '03:00', '12:15 PM', '24:15', '', 'x'],
  ['', '.145', '.1', '5.', '0', '-0.0', '-1', '1e3', '9999999.99999', '10000000', '0.000001', '0.100000', 'n/a', '.'],
  ['', 'E', 'a', 'X', 'AE'],
  ['Surplus Generation', 'SurplusGeneration', 'CONSUMPTION', 'Generation', '']
]

const meterDay = fc.record({
  esiid: fc.constantFrom(esiid, longEsiid, '10443720009999002'),
  date: fc.constantFrom(...dates),
  revision: fc.constantFrom(null, '2025-07-15 06:41:12', '2025-11-02 01:59:59', '2025-03-10 00:00:00'),
  solar: fc.boolean(),
  seed: fc.nat(9),
  // Which rows of the day are there, and how they are written.
  rows: fc.tuple(fc.integer({ min: 0, max: 30 }), fc.integer({ min: 1, max: 60 })),
  form: fc.record({
    secondPass: fc.boolean(),
    properRepeat: fc.boolean(),
    placeholders: fc.boolean(),
    bareDecimal: fc.boolean(),
    form: fc.constantFrom('smt' as const, 'spreadsheet' as const)
  })
})

const change = fc.record({
  at: fc.nat(),
  kind: fc.constantFrom('cell', 'cell', 'cell', 'drop', 'repeat', 'swap', 'quote', 'blank', 'header', 'cut', 'more'),
  column: fc.nat(7),
  pick: fc.nat()
})

const file = fc.record({
  days: fc.array(meterDay, { minLength: 1, maxLength: 4 }),
  mix: fc.constantFrom('one by one', 'row by row', 'shuffled'),
  changes: fc.array(change, { maxLength: 8 }),
  lineEnd: fc.constantFrom('\n', '\n', '\r\n', '\r'),
  mark: fc.constantFrom('', '\ufeff'),
  closed: fc.boolean(),
  columns: fc.constantFrom('all', 'all', 'six', 'turned'),
  seed: fc.nat(),
  chunk: fc.constantFrom(1, 13, 97, 1000, 100_000),
  batchRows: fc.constantFrom(1, 3, 50, 8192)
})

type File = typeof file extends fc.Arbitrary<infer T> ? T : never

function textOf({ days, mix, changes, lineEnd, mark, closed, columns, seed }: File): string {
  const lists = days.map(({ rows: [from, count], form, ...day }) => {
    const lines = makeIntervalReport([makeMeterDay(day)], form)
      .bytes.toString()
      .trimEnd()
      .split('\n')
    return { header: lines[0]!, rows: lines.slice(1).slice(from, from + count) }
  })
  const header = lists[0]!.header
  let rows = lists.flatMap(list => list.rows)
  if (mix === 'row by row') rows = [...Array(60).keys()].flatMap(i => lists.flatMap(list => list.rows[i] ?? []))
  if (mix === 'shuffled')
    rows = rows
      .map((row, i) => ({ row, key: (i * 7919 + seed) % 101 }))
      .sort((a, b) => a.key - b.key)
      .map(({ row }) => row)
  for (const { at, kind, column, pick } of changes) {
    const i = at % (rows.length || 1)
    const cells = rows[i]?.split(',') ?? []
    if (cells.length !== 8) continue
    if (kind === 'cell') rows[i] = cells.with(column, oddCells[column]![pick % oddCells[column]!.length]!).join(',')
    if (kind === 'drop') rows.splice(i, 1)
    if (kind === 'repeat') rows.splice(i, 0, rows[i]!)
    if (kind === 'swap' && i > 0) rows.splice(i - 1, 2, rows[i]!, rows[i - 1]!)
    if (kind === 'quote' && !cells.join().includes('"'))
      rows[i] = cells.map((cell, n) => (n % 2 === pick % 2 ? ` "${cell}" ` : cell)).join(',')
    if (kind === 'blank') rows.splice(i, 0, pick % 2 ? '' : '  ')
    if (kind === 'header') rows.splice(i, 0, header)
    if (kind === 'cut')
      rows[i] = cells
        .join(',')
        .replaceAll('"', '')
        .replace(/[^,]*$/, '"$&')
    if (kind === 'more') rows[i] = `${rows[i]},more`
  }
  const turn = (line: string) => {
    const cells = line.split(',')
    if (columns === 'six') return cells.length < 8 ? line : [0, 1, 3, 4, 5, 6].map(at => cells[at]).join(',')
    return columns === 'turned' && cells.length === 8 ? cells.toReversed().join(',') : line
  }
  return mark + [header, ...rows].map(turn).join(lineEnd) + (closed ? lineEnd : '')
}

function* pieces(bytes: Buffer, size: number): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

test('reads every file like the plain reader does: csv-parse, Intl and patience', async () => {
  const seen = new Map<string, number>()
  const property = fc.asyncProperty(file, async file => {
    const text = textOf(file)
    const expected = readPlainly(text)
    // A file without one good row fails as a whole; one is added, so that every row's fate is seen.
    fc.pre(expected.intervals.length > 0)
    const options = { batchRows: file.batchRows, maxRejectShare: 1 }
    const { intervals, lines, account } = await read(pieces(Buffer.from(text), file.chunk), options)
    expect(intervals.map((interval, i) => ({ ...interval, line: lines[i] }))).toEqual(
      expected.intervals.map(({ kwh, ...rest }) => ({ ...rest, kwh: Number(kwh) + 0 }))
    )
    expect(account.entries[0]!.rejects.map(({ code, line }) => ({ code, line }))).toEqual(expected.rejects)
    const { read: rows, placeholder, missing, repeatedHeader, ambiguousHourAssumed } = expected
    expect(account.rows).toMatchObject({ read: rows, placeholder, missing, repeatedHeader })
    expect(account.quality.ambiguousHourAssumed).toBe(ambiguousHourAssumed)
    for (const { code } of expected.rejects) seen.set(code, (seen.get(code) ?? 0) + 1)
  })
  await fc.assert(property, { numRuns: 400, seed: 2025 })
  // A comparison that never meets a bad row would be worth little.
  expect([...seen.keys()].sort()).toEqual([
    'ROW_AMBIGUOUS_HOUR',
    'ROW_BAD_DATE',
    'ROW_BAD_DIRECTION',
    'ROW_BAD_ESIID',
    'ROW_BAD_FLAG',
    'ROW_BAD_KWH',
    'ROW_BAD_REVISION',
    'ROW_BAD_TIME',
    'ROW_CELL_COUNT',
    'ROW_ESIID_AS_NUMBER',
    'ROW_KWH_OUT_OF_RANGE',
    'ROW_NEGATIVE_KWH',
    'ROW_NONEXISTENT_HOUR',
    'ROW_NOT_15_MINUTES',
    'ROW_TWELVE_HOUR_CLOCK',
    'ROW_TWO_DIGIT_YEAR',
    'ROW_UNCLOSED_QUOTE'
  ])
})
