/**
 * Central prevailing time, as SMT's files are written in it: `America/Chicago`, daylight time included.
 *
 * The clock changes at 02:00 local time. In spring 02:00-03:00 does not exist (92 quarter hours); in autumn
 * 01:00-02:00 happens twice (100). Everything is worked out once per calendar day and kept.
 */

const MINUTE = 60_000
/** Last minute of the hour that is skipped in spring and the end of the one that is repeated in autumn. */
export const CHANGE = 120

/** One calendar day. */
export interface CentralDay {
  /** UTC epoch milliseconds of local midnight. */
  readonly start: number
  readonly kind: 'ordinary' | 'spring' | 'autumn'
}

const clock = new Intl.DateTimeFormat('en-US', {
  timeZone: 'America/Chicago',
  hourCycle: 'h23',
  year: 'numeric',
  month: 'numeric',
  day: 'numeric',
  hour: 'numeric',
  minute: 'numeric'
})

const days = new Map<number, CentralDay | undefined>()

/** The day, or undefined when the calendar has no such date between 1970 and 2199. */
export function centralDay(year: number, month: number, day: number): CentralDay | undefined {
  // Beyond these the key below would be another day's.
  if (month < 1 || month > 12 || day < 1 || day > 31) return undefined
  const key = (year * 16 + month) * 32 + day
  let found = days.get(key)
  if (found === undefined && !days.has(key)) {
    found = findDay(year, month, day)
    days.set(key, found)
  }
  return found
}

/**
 * UTC epoch milliseconds of the quarter hour that ends at `endMinute` (15 to 1440) on the clock of `day`.
 * `secondPass` tells which of the two in the repeated autumn hour. The hour skipped in spring has no answer.
 */
export function quarterHourStart(day: CentralDay, endMinute: number, secondPass: boolean): number | undefined {
  let minute = endMinute - 15
  if (day.kind === 'spring') {
    if (isSkipped(day, endMinute)) return undefined
    if (endMinute > CHANGE) minute -= 60
  } else if (day.kind === 'autumn' && (secondPass || endMinute > CHANGE)) {
    minute += 60
  }
  return day.start + minute * MINUTE
}

/** Whether the quarter hour that ends at `endMinute` is one of the four that spring leaves out. */
export function isSkipped(day: CentralDay, endMinute: number): boolean {
  return day.kind === 'spring' && endMinute > CHANGE && endMinute <= CHANGE + 60
}

/** Whether the quarter hour that ends at `endMinute` is one of the four that autumn repeats. */
export function isRepeated(day: CentralDay, endMinute: number): boolean {
  return day.kind === 'autumn' && endMinute > CHANGE - 60 && endMinute <= CHANGE
}

/**
 * UTC epoch milliseconds of a local date and time of day. A time that happens twice is taken as the first, a time
 * that does not exist as the clock read before the change would show it (as Temporal's `compatible`).
 */
export function instantOf(day: CentralDay, secondOfDay: number): number {
  const changed = day.kind === 'ordinary' ? 0 : day.kind === 'spring' ? -3600 : 3600
  const boundary = day.kind === 'spring' ? (CHANGE + 60) * 60 : CHANGE * 60
  return day.start + (secondOfDay + (secondOfDay >= boundary ? changed : 0)) * 1000
}

function findDay(year: number, month: number, day: number): CentralDay | undefined {
  if (year < 1970 || year > 2199) return undefined
  const utc = Date.UTC(year, month - 1, day)
  const date = new Date(utc)
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined
  const start = midnight(utc)
  const hours = (midnight(utc + 24 * 60 * MINUTE) - start) / (60 * MINUTE)
  return { start, kind: hours === 23 ? 'spring' : hours === 25 ? 'autumn' : 'ordinary' }
}

/** The instant of local midnight of the day whose UTC midnight is `utc`. No clock change falls between the two. */
function midnight(utc: number): number {
  return utc - offsetAt(utc - offsetAt(utc))
}

/** How far local time is ahead of UTC at an instant, in milliseconds (negative in Texas). */
function offsetAt(instant: number): number {
  const part: Record<string, number> = {}
  for (const { type, value } of clock.formatToParts(instant)) part[type] = Number(value)
  return Date.UTC(part.year!, part.month! - 1, part.day!, part.hour!, part.minute!) - instant
}
