import type { EntryLabel } from '../batch.ts'
import { type ErrorPlace, ParseError, type RowCode } from '../errors.ts'
import { type ReportKind, reportKinds } from '../report-batch.ts'
import type { OtherKind } from './reports/recognise.ts'

/** Rows by outcome. `read` is the sum of the other five. */
export interface RowCounts {
  /** Lines below the header that are not blank. */
  readonly read: number
  /** Became intervals. */
  readonly accepted: number
  /** Could not be read; each is named in `rejects`. */
  readonly rejected: number
  /** Blank readings of an hour that does not exist (spring). */
  readonly placeholder: number
  /** Blank readings of an hour that does. */
  readonly missing: number
  /** The header again, among the rows. */
  readonly repeatedHeader: number
}

/** One row that could not be read. Its text is not kept: it identifies a home. */
export interface RowReject {
  readonly code: RowCode
  /** Line in the entry, from 1. */
  readonly line: number
  /** Byte offset of the line in the entry. */
  readonly offset: number
  /** What the code means, in one sentence. */
  readonly reason: string
}

/**
 * Accepted rows whose quarter hour an earlier row of the file covered already. They are given to the sink all the same,
 * which decides by revision, flag and place; these counts say what to expect of the file.
 */
export interface Repeats {
  /** The same reading of the same version again. */
  readonly duplicates: number
  /** Another kWh with the same version and flag: the file contradicts itself. */
  readonly conflicts: number
  /** A reading of another version, another flag or another length. */
  readonly overlaps: number
  /**
   * Rows that nobody compared: more than 16,384 other meter-days had come since theirs was met. After 65,536 others a day
   * may be forgotten, and rows that come again then are not counted at all.
   */
  readonly unchecked: number
}

/** What the accepted rows of an entry or a file say, in sum. */
export interface Quality {
  /** Accepted rows flagged as estimated. */
  readonly estimated: number
  /** Energy of the accepted rows, in kWh, exact to 0.00001. */
  readonly kwh: { readonly consumption: number; readonly surplusGeneration: number }
  /** UTC epoch milliseconds of the earliest and the latest interval's start; null without any. */
  readonly first: number | null
  readonly last: number | null
  /** How often an autumn meter-day lists the repeated hour once: read as its first pass, four intervals missing. */
  readonly ambiguousHourAssumed: number
  readonly repeats: Repeats
}

/** First and last local day, as `2025-07-14`. */
export interface DateSpan {
  readonly first: string
  readonly last: string
}

/** What became of one entry. */
export interface EntryAccount extends EntryLabel {
  /**
   * `intervals`, `daily-reads`, `monthly-bills`: has such a header, and was read where the outcome is `used`. Else what
   * its header or its name says of it; `unknown`: nothing that is known. `folder`: has no bytes.
   */
  readonly kind: 'intervals' | OtherKind | 'folder'
  /** `used`: its rows were read. `handled`: it was given to a handler. `unhandled`: nobody read it. */
  readonly outcome: 'used' | 'handled' | 'unhandled'
  /** Unpacked bytes. */
  readonly bytes: number
  /** CRC-32 of the unpacked bytes as eight hex digits; null outside an archive, which has none to compare with. */
  readonly crc32: string | null
  /**
   * The layout its header was found to be; `green-button` or `read-list` where there is none. One that ends in `-unverified`
   * is what a report is thought to look like: no real file of it has been seen.
   */
  readonly layout: string | null
  /** The first line of an entry that was not read, or the header below it, cut short, long numbers masked. */
  readonly header: string | null
  /** The local days of a report beside intervals; null without a row. */
  readonly dates?: DateSpan | null
  readonly rows: RowCounts
  readonly rejects: readonly RowReject[]
  readonly quality: Quality
}

/** Counts of nothing. */
export const noRows: RowCounts = { read: 0, accepted: 0, rejected: 0, placeholder: 0, missing: 0, repeatedHeader: 0 }

/** Quality of nothing. */
export const noQuality: Quality = {
  estimated: 0,
  kwh: { consumption: 0, surplusGeneration: 0 },
  first: null,
  last: null,
  ambiguousHourAssumed: 0,
  repeats: { duplicates: 0, conflicts: 0, overlaps: 0, unchecked: 0 }
}

