import { describe, expect, test } from 'vitest'
import { centralDay } from '../../src/parse/central-time.ts'
import { ScanCore } from '../../src/parse/scan-core.ts'
import { makeEsiid } from '../../src/testing/index.ts'

const day = centralDay(2025, 11, 2)!

/** The core as far as it tells the two passes of the repeated hour apart. */
class RepeatedHour {
  readonly #core = ScanCore.take(1, [15])

  constructor() {
    this.#core.beginEntry(1)
  }

  get assumed(): number {
    return this.#core.counts.ambiguousHourAssumed
  }

  /** Another entry of the same file begins. */
  beginEntry(): void {
    this.#core.beginEntry(1)
  }

  /** Places a row of meter `n` on the autumn day: which pass it is taken for, by the instant that it gets. */
  pass(n: number, start: number, end: number): 'first' | 'second' | undefined {
    const row = { esiid: makeEsiid(n), day, time: { start, end }, revision: null, direction: 0, estimated: false }
    const outcome = this.#core.place({ ...row, reading: 100 })
    if (outcome === 'ROW_AMBIGUOUS_HOUR') return undefined
    expect(outcome).toBe('accepted')
    const minute = (this.#core.takeBatch({ index: 0, name: '' })!.start[0]! - day.start) / 60_000
    // After the hour the wall clock is an hour behind; that is no second pass.
    return end > 60 && end <= 120 && minute + 15 !== end ? 'second' : 'first'
  }
}

/** The passes of rows that end at these minutes of the day; `marker` is SMT's row `02:00,01:15`. */
function passes(ends: readonly (number | 'marker')[], hour = new RepeatedHour(), meter = 0) {
  return ends.map(end => (end === 'marker' ? hour.pass(meter, 120, 75) : hour.pass(meter, end - 15, end)))
}

const hour = [75, 90, 105, 120]
const first = new Array(4).fill('first')
const second = new Array(4).fill('second')
const nobody = undefined

describe('the second pass begins', () => {
  test('at the row that says 02:00,01:15', () => {
    expect(passes([...hour, 'marker', 90, 105, 120])).toEqual([...first, ...second])
  })

  test('at the first row that ends no later than the one before', () => {
    expect(passes([...hour, ...hour])).toEqual([...first, ...second])
    expect(passes([75, 90, 75, 90])).toEqual(['first', 'first', 'second', 'second'])
    expect(passes([90, 105, 120, 120])).toEqual(['first', 'first', 'first', 'second'])
  })

  test('nowhere in rows that are sorted by their labels: equal neighbours tell so', () => {
    expect(passes([75, 90, 90, 105, 105, 120, 120])).toEqual(['first', 'first', ...Array(5).fill(undefined)])
    expect(passes([75, 'marker', 90, 90])).toEqual(['first', undefined, undefined, undefined])
  })

  test('at the marker although nothing of the first pass is there', () => {
    expect(passes(['marker', 90, 105, 120])).toEqual(second)
    expect(passes([60, 'marker', 90])).toEqual(['first', 'second', 'second'])
  })

  test('anew when the day is listed again', () => {
    const day = [15, 60, ...hour, ...hour, 135, 1440]
    expect(passes([...day, ...day])).toEqual([...passes(day), ...passes(day)])
  })
})

describe('nobody can tell', () => {
  test('a row of the hour behind the hour', () => {
    expect(passes([135, 75])).toEqual(['first', nobody])
    expect(passes([...hour, ...hour, 135, 90]).at(-1)).toBe(nobody)
    expect(passes([...hour, 135, 'marker']).at(-1)).toBe(nobody)
  })

  test('a third pass', () => {
    expect(passes([...hour, ...hour, 75]).at(-1)).toBe(nobody)
    expect(passes([...hour, 'marker', 'marker']).at(-1)).toBe(nobody)
  })

  test('a day whose other rows are out of order, from there on', () => {
    expect(passes([60, 45, ...hour])).toEqual(['first', 'first', nobody, nobody, nobody, nobody])
  })

  test('but rows outside the hour need no telling', () => {
    expect(passes([1440, 600, 300, 135, 45])).toEqual(new Array(5).fill('first'))
  })
})

describe('assumed', () => {
  test('counts groups that list the hour once', () => {
    const hours = new RepeatedHour()
    passes([60, ...hour, 135], hours, 1)
    passes([...hour, ...hour], hours, 2)
    passes(['marker', 90], hours, 3)
    passes([15, 30, 135], hours, 4)
    passes([90], hours, 5)
    expect(hours.assumed).toBe(2)
  })

  test('does not count a group again when its day is listed again', () => {
    const hours = new RepeatedHour()
    passes([15, ...hour, 1440, 15, ...hour, 1440], hours)
    expect(hours.assumed).toBe(1)
  })

  test('forgets a group that turns out to have a second pass', () => {
    const hours = new RepeatedHour()
    passes(hour, hours)
    expect(hours.assumed).toBe(1)
    passes(['marker'], hours)
    expect(hours.assumed).toBe(0)
  })
})

describe('groups', () => {
  test('are told apart, however they are mixed', () => {
    const hours = new RepeatedHour()
    const ends = [...hour, 'marker', 90, 105, 120] as const
    const mixed = ends.flatMap(end => [passes([end], hours, 1), passes([end], hours, 2)])
    expect(mixed.flat()).toEqual([...first, ...second].flatMap(pass => [pass, pass]))
  })

  test('are told anew in each entry of a file', () => {
    const hours = new RepeatedHour()
    expect(passes(hour, hours)).toEqual(first)
    hours.beginEntry()
    expect(passes([...hour, 'marker'], hours)).toEqual([...first, 'second'])
    expect(hours.assumed).toBe(0)
  })

  test('are remembered while others come, 65,000 at least', () => {
    const hours = new RepeatedHour()
    passes([60, ...hour], hours, 1)
    for (let i = 0; i < 65_000; i++) hours.pass(100 + i, 0, 15)
    expect(passes(['marker', 90], hours, 1)).toEqual(['second', 'second'])
  })

  test('beyond that are forgotten, and never guessed at afterwards', () => {
    const hours = new RepeatedHour()
    passes([60, ...hour], hours, 1)
    for (let i = 0; i < 140_000; i++) hours.pass(100 + i, 0, 15)
    // Its second pass comes now, and looks like a first one.
    expect(passes(hour, hours, 1)).toEqual(new Array(4).fill(nobody))
    // A day that begins at its beginning is told as ever.
    expect(passes([15, ...hour, 'marker'], hours, 2)).toEqual(['first', ...first, 'second'])
  })
})
