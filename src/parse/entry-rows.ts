import type { EntryLabel, IntervalBatch } from '../batch.ts'
import { ParseError, type RowCode, reasonFor } from '../errors.ts'
import { type DateSpan, type Quality, type RowCounts, type RowReject, tooManyRejects } from './file-account.ts'
import { RepeatedHours, type ToldRow } from './repeated-hour.ts'
import type { PlaceOutcome, RowCells, ScanCore } from './scan-core.ts'

/** 0.00001 kWh, the smallest step that a store keeps. */
const UNITS = 100_000

/** Where and how an entry's rows begin. */
export interface EntryStart {
  readonly core: ScanCore
  readonly entry: EntryLabel
  /** Path of the file, for errors. */
  readonly file: string | undefined
  /** Rejects after which to give up. */
  readonly maxRejects: number
}

/** What was counted in an entry. */
export interface EntryCounts {
  readonly rows: RowCounts
  readonly rejects: readonly RowReject[]
  readonly quality: Quality
  /** First and last local day of a report beside intervals; null without a row. */
  readonly dates?: DateSpan | null
}

/** The rows of one entry on their way through the core: batches out, and every row in the account. */
export class EntryRows {
  readonly #start: EntryStart
  readonly #hours: RepeatedHours
  readonly #rejects: RowReject[] = []
  #batches: IntervalBatch[] = []
  /** Rows that the core did not read itself. */
  #odd = 0
  #repeatedHeader = 0
  #assumed = 0
  readonly #blank = { missing: 0, placeholder: 0 }

  constructor(start: EntryStart) {
    this.#start = start
    this.#hours = new RepeatedHours(start.core)
  }

  /** Takes a row that the core leaves to JavaScript. */
  take(row: RowCells | RowCode | 'repeated-header', offset: number): void {
    this.#odd++
    if (row === 'repeated-header') this.#repeatedHeader++
    else if (typeof row === 'string') this.reject(row, offset)
    else this.#place(row, offset)
  }

  /** Takes a row that is known to have no reading: in an hour that exists, or in one that does not. */
  takeBlank(outcome: 'missing' | 'placeholder'): void {
    this.#odd++
    this.#blank[outcome]++
  }

  /** A meter-day lists the hour that autumn repeats once, and its rows were placed as the first pass. */
  assumeFirstPass(): void {
    this.#assumed++
  }

  #place(row: RowCells, offset: number): void {
    const { core } = this.#start
    if (core.full) this.flush()
    const outcome: PlaceOutcome = core.place(row)
    if (outcome === 'held') this.#tell(this.#hours.hold(row, core.line, offset))
    // Nothing is said of a bad reading before its place is known to be right.
    const code = outcome === 'step' ? row.reading : outcome
    if (typeof code === 'string' && code.startsWith('ROW_')) this.reject(code as RowCode, offset)
    this.endDay()
  }

  /** When an autumn day has just ended, its rows that were held back can be told. */
  endDay(): void {
    const group = this.#start.core.takeEnded()
    if (group !== 0) this.#tell(this.#hours.end(group))
  }

  /** The entry is over: ends the batch under way, and gives what was held back. */
  end(): void {
    this.#tell(this.#hours.endAll())
    this.flush()
  }

  #tell(rows: readonly ToldRow[]): void {
    const { core } = this.#start
    const { line: lineNow } = core
    for (const { row, line, offset } of rows) {
      core.beginLine(line)
      if (!row) this.reject('ROW_AMBIGUOUS_HOUR', offset)
      else if (typeof row.reading === 'string' && row.reading !== 'blank') this.reject(row.reading, offset)
      else this.#place(row, offset)
    }
    core.beginLine(lineNow)
  }

  reject(code: RowCode, offset: number): void {
    const { core, maxRejects, file, entry } = this.#start
    this.#rejects.push({ code, line: core.line, offset, reason: reasonFor(code) })
    if (this.#rejects.length <= maxRejects) return
    throw tooManyRejects(this.#rejects, this.#counts(), { file, entry: entry.name })
  }

  /** Ends the batch under way. */
  flush(): void {
    const batch = this.#start.core.takeBatch(this.#start.entry)
    if (batch) this.#batches.push(batch)
  }

  /** The batches that were filled since the last call. */
  given(): readonly IntervalBatch[] {
    const batches = this.#batches
    this.#batches = []
    return batches
  }

  counts(): EntryCounts {
    const { estimated, units, first, last, repeats } = this.#start.core.counts
    const kwh = {
      consumption: units.consumption / UNITS,
      surplusGeneration: units.surplusGeneration / UNITS
    }
    const quality = { estimated, kwh, first, last, ambiguousHourAssumed: this.#hours.assumed + this.#assumed, repeats }
    const rejects = this.#rejects.toSorted((a, b) => a.line - b.line)
    return { rows: this.#counts(), rejects, quality }
  }

  error(code: ConstructorParameters<typeof ParseError>[0], what: string, line?: number): ParseError {
    return new ParseError(code, what, { file: this.#start.file, entry: this.#start.entry.name, line })
  }

  #counts(): RowCounts {
    const { read, accepted, placeholder, missing } = this.#start.core.counts
    return {
      read: read + this.#odd,
      accepted,
      rejected: this.#rejects.length,
      placeholder: placeholder + this.#blank.placeholder,
      missing: missing + this.#blank.missing,
      repeatedHeader: this.#repeatedHeader
    }
  }
}
