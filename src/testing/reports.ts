import { centralDay, centralInstant, type DayOptions, type DaySlot } from './central-days.ts'
import { type Direction, type MeterDay, missingReading, spoiledReading } from './meter-days.ts'

/** How a report is written. By default as SMT sends it. */
export interface ReportOptions extends DayOptions {
  /** @default '\n' */
  readonly lineEnd?: '\n' | '\r\n' | undefined
  /** Whether the last row has a line end too. @default true */
  readonly lastLineEnd?: boolean | undefined
  /**
   * `smt`: `07/14/2025`, `07/15/2025 06:41:12`, ` 00:00`, `0.310`. `spreadsheet`: the same saved again by a
   * spreadsheet, `7/14/2025`, `7/15/2025 6:41`, `0:00`, `0.31`; the seconds of the revision are lost. @default 'smt'
   */
  readonly form?: 'smt' | 'spreadsheet' | undefined
  /** Whether an apostrophe guards the ESIID. @default true */
  readonly apostrophe?: boolean | undefined
  /** `.145` instead of `0.145`. @default false */
  readonly bareDecimal?: boolean | undefined
}

/** What reading one row must give. */
export interface ExpectedInterval {
  readonly esiid: string
  /** UTC epoch milliseconds. */
  readonly start: number
  /** Thousandths of a kWh. */
  readonly milliKwh: number
  readonly estimated: boolean
  readonly direction: Direction
  /** UTC epoch milliseconds, or null when blank. */
  readonly revision: number | null
}

/** Rows by what must become of them: read = accepted + rejected + placeholder + missing. */
export interface RowCounts {
  read: number
  accepted: number
  rejected: number
  placeholder: number
  missing: number
}

/** What all readings of some meter-days come to. */
export interface ReportTotals {
  rows: RowCounts
  intervals: Record<Direction, number>
  /** Exact, in thousandths of a kWh. */
  milliKwh: Record<Direction, number>
  estimated: number
  /** Readings of exactly 0. */
  zeros: number
}

/** A report with its truth. */
export interface IntervalReport {
  /** The CSV text, ASCII. */
  readonly bytes: Buffer
  readonly totals: ReportTotals
  /** The intervals that reading must give, in the order of the rows. Made anew at each call, never kept. */
  expected(): Generator<ExpectedInterval, void>
}

export const intervalHeader =
  'ESIID,USAGE_DATE,REVISION_DATE,USAGE_START_TIME,USAGE_END_TIME,USAGE_KWH,ESTIMATED_ACTUAL,CONSUMPTION_SURPLUSGENERATION'
/** Invented after the field names of the REST API: nobody has shown a real one. */
export const dailyHeader = 'ESIID,READ_DATE,REVISION_DATE,START_READING,END_READING,USAGE_KWH'

/** Writes an interval report: per meter-day its quarter hours, and where there are two series their rows alternate. */
export function makeIntervalReport(meterDays: readonly MeterDay[], options: ReportOptions = {}): IntervalReport {
  return {
    bytes: Buffer.concat([...intervalReportChunks(meterDays, options)]),
    totals: totalsOf(meterDays, options),
    expected: () => expectedIntervals(meterDays, options)
  }
}

/** The bytes of an interval report, one chunk per meter-day, for files too big to be held whole. */
export function* intervalReportChunks(
  meterDays: Iterable<MeterDay>,
  options: ReportOptions = {}
): Generator<Buffer, void> {
  const { lineEnd = '\n', lastLineEnd = true } = options
  yield Buffer.from(intervalHeader, 'latin1')
  for (const day of meterDays) yield Buffer.from(rowsOf(day, lineEnd, options), 'latin1')
  if (lastLineEnd) yield Buffer.from(lineEnd, 'latin1')
}

/** The intervals that reading a report of these meter-days must give, in the order of the rows. */
export function* expectedIntervals(
  meterDays: Iterable<MeterDay>,
  options: ReportOptions = {}
): Generator<ExpectedInterval, void> {
  for (const { esiid, date, revision: stamp, series } of meterDays) {
    const revision = revisionAt(stamp, options)
    for (const { start, ordinal } of centralDay(date, options)) {
      if (start === null) continue
      for (const { direction, milliKwh, estimated } of series) {
        const milli = milliKwh[ordinal]!
        if (milli < 0) continue
        yield { esiid, start, milliKwh: milli, estimated: estimated[ordinal] === 1, direction, revision }
      }
    }
  }
}

/** Folds meter-days into counts and exact sums. */
export function totalsOf(meterDays: Iterable<MeterDay>, options: DayOptions = {}): ReportTotals {
  const totals = emptyTotals()
  for (const { date, series } of meterDays) {
    for (const { start, ordinal } of centralDay(date, options)) {
      for (const { direction, milliKwh, estimated } of series) {
        const milli = milliKwh[ordinal]!
        totals.rows.read += 1
        if (start === null) totals.rows.placeholder += 1
        else if (milli === missingReading) totals.rows.missing += 1
        else if (milli === spoiledReading) totals.rows.rejected += 1
        else {
          totals.rows.accepted += 1
          totals.intervals[direction] += 1
          totals.milliKwh[direction] += milli
          totals.estimated += estimated[ordinal]!
          if (milli === 0) totals.zeros += 1
        }
      }
    }
  }
  return totals
}

