import type { Direction, IntervalBatch } from '../batch.ts'
import { type CentralDay, centralDay, centralDayAt } from '../parse/central-time.ts'
import type { StoredDay } from '../sink/stored-days.ts'
import { addDays, type DaySpan, daysOf } from './day-spans.ts'

/** A day of which something is not there. */
export interface MissingDay {
  readonly esiid: string
  readonly direction: Direction
  /** Local day, `2025-07-14`. */
  readonly date: string
  /** Quarter hours that the day has, 92, 96 or 100, and how many of them are there. */
  readonly expected: number
  readonly stored: number
}

/** What one request asks for. */
export interface Wanted extends DaySpan {
  readonly esiids: readonly string[]
}

const quarters = { ordinary: 96, spring: 92, autumn: 100 } as const

/**
 * The days that are not whole. Consumption is expected of every meter and day; surplus generation of a meter that has some,
 * from the first day with some to the last: which homes have panels, and since when, nobody says beforehand.
 */
export function missingDays(
  esiids: readonly string[],
  span: DaySpan,
  wanted: 'consumption' | 'surplus-generation' | 'both',
  stored: readonly StoredDay[]
): MissingDay[] {
  const dates = daysOf(span)
  const counts = new Map(
    stored.map(({ esiid, direction, date, intervals }) => [`${esiid} ${direction} ${date}`, intervals])
  )
  const missing: MissingDay[] = []
  for (const esiid of esiids) {
    for (const direction of ['consumption', 'surplus-generation'] as const) {
      if (wanted !== 'both' && wanted !== direction) continue
      const countOf = (date: string) => counts.get(`${esiid} ${direction} ${date}`) ?? 0
      const isSurplusOfMany = direction === 'surplus-generation' && wanted === 'both'
      const some = isSurplusOfMany ? dates.filter(date => countOf(date) > 0) : dates
      for (const date of dates) {
        if (some.length === 0 || date < some[0]! || date > some.at(-1)!) continue
        const [expected, count] = [quarters[dayOf(date).kind], countOf(date)]
        if (count < expected) missing.push({ esiid, direction, date, expected, stored: count })
      }
    }
  }
  return missing
}

/**
 * The requests that ask for all missing days: spans of so many days at most, from one missing day to another, of so many
 * meters at most that lack the same.
 */
export function requestsFor(
  missing: readonly Pick<MissingDay, 'esiid' | 'date'>[],
  { daysPerRequest, metersPerRequest }: { readonly daysPerRequest: number; readonly metersPerRequest: number }
): Wanted[] {
  const meters = new Map<string, Set<string>>()
  for (const { esiid, date } of missing) meters.set(esiid, (meters.get(esiid) ?? new Set()).add(date))
  const bySpan = new Map<string, string[]>()
  for (const [esiid, dates] of meters) {
    for (const { from, to } of spansOf([...dates].sort(), daysPerRequest)) {
      bySpan.set(`${from} ${to}`, [...(bySpan.get(`${from} ${to}`) ?? []), esiid])
    }
  }
  return [...bySpan].flatMap(([key, esiids]) => {
    const [from, to] = key.split(' ') as [string, string]
    const groups = Math.ceil(esiids.length / metersPerRequest)
    return Array.from({ length: groups }, (_, i) => ({
      esiids: esiids.slice(i * metersPerRequest, (i + 1) * metersPerRequest),
      from,
      to
    }))
  })
}

/** Spans that hold all of these days, in their order. */
function spansOf(dates: readonly string[], days: number): DaySpan[] {
  const spans: DaySpan[] = []
  for (const date of dates) {
    const last = spans.at(-1)
    if (last && date <= addDays(last.from, days - 1)) spans[spans.length - 1] = { from: last.from, to: date }
    else spans.push({ from: date, to: date })
  }
  return spans
}

/** Whether a request asks for this meter and day. */
export function asksFor({ esiids, from, to }: Wanted, { esiid, date }: Pick<MissingDay, 'esiid' | 'date'>): boolean {
  return esiids.includes(esiid) && from <= date && date <= to
}

/**
 * The quarter hours of which readings came, by meter, direction and local day: what a store that cannot be asked is known
 * to have.
 *
 * Memory: a byte for each quarter hour of a day that came.
 */
export class ArrivedDays {
  readonly #days = new Map<string, Uint8Array>()
  readonly #meters: ReadonlySet<string>
  readonly #span: DaySpan

  constructor(esiids: Iterable<string>, span: DaySpan) {
    this.#meters = new Set(esiids)
    this.#span = span
  }

  get isEmpty(): boolean {
    return this.#days.size === 0
  }

  /** Takes the readings of a batch, those that nobody asked for left out. */
  add(batch: IntervalBatch): void {
    const isWanted = batch.esiids.map(esiid => this.#meters.has(esiid))
    let day: DatedDay | undefined
    let last = { meter: -1, direction: -1, start: Number.NaN, came: undefined as Uint8Array | undefined }
    for (let i = 0; i < batch.length; i++) {
      const [meter, direction, start] = [batch.meter[i]!, batch.direction[i]!, batch.start[i]!]
      if (!isWanted[meter]) continue
      if (!day || start < day.start || start >= day.end) day = dayAt(start)
      if (!day) continue
      // Nearly every row is of the meter-day of the row before.
      if (last.meter !== meter || last.direction !== direction || last.start !== day.start) {
        const came = this.#isAskedFor(day.date) ? this.#cameOf(`${batch.esiid(i)} ${direction} ${day.date}`) : undefined
        last = { meter, direction, start: day.start, came }
      }
      if (last.came) last.came[(start - day.start) / QUARTER_MS] = 1
    }
  }

  #isAskedFor(date: string): boolean {
    return this.#span.from <= date && date <= this.#span.to
  }

  #cameOf(key: string): Uint8Array {
    let came = this.#days.get(key)
    if (!came) this.#days.set(key, (came = new Uint8Array(100)))
    return came
  }

  /** Takes over what came of another file. */
  join(other: ArrivedDays): void {
    for (const [key, came] of other.#days) {
      const before = this.#days.get(key)
      if (before) for (const [i, one] of came.entries()) before[i]! |= one
      else this.#days.set(key, came)
    }
  }

  counts(): StoredDay[] {
    return Array.from(this.#days, ([key, came]) => {
      const [esiid, direction, date] = key.split(' ') as [string, string, string]
      const intervals = came.reduce((sum, one) => sum + one, 0)
      return { esiid, direction: direction === '0' ? 'consumption' : 'surplus-generation', date, intervals }
    })
  }

  /** Whether something came of a meter on one of these days. */
  has(esiid: string, { from, to }: DaySpan): boolean {
    return [...this.#days.keys()].some(key => {
      const [meter, , date] = key.split(' ') as [string, string, string]
      return meter === esiid && from <= date && date <= to
    })
  }
}

const QUARTER_MS = 900_000

/** A local day with its date, and when it ends. */
interface DatedDay extends CentralDay {
  readonly date: string
  readonly end: number
}

function dayAt(instant: number): DatedDay | undefined {
  const day = centralDayAt(instant)
  if (!day) return undefined
  // Noon of the local day lies on the same date in UTC.
  const date = new Date(day.start + 12 * 3_600_000).toISOString().slice(0, 10)
  return { ...day, date, end: day.start + quarters[day.kind] * QUARTER_MS }
}

function dayOf(date: string): CentralDay {
  const [year, month, day] = date.split('-').map(Number) as [number, number, number]
  return centralDay(year, month, day)!
}
