import { expect, test } from 'vitest'
import { centralDay, centralDayAt, dayBefore, numberedDay } from '../../src/parse/central-time.ts'

const HOUR = 3_600_000
const clock = new Intl.DateTimeFormat('en-CA', {
  timeZone: 'America/Chicago',
  dateStyle: 'short',
  timeStyle: 'medium',
  hourCycle: 'h23'
})

/** When a local day begins: the instant, five or six hours behind UTC, at which Intl's clock shows midnight. */
function midnight(utc: number): number {
  const date = new Date(utc).toISOString().slice(0, 10)
  const found = [5, 6].map(hours => utc + hours * HOUR).find(at => clock.format(at) === `${date}, 00:00:00`)
  if (found === undefined) throw new RangeError(`no midnight on ${date}`)
  return found
}

test('knows begin and kind of every day from 1990 to 2050', () => {
  const wrong: string[] = []
  const kinds = { ordinary: 0, spring: 0, autumn: 0 }
  let start = midnight(Date.UTC(1990, 0, 1))
  for (let utc = Date.UTC(1990, 0, 1); utc < Date.UTC(2051, 0, 1); utc += 24 * HOUR) {
    const date = new Date(utc)
    const next = midnight(utc + 24 * HOUR)
    const kind = ({ 23: 'spring', 24: 'ordinary', 25: 'autumn' } as const)[(next - start) / HOUR]!
    const found = centralDay(date.getUTCFullYear(), date.getUTCMonth() + 1, date.getUTCDate())
    if (found?.start !== start || found.kind !== kind) wrong.push(date.toISOString())
    kinds[kind]++
    start = next
  }
  expect(wrong).toEqual([])
  expect(kinds).toEqual({ ordinary: 22_280 - 122, spring: 61, autumn: 61 })
})

test('knows no date that the calendar does not have', () => {
  const dates = [
    [2025, 2, 29],
    [2100, 2, 29],
    [2025, 4, 31],
    [2025, 13, 1],
    [2025, 0, 1],
    [2025, 1, 0],
    [2025, 1, 32],
    [1969, 12, 31],
    [2200, 1, 1]
  ] as const
  for (const [year, month, day] of dates)
    expect(centralDay(year, month, day), `${year}-${month}-${day}`).toBeUndefined()
  expect(centralDay(2024, 2, 29)).toBeDefined()
  expect(centralDay(2000, 2, 29)).toBeDefined()
})

test('finds the day of an instant, to the millisecond', () => {
  for (let utc = Date.UTC(2025, 0, 1); utc < Date.UTC(2026, 0, 1); utc += 24 * HOUR) {
    const date = new Date(utc)
    const day = centralDay(date.getUTCFullYear(), date.getUTCMonth() + 1, date.getUTCDate())!
    const next = midnight(utc + 24 * HOUR)
    expect([day.start, next - 1].map(centralDayAt)).toEqual([day, day])
    expect(dayBefore(centralDayAt(next)!)).toBe(day)
    expect(numberedDay(day.number)).toBe(day)
  }
  expect(centralDayAt(Date.UTC(1960, 0, 1))).toBeUndefined()
})

test('does not take an impossible date for the day that it would be counted on to', () => {
  const days = [
    [2024, 17, 1, 2025, 1, 1],
    [2025, 6, 33, 2025, 7, 1]
  ] as const
  for (const [year, month, day, otherYear, otherMonth, otherDay] of days) {
    const real = centralDay(otherYear, otherMonth, otherDay)
    expect(real).toBeDefined()
    expect(centralDay(year, month, day)).toBeUndefined()
    expect(centralDay(otherYear, otherMonth, otherDay)).toBe(real)
  }
  // And the other way round: asked for first, it must not hide the real one.
  expect(centralDay(2025, 17, 2)).toBeUndefined()
  expect(centralDay(2026, 1, 2)).toBeDefined()
})
