import { describe, expect, test } from 'vitest'
import type { Interval } from '../../src/batch.ts'
import { intervalHeader, makeEsiid, randomFrom } from '../../src/testing/index.ts'
import { esiid, inFileOrder, iso, read } from './support.ts'

/** One local day as Intl knows it: the instants at which its quarter hours begin, and what the clock shows then. */
interface Day {
  /** `YYYY-MM-DD` */
  readonly date: string
  /** UTC epoch milliseconds. */
  readonly starts: readonly number[]
  /** `HH:MM` */
  readonly clock: readonly string[]
}

/** One row as a file has it. */
interface Line {
  readonly start: string
  readonly end: string
  /** Which of the day's quarter hours it truly is; null for a placeholder. */
  readonly ordinal: number | null
}

/** One way to write a day. */
type Writing = (day: Day) => Line[]

const QUARTER = 15 * 60_000
const calendar = askIntl()
const springs = calendar.filter(({ starts }) => starts.length === 92)
const autumns = calendar.filter(({ starts }) => starts.length === 100)

/** The oracle: every quarter hour of 61 years, asked for one by one, and nothing worked out. */
function askIntl(): Day[] {
  const texas = new Intl.DateTimeFormat('en-CA', {
    timeZone: 'America/Chicago',
    dateStyle: 'short',
    timeStyle: 'short',
    hourCycle: 'h23'
  })
  const days: { date: string; starts: number[]; clock: string[] }[] = []
  for (let at = Date.UTC(1990, 0, 1); at < Date.UTC(2051, 0, 2); at += QUARTER) {
    const [date, time] = texas.format(at).split(', ') as [string, string]
    if (date < '1990-01-01' || date > '2050-12-31') continue
    if (days.at(-1)?.date !== date) days.push({ date, starts: [], clock: [] })
    days.at(-1)!.starts.push(at)
    days.at(-1)!.clock.push(time)
  }
  return days
}

/** Labels as the clock shows them; in autumn the second pass begins with 01:00, as it should. */
const properly: Writing = ({ clock }) => clock.map((start, ordinal) => ({ start, end: quarterLater(start), ordinal }))

/** As SMT writes it: four placeholders in spring, `02:00,01:15` in autumn. */
const asSmt: Writing = day => {
  const lines = properly(day)
  if (day.starts.length === 92) lines.splice(8, 0, ...placeholders)
  if (day.starts.length === 100) lines[8] = { ...lines[8]!, start: '02:00' }
  return lines
}

const seenFromTheNewClock: Writing = day => properly(day).with(7, { start: '01:45', end: '03:00', ordinal: 7 })
const withoutSecondPass: Writing = day => properly(day).filter(({ ordinal }) => !isSecondPass(ordinal))

const placeholders: readonly Line[] = ['02:00', '02:15', '02:30', '02:45'].map(start => ({
  start,
  end: quarterLater(start),
  ordinal: null
}))

const isSecondPass = (ordinal: number | null) => ordinal !== null && ordinal >= 8 && ordinal < 12

function quarterLater(label: string): string {
  const minutes = Number(label.slice(0, 2)) * 60 + Number(label.slice(3)) + 15
  return `${String(Math.floor(minutes / 60) % 24).padStart(2, '0')}:${String(minutes % 60).padStart(2, '0')}`
}

type Form = 'as SMT writes cells' | 'as a spreadsheet does'

/**
 * The rows of some days, one meter-day after another. Each row's kWh says which quarter hour it truly is, so that
 * whatever is read can be held against {@link truthOf}.
 */
function write(days: readonly { day: Day; lines: readonly Line[]; meter?: string }[], form: Form): string {
  const sheet = form === 'as a spreadsheet does'
  const rows = [intervalHeader]
  for (const [i, { day, lines, meter = esiid }] of days.entries()) {
    const [year, month, date] = day.date.split('-') as [string, string, string]
    const us = sheet
      ? `${Number(month)}/${Number(date)}/${year},1/2/2051 6:41`
      : `${month}/${date}/${year},01/02/2051 06:41:12`
    for (const { start, end, ordinal } of lines) {
      const times = sheet ? `${start.replace(/^0/, '')},${end.replace(/^0/, '')}` : ` ${start}, ${end}`
      const reading = ordinal === null ? ',' : `${((i * 100 + ordinal) / 1000).toFixed(3)},A`
      rows.push(`'${meter},${us},${times},${reading},Consumption`)
    }
  }
  return `${rows.join('\n')}\n`
}

