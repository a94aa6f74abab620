import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { IntervalBatch } from '../../src/batch.ts'
import { classify } from '../../src/parse/entry-head.ts'
import type { EntryAccount } from '../../src/parse/file-account.ts'
import { IntervalScanner } from '../../src/parse/interval-scanner.ts'
import { knownLayouts } from '../../src/parse/layouts.ts'
import { ScanCore } from '../../src/parse/scan-core.ts'
import { makeIntervalReport, makeMeterDay } from '../../src/testing/index.ts'
import { type PlainReading, readPlainly } from '../support/plain-reader.ts'
import { cuts, esiid, longEsiid, type Reading, type ReadOptions, read } from './support.ts'

/** Files to be compared; more of them may be asked for. */
const runs = Number(process.env.SMT_DIFFERENTIAL_RUNS ?? 3000)
/** Always the same files, unless others are asked for: a red test stays red until its cause is gone. */
const seed = process.env.SMT_DIFFERENTIAL_SEED ? Number(process.env.SMT_DIFFERENTIAL_SEED) : 2025

const timeout = 60_000 + runs * 60

/** Days of every kind; the two clock changes more often than a calendar has them. */
const dates = ['2025-07-14', '2025-07-15', '2024-02-29', '2025-03-09', '2025-11-02', '2024-11-03', '2025-12-31']
const revisions = ['2025-07-15 06:41:12', '2025-11-02 01:59:59', '2025-03-10 00:00:00']

/** What may stand in a row's cells instead of what SMT writes: good, odd or wrong. */
const oddCells = [
  ['', "'1.04437E+16", '20443720009999001', "'10443720009999002'", '1044372000999900', longEsiid],
  ['7/4/2025', '7/14/25', '2025-07-14', '02/29/2025', '11/2/2025', '3/9/2025', '00/00/0000', ''],
  ['', '7/15/2025 6:41', '7/15/2025 6:41 AM', '11/02/2025 01:30:00', '3/9/2025 2:30', '07/15/2025', '7/5/25 6:41'],
  ['0:00', '01:00', '24:00', '02:00', ' 1:45', '6:41 AM', '00:60', '', '00:07', '00:30', '1:30'],
  ['0:15', '01:15', '24:00', '00:00', '03:00', '12:15 PM', '24:15', '', 'x', '00:30', '2:00', '01:07'],
  ['', '.145', '.1', '5.', '+.25', '+1', '+', '++1', '0', '-0.0', '-1', '1e3', '9999999.99999', '10000000', '0.000001'],
  ['', 'E', 'a', 'e', 'X', 'AE'],
  ['Surplus Generation', 'SurplusGeneration', 'CONSUMPTION', 'surplus  generation', 'Generation', '']
]
const moreKwh = ['0.100000', 'n/a', '.', '1,234.5', '0.2"3', '0000000000.5', '1.23456', '12345678.0', '0.10', '.10000']
oddCells[5]!.push(...moreKwh)

/** What a column that no layout knows may hold. */
const extras = ['', 'note', 'a, b', 'x'.repeat(300), 'he said "so"', '"', 'Zähler à', ' 12 ', "'10443720009999001"]

const meterDay = fc.record({
  esiid: fc.constantFrom(esiid, longEsiid, '10443720009999002'),
  date: fc.constantFrom(...dates),
  /** The meter and the day are those of the file's first rows. */
  again: fc.boolean(),
  revision: fc.constantFrom(null, ...revisions),
  solar: fc.boolean(),
  seed: fc.nat(1),
  minutes: fc.constantFrom(15, 15, 15, 15, 30, 60),
  /** Which rows of the day are there. */
  from: fc.constantFrom(0, 0, 1, 2, 3, 5, 8, 20),
  count: fc.oneof(
    { weight: 4, arbitrary: fc.integer({ min: 1, max: 20 }) },
    { weight: 1, arbitrary: fc.constant(200) }
  ),
  form: fc.record({
    secondPass: fc.boolean(),
    properRepeat: fc.boolean(),
    placeholders: fc.boolean(),
    bareDecimal: fc.boolean(),
    form: fc.constantFrom('smt' as const, 'spreadsheet' as const)
  })
})

