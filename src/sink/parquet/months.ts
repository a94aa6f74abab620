import { centralDay } from '../../parse/central-time.ts'

const DAY = 86_400_000

/** A month of the calendar in Central time. */
export interface Month {
  /** As 2025-07. */
  readonly name: string
  /** UTC epoch milliseconds of its first instant. */
  readonly from: number
  /** UTC epoch milliseconds of the next month's first instant. */
  readonly to: number
}

/** How a month is written. */
export const monthPattern = /^\d{4}-(0[1-9]|1[0-2])$/

const calendar = new Intl.DateTimeFormat('en-US', { timeZone: 'America/Chicago', year: 'numeric', month: '2-digit' })

/** The months that UTC days touch, in order. Days are counted from 1970 on. */
export function monthsOf(days: readonly number[]): readonly Month[] {
  const names = new Set(days.flatMap(day => [monthAt(day * DAY), monthAt((day + 1) * DAY - 1)]))
  return [...names].sort().flatMap(name => monthNamed(name) ?? [])
}

function monthAt(instant: number): string {
  const [month, year] = calendar.format(instant).split('/')
  return `${year}-${month}`
}

/** A month, or undefined where no interval can be: before 1970 and after 2199. */
function monthNamed(name: string): Month | undefined {
  const [year, month] = name.split('-').map(Number) as [number, number]
  const first = centralDay(year, month, 1)
  if (first === undefined) return undefined
  const next = month === 12 ? centralDay(year + 1, 1, 1) : centralDay(year, month + 1, 1)
  return { name, from: first.start, to: next?.start ?? Number.MAX_SAFE_INTEGER }
}