/** In pieces, as files come. */
function* pieces(text: string): Generator<Buffer> {
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536)
}

/** The instant of the quarter hour that a reading of {@link write} truly is. */
function truthOf({ kwh }: Interval, days: readonly Day[]): number {
  const mark = Math.round(kwh * 1000)
  return days[Math.floor(mark / 100)]!.starts[mark % 100]!
}

/** The readings that stand at another instant than their own. */
function misread(intervals: readonly Interval[], days: readonly Day[]): string[] {
  return intervals
    .filter(interval => interval.start !== truthOf(interval, days))
    .map(interval => `${iso(interval.start)} is truly ${iso(truthOf(interval, days))}`)
}

function ascends(starts: readonly number[]): boolean {
  return starts.every((start, i) => i === 0 || start > starts[i - 1]!)
}

/** Faster than `toEqual`, which minds two million numbers. */
function same(found: readonly number[], expected: readonly number[]): boolean {
  return found.length === expected.length && found.every((start, i) => start === expected[i])
}

describe('the calendar of 1990 to 2050, asked of Intl,', () => {
  test('has 22,280 days, 61 of them with 92 quarter hours and 61 with 100', () => {
    expect(calendar).toHaveLength(22_280)
    expect([springs.length, autumns.length]).toEqual([61, 61])
    expect(calendar.filter(({ starts }) => starts.length === 96)).toHaveLength(22_280 - 122)
    const starts = calendar.flatMap(({ starts }) => starts)
    expect(starts.every((start, i) => start === starts[0]! + i * QUARTER)).toBe(true)
  })

  test('changes the clock where the rows as they are written here say so', () => {
    for (const { clock } of springs) expect(clock.slice(6, 10)).toEqual(['01:30', '01:45', '03:00', '03:15'])
    const hour = ['01:00', '01:15', '01:30', '01:45']
    for (const { clock } of autumns) expect(clock.slice(3, 13)).toEqual(['00:45', ...hour, ...hour, '02:00'])
    // Other rules were in force before 1987, until 2006, and since.
    expect(autumns.map(({ date }) => date)).toEqual(expect.arrayContaining(['1990-10-28', '2006-10-29', '2007-11-04']))
    expect(springs.map(({ date }) => date)).toEqual(expect.arrayContaining(['1990-04-01', '2006-04-02', '2007-03-11']))
  })
})

describe('every day from 1990 to 2050 gives its 92, 96 or 100 instants, in order and each once,', () => {
  test('year by year, as SMT writes them', async () => {
    for (let year = 1990; year <= 2050; year++) {
      const days = calendar.filter(({ date }) => date.startsWith(`${year}-`))
      const written = days.map(day => ({ day, lines: asSmt(day) }))
      const { intervals, account } = await read(pieces(write(written, 'as SMT writes cells')))
      const starts = intervals.map(({ start }) => start)
      expect(misread(intervals, days)).toEqual([])
      expect(ascends(starts)).toBe(true)
      const expected = days.flatMap(({ starts }) => starts)
      expect(same(starts, expected)).toBe(true)
      const accepted = days.length * 96
      expect(account.rows).toMatchObject({ read: accepted + 4, accepted, placeholder: 4, rejected: 0, missing: 0 })
      expect(account.quality.ambiguousHourAssumed).toBe(0)
    }
  })

  test.each<[string, readonly Day[], Writing, count: { instants: number; placeholders?: number; assumed?: number }]>([
    ['a spring day with four placeholders', springs, asSmt, { instants: 92, placeholders: 4 }],
    ['a spring day of 92 rows', springs, properly, { instants: 92 }],
    ['a spring day with the row 01:45,03:00', springs, seenFromTheNewClock, { instants: 92 }],
    ['an autumn day with the row 02:00,01:15', autumns, asSmt, { instants: 100 }],
    ['an autumn day that repeats the hour properly', autumns, properly, { instants: 100 }],
    ['an autumn day of 96 rows, which lacks the second pass', autumns, withoutSecondPass, { instants: 96, assumed: 1 }]
  ])('%s, between its neighbours, in both forms', async (_, changes, writing, count) => {
    const days = changes.flatMap(({ date }) => {
      const at = calendar.findIndex(day => day.date === date)
      return calendar.slice(at - 1, at + 2)
    })
    const written = days.map(day => ({ day, lines: changes.includes(day) ? writing(day) : properly(day) }))
    const { instants, placeholders = 0, assumed = 0 } = count
    const expected = written.flatMap(({ day, lines }) =>
      lines.flatMap(({ ordinal }) => (ordinal === null ? [] : day.starts[ordinal]!))
    )
    for (const form of ['as SMT writes cells', 'as a spreadsheet does'] as const) {
      const reading = await read(pieces(write(written, form)))
      const { intervals, account } = reading
      const starts = inFileOrder(reading).map(({ start }) => start)
      expect(misread(intervals, days)).toEqual([])
      expect(ascends(starts)).toBe(true)
      expect(same(starts, expected)).toBe(true)
      expect(account.rows).toMatchObject({
        accepted: 61 * (96 + instants + 96),
        placeholder: 61 * placeholders,
        rejected: 0,
        missing: 0
      })
      expect(account.quality.ambiguousHourAssumed).toBe(61 * assumed)
    }
  })
})

