import { describe, expect, test } from 'vitest'
import { centralDay } from '../../src/parse/central-time.ts'
import { type HourLabels, passesOf } from '../../src/parse/repeated-hour.ts'
import { intervalHeader, makeEsiid } from '../../src/testing/index.ts'
import { csv, type ReadOptions, read, row } from './support.ts'

/** A row of the autumn day: when it ends, in minutes; or SMT's row `02:00,01:15`. */
type End = number | 'marker'

const hour = [75, 90, 105, 120]
const first = new Array(4).fill('first')
const second = new Array(4).fill('second')
const nobody = undefined

/** Whichever pass the rows of one hour are told to belong to. */
function passes(ends: readonly End[], minutes = 15) {
  const labels = ends.map((end): HourLabels => {
    return end === 'marker' ? { end: 75, minutes: 15, marker: true } : { end, minutes, marker: false }
  })
  return passesOf(labels)?.map(pass => (pass === 0 ? 'first' : 'second'))
}

describe('the second pass begins', () => {
  test('at the row that says 02:00,01:15', () => {
    expect(passes([...hour, 'marker', 90, 105, 120])).toEqual([...first, ...second])
  })

  test('at the row that ends no later than the one before', () => {
    expect(passes([...hour, ...hour])).toEqual([...first, ...second])
    expect(passes([75, 90, 75, 90, 105, 120])).toEqual(['first', 'first', ...second])
    expect(passes([...hour, 105, 120])).toEqual([...first, 'second', 'second'])
    expect(passes([120, 120], 60)).toEqual(['first', 'second'])
    expect(passes([90, 120, 90, 120], 30)).toEqual(['first', 'first', 'second', 'second'])
  })

  test('at the marker although nothing of the first pass is there', () => {
    expect(passes(['marker', 90, 105, 120])).toEqual(second)
  })

  test('nowhere in an hour that is listed once', () => {
    expect(passes(hour)).toEqual(first)
    expect(passes([90, 120])).toEqual(['first', 'first'])
  })
})

describe('nobody can tell', () => {
  test.each<[string, readonly End[]]>([
    ['rows sorted by their end labels', [75, 75, 90, 90, 105, 105, 120, 120]],
    ['the first of them, the others lost', [75, 75]],
    ['rows sorted by their start labels', [75, 90, 90, 105, 105, 120, 120, 'marker']],
    ['a row of the first pass that came too early', [75, 90, 120, 105, 75, 90, 105, 120]],
    ['the same, and the rest lost', [75, 90, 120, 105]],
    ['the first row of the first pass that came too late', [90, 75, 105, 120, 'marker', 90, 105, 120]],
    ['the last row of the first pass behind the marker', [75, 90, 105, 'marker', 120, 90, 105, 120]],
    ['the second pass before the first', ['marker', 90, 105, 120, ...hour]],
    ['a third pass', [...hour, ...hour, 75]],
    ['a second marker', [...hour, 'marker', 'marker']],
    ['rows lost in both passes, more than two', [90, 105, 120, 120]],
    ['an hour listed once, and its last row twice', [...hour, 120]],
    ['an hour listed once, and its first row again', [...hour, 75]],
    ['more than eight rows', [...hour, ...hour, ...hour]]
  ])('%s', (_, ends) => {
    expect(passes(ends)).toBeUndefined()
  })

  test('any order of the eight rows but the right one', () => {
    const rows: End[] = [75, 90, 105, 120, 'marker', 90, 105, 120]
    const told = permutations(rows).filter(ends => passes(ends) !== undefined)
    expect(new Set(told.map(String))).toEqual(new Set([String(rows)]))
  })
})

function permutations<T>(values: readonly T[]): T[][] {
  if (values.length === 0) return [[]]
  return values.flatMap((value, i) => permutations(values.toSpliced(i, 1)).map(rest => [value, ...rest]))
}

/** The autumn day of some meters, each row by meter and end. */
async function tell(rows: readonly (readonly [meter: number, end: End])[], options: ReadOptions = {}) {
  const day = centralDay(2025, 11, 2)!
  const lines = rows.map(([meter, end]) => {
    const [from, until] = end === 'marker' ? [120, 75] : [end - 15, end % 1440]
    return row({ esiid: makeEsiid(meter), date: '11/02/2025', start: clock(from), end: clock(until) })
  })
  const reading = await read([intervalHeader, ...lines].join('\n'), {
    maxRejects: 1_000_000,
    maxRejectShare: 1,
    ...options
  })
  const told = new Map(reading.intervals.map(({ start }, i) => [reading.lines[i]!, (start - day.start) / 60_000]))
  return {
    passes: rows.map(([, end], i) => {
      const minute = told.get(i + 2)
      if (minute === undefined) return nobody
      const until = end === 'marker' ? 75 : end
      // After the hour the wall clock is an hour behind; that is no second pass.
      return until > 60 && until <= 120 && minute + 15 !== until ? 'second' : 'first'
    }),
    assumed: reading.account.quality.ambiguousHourAssumed,
    reading
  }
}

