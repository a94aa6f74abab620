import { describe, expect, test } from 'vitest'
import { addDays, centralDay, centralInstant, quarterHours } from '../../src/testing/index.ts'

const table = (date: string, from: number, to: number, options = {}) =>
  centralDay(date, options)
    .slice(from, to)
    .map(({ startLabel, endLabel, start }) => [startLabel, endLabel, start === null ? null : iso(start)])

const iso = (at: number) => `${new Date(at).toISOString().slice(0, 16)}Z`

describe('a day without a clock change', () => {
  test('has 96 quarter hours from midnight to midnight', () => {
    const day = centralDay('2025-07-14')
    expect(day).toHaveLength(96)
    expect(table('2025-07-14', 0, 2)).toEqual([
      ['00:00', '00:15', '2025-07-14T05:00Z'],
      ['00:15', '00:30', '2025-07-14T05:15Z']
    ])
    expect(table('2025-07-14', 95, 96)).toEqual([['23:45', '00:00', '2025-07-15T04:45Z']])
    expect(table('2025-01-14', 0, 1)).toEqual([['00:00', '00:15', '2025-01-14T06:00Z']])
  })

  test('is the same array each time', () => {
    expect(centralDay('2025-07-14', {})).toBe(centralDay('2025-07-14'))
  })
})

describe('9 March 2025, when the clock skips an hour', () => {
  const before = [
    ['01:30', '01:45', '2025-03-09T07:30Z'],
    ['01:45', '02:00', '2025-03-09T07:45Z']
  ]
  const skipped = [
    ['02:00', '02:15', null],
    ['02:15', '02:30', null],
    ['02:30', '02:45', null],
    ['02:45', '03:00', null]
  ]
  const after = [
    ['03:00', '03:15', '2025-03-09T08:00Z'],
    ['03:15', '03:30', '2025-03-09T08:15Z']
  ]

  test('lists 96 rows of which four are placeholders', () => {
    expect(centralDay('2025-03-09')).toHaveLength(96)
    expect(quarterHours('2025-03-09')).toBe(92)
    expect(table('2025-03-09', 6, 14)).toEqual([...before, ...skipped, ...after])
    expect(table('2025-03-09', 0, 1)).toEqual([['00:00', '00:15', '2025-03-09T06:00Z']])
    expect(table('2025-03-09', 95, 96)).toEqual([['23:45', '00:00', '2025-03-10T04:45Z']])
  })

  test('lists 92 rows without the placeholders', () => {
    expect(centralDay('2025-03-09', { placeholders: false })).toHaveLength(92)
    expect(table('2025-03-09', 6, 10, { placeholders: false })).toEqual([...before, ...after])
  })
})

describe('2 November 2025, when an hour comes twice', () => {
  const firstPass = [
    ['00:45', '01:00', '2025-11-02T05:45Z'],
    ['01:00', '01:15', '2025-11-02T06:00Z'],
    ['01:15', '01:30', '2025-11-02T06:15Z'],
    ['01:30', '01:45', '2025-11-02T06:30Z'],
    ['01:45', '02:00', '2025-11-02T06:45Z']
  ]
  const secondPass = [
    ['02:00', '01:15', '2025-11-02T07:00Z'],
    ['01:15', '01:30', '2025-11-02T07:15Z'],
    ['01:30', '01:45', '2025-11-02T07:30Z'],
    ['01:45', '02:00', '2025-11-02T07:45Z']
  ]
  const after = [
    ['02:00', '02:15', '2025-11-02T08:00Z'],
    ['02:15', '02:30', '2025-11-02T08:15Z']
  ]

  test('lists 100 rows and begins the second pass with the label SMT gets wrong', () => {
    expect(centralDay('2025-11-02')).toHaveLength(100)
    expect(quarterHours('2025-11-02')).toBe(100)
    expect(table('2025-11-02', 3, 14)).toEqual([...firstPass, ...secondPass, ...after])
    expect(table('2025-11-02', 99, 100)).toEqual([['23:45', '00:00', '2025-11-03T05:45Z']])
  })

  test('begins the second pass with 01:00 when asked to', () => {
    const [, ...rest] = secondPass
    const proper = [['01:00', '01:15', '2025-11-02T07:00Z'], ...rest]
    expect(table('2025-11-02', 3, 14, { properRepeat: true })).toEqual([...firstPass, ...proper, ...after])
  })

  test('lists 96 rows without the second pass', () => {
    expect(centralDay('2025-11-02', { secondPass: false })).toHaveLength(96)
    expect(table('2025-11-02', 3, 10, { secondPass: false })).toEqual([...firstPass, ...after])
  })
})

test('every real quarter hour of a year follows the one before by 15 minutes', () => {
  const starts: number[] = []
  for (let date = '2025-01-01'; date < '2026-01-01'; date = addDays(date, 1)) {
    for (const { start, ordinal } of centralDay(date)) {
      if (start === null) continue
      expect(ordinal).toBe((start - centralDay(date)[0]!.start!) / 900_000)
      starts.push(start)
    }
  }
  expect(starts).toHaveLength(365 * 96)
  expect(starts.every((start, i) => start === Date.parse('2025-01-01T06:00Z') + i * 900_000)).toBe(true)
})

test('a wall clock time is turned into its instant', () => {
  expect(centralInstant('2025-07-15', '06:41:12')).toBe(Date.parse('2025-07-15T11:41:12Z'))
  expect(centralInstant('2025-12-15', '23:59:59')).toBe(Date.parse('2025-12-16T05:59:59Z'))
  expect(centralInstant('2025-11-02', '01:20')).toBe(Date.parse('2025-11-02T06:20Z'))
  expect(centralInstant('2025-11-02', '02:20')).toBe(Date.parse('2025-11-02T08:20Z'))
})

test('a time or a day that never was is refused', () => {
  expect(() => centralInstant('2025-03-09', '02:30')).toThrow('no such time in Texas: 2025-03-09 02:30')
  expect(() => centralInstant('2025-03-10', '24:30')).toThrow(RangeError)
  expect(() => centralDay('2025-02-30')).toThrow('not a calendar day: 2025-02-30')
  expect(() => centralDay('today')).toThrow('not a calendar day: today')
})