/** What became of a row: right, an hour off, or the code of its rejection. */
type Fate = 'right' | 'wrong' | string

/** Reads one day in several ways, each as a meter of its own; gives the fate of every row. */
async function fatesOf(day: Day, ways: readonly (readonly Line[])[]) {
  const meters = ways.map((lines, i) => ({ day, lines, meter: makeEsiid(i) }))
  const { intervals, lines, account } = await read(pieces(write(meters, 'as SMT writes cells')), {
    maxRejects: 1_000_000,
    maxRejectShare: 1
  })
  const fates = new Map<number, Fate>()
  const days = ways.map(() => day)
  for (const [i, interval] of intervals.entries()) {
    fates.set(lines[i]!, interval.start === truthOf(interval, days) ? 'right' : 'wrong')
  }
  for (const { line, code } of account.entries[0]!.rejects) fates.set(line, code)
  let line = 1
  return {
    fates: ways.map(lines => lines.map(() => fates.get(++line)!)),
    assumed: account.quality.ambiguousHourAssumed
  }
}

/** How often each fate was met. */
function count(fates: readonly Fate[]): Record<Fate, number> {
  const counts: Record<Fate, number> = {}
  for (const fate of fates) counts[fate] = (counts[fate] ?? 0) + 1
  return counts
}

const AMBIGUOUS = 'ROW_AMBIGUOUS_HOUR'
const inHour = ({ ordinal }: Line) => ordinal !== null && ordinal >= 4 && ordinal < 12
const notInHour = (line: Line) => !inHour(line)
const isMarker = ({ start, end }: Line) => start === '02:00' && end === '01:15'
const by = (label: 'start' | 'end') => (a: Line, b: Line) => (a[label] < b[label] ? -1 : a[label] > b[label] ? 1 : 0)

/** The day from 00:45 to 02:15 with each selection of the hour's eight rows. */
function selections(lines: readonly Line[]): { lost: number; lines: Line[] }[] {
  return Array.from({ length: 256 }, (_, mask) => {
    const kept = lines.slice(4, 12).filter((_, i) => mask & (1 << i))
    return { lost: 8 - kept.length, lines: [lines[3]!, ...kept, lines[12]!] }
  })
}

/** Whether the labels rise as those of one pass do; the row that begins SMT's second pass would tell. */
function looksLikeOnePass(lines: readonly Line[]): boolean {
  const hour = lines.filter(inHour)
  return !hour.some(isMarker) && hour.every(({ end }, i) => i === 0 || end > hour[i - 1]!.end)
}

const range = (length: number) => Array.from({ length }, (_, i) => i)
const labels = (lines: readonly Line[]) => lines.map(({ start, end }) => `${start},${end}`).join(' ')

function shuffled(lines: readonly Line[], random: () => number): Line[] {
  return lines
    .map(line => ({ line, key: random() }))
    .sort((a, b) => a.key - b.key)
    .map(({ line }) => line)
}

const writings: [string, Writing][] = [
  ['with the row 02:00,01:15', asSmt],
  ['that repeats the hour properly', properly]
]