function clock(minutes: number): string {
  return `${String(Math.floor(minutes / 60)).padStart(2, '0')}:${String(minutes % 60).padStart(2, '0')}`
}

const of = (meter: number, ends: readonly End[]) => ends.map(end => [meter, end] as const)
const range = (from: number, count: number) => Array.from({ length: count }, (_, i) => from + i)
/** All ends of a day that lists the hour as given. */
const day = (hour: readonly End[]) => [15, 30, 45, 60, ...hour, ...range(9, 88).map(n => n * 15)]

describe('the rows of an hour are told', () => {
  test('when they are whole, although the day goes on in no order', async () => {
    const { passes } = await tell(of(0, [60, ...hour, 'marker', 90, 105, 120, 600, 135]))
    expect(passes).toEqual(['first', ...first, ...second, 'first', 'first'])
  })

  test('when the day is over, in the order of the file but behind it', async () => {
    const { passes, assumed, reading } = await tell([...of(0, day(hour)), ...of(1, [15])])
    expect(passes).toEqual(new Array(97).fill('first'))
    expect(assumed).toBe(1)
    expect(reading.lines).toEqual([...range(2, 4), ...range(10, 88), ...range(6, 4), 98])
  })

  test('when the entry is over, where the day is not whole', async () => {
    expect(await tell(of(0, [60, 75, 105, 135]))).toMatchObject({ passes: new Array(4).fill('first'), assumed: 1 })
  })

  test('of each meter by itself, however they are mixed', async () => {
    const ends: End[] = [...hour, 'marker', 90, 105, 120]
    const { passes } = await tell(ends.flatMap(end => [[1, end] as const, [2, end] as const]))
    expect(passes).toEqual([...first, ...second].flatMap(pass => [pass, pass]))
  })

  test('when the last row of the day is one that is not plain', async () => {
    const ends = day(hour) as number[]
    const rows = [...ends, ...ends].map(end => {
      const kwh = end === 1440 ? '0.231000' : '0.231'
      return row({ date: '11/02/2025', start: clock(end - 15), end: clock(end % 1440), kwh })
    })
    const { account } = await read(csv(...rows))
    expect(account.rows).toMatchObject({ accepted: 192, rejected: 0 })
    expect(account.quality).toMatchObject({ ambiguousHourAssumed: 2, repeats: { duplicates: 96 } })
  })

  test('each time that the day is listed', async () => {
    const ends = day([...hour, 'marker', 90, 105, 120])
    const { passes, reading } = await tell(of(0, [...ends, ...ends]))
    expect(passes).toEqual([...passes.slice(0, 100), ...passes.slice(0, 100)])
    expect(passes).not.toContain(nobody)
    expect(reading.account.quality.repeats.duplicates).toBe(100)
  })

  test('each time, and never as two passes, where it lists the hour once', async () => {
    const { passes, assumed, reading } = await tell(of(0, [...day(hour), ...day(hour)]))
    expect(passes).toEqual(new Array(192).fill('first'))
    expect(assumed).toBe(2)
    expect(reading.account.quality.repeats.duplicates).toBe(96)
  })

  test('with the line, the offset and the code of a bad reading among them', async () => {
    const lines = ['75', '90', '105'].map(end =>
      row({
        date: '11/02/2025',
        start: clock(Number(end) - 15),
        end: clock(Number(end)),
        kwh: end === '90' ? 'x' : '1'
      })
    )
    const bytes = csv(...lines)
    const { account } = await read(bytes)
    expect(account.entries[0]!.rejects).toMatchObject([
      { code: 'ROW_BAD_KWH', line: 3, offset: bytes.indexOf(lines[1]!) }
    ])
    expect(account.rows).toMatchObject({ read: 3, accepted: 2, rejected: 1 })
  })
})

