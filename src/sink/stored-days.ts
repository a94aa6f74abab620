import type { Direction } from '../batch.ts'
import { centralDay } from '../parse/central-time.ts'

/** Of which meters and local days a store is asked. */
export interface StoredDaysQuery {
  readonly esiids: readonly string[]
  /** First local day, `2025-07-14`. */
  readonly from: string
  /** Last local day, included. */
  readonly to: string
}

/** How many intervals a store has of one meter, direction and local day. */
export interface StoredDay {
  readonly esiid: string
  readonly direction: Direction
  /** `2025-07-14` */
  readonly date: string
  /** At least one; a whole day has 92, 96 or 100. */
  readonly intervals: number
}

/** The local days of a span and when each begins, in UTC epoch milliseconds; and when the span ends. */
export function beginsOf({ from, to }: Pick<StoredDaysQuery, 'from' | 'to'>): {
  dates: string[]
  begins: number[]
  end: number
} {
  const dates: string[] = []
  for (let at = Date.parse(from); at <= Date.parse(to); at += 86_400_000)
    dates.push(new Date(at).toISOString().slice(0, 10))
  const begins = dates.map(beginOf)
  return { dates, begins, end: beginOf(new Date(Date.parse(to) + 86_400_000).toISOString().slice(0, 10)) }
}

/** Rows of a store's answer, in which the day is its place in the span, from 0. */
export function storedDaysOf(
  rows: readonly Readonly<Record<string, unknown>>[],
  dates: readonly string[]
): StoredDay[] {
  return rows.map(({ esiid, direction, day, intervals }) => ({
    esiid: esiid as string,
    direction: direction as Direction,
    date: dates[Number(day)]!,
    intervals: Number(intervals)
  }))
}

function beginOf(date: string): number {
  const [year, month, day] = date.split('-').map(Number) as [number, number, number]
  const found = centralDay(year, month, day)
  if (!found) throw new RangeError('the calendar has no such day')
  return found.start
}
