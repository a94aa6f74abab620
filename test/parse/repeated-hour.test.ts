import { describe, expect, test } from 'vitest'
import { RepeatedHour } from '../../src/parse/repeated-hour.ts'

/** The passes of rows that end at these minutes of the day; `marker` is SMT's row `02:00,01:15`. */
function passes(ends: readonly (number | 'marker')[], hour = new RepeatedHour(), group = 'a') {
  return ends.map(end => (end === 'marker' ? hour.pass(group, 120, 75) : hour.pass(group, end - 15, end)))
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
    passes([60, ...hour, 135], hours, 'once')
    passes([...hour, ...hour], hours, 'twice')
    passes(['marker', 90], hours, 'second only')
    passes([15, 30, 135], hours, 'neither')
    passes([90], hours, 'one row')
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
    const mixed = ends.flatMap(end => [passes([end], hours, 'a'), passes([end], hours, 'b')])
    expect(mixed.flat()).toEqual([...first, ...second].flatMap(pass => [pass, pass]))
  })

  test('beyond a hundred thousand are forgotten, and never guessed at afterwards', () => {
    const hours = new RepeatedHour()
    passes([60, ...hour], hours, 'forgotten')
    for (let i = 0; i < 100_000; i++) hours.pass(`other ${i}`, 0, 15)
    // Its second pass comes now, and looks like a first one.
    expect(passes(hour, hours, 'forgotten')).toEqual(new Array(4).fill(nobody))
    // A day that begins at its beginning is told as ever.
    expect(passes([15, ...hour, 'marker'], hours, 'new')).toEqual(['first', ...first, 'second'])
  })
})