describe('nobody can tell the rows of an hour', () => {
  test('where others of the day are out of order before it, or behind it while it is not whole', async () => {
    expect((await tell(of(0, [60, 45, ...hour, ...hour]))).passes).toEqual(['first', 'first', ...Array(8).fill(nobody)])
    expect((await tell(of(0, [75, 90, 600, 135]))).passes).toEqual([nobody, nobody, 'first', 'first'])
  })

  test('behind a later row of the day', async () => {
    expect((await tell(of(0, [135, 75]))).passes).toEqual(['first', nobody])
    expect((await tell(of(0, [...hour, ...hour, 135, 90]))).passes.at(-1)).toBe(nobody)
    expect((await tell(of(0, [...hour, 135, 'marker']))).passes).toEqual([...Array(4).fill(nobody), 'first', nobody])
  })

  test('a third time', async () => {
    const { passes } = await tell(of(0, [...hour, 'marker', 90, 105, 120, 75, 90]))
    expect(passes).toEqual([...first, ...second, nobody, nobody])
  })

  test('in a part of a day that is listed twice', async () => {
    const part = [60, ...hour, 135, 1440]
    const { passes } = await tell(of(0, [15, ...part, 15, ...part]))
    expect(passes.filter(pass => pass === nobody)).toHaveLength(8)
  })

  test('but rows outside the hour need no telling', async () => {
    expect((await tell(of(0, [1440, 600, 300, 135, 45]))).passes).toEqual(new Array(5).fill('first'))
  })
})

describe('many meters', () => {
  test('are told anew in each entry of a file, and each core', async () => {
    expect(await tell(of(1, hour))).toMatchObject({ passes: first, assumed: 1 })
    expect(await tell(of(1, hour))).toMatchObject({ passes: first, assumed: 1 })
  })

  test('are told hour by hour, 16,384 of them', async () => {
    const meters = range(0, 16_384)
    const { passes } = await tell([...hour, ...hour].flatMap(end => meters.map(meter => [meter, end] as const)))
    expect(new Set(passes.slice(0, 4 * meters.length))).toEqual(new Set(['first']))
    expect(new Set(passes.slice(4 * meters.length))).toEqual(new Set(['second']))
  })

  test('are not guessed at where they are more', async () => {
    const meters = range(0, 40_000)
    const { passes } = await tell([...hour, ...hour].flatMap(end => meters.map(meter => [meter, end] as const)))
    expect(
      passes.filter((pass, i) => pass !== (i < 4 * meters.length ? 'first' : 'second') && pass !== nobody)
    ).toEqual([])
    expect(passes).toContain(nobody)
  })

  test('are remembered while others come, 65,000 at least', async () => {
    const others = range(100, 65_000).map(meter => [meter, 15] as const)
    const { passes } = await tell([...of(1, [60, ...hour]), ...others, ...of(1, ['marker', 90])])
    expect(passes.slice(-2)).toEqual(['second', 'second'])
  })

  test('beyond that are forgotten, and never guessed at afterwards', async () => {
    const others = range(100, 140_000).map(meter => [meter, 15] as const)
    const whole: End[] = [...hour, 'marker', 90, 105, 120]
    const rows = [...of(1, [60, ...whole]), ...others, ...of(1, hour), ...of(2, [15, ...whole])]
    const { passes } = await tell(rows)
    // It comes again, and looks like a first pass. A day that begins at its beginning is told as ever.
    expect(passes.slice(-13)).toEqual([...Array(4).fill(nobody), 'first', ...first, ...second])
  })

  test('that are out of order stay so when they are forgotten', async () => {
    const others = range(100, 140_000).map(meter => [meter, 15] as const)
    const { passes } = await tell([...of(1, [...hour, 600, 135]), ...others])
    expect(passes.slice(0, 4)).toEqual(Array(4).fill(nobody))
  })

  test('are not guessed at after they were met by instants first', async () => {
    const lines = [
      '1,2025-11-02T05:00Z,1',
      ...hour.map(end => `1,2025-11-02T${clock(end - 15)},1`),
      ...range(100, 140_000).map(meter => `${meter},2025-11-02T00:00,1`),
      ...hour.map(end => `1,2025-11-02T${clock(end - 15)},1`)
    ]
    const text = ['METER,TS,KWH', ...lines.map(line => line.replace(/^\d+/, meter => makeEsiid(Number(meter))))].join(
      '\n'
    )
    const layout = { name: 'mine', columns: { esiid: 'METER', start: 'TS', kwh: 'KWH' } }
    const options = { layouts: [layout], maxRejects: 100, maxRejectShare: 1 }
    const { account } = await read(text, options)
    expect(account.entries[0]!.rejects.map(({ code }) => code)).toEqual(Array(8).fill('ROW_AMBIGUOUS_HOUR'))
  })
})
