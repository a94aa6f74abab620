/** Local days, first and last one included: `2025-07-14`. */
export interface DaySpan {
  readonly from: string
  readonly to: string
}

const DAY_MS = 86_400_000

/** The calendar day some days after another. */
export function addDays(date: string, count: number): string {
  return new Date(Date.parse(date) + count * DAY_MS).toISOString().slice(0, 10)
}

/** Every day of a span. */
export function daysOf({ from, to }: DaySpan): string[] {
  const count = (Date.parse(to) - Date.parse(from)) / DAY_MS + 1
  return Array.from({ length: count }, (_, i) => addDays(from, i))
}

/** A span in pieces of so many days. */
export function splitDays({ from, to }: DaySpan, days: number): DaySpan[] {
  const spans: DaySpan[] = []
  for (let first = from; first <= to; first = addDays(first, days)) {
    const last = addDays(first, days - 1)
    spans.push({ from: first, to: last < to ? last : to })
  }
  return spans
}
