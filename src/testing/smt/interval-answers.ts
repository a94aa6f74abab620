import { centralDay } from '../central-days.ts'
import { type MeterDay, missingReading, type Series, spoiledReading } from '../meter-days.ts'
import {
  type ExpectedInterval,
  expectedIntervals,
  kwhText,
  type ReportTotals,
  totalsOf,
  usDate,
  usStamp
} from '../reports.ts'

/** How a JSON answer of interval reads is written. By default as SMT's REST API does. */
export interface IntervalAnswerOptions {
  /**
   * `reserved`: 100 positions on every day, four of them for the hour that autumn repeats. `calendar`: as many as the wall
   * clock shows, 96, or 100 in autumn. `quarters`: as many as the day has, 92 in spring too. @default 'reserved'
   */
  readonly positions?: 'reserved' | 'calendar' | 'quarters' | undefined
  /**
   * Spring, of 100 positions: which are empty beside those of the hour that spring skips. `after-two`: 8 to 15. `at-end`: the
   * list counts on, and 8 to 11 and 96 to 99 are empty. @default 'after-two'
   */
  readonly spring?: 'after-two' | 'at-end' | undefined
  /** What stands where there is no reading: nothing, or a dash. @default '' */
  readonly blank?: '' | '-' | undefined
  /** Whether the meter is named before its lists. @default 'first' */
  readonly esiid?: 'first' | 'last' | undefined
  /** @default 'IntervalAnswer' */
  readonly transId?: string | undefined
  /** Blanks before each level, as people like it. @default 0 */
  readonly indent?: number | undefined
}

/** An answer with its truth. */
export interface IntervalAnswer {
  /** The JSON text, ASCII. */
  readonly bytes: Buffer
  /** Rows are the positions of its lists. */
  readonly totals: ReportTotals
  /** The intervals that reading must give, in file order: list by list. Made anew at each call. */
  expected(): Generator<ExpectedInterval, void>
}

/**
 * Writes the answer about the days of a meter: a list for each day and direction. Several meters make a list of answers,
 * which nobody has seen of SMT.
 */
export function makeIntervalAnswer(
  meterDays: readonly MeterDay[],
  options: IntervalAnswerOptions = {}
): IntervalAnswer {
  const { esiid: where = 'first', transId = 'IntervalAnswer', indent = 0 } = options
  const answers = [...new Set(meterDays.map(day => day.esiid))].map(esiid => {
    const energyData = meterDays.filter(day => day.esiid === esiid).flatMap(day => listsOf(day, options))
    return where === 'first' ? { trans_id: transId, esiid, energyData } : { energyData, esiid, trans_id: transId }
  })
  return {
    bytes: Buffer.from(JSON.stringify(answers.length === 1 ? answers[0] : answers, null, indent), 'latin1'),
    totals: totals(meterDays, options),
    *expected() {
      for (const day of meterDays) {
        for (const one of day.series) yield* expectedIntervals([{ ...day, series: [one] }])
      }
    }
  }
}

function listsOf(day: MeterDay, options: IntervalAnswerOptions) {
  const { date, revision, series } = day
  return series.map(one => ({
    DT: usDate(date),
    ...(revision !== null && { RevTS: usStamp(revision) }),
    RT: one.direction === 'consumption' ? 'C' : 'G',
    RD: positionsOf(one, options).join(',')
  }))
}

function positionsOf(series: Series, options: IntervalAnswerOptions): string[] {
  const { positions = 'reserved', spring = 'after-two', blank = '' } = options
  const texts = [...series.milliKwh].map((_, i) => readingText(series, i, blank))
  const hour = Array<string>(4).fill(blank)
  if (texts.length === 100 || (texts.length === 96 && positions !== 'reserved')) return texts
  if (texts.length === 96) return [...texts.slice(0, 8), ...hour, ...texts.slice(8)]
  if (positions === 'quarters') return texts
  const [before, after] = [texts.slice(0, 8), texts.slice(8)]
  if (positions === 'calendar') return spring === 'at-end' ? [...texts, ...hour] : [...before, ...hour, ...after]
  return spring === 'at-end' ? [...before, ...hour, ...after, ...hour] : [...before, ...hour, ...hour, ...after]
}

function readingText({ milliKwh, estimated }: Series, ordinal: number, blank: string): string {
  const milli = milliKwh[ordinal]!
  if (milli === missingReading) return blank
  return `${milli === spoiledReading ? 'n/a' : kwhText(milli)}-${estimated[ordinal] === 1 ? 'E' : 'A'}`
}

/** Every position is a row; those of no quarter hour are placeholders. */
function totals(meterDays: readonly MeterDay[], options: IntervalAnswerOptions): ReportTotals {
  const sum = totalsOf(meterDays, { placeholders: false })
  for (const { date, series } of meterDays) {
    const quarters = centralDay(date, { placeholders: false }).length
    for (const one of series) sum.rows.placeholder += positionsOf(one, options).length - quarters
  }
  sum.rows.read += sum.rows.placeholder
  return sum
}