/** What was read of one kind of report in a file. */
export interface ReportCounts extends RowCounts {
  /** The local days of its accepted rows; null without any. */
  readonly dates: DateSpan | null
}

/** The last thing a parser gives: every entry of the file, and every row by outcome. */
export class FileAccount {
  readonly entries: readonly EntryAccount[]
  /** Rows of intervals. */
  readonly rows: RowCounts
  readonly quality: Quality
  /** Rows of the other reports that were read, by their kind. */
  readonly reports: Readonly<Partial<Record<ReportKind, ReportCounts>>>

  constructor(entries: readonly EntryAccount[]) {
    this.entries = entries
    const intervals = entries.filter(({ kind }) => kind === 'intervals')
    this.rows = intervals.map(entry => entry.rows).reduce(addRows, noRows)
    this.quality = intervals.map(entry => entry.quality).reduce(addQuality, noQuality)
    this.reports = Object.fromEntries(
      reportKinds.flatMap(kind => {
        const read = entries.filter(entry => entry.kind === kind && entry.outcome === 'used')
        return read.length === 0 ? [] : [[kind, reportCounts(read)]]
      })
    )
  }
}

function reportCounts(entries: readonly EntryAccount[]): ReportCounts {
  const days = entries.flatMap(({ dates }) => (dates ? [dates.first, dates.last] : [])).sort()
  const dates = days.length === 0 ? null : { first: days[0]!, last: days.at(-1)! }
  return { ...entries.map(entry => entry.rows).reduce(addRows, noRows), dates }
}

/** Whether every row read has exactly one outcome (I7). */
export function rowsAddUp({ rows }: { readonly rows: RowCounts }): boolean {
  return rows.read === rows.accepted + rows.rejected + rows.placeholder + rows.missing + rows.repeatedHeader
}

/**
 * The error of a file with more rejected rows than it may have. When nothing could be read, and always for the same
 * reason, that reason is the file's.
 */
export function tooManyRejects(
  rejects: readonly RowReject[],
  rows: Pick<RowCounts, 'read' | 'accepted'>,
  place: ErrorPlace
): ParseError {
  const counts = new Map<RowCode, number>()
  for (const { code } of rejects) counts.set(code, (counts.get(code) ?? 0) + 1)
  const [[code] = []] = counts
  const reasons = [...counts].sort((a, b) => b[1] - a[1]).map(([code, count]) => `${code} ${count}`)
  const what = `${rejects.length} of ${rows.read} rows rejected (${reasons.join(', ')})`
  const alone = rows.accepted === 0 && counts.size === 1 ? code : undefined
  return new ParseError(alone ?? 'PARSE_TOO_MANY_REJECTS', what, { ...place, line: rejects[0]?.line })
}

function addRows(a: RowCounts, b: RowCounts): RowCounts {
  return {
    read: a.read + b.read,
    accepted: a.accepted + b.accepted,
    rejected: a.rejected + b.rejected,
    placeholder: a.placeholder + b.placeholder,
    missing: a.missing + b.missing,
    repeatedHeader: a.repeatedHeader + b.repeatedHeader
  }
}

function addQuality(a: Quality, b: Quality): Quality {
  return {
    estimated: a.estimated + b.estimated,
    kwh: {
      consumption: addKwh(a.kwh.consumption, b.kwh.consumption),
      surplusGeneration: addKwh(a.kwh.surplusGeneration, b.kwh.surplusGeneration)
    },
    first: extreme(Math.min, a.first, b.first),
    last: extreme(Math.max, a.last, b.last),
    ambiguousHourAssumed: a.ambiguousHourAssumed + b.ambiguousHourAssumed,
    repeats: {
      duplicates: a.repeats.duplicates + b.repeats.duplicates,
      conflicts: a.repeats.conflicts + b.repeats.conflicts,
      overlaps: a.repeats.overlaps + b.repeats.overlaps,
      unchecked: a.repeats.unchecked + b.repeats.unchecked
    }
  }
}

/** Sums of exact decimals, kept exact. */
function addKwh(a: number, b: number): number {
  return Math.round((a + b) * 100_000) / 100_000
}

function extreme(choose: (a: number, b: number) => number, a: number | null, b: number | null): number | null {
  return a === null ? b : b === null ? a : choose(a, b)
}
