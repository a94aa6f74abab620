import type { IntervalBatch } from '../../batch.ts'
import { centralDayAt } from '../../parse/central-time.ts'

const DAY_MS = 86_400_000
const QUARTER_MS = 900_000
/** Midnight in Texas comes at 05:00 or 06:00 UTC. */
const EARLIEST_MIDNIGHT_MS = 5 * 3_600_000

/** Quarter hours of the three kinds of day. */
const sizes = { spring: 92, ordinary: 96, autumn: 100 }
const LONGEST = 100

/** Days that may be open at a time, 4 KB each: in a file whose rows of a day come close together, and in any other. */
const MOST_OPEN = { close: 512, apart: 8192 }

/** Meters and directions of which it is remembered what was given out; about 5 MB when full. */
const MOST_SERIES = 50_000

/** One local day: when it begins, and how many quarter hours it has. */
interface LocalDay {
  /** Days since 1970. */
  readonly number: number
  /** UTC epoch milliseconds. */
  readonly start: number
  readonly end: number
  readonly size: number
}

/** The readings of one meter and direction on one local day, by quarter hour: of several for one, the winner. */
export class MeterDay {
  esiid = ''
  direction = 0
  day!: LocalDay
  /** 0.00001 kWh; NaN where there is no reading. */
  readonly readings = new Float64Array(LONGEST)
  readonly estimated = new Float64Array(LONGEST)
  /** UTC epoch milliseconds; NaN where blank. */
  readonly revisions = new Float64Array(LONGEST)
  readonly entries = new Float64Array(LONGEST)
  readonly lines = new Float64Array(LONGEST)
  /** 1 where two readings of the winning version differ. */
  readonly conflicts = new Uint8Array(LONGEST)
  filled = 0

  begin(esiid: string, direction: number, day: LocalDay): this {
    this.esiid = esiid
    this.direction = direction
    this.day = day
    this.readings.fill(Number.NaN)
    this.conflicts.fill(0)
    this.filled = 0
    return this
  }
}

/** What was found while days were put together. */
export interface AssemblyCounts {
  /** Rows that another row of the same file beat. */
  readonly beaten: number
  /** A day may have been given out more than once: rows of it came far apart. */
  readonly reopened: boolean
}

/**
 * Puts the rows of a file together to days of one meter and direction, in the order in which they come.
 *
 * Memory: 4 KB for each day under way. SMT writes day after day, so of 512 the one begun first is given out. Once a day
 * comes again that was given out, the file is in another order, and 8,192 are kept.
 */
export class DayAssembler {
  readonly #give: (day: MeterDay) => void
  readonly #open = new Map<string, MeterDay>()
  readonly #idle: MeterDay[] = []
  readonly #days: (LocalDay | undefined)[] = []
  /** The last day given out of each meter and direction. */
  #given: Map<string, number> | undefined = new Map()
  #beaten = 0
  #reopened = false

  /** `give` has a day only while it is called. */
  constructor(give: (day: MeterDay) => void) {
    this.#give = give
  }

  /** Takes the rows of a batch, which stand in an entry of this number. */
  take(batch: IntervalBatch, entry: number): void {
    const { start, kwh, estimated, direction, revision, line, meter, esiids } = batch
    // Rows of one meter and day come together; of a solar home by turns.
    const last: (MeterDay | undefined)[] = [undefined, undefined]
    const lastMeter = [-1, -1]
    for (let i = 0; i < batch.length; i++) {
      const way = direction[i]!
      let open = last[way]
      if (!open || lastMeter[way] !== meter[i] || start[i]! < open.day.start || start[i]! >= open.day.end) {
        open = this.#dayOf(esiids[meter[i]!]!, way, start[i]!)
        // Making room for it may have given the other one out.
        if (open.filled === 0) last[1 - way] = undefined
        last[way] = open
        lastMeter[way] = meter[i]!
      }
      const at = (start[i]! - open.day.start) / QUARTER_MS
      this.#put(open, at, Math.round(kwh[i]! * 100_000), revision[i]!, estimated[i]!, entry, line[i]!)
    }
  }

  /** Gives out the days that are left. */
  end(): AssemblyCounts {
    for (const [key, day] of this.#open) this.#giveOut(key, day)
    return { beaten: this.#beaten, reopened: this.#reopened }
  }

  #put(
    day: MeterDay,
    at: number,
    reading: number,
    revision: number,
    estimated: number,
    entry: number,
    line: number
  ): void {
    const before = day.readings[at]!
    if (Number.isNaN(before)) {
      day.filled++
    } else {
      this.#beaten++
      const order = compareVersions(revision, estimated, day.revisions[at]!, day.estimated[at]!)
      if (order < 0) return
      // Of one version the later place wins, and rows come in the order of their places, but for held ones.
      if (order === 0) {
        if (reading !== before) day.conflicts[at] = 1
        if (entry < day.entries[at]! || (entry === day.entries[at]! && line < day.lines[at]!)) return
      } else day.conflicts[at] = 0
    }
    day.readings[at] = reading
    day.revisions[at] = revision
    day.estimated[at] = estimated
    day.entries[at] = entry
    day.lines[at] = line
  }

  #dayOf(esiid: string, direction: number, start: number): MeterDay {
    const day = this.#localDay(start)
    const key = `${esiid} ${direction} ${day.number}`
    let open = this.#open.get(key)
    if (!open) {
      const last = this.#given?.get(`${esiid} ${direction}`) ?? Number.NEGATIVE_INFINITY
      if (day.number <= last) this.#reopened = true
      if (this.#open.size >= MOST_OPEN[this.#reopened ? 'apart' : 'close']) {
        const [oldest] = this.#open as Iterable<[string, MeterDay]>
        this.#giveOut(...oldest!)
      }
      open = (this.#idle.pop() ?? new MeterDay()).begin(esiid, direction, day)
      this.#open.set(key, open)
    }
    return open
  }

  #giveOut(key: string, day: MeterDay): void {
    this.#open.delete(key)
    this.#give(day)
    this.#idle.push(day)
    this.#remember(`${day.esiid} ${day.direction}`, day.day.number)
  }

  #remember(series: string, day: number): void {
    if (!this.#given) return
    this.#given.set(series, Math.max(day, this.#given.get(series) ?? day))
    if (this.#given.size <= MOST_SERIES) return
    // Too many to tell; whether a day came twice is then looked for among the staged ones.
    this.#reopened = true
    this.#given = undefined
  }

  #localDay(instant: number): LocalDay {
    const guess = Math.floor((instant - EARLIEST_MIDNIGHT_MS) / DAY_MS)
    const day = (this.#days[guess] ??= localDay((guess + 1) * DAY_MS - DAY_MS / 2))
    if (instant >= day.start) return day
    return (this.#days[guess - 1] ??= localDay(guess * DAY_MS - DAY_MS / 2))
  }
}

/** Which of two versions is greater: by revision, blank first; then an actual reading over an estimated one. */
function compareVersions(revision: number, estimated: number, otherRevision: number, otherEstimated: number): number {
  const a = Number.isNaN(revision) ? Number.NEGATIVE_INFINITY : revision
  const b = Number.isNaN(otherRevision) ? Number.NEGATIVE_INFINITY : otherRevision
  return a === b ? otherEstimated - estimated : a < b ? -1 : 1
}

/** The local day that has this instant, which is near its noon. */
function localDay(instant: number): LocalDay {
  const { start, kind } = centralDayAt(instant)!
  const size = sizes[kind]
  return { number: Math.floor(start / DAY_MS), start, end: start + size * QUARTER_MS, size }
}