/** Adds one fold to another. */
export function addTotals(sum: ReportTotals, more: ReportTotals): void {
  for (const name of Object.keys(sum.rows) as (keyof RowCounts)[]) sum.rows[name] += more.rows[name]
  for (const direction of ['consumption', 'surplus-generation'] as const) {
    sum.intervals[direction] += more.intervals[direction]
    sum.milliKwh[direction] += more.milliKwh[direction]
  }
  sum.estimated += more.estimated
  sum.zeros += more.zeros
}

/** A fold of nothing. */
export function emptyTotals(): ReportTotals {
  return {
    rows: { read: 0, accepted: 0, rejected: 0, placeholder: 0, missing: 0 },
    intervals: { consumption: 0, 'surplus-generation': 0 },
    milliKwh: { consumption: 0, 'surplus-generation': 0 },
    estimated: 0,
    zeros: 0
  }
}

/**
 * Writes a report of daily register reads, the second entry of many archives.
 * `registers` holds each meter's last reading in thousandths of a kWh and is moved on.
 */
export function makeDailyReport(meterDays: Iterable<MeterDay>, registers = new Map<string, number>()): Buffer {
  let text = dailyHeader
  for (const { esiid, date, revision, series } of meterDays) {
    const used = series[0]!.milliKwh.reduce((sum, milli) => sum + Math.max(0, milli), 0)
    const from = registers.get(esiid) ?? 24_002_915
    registers.set(esiid, from + used)
    const cells = [usDate(date), revision === null ? '' : usStamp(revision), ...[from, from + used, used].map(kwhText)]
    text += `\n'${esiid},${cells.join(',')}`
  }
  return Buffer.from(`${text}\n`, 'latin1')
}

/** A meter-day's rows, each with a line end before it. */
function rowsOf({ esiid, date, revision, series }: MeterDay, lineEnd: string, options: ReportOptions): string {
  const { form = 'smt', apostrophe = true, bareDecimal = false } = options
  const spreadsheet = form === 'spreadsheet'
  const stamp = revision === null ? '' : usStamp(revision)
  const day = spreadsheet ? unpad(usDate(date)) : usDate(date)
  const head = `${lineEnd}${apostrophe ? "'" : ''}${esiid},${day},${spreadsheet ? unpad(stamp.slice(0, -3)) : stamp},`
  let text = ''
  for (const slot of centralDay(date, options)) {
    const times = head + (spreadsheet ? `${unpad(slot.startLabel)},${unpad(slot.endLabel)},` : timesOf(slot))
    for (const { direction, milliKwh, estimated } of series) {
      const milli = slot.start === null ? missingReading : milliKwh[slot.ordinal]!
      let kwh = milli >= 0 ? kwhText(milli) : milli === spoiledReading ? 'n/a' : ''
      if (spreadsheet && milli >= 0) kwh = String(milli / 1000)
      if (bareDecimal && milli >= 0 && milli < 1000) kwh = kwh.slice(1) || kwh
      const flag = milli === missingReading ? ',,' : estimated[slot.ordinal] === 1 ? ',E,' : ',A,'
      text += times + kwh + flag + (direction === 'consumption' ? 'Consumption' : 'Surplus Generation')
    }
  }
  return text
}

const times = new WeakMap<DaySlot, string>()
function timesOf(slot: DaySlot): string {
  let text = times.get(slot)
  if (text === undefined) times.set(slot, (text = ` ${slot.startLabel}, ${slot.endLabel},`))
  return text
}

const kwhTexts: string[] = []
/** Thousandths as a decimal with three places; the small ones that meters show are kept, they come by the million. */
export function kwhText(milli: number): string {
  if (milli < 10_000) return (kwhTexts[milli] ??= threePlaces(milli))
  return threePlaces(milli)
}

function threePlaces(milli: number): string {
  return `${Math.floor(milli / 1000)}.${String(milli % 1000).padStart(3, '0')}`
}

/** `2025-07-14` as `07/14/2025`. */
export function usDate(date: string): string {
  return `${date.slice(5, 7)}/${date.slice(8, 10)}/${date.slice(0, 4)}`
}

/** `2025-07-15 06:41:12` as `07/15/2025 06:41:12`. */
export function usStamp(stamp: string): string {
  return usDate(stamp) + stamp.slice(10)
}

/** What a spreadsheet does to `07/04/2025 06:05`: `7/4/2025 6:05`. */
function unpad(text: string): string {
  return text.replace(/(^| |\/)0(\d)/g, '$1$2')
}

function revisionAt(stamp: string | null, { form }: ReportOptions): number | null {
  if (stamp === null || stamp === '') return null
  const time = form === 'spreadsheet' ? stamp.slice(11, 16) : stamp.slice(11)
  return centralInstant(stamp.slice(0, 10), time)
}