type MeterDay = typeof meterDay extends fc.Arbitrary<infer T> ? T : never

const changeKinds = [
  ...['cell', 'cell', 'cell', 'cell', 'drop', 'repeat', 'repeat', 'other', 'other', 'swap', 'quote', 'quote'],
  ...['pad', 'blank', 'header', 'open', 'more', 'fewer', 'mark']
] as const

const change = fc.record({
  at: fc.nat(),
  kind: fc.constantFrom(...changeKinds),
  column: fc.nat(7),
  pick: fc.nat()
})

const file = fc.record({
  days: fc.array(meterDay, { minLength: 1, maxLength: 3 }),
  mix: fc.constantFrom('one by one', 'row by row', 'shuffled'),
  changes: fc.array(change, { maxLength: 8 }),
  lineEnd: fc.constantFrom('\n', '\n', '\r\n', '\r', 'mixed'),
  mark: fc.constantFrom('', '\ufeff'),
  /** Blank lines before the header. */
  above: fc.constantFrom('', '', '', '\n', '\r\n \t\r'),
  closed: fc.boolean(),
  headerCase: fc.constantFrom('upper', 'lower', 'mixed', 'quoted'),
  columns: fc.constantFrom('all', 'all', 'six', 'turned', 'shuffled'),
  extras: fc.constantFrom(0, 0, 0, 1, 3),
  style: fc.constantFrom('plain', 'plain', 'quoted', 'padded'),
  seed: fc.nat(),
  intervalMinutes: fc.constantFrom<(15 | 30 | 60)[]>([15], [15], [15], [15, 30, 60], [15, 30, 60], [15, 60], [30]),
  chunk: fc.constantFrom(1, 13, 97, 1000, 100_000),
  batchRows: fc.constantFrom(1, 3, 50, 8192)
})

type File = typeof file extends fc.Arbitrary<infer T> ? T : never

/** A row is its cells, or a line of its own kind. */
type Line = string[] | string

/** An order of things that depends on the seed alone. */
function shuffle<T>(values: readonly T[], seed: number): T[] {
  return values
    .map((value, i) => ({ value, key: Math.imul(i + 1, 2_654_435_761 + 2 * seed) >>> 8 }))
    .sort((a, b) => a.key - b.key)
    .map(({ value }) => value)
}

/** The header and the rows of a day, as cells. */
function linesOf({ from, count, form, minutes, again: _, ...options }: MeterDay): string[][] {
  const lines = makeIntervalReport([makeMeterDay(options)], form)
    .bytes.toString()
    .trimEnd()
    .split('\n')
  const [header, ...rows] = lines.map(line => line.split(','))
  // Every other file has readings where SMT leaves the skipped hour blank.
  for (const row of rows) if (row[5] === '' && options.seed === 1) row.splice(5, 2, '0.100', 'A')
  const longer = minutes === 15 ? rows : rows.flatMap(row => lengthen(row, minutes))
  return [header!, ...longer.slice(from, from + count)]
}

/** Of the quarter hours of a half or a whole hour only the last is kept, and said to have begun earlier. */
function lengthen(row: string[], minutes: number): string[][] {
  const end = row[4]!.trim().split(':').map(Number)
  const until = end[0]! * 60 + end[1]! || 1440
  if (until % minutes !== 0) return []
  const start = until - minutes
  const label = ` ${String(Math.floor(start / 60)).padStart(2, '0')}:${String(start % 60).padStart(2, '0')}`
  return [row.with(3, label)]
}

