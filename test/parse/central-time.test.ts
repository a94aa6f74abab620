import { describe, expect, test } from 'vitest'
import { centralDay, instantOf, isRepeated, isSkipped, quarterHourStart } from '../../src/parse/central-time.ts'
import { centralDay as daySlots } from '../../src/testing/index.ts'

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

const dayOf = (date: string) => {
  const [year, month, day] = date.split('-').map(Number)
  return centralDay(year!, month!, day!)!
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

describe('a quarter hour', () => {
  test.each(['2025-07-14', '2025-01-14', '2025-03-09', '2025-11-02', '1999-10-31', '2006-04-02', '2050-03-13'])(
    'of %s begins when Intl says so, for each end label',
    date => {
      const day = dayOf(date)
      const seen = new Set<string>()
      for (const { endLabel, start } of daySlots(date)) {
        const [hours, minutes] = endLabel.split(':').map(Number)
        const end = hours! * 60 + minutes! || 1440
        const secondPass = seen.has(endLabel)
        seen.add(endLabel)
        expect(quarterHourStart(day, end, secondPass) ?? null, endLabel).toBe(start)
        expect(isSkipped(day, end), endLabel).toBe(start === null)
        if (secondPass) expect(isRepeated(day, end), endLabel).toBe(true)
      }
    }
  )

  test('is repeated in autumn only, four times', () => {
    const repeated = (date: string) =>
      Array.from({ length: 96 }, (_, i) => i * 15 + 15).filter(end => isRepeated(dayOf(date), end))
    expect(repeated('2025-11-02')).toEqual([75, 90, 105, 120])
    expect(repeated('2025-03-09')).toEqual([])
    expect(repeated('2025-07-14')).toEqual([])
  })
})

test.each([
  ['2025-07-14', 6 * 3600 + 41 * 60 + 12, '2025-07-14T11:41:12.000Z'],
  ['2025-01-14', 86_399, '2025-01-15T05:59:59.000Z'],
  ['2025-11-02', 0, '2025-11-02T05:00:00.000Z'],
  ['2025-11-02', 3600, '2025-11-02T06:00:00.000Z'],
  ['2025-11-02', 7199, '2025-11-02T06:59:59.000Z'],
  ['2025-11-02', 7200, '2025-11-02T08:00:00.000Z'],
  ['2025-11-02', 86_399, '2025-11-03T05:59:59.000Z'],
  ['2025-03-09', 7199, '2025-03-09T07:59:59.000Z'],
  ['2025-03-09', 7200, '2025-03-09T08:00:00.000Z'],
  ['2025-03-09', 10_799, '2025-03-09T08:59:59.000Z'],
  ['2025-03-09', 10_800, '2025-03-09T08:00:00.000Z']
])('on %s second %i of the clock is %s', (date, second, expected) => {
  expect(new Date(instantOf(dayOf(date), second)).toISOString()).toBe(expected)
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
