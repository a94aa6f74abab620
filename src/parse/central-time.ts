/**
 * Central prevailing time, as SMT's files are written in it: `America/Chicago`, daylight time included.
 *
 * The clock changes at 02:00 local time. In spring 02:00-03:00 does not exist (92 quarter hours); in autumn
 * 01:00-02:00 happens twice (100). When each calendar day begins and of which kind it is comes from Intl, once per day;
 * the core places rows within it.
 */

const MINUTE = 60_000
const HOUR = 60 * MINUTE

/** One calendar day. */
export interface CentralDay {
  /** UTC epoch milliseconds of local midnight. */
  readonly start: number
  readonly kind: 'ordinary' | 'spring' | 'autumn'
  /** Its number, as {@link dayNumber} gives it. */
  readonly number: number
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

/** A calendar date between 1970 and 2199 as one number: five bits of day, four of month, the years since 1970. */
function dayNumber(year: number, month: number, day: number): number {
  return ((year - 1970) << 9) | (month << 5) | day
}

/** The day, or undefined when the calendar has no such date between 1970 and 2199. */
export function centralDay(year: number, month: number, day: number): CentralDay | undefined {
  // Beyond these the number would be another day's.
  if (year < 1970 || year > 2199 || month < 1 || month > 12 || day < 1 || day > 31) return undefined
  return numberedDay(dayNumber(year, month, day))
}

/** The day of a number, or undefined when the calendar has no such date. */
export function numberedDay(number: number): CentralDay | undefined {
  let found = days.get(number)
  if (found === undefined && !days.has(number)) {
    found = findDay(number)
    days.set(number, found)
  }
  return found
}

/** The local day in which an instant lies; undefined before 1970 and after 2199. */
export function centralDayAt(instant: number): CentralDay | undefined {
  const local = new Date(instant + offsetAt(instant))
  return centralDay(local.getUTCFullYear(), local.getUTCMonth() + 1, local.getUTCDate())
}

/** The day before. */
export function dayBefore(day: CentralDay): CentralDay | undefined {
  return centralDayAt(day.start - 1)
}

/**
 * The instant of so many seconds of a day on the local clock. A time that happens twice is taken as the first, one that does
 * not exist as the clock read before the change would show it.
 */
export function instantIn({ start, kind }: CentralDay, second: number): number {
  if (kind === 'spring' && second * 1000 >= 3 * HOUR) return start + second * 1000 - HOUR
  if (kind === 'autumn' && second * 1000 >= 2 * HOUR) return start + second * 1000 + HOUR
  return start + second * 1000
}

function findDay(number: number): CentralDay | undefined {
  const [month, day] = [(number >> 5) & 15, number & 31]
  const utc = Date.UTC((number >> 9) + 1970, month - 1, day)
  const date = new Date(utc)
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined
  const start = midnight(utc)
  const hours = (midnight(utc + 24 * HOUR) - start) / HOUR
  return { start, kind: hours === 23 ? 'spring' : hours === 25 ? 'autumn' : 'ordinary', number }
}

/** The instant of local midnight of the day whose UTC midnight is `utc`. No clock change falls between the two. */
function midnight(utc: number): number {
  return utc - offsetAt(utc - offsetAt(utc))
}

/** How far local time is ahead of UTC at an instant, in milliseconds (negative in Texas). */
function offsetAt(instant: number): number {
  const part: Record<string, number> = {}
  for (const { type, value } of clock.formatToParts(instant)) part[type] = Number(value)
  const local = Date.UTC(part.year!, part.month! - 1, part.day!, part.hour!, part.minute!)
  // Intl leaves the seconds out.
  return local - Math.floor(instant / MINUTE) * MINUTE
}