describe.each(writings)('an autumn day %s', (_, writing) => {
  test('has the others right when any two rows of the hour are lost', async () => {
    for (const day of autumns) {
      const ways = selections(writing(day)).filter(({ lost }) => lost === 2)
      const { fates } = await fatesOf(
        day,
        ways.map(({ lines }) => lines)
      )
      expect(count(fates.flat())).toEqual({ right: 28 * 8 })
    }
  })

  test('has none wrong whichever rows of the hour are lost, unless the rest looks like one pass; that is counted', async () => {
    for (const day of autumns) {
      const ways = selections(writing(day)).map(({ lines }) => lines)
      const told = await fatesOf(
        day,
        ways.filter(lines => !looksLikeOnePass(lines))
      )
      expect(Object.keys(count(told.fates.flat())).sort()).toEqual([AMBIGUOUS, 'right'])
      const single = ways.filter(lines => looksLikeOnePass(lines) && lines.some(inHour))
      expect((await fatesOf(day, single)).assumed).toBe(single.length)
    }
  })

  test.each<[string, (lines: Line[]) => Line[]]>([
    ['is listed backwards', lines => lines.toReversed()],
    ['is sorted by its start labels', lines => lines.toSorted(by('start'))],
    ['is sorted by its end labels', lines => lines.toSorted(by('end'))],
    ['has the hour behind its end', lines => [...lines.filter(notInHour), ...lines.filter(inHour)]],
    ['has the hour a third time', lines => lines.toSpliced(12, 0, ...lines.slice(4, 8))],
    ['has its second pass once more behind its end', lines => [...lines, ...lines.slice(8, 12)]]
  ])('that %s has none wrong: what nobody can tell is rejected by name', async (_, disorder) => {
    for (const day of autumns) {
      const lines = disorder(writing(day))
      const { fates } = await fatesOf(day, [lines])
      expect(lines.filter((line, i) => notInHour(line) && fates[0]![i] !== 'right')).toEqual([])
      expect(Object.keys(count(fates[0]!)).sort()).toEqual([AMBIGUOUS, 'right'])
    }
  })

  test('has none wrong in any order of the rows of the hour but the right one: all of them are rejected by name', async () => {
    for (const [n, day] of autumns.entries()) {
      const lines = writing(day)
      const hour = lines.slice(4, 12)
      const random = randomFrom(day.date)
      const orders = [
        // Two neighbours; on some days also any two, and any order at all.
        ...range(7).map(i => hour.toSpliced(i, 2, hour[i + 1]!, hour[i]!)),
        ...range(n % 10 === 0 ? 56 : 0).map(i => hour.with(i % 8, hour[i % 7]!).with(i % 7, hour[i % 8]!)),
        ...range(n % 10 === 0 ? 500 : 0).map(() => shuffled(hour, random))
      ].filter(order => labels(order) !== labels(hour))
      const { fates } = await fatesOf(
        day,
        orders.map(order => [lines[3]!, ...order, lines[12]!])
      )
      expect(fates).toEqual(orders.map(() => ['right', ...Array(8).fill(AMBIGUOUS), 'right']))
    }
  })

  test('that is listed twice is read twice', async () => {
    for (const day of autumns) {
      const lines = writing(day)
      expect(count((await fatesOf(day, [[...lines, ...lines]])).fates.flat())).toEqual({ right: 200 })
    }
  })
})

test.each<[string, readonly Day[], Writing, from: number, to: number]>([
  ['an autumn day with the row 02:00,01:15', autumns, asSmt, 2, 14],
  ['an autumn day that repeats the hour properly', autumns, properly, 2, 14],
  ['a spring day', springs, properly, 4, 12],
  ['an autumn day of each decade', autumns.filter(({ date }) => date[3] === '0'), asSmt, 0, 100]
])('%s has the others right when any one row is lost', async (_, days, writing, from, to) => {
  for (const day of days) {
    const lines = writing(day)
    const ways = lines.map((_, lost) => lines.toSpliced(lost, 1)).slice(from, to)
    expect(count((await fatesOf(day, ways)).fates.flat())).toEqual({ right: (to - from) * (lines.length - 1) })
  }
})

test('nobody can tell when the second pass stands before the first', async () => {
  for (const day of autumns) {
    const lines = asSmt(day)
    const turned = [...lines.slice(0, 4), ...lines.slice(8, 12), ...lines.slice(4, 8), ...lines.slice(12)]
    const { fates } = await fatesOf(day, [turned])
    expect(fates[0]).toEqual([...Array(4).fill('right'), ...Array(8).fill(AMBIGUOUS), ...Array(88).fill('right')])
  }
})

test('a spring day is read right in any order', async () => {
  for (const day of springs) {
    const lines = properly(day)
    const { fates } = await fatesOf(day, [lines.toReversed(), lines.toSorted(by('end')), lines.toSorted(by('start'))])
    expect(count(fates.flat())).toEqual({ right: 3 * 92 })
  }
})