function changed(lines: Line[], header: string[], { at, kind, column, pick }: File['changes'][number]): void {
  const i = at % (lines.length || 1)
  const row = lines[i]
  if (row === undefined || typeof row === 'string' || row.length !== 8) return
  const odd = oddCells[column]!
  if (kind === 'cell') lines[i] = row.with(column, odd[pick % odd.length]!)
  if (kind === 'drop') lines.splice(i, 1)
  if (kind === 'repeat') lines.splice((at + pick) % lines.length, 0, row)
  if (kind === 'other') lines.splice((at + pick) % lines.length, 0, row.with(5 + (pick % 2), pick % 2 ? 'E' : '0.007'))
  if (kind === 'swap' && i > 0) lines.splice(i - 1, 2, row, lines[i - 1]!)
  if (kind === 'quote') lines[i] = row.map((cell, n) => (n % 2 === pick % 2 ? `\u0000${cell}` : cell))
  if (kind === 'pad') lines[i] = row.map((cell, n) => (n % 2 === pick % 2 ? `\t ${cell} \t` : cell))
  if (kind === 'blank') lines.splice(i, 0, pick % 2 ? '' : ' \t ')
  if (kind === 'header') lines.splice(i, 0, header)
  if (kind === 'open') lines[i] = `${row.slice(0, pick % row.length).join(',')},"${row[7]}`
  if (kind === 'more') lines[i] = [...row, 'more']
  if (kind === 'fewer') lines[i] = row.slice(1)
  if (kind === 'mark') lines[i] = row.with(0, `\u0001${row[0]}`)
}

