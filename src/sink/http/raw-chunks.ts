import { type CentralDay, centralDayAt } from '../../parse/central-time.ts'
import type { SpooledRow } from './spool.ts'

/** What SMT writes above its intervals. */
const HEADER =
  'ESIID,USAGE_DATE,REVISION_DATE,USAGE_START_TIME,USAGE_END_TIME,USAGE_KWH,ESTIMATED_ACTUAL,CONSUMPTION_SURPLUSGENERATION'

/** Bytes that a line takes at most: 22 digits, two dates, two times, seven digits and five. */
const LINE_BYTES = 110

const MINUTE = 60_000
const QUARTER = 15 * MINUTE
const DAY = 24 * 60 * MINUTE

/** The rows of one meter that are sent, in order. */
export interface Winners {
  readonly rows: readonly SpooledRow[]
  /** Rows of the file that another of its rows beat. */
  readonly superseded: number
  /** Those among them with equal version and other kWh. */
  readonly conflicts: number
}

/** Of several readings of one quarter hour the newest: revision, then actual over estimated, then place in the file. */
export function winnersOf(rows: readonly SpooledRow[]): Winners {
  const sorted = rows.toSorted((a, b) => a.start - b.start || byVersion(a, b) || a.entry - b.entry || a.line - b.line)
  const winners = sorted.filter(({ start }, i) => start !== sorted[i + 1]?.start)
  const conflicts = sorted.filter((row, i) => {
    const next = sorted[i + 1]
    return next?.start === row.start && byVersion(row, next) === 0 && row.kwh !== next.kwh
  })
  return { rows: winners, superseded: rows.length - winners.length, conflicts: conflicts.length }
}

/** Below zero when `a` is older. A blank revision is the oldest. */
function byVersion(a: SpooledRow, b: SpooledRow): number {
  const [first, second] = [a, b].map(({ revision }) => (Number.isNaN(revision) ? Number.NEGATIVE_INFINITY : revision))
  if (first !== second) return first! < second! ? -1 : 1
  return Number(b.estimated) - Number(a.estimated)
}

/**
 * Cuts the rows of one meter into chunks. The receiver deletes whatever it has between the first and the last instant of a
 * chunk, so a chunk never spans a quarter hour that it does not bring: where the file has a gap, a new one begins. Else
 * it ends with a local day, so that a day is replaced by one request.
 */
export function chunksOf(rows: readonly SpooledRow[], { maxRows, maxText }: ChunkLimits): SpooledRow[][] {
  const most = Math.min(maxRows, Math.floor((maxText - HEADER.length - 1) / LINE_BYTES))
  const clock = new WallClock()
  const chunks: SpooledRow[][] = []
  let chunk: SpooledRow[] = []
  /** Rows of the chunk before the day that is being gathered. */
  let whole = 0
  let last: { readonly start: number; readonly day: number } | undefined
  for (const row of rows) {
    const day = clock.at(row.start).date
    const isGap = last !== undefined && row.start !== last.start + QUARTER
    if (day !== last?.day) whole = chunk.length
    if (isGap || chunk.length === most) {
      // A day that is larger than a chunk may be is cut where it must be.
      const end = isGap || whole === 0 ? chunk.length : whole
      chunks.push(chunk.slice(0, end))
      chunk = chunk.slice(end)
      whole = 0
    }
    chunk.push(row)
    last = { start: row.start, day }
  }
  return chunk.length > 0 ? [...chunks, chunk] : chunks
}

/** How large a chunk may be. */
export interface ChunkLimits {
  readonly maxRows: number
  /** Bytes of its text. */
  readonly maxText: number
}

/** A chunk as SMT writes it, its header first. */
export function csvOf(esiid: string, rows: readonly SpooledRow[]): string {
  const clock = new WallClock()
  const stamps = new WallClock()
  const lines = rows.map(({ start, kwh, revision, estimated }) => {
    const { date, minutes } = clock.at(start)
    const flag = estimated ? 'E' : 'A'
    const stamp = Number.isNaN(revision) ? '' : stampOf(stamps, revision)
    const end = (minutes + 15) % (24 * 60)
    return `'${esiid},${dateText(date)},${stamp}, ${timeText(minutes)}, ${timeText(end)},${kwhText(kwh)},${flag},Consumption\n`
  })
  return `${HEADER}\n${lines.join('')}`
}

/** The clock on a wall in Texas. Knows the day it was asked for last. */
class WallClock {
  #day: CentralDay | undefined
  #end = 0

  /** The number of the local day, and the minutes that the clock shows. */
  at(instant: number): { readonly date: number; readonly minutes: number } {
    if (!this.#day || instant < this.#day.start || instant >= this.#end) {
      this.#day = centralDayAt(instant)!
      this.#end = this.#day.start + DAY + changeOf(this.#day)
    }
    const { start, number } = this.#day
    const passed = Math.floor((instant - start) / MINUTE)
    // The clock changes at two: in spring it skips an hour then, in autumn it shows the last one again.
    return { date: number, minutes: passed < 120 ? passed : passed - changeOf(this.#day) / MINUTE }
  }
}

function changeOf({ kind }: CentralDay): number {
  return kind === 'autumn' ? 60 * MINUTE : kind === 'spring' ? -60 * MINUTE : 0
}

function stampOf(clock: WallClock, instant: number): string {
  const { date, minutes } = clock.at(instant)
  return `${dateText(date)} ${timeText(minutes)}:${two(Math.floor(instant / 1000) % 60)}`
}

/** MM/DD/YYYY of a day as it is numbered in the parser. */
function dateText(number: number): string {
  return `${two((number >> 5) & 15)}/${two(number & 31)}/${(number >> 9) + 1970}`
}

function timeText(minutes: number): string {
  return `${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`
}

/** The decimal with three places, as SMT writes it; with more where it has more. */
function kwhText(kwh: number): string {
  return kwh.toFixed(5).replace(/0{1,2}$/, '')
}

function two(number: number): string {
  return String(number).padStart(2, '0')
}
