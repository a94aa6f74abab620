import { inspect } from 'node:util'
import type { EntryLabel } from './batch.ts'
import { showable } from './errors.ts'

/** What SMT reports beside intervals and what is read of it. No real file of either kind has been seen so far. */
export const reportKinds = ['daily-reads', 'monthly-bills'] as const

/** A kind of report beside intervals. */
export type ReportKind = (typeof reportKinds)[number]

/** How rows of a kind are called, one and several. */
export const reportWords: Readonly<Record<ReportKind, readonly [one: string, several: string]>> = {
  'daily-reads': ['daily read', 'daily reads'],
  'monthly-bills': ['monthly bill', 'monthly bills']
}

/** How kinds of entries are called that nobody read. */
export const leftWords = {
  'daily-reads': 'daily reads',
  'monthly-bills': 'monthly bills',
  'meter-info': 'meter information',
  enrolment: 'enrolment report'
} as const

/** What a meter's register showed at the end of one local day. Decimals are exact text: `24002.915`. */
export interface DailyReadRow {
  /** 17 or 22 digits, always text. */
  readonly esiid: string
  /** The local day: `2025-07-14`. */
  readonly date: string
  /** UTC epoch milliseconds of the version; null when the file leaves it blank. */
  readonly revision: number | null
  /** The register at the day's begin, in kWh. */
  readonly startReading: string | null
  /** The register at the day's end, in kWh. */
  readonly endReading: string | null
  /** Energy of the day, in kWh. It need not be the difference of the readings to the last digit. */
  readonly kwh: string | null
}

/** What was billed for a period of one meter. Decimals are exact text: `1532`. */
export interface MonthlyBillRow {
  /** 17 or 22 digits, always text. */
  readonly esiid: string
  /** First local day of the period: `2025-06-12`. */
  readonly startDate: string
  /** Its end, as the file has it. Nobody has said whether that day is part of the period. */
  readonly endDate: string
  /** UTC epoch milliseconds of the version; null when the file leaves it blank. */
  readonly revision: number | null
  /** Energy of the period, in kWh. */
  readonly actualKwh: string | null
  readonly meteredKw: string | null
  readonly billedKw: string | null
  readonly meteredKva: string | null
  readonly billedKva: string | null
}

/** The row of each kind of report. */
export interface ReportRows {
  readonly 'daily-reads': DailyReadRow
  readonly 'monthly-bills': MonthlyBillRow
}

/** Rows of one kind of report, whichever it is. */
export type ReportBatch = ReportBatchOf<'daily-reads'> | ReportBatchOf<'monthly-bills'>

/**
 * Rows of a report beside intervals, wholly from one entry, in file order. Few enough to flow as objects.
 *
 * Rows taken from a stream without a sink are provisional until its `pipeline` resolves.
 */
export class ReportBatchOf<Kind extends ReportKind> implements Iterable<ReportRows[Kind]> {
  readonly kind: Kind
  readonly entry: EntryLabel
  readonly rows: readonly ReportRows[Kind][]
  /** Line of each row in the entry, from 1. */
  readonly lines: readonly number[]

  constructor(kind: Kind, entry: EntryLabel, rows: readonly ReportRows[Kind][], lines: readonly number[]) {
    this.kind = kind
    this.entry = entry
    this.rows = rows
    this.lines = lines
  }

  get length(): number {
    return this.rows.length
  }

  [Symbol.iterator](): Iterator<ReportRows[Kind]> {
    return this.rows[Symbol.iterator]()
  }

  /** Printed without meters or readings: they identify homes. */
  [inspect.custom](): string {
    return `ReportBatch { ${this.length} ${this.kind}, entry ${showable(this.entry.name)} }`
  }
}
