/** One row's place in a local day of America/Chicago. */
export interface DaySlot {
  /** `HH:MM`, as SMT writes the start, wrong label included. */
  readonly startLabel: string
  /** `HH:MM`, as SMT writes the end; `00:00` closes the day. */
  readonly endLabel: string
  /** UTC epoch milliseconds of the start; null for a quarter hour that the clock skips in spring. */
  readonly start: number | null
  /** Place among the day's real quarter hours, from 0; -1 for one that the clock skips. */
  readonly ordinal: number
}

/** How a day with a clock change is written. Other days read the same whatever is asked. */
export interface DayOptions {
  /** Spring: list the skipped hour as placeholders (96 rows), as the portal does. @default true */
  readonly placeholders?: boolean | undefined
  /** Autumn: list the repeated hour's second pass (100 rows); without it the day has 96. @default true */
  readonly secondPass?: boolean | undefined
  /** Autumn: begin the second pass with `01:00`, as it should be, and not with SMT's `02:00`. @default false */
  readonly properRepeat?: boolean | undefined
}

const quarterMs = 15 * 60_000
const days = new Map<string, readonly Quarter[]>()
const written = new Map<string, readonly DaySlot[]>()

const chicago = new Intl.DateTimeFormat('en-US', {
  timeZone: 'America/Chicago',
  hourCycle: 'h23',
  year: 'numeric',
  month: '2-digit',
  day: '2-digit',
  hour: '2-digit',
  minute: '2-digit'
})

/**
 * The quarter hours of a local day (`YYYY-MM-DD`) in the order SMT writes them: 96 rows, or 100 in autumn.
 * The same array for the same question.
 */
export function centralDay(date: string, options: DayOptions = {}): readonly DaySlot[] {
  const { placeholders = true, secondPass = true, properRepeat = false } = options
  const key = `${date} ${placeholders} ${secondPass} ${properRepeat}`
  let slots = written.get(key)
  if (slots === undefined) {
    slots = quartersOf(date)
      .filter(quarter => (quarter.start !== null || placeholders) && (!quarter.repeated || secondPass))
      .map(({ wall, writtenWall, start, ordinal }) => ({
        startLabel: label(properRepeat ? wall : writtenWall),
        endLabel: label(wall + 15),
        start,
        ordinal
      }))
    written.set(key, slots)
  }
  return slots
}

/** How many quarter hours a local day really has: 92, 96 or 100. */
export function quarterHours(date: string): number {
  return quartersOf(date).filter(quarter => quarter.start !== null).length
}

/**
 * UTC epoch milliseconds of a wall clock time (`HH:MM:SS`) of a local day.
 * In the repeated hour the first pass is meant; an hour that the clock skips throws a RangeError.
 */
export function centralInstant(date: string, time: string): number {
  const [hours = NaN, minutes = NaN, seconds = 0] = time.split(':').map(Number)
  const wall = hours * 60 + minutes
  const quarter = quartersOf(date).find(({ start, wall: w }) => start !== null && w <= wall && wall < w + 15)
  if (quarter === undefined || quarter.start === null) throw new RangeError(`no such time in Texas: ${date} ${time}`)
  return quarter.start + ((wall - quarter.wall) * 60 + seconds) * 1000
}

/** The calendar day (`YYYY-MM-DD`) some days after or, with a negative count, before another. */
export function addDays(date: string, count: number): string {
  return new Date(Date.parse(`${date}T00:00Z`) + count * 86_400_000).toISOString().slice(0, 10)
}

interface Quarter {
  /** Minutes since midnight on the wall clock, and the same as SMT writes them. */
  readonly wall: number
  readonly writtenWall: number
  readonly start: number | null
  readonly ordinal: number
  readonly repeated: boolean
}

function quartersOf(date: string): readonly Quarter[] {
  let quarters = days.get(date)
  if (quarters === undefined) {
    quarters = walk(date)
    if (quarters.length === 0) throw new RangeError(`not a calendar day: ${date}`)
    days.set(date, quarters)
  }
  return quarters
}

/** Asks Intl for the wall clock of every UTC quarter hour that may lie in the day. */
function walk(date: string): Quarter[] {
  const quarters: Quarter[] = []
  const seen = new Set<number>()
  const from = Date.parse(`${date}T00:00Z`)
  let ordinal = 0
  // Where the wall clock would stand had nobody changed it since the last quarter hour.
  let expected = 0
  // Texas is behind UTC, and never by more than six hours.
  for (let start = from; start < from + 30 * 3_600_000; start += quarterMs) {
    const { day, wall } = wallClock(start)
    if (day !== date) continue
    for (; expected < wall; expected += 15) {
      quarters.push({ wall: expected, writtenWall: expected, start: null, ordinal: -1, repeated: false })
    }
    // Where the clock jumps back, SMT still writes the start that would have come: 02:00,01:15.
    quarters.push({ wall, writtenWall: expected, start, ordinal, repeated: seen.has(wall) })
    seen.add(wall)
    ordinal += 1
    expected = wall + 15
  }
  return quarters
}

function wallClock(at: number): { day: string; wall: number } {
  const part: Partial<Record<Intl.DateTimeFormatPartTypes, string>> = {}
  for (const { type, value } of chicago.formatToParts(at)) part[type] = value
  return { day: `${part.year}-${part.month}-${part.day}`, wall: Number(part.hour) * 60 + Number(part.minute) }
}

function label(minutes: number): string {
  const two = (n: number) => String(n).padStart(2, '0')
  return `${two(Math.floor(minutes / 60) % 24)}:${two(minutes % 60)}`
}