/** A cell as a file may have it: in quotation marks where it must be, or where the file likes them. */
function written(cell: string, style: File['style']): string {
  const marked = cell.startsWith('\u0000')
  const text = marked ? cell.slice(1) : cell
  if (marked || style === 'quoted' || /[",\n]/.test(text)) {
    const quoted = `"${text.replaceAll('"', '""')}"`
    return style === 'padded' ? ` ${quoted}\t` : quoted
  }
  return style === 'padded' ? `\t${text}  ` : text
}

function bytesOf(file: File): Buffer {
  const [firstDay] = file.days
  const lists = file.days.map(day =>
    linesOf(day.again ? { ...day, esiid: firstDay!.esiid, date: firstDay!.date } : day)
  )
  const header = lists[0]![0]!
  const rows = lists.map(([, ...rows]) => rows)
  let lines: Line[] = rows.flat()
  if (file.mix === 'row by row') lines = [...Array(200).keys()].flatMap(i => rows.flatMap(list => [list[i] ?? []]))
  if (file.mix === 'shuffled') lines = shuffle(lines, file.seed)
  lines = lines.filter(line => line.length > 0)
  for (const change of file.changes) changed(lines, header, change)

  const ends = ['\n', '\r\n', '\r', '\n\n', '\r\r\n']
  const endOf = (n: number) => (file.lineEnd === 'mixed' ? ends[(file.seed + n * n) % ends.length]! : file.lineEnd)
  const text = [header, ...lines]
    .map((line, n) => (n === 0 || line === header ? headerLine(header, n, file) : rowLine(line, n, file)))
    .map((line, n, all) => (n < all.length - 1 || file.closed ? line + endOf(n) : line))
    .join('')
  return Buffer.from(file.mark + file.above + text)
}

function headerLine(header: string[], n: number, { headerCase, ...file }: File): string {
  const names = Array.from({ length: file.extras }, (_, i) => `EXTRA ${i}`)
  const named = laidOut(header, names, file)
  if (headerCase === 'quoted') return named.map(name => `"${name}"`).join(',')
  const mixed = (name: string) => name.replace(/[A-Z]+/g, word => word[0] + word.slice(1).toLowerCase())
  const cased = { upper: (name: string) => name, lower: (name: string) => name.toLowerCase(), mixed }
  return named.map(cased[headerCase]).join(n % 2 ? ' , ' : ',')
}

function rowLine(line: Line, n: number, file: File): string {
  if (typeof line === 'string') return line
  const marked = line[0]?.startsWith('\u0001') === true
  const cells = marked ? line.with(0, line[0]!.slice(1)) : line
  const others = Array.from({ length: file.extras }, (_, i) => extras[(file.seed + n * 7 + i) % extras.length]!)
  // A line ends within quotation marks, too. Only at the end of a row is it beyond doubt what the rest is.
  if (others.length > 0 && file.columns === 'all' && n % 5 === file.seed % 5) others[others.length - 1] = 'two\n'
  const laid = cells.length === 8 ? laidOut(cells, others, file) : cells
  return (marked ? '\ufeff' : '') + laid.map(cell => written(cell, file.style)).join(',')
}

/** The eight cells in the file's columns, others among them. */
function laidOut(cells: string[], others: string[], { columns, seed }: Pick<File, 'columns' | 'seed'>): string[] {
  const kept = columns === 'six' ? [0, 1, 3, 4, 5, 6].map(at => cells[at]!) : cells
  const all = [...kept, ...others]
  if (columns === 'turned') return all.toReversed()
  return columns === 'shuffled' ? shuffle(all, seed) : all
}

function* pieces(bytes: Buffer, size: number): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

/** The part of a reading that is compared. */
type Seen = Pick<Reading, 'intervals' | 'lines'> & {
  readonly account: Pick<EntryAccount, 'rows' | 'quality'> & {
    readonly entries: readonly Pick<EntryAccount, 'rejects'>[]
  }
}

/** What can be seen of a reading, in the words of the plain reader. */
function seenOf({ intervals, lines, account }: Seen) {
  const { read, placeholder, missing, repeatedHeader } = account.rows
  const { ambiguousHourAssumed, repeats } = account.quality
  return {
    // Those of the repeated hour were held back.
    intervals: intervals
      .map(({ minutes = 15, ...interval }, i) => ({ ...interval, minutes, line: lines[i]! }))
      .toSorted((a, b) => a.line - b.line),
    rejects: account.entries[0]!.rejects.map(({ code, line, offset }) => ({ code, line, offset })),
    rows: { read, placeholder, missing, repeatedHeader },
    ambiguousHourAssumed,
    repeats
  }
}

function expectedOf({ intervals, ...rest }: PlainReading) {
  // No reading is the negative zero.
  return { intervals: intervals.map(interval => ({ ...interval, kwh: Number(interval.kwh) + 0 })), ...rest }
}

/** Most are the same, and texts are compared faster than objects; a difference is shown as one of objects. */
function expectSame(seen: ReturnType<typeof seenOf>, expected: ReturnType<typeof expectedOf>): void {
  if (JSON.stringify(seen) !== JSON.stringify(expected)) expect(seen).toEqual(expected)
}

/** The code with which a file fails of which nothing could be read. */
function failureOf({ intervals, rejects, rows }: PlainReading): string | undefined {
  if (rows.read === 0) return 'PARSE_NO_ROWS'
  if (intervals.length > 0 || rejects.length === 0) return undefined
  const codes = new Set(rejects.map(({ code }) => code))
  return codes.size === 1 ? [...codes][0] : 'PARSE_TOO_MANY_REJECTS'
}

/** Reads a file as the parser does, without its streams: what is read does not depend on them, and there are many cuts. */
function readAtOnce(pieces: Iterable<Uint8Array>, { batchRows = 8192, intervalMinutes = [15] }: ReadOptions) {
  const core = ScanCore.take(batchRows, intervalMinutes)
  const batches: IntervalBatch[] = []
  let scanner: IntervalScanner | undefined
  let bytes: Uint8Array = new Uint8Array(0)
  const begin = (complete: boolean) => {
    const kind = classify(bytes, complete, { name: 'file.csv', file: undefined, packed: false, layouts: knownLayouts })
    if (!kind) return
    if (kind.kind !== 'intervals') throw new Error('the header is not seen')
    const { head } = kind
    const start = { core, entry: { index: 0, name: 'file.csv' }, file: undefined, maxRejects: 1000 }
    scanner = new IntervalScanner(start, kind.layout, head)
    batches.push(...scanner.push(bytes.subarray(head.next)))
  }
  for (const piece of pieces) {
    if (scanner) batches.push(...scanner.push(piece))
    else {
      bytes = Buffer.concat([bytes, piece])
      begin(false)
    }
  }
  if (!scanner) begin(true)
  batches.push(...scanner!.end())
  const { rows, rejects, quality } = scanner!.counts()
  core.release()
  const lines = batches.flatMap(batch => [...batch.line])
  return seenOf({
    intervals: batches.flatMap(batch => [...batch]),
    lines,
    account: { entries: [{ rejects }], rows, quality }
  })
}

test('reads a file the same wherever it is cut in two', { timeout }, () => {
  let cutPlaces = 0
  const small = file.map(file => ({
    ...file,
    days: file.days.slice(0, 2).map(day => ({ ...day, count: Math.min(day.count, 2) })),
    extras: file.extras === 0 ? (0 as const) : (1 as const),
    // Two kinds of cores are kept for the next file.
    batchRows: 3 as const,
    intervalMinutes: file.intervalMinutes.length > 1 ? [15 as const, 30 as const, 60 as const] : [15 as const]
  }))
  const property = fc.property(small, file => {
    const bytes = bytesOf(file)
    const expected = expectedOf(readPlainly(bytes, file.intervalMinutes))
    for (const pieces of cuts(bytes)) {
      expectSame(readAtOnce(pieces, file), expected)
      cutPlaces++
    }
  })
  fc.assert(property, { numRuns: Math.ceil(runs / 10), seed })
  expect(cutPlaces).toBeGreaterThan(runs)
})

test('reads every file like the plain reader does: csv-parse, Intl and patience', { timeout }, async () => {
  const codes = new Map<string, number>()
  const counts = { intervals: 0, failed: 0, duplicates: 0, conflicts: 0, overlaps: 0, repeatedHeader: 0, assumed: 0 }
  const property = fc.asyncProperty(file, async file => {
    const bytes = bytesOf(file)
    const plain = readPlainly(bytes, file.intervalMinutes)
    const { batchRows, intervalMinutes } = file
    const options: ReadOptions = { batchRows, intervalMinutes, maxRejectShare: 1 }
    // Streams of single bytes are slow, and every cut is looked at above.
    const reading = read(pieces(bytes, Math.max(file.chunk, bytes.length >> 8)), options)
    const failure = failureOf(plain)
    if (failure === undefined) expectSame(seenOf(await reading), expectedOf(plain))
    else await expect(reading).rejects.toMatchObject({ code: failure })

    for (const { code } of plain.rejects) codes.set(code, (codes.get(code) ?? 0) + 1)
    counts.intervals += plain.intervals.length
    counts.failed += failure === undefined ? 0 : 1
    counts.duplicates += plain.repeats.duplicates
    counts.conflicts += plain.repeats.conflicts
    counts.overlaps += plain.repeats.overlaps
    counts.repeatedHeader += plain.rows.repeatedHeader
    counts.assumed += plain.ambiguousHourAssumed
  })
  await fc.assert(property, { numRuns: runs, seed })
  // A comparison that never meets a bad row, or one that comes again, would be worth little.
  expect(Math.min(...Object.values(counts)), JSON.stringify(counts)).toBeGreaterThan(20)
  expect([...codes.keys()].sort()).toEqual([
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
    'ROW_OTHER_LENGTH',
    'ROW_TWELVE_HOUR_CLOCK',
    'ROW_TWO_DIGIT_YEAR',
    'ROW_UNCLOSED_QUOTE'
  ])
})
