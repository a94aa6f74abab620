import type { RowCode } from '../../errors.ts'
import { type CentralDay, centralDay } from '../central-time.ts'
import type { RawReading } from './format.ts'

/**
 * How the epochs of a feed are meant.
 *
 * `utc`: as ESPI has it. `start` is the first instant of the reading, in UTC.
 *
 * `smt`: as Smart Meter Texas exports them. One block is one local day, and begins at 00:00 *of the wall clock, written
 * as if it were UTC*. Each reading's `start` is where its quarter hour ends, on the same clock; only that of the first is
 * where it begins. So a day reads 00:00, 00:30, 00:45 … 23:45, and 00:00 of the next day, which has two of them. Taken
 * for UTC, such a day lies five or six hours early, its last quarter hour on top of the next day's first.
 */
export type GreenButtonClock = 'utc' | 'smt'

const QUARTER = 900
const HOUR = 4 * QUARTER
const DAY = 24 * HOUR
const MS = 1000

/** What a block shows of its clock while its readings come in. */
export class BlockClock {
  /** Epoch seconds at which the block says it begins. */
  start: number | undefined
  /** Seconds that the block says it lasts. */
  duration: number | undefined
  #first: number | undefined
  #isMidnight: boolean | undefined
  #isBefore = false
  #isBeyond = false
  readonly #labels = { 0: false, 1: false }

  /** Takes a reading's start. */
  note(start: number | undefined): void {
    if (start === undefined || Number.isNaN(start)) return
    this.#first ??= start
    const day = this.date ?? Number.NaN
    if (start === day) this.#labels[0] = true
    if (start === day + QUARTER) this.#labels[1] = true
    if (start >= day + Math.min(this.duration || DAY, DAY)) this.#isBeyond = true
    if (this.start !== undefined && start < this.start) this.#isBefore = true
  }

  /** The block's date, as epoch seconds of its midnight in UTC; undefined when it is no day's block. */
  get date(): number | undefined {
    if ((this.duration ?? 0) > DAY + HOUR) return undefined
    const start = this.start ?? (this.#first === undefined ? undefined : this.#first - (this.#first % DAY))
    if (start === undefined || start % DAY === 0) return start
    return this.#isLocalMidnight ? start - (start % DAY) : undefined
  }

  /**
   * The clock, when the block proves it. One that begins at midnight in Texas, which is 05:00 or 06:00 in UTC, and has
   * its readings after that, is in UTC. One that has a reading before its own beginning, or where a day beginning at
   * 00:00 is over, is on the wall clock. Of others nobody can tell.
   */
  get proven(): GreenButtonClock | undefined {
    if (this.#first === undefined) return undefined
    if (this.#isLocalMidnight && !this.#isBefore) return 'utc'
    return (this.#isBeyond || this.#isBefore) && this.fits('smt') ? 'smt' : undefined
  }

  /** Whether the readings do not contradict a clock: none before the block, or no two that are the first quarter hour. */
  fits(clock: GreenButtonClock): boolean {
    if (clock === 'utc') return !this.#isBefore
    return this.#first === undefined || (this.date !== undefined && !(this.#labels[0] && this.#labels[1]))
  }

  get #isLocalMidnight(): boolean {
    if (this.start === undefined) return false
    return (this.#isMidnight ??= localDay(this.start - 5 * HOUR)?.start === this.start * MS)
  }
}

/** UTC epoch milliseconds, or `skipped` for the hour that spring leaves out, or why it cannot be told. */
export type Placed = number | 'skipped' | RowCode

/** Where the readings of one block on SMT's clock belong. `date` is that of {@link BlockClock}. */
export function placeOnLocalDay(date: number, readings: readonly RawReading[]): Placed[] {
  const day = localDay(date)
  const labels = readings.map(({ start }) => labelOf(start, date))
  const ordinals = ordinalsOf(day?.kind, labels, readings)
  return labels.map((label, i) => {
    if (day === undefined || Number.isNaN(label)) return 'ROW_BAD_TIME'
    if (!Number.isInteger(label)) return 'ROW_NOT_15_MINUTES'
    const ordinal = ordinals(label, i)
    return typeof ordinal === 'number' ? day.start + ordinal * QUARTER * MS : ordinal
  })
}

/** The local day that has the date of these epoch seconds in UTC. */
function localDay(seconds: number): CentralDay | undefined {
  const date = new Date(seconds * MS)
  return centralDay(date.getUTCFullYear(), date.getUTCMonth() + 1, date.getUTCDate())
}

/** The quarter hour that ends where a reading says, from 1; NaN when it is none of the day. */
function labelOf(start: number | undefined, date: number): number {
  const label = ((start ?? Number.NaN) - date) / QUARTER
  // The first one alone is labelled with its beginning.
  return label === 0 ? 1 : label > 0 && label <= 100 ? label : Number.NaN
}

/** Which quarter hour since midnight a label means, from 0. `index` is its reading's place in the block. */
type Ordinals = (label: number, index: number) => number | 'skipped' | RowCode

// How the two days with a clock change are labelled nobody has shown. Whole days leave no doubt, whichever of the two
// ways it is: by the wall clock, as in SMT's CSV, or counting on. Days with gaps are taken only where both agree.
function ordinalsOf(kind: string | undefined, labels: readonly number[], readings: readonly RawReading[]): Ordinals {
  if (kind === 'spring') return springOrdinals(labels, readings)
  return kind === 'autumn' ? autumnOrdinals(labels) : countingOn(96)
}

/** Labels that count the quarter hours since midnight. */
function countingOn(last: number): Ordinals {
  return label => (label <= last ? label - 1 : 'ROW_BAD_TIME')
}

/** 02:15 to 03:00 (labels 9 to 12) do not exist on the wall clock; a day that counts on has them, and ends with 92. */
function springOrdinals(labels: readonly number[], readings: readonly RawReading[]): Ordinals {
  const inGap = (label: number) => label > 8 && label <= 12
  const countsOn = !labels.some(label => label > 92) && labels.some((l, i) => inGap(l) && isReading(readings[i]!))
  if (countsOn) return countingOn(92)
  return label => (label <= 8 ? label - 1 : inGap(label) ? 'skipped' : label <= 96 ? label - 5 : 'ROW_BAD_TIME')
}

/** 01:15 to 02:00 (labels 5 to 8) come twice on the wall clock; a day that counts on has them once, and ends with 100. */
function autumnOrdinals(labels: readonly number[]): Ordinals {
  if (labels.some(label => label > 96)) return countingOn(100)
  const isRepeated = (label: number) => label > 4 && label <= 8
  const turns = labels.flatMap((label, i) => (i > 0 && label <= labels[i - 1]! ? [i] : []))
  const turn = turns[0] ?? Number.POSITIVE_INFINITY
  const [before, after] = [labels[turn - 1], labels[turn]]
  // Equal neighbours come of readings sorted by their labels. Only at 02:00 do the two passes meet so in order.
  const isTold = turns.length === 1 && isRepeated(after!) && before! <= 8 && (after! < before! || before === 8)
  return (label, index) => {
    if (label <= 4) return label - 1
    // Without a turn, the day may list the hour once, or count on and end early.
    if (turns.length === 0 || (isRepeated(label) && !isTold)) return 'ROW_AMBIGUOUS_HOUR'
    return isRepeated(label) && index < turn ? label - 1 : label + 3
  }
}

function isReading({ value }: RawReading): boolean {
  return value !== undefined && value !== 'missing'
}
