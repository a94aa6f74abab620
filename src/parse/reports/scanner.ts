import { parse } from 'csv-parse/sync'
import { ParseError, type RowCode, reasonFor } from '../../errors.ts'
import { type ReportBatch, ReportBatchOf, type ReportKind, type ReportRows } from '../../report-batch.ts'
import type { FoundReport } from '../entry-head.ts'
import type { EntryCounts, EntryStart } from '../entry-rows.ts'
import { noQuality, noRows, type RowCounts, type RowReject, tooManyRejects } from '../file-account.ts'
import type { EntryScanner } from '../interval-scanner.ts'
import { LONGEST_LINE } from '../scan-core.ts'
import type { BoundReport } from './layouts.ts'
import { lineAt } from './recognise.ts'
import { dateOf, readReportRow } from './row.ts'

/** Lines that csv-parse reads at a time: called for each by itself it takes seven times as long. */
const BLOCK = 512

/** A line that waits for its block. */
interface Line {
  readonly text: string
  readonly number: number
  readonly offset: number
}

/**
 * Reads a report beside intervals: bytes in, rows out. The lines are told apart here and their cells by csv-parse, so that
 * a quotation mark that is never closed costs its own line and not the rest of the file.
 *
 * Memory: one block of lines, one batch, and the line that a chunk cut in half.
 */
export class ReportScanner implements EntryScanner {
  readonly #start: EntryStart
  readonly #bound: BoundReport
  readonly #batchRows: number
  /** The last line read, and where the next one begins. */
  #number: number
  #offset: number
  #rest = ''
  #lines: Line[] = []
  #rows: ReportRows[ReportKind][] = []
  #rowLines: number[] = []
  #batches: ReportBatch[] = []
  readonly #rejects: RowReject[] = []
  readonly #counts = { ...noRows } as { -readonly [name in keyof RowCounts]: number }
  #first: string | null = null
  #last: string | null = null

  constructor(start: EntryStart, { head: { number, next }, bound }: FoundReport, batchRows: number) {
    this.#start = start
    this.#bound = bound
    this.#batchRows = batchRows
    this.#number = number
    this.#offset = next
  }

  push(bytes: Uint8Array): readonly ReportBatch[] {
    const text = this.#rest + Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
    let from = 0
    for (;;) {
      const { end, next } = lineAt(text, from)
      // No line end yet, or perhaps half of a CR LF.
      if (end === text.length || (next === text.length && text[end] === '\r')) break
      this.#takeLine(text.slice(from, end), next - from)
      from = next
    }
    this.#rest = text.slice(from)
    if (this.#rest.length > LONGEST_LINE + 1) this.#refuseLength(this.#number + 1)
    return this.#given()
  }

  end(): readonly ReportBatch[] {
    if (this.#rest !== '') this.#takeLine(this.#rest.replace(/\r$/, ''), this.#rest.length)
    this.#rest = ''
    this.#readBlock()
    this.#flush()
    return this.#given()
  }

  counts(): EntryCounts {
    const dates = this.#first === null ? null : { first: this.#first, last: this.#last! }
    return { rows: this.#rowCounts(), rejects: this.#rejects, quality: noQuality, dates }
  }

  #takeLine(text: string, length: number): void {
    this.#number++
    if (text.length > LONGEST_LINE) this.#refuseLength(this.#number)
    // Files joined end to end bring the next one's byte-order mark along.
    const plain = text.startsWith('\u00ef\u00bb\u00bf') ? text.slice(3) : text
    if (plain.trim() !== '') this.#lines.push({ text: plain, number: this.#number, offset: this.#offset })
    this.#offset += length
    if (this.#lines.length >= BLOCK) this.#readBlock()
  }

  #readBlock(): void {
    const lines = this.#lines
    this.#lines = []
    for (const [i, cells] of cellsOf(lines.map(({ text }) => text)).entries()) this.#takeRow(cells, lines[i]!)
  }

  #takeRow(cells: readonly string[] | RowCode, { number, offset }: Line): void {
    const row = typeof cells === 'string' ? cells : readReportRow(cells, this.#bound)
    this.#counts.read++
    if (row === 'missing') this.#counts.missing++
    else if (row === 'repeated-header') this.#counts.repeatedHeader++
    else if (typeof row === 'string') this.#reject(row, number, offset)
    else this.#accept(row, number)
  }

  #accept(row: ReportRows[ReportKind], line: number): void {
    this.#counts.accepted++
    this.#rows.push(row)
    this.#rowLines.push(line)
    const date = dateOf(row)
    if (this.#first === null || date < this.#first) this.#first = date
    if (this.#last === null || date > this.#last) this.#last = date
    if (this.#rows.length === this.#batchRows) this.#flush()
  }

  #reject(code: RowCode, line: number, offset: number): void {
    const { maxRejects, file, entry } = this.#start
    this.#rejects.push({ code, line, offset, reason: reasonFor(code) })
    if (this.#rejects.length <= maxRejects) return
    throw tooManyRejects(this.#rejects, this.#rowCounts(), { file, entry: entry.name })
  }

  #flush(): void {
    if (this.#rows.length === 0) return
    const { kind } = this.#bound.layout
    this.#batches.push(new ReportBatchOf(kind, this.#start.entry, this.#rows, this.#rowLines) as ReportBatch)
    this.#rows = []
    this.#rowLines = []
  }

  #given(): readonly ReportBatch[] {
    const batches = this.#batches
    this.#batches = []
    return batches
  }

  #rowCounts(): RowCounts {
    return { ...this.#counts, rejected: this.#rejects.length }
  }

  #refuseLength(line: number): never {
    const { file, entry } = this.#start
    const what = `a line is longer than ${LONGEST_LINE} bytes`
    throw new ParseError('PARSE_LINE_TOO_LONG', what, { file, entry: entry.name, line })
  }
}

/** The cells of each line, or what is wrong with its quotation marks. */
function cellsOf(lines: readonly string[]): readonly (readonly string[] | RowCode)[] {
  const together = parseCsv(lines.join('\n'))
  // A record that reaches over a line end leaves fewer of them than there are lines.
  if (typeof together !== 'string' && together.length === lines.length) return together
  return lines.map(line => {
    const alone = parseCsv(line)
    return typeof alone === 'string' ? alone : (alone[0] ?? [])
  })
}

/** Strict but for the number of cells, which is looked at row by row. Nothing else is relaxed: that would drop data. */
function parseCsv(text: string): string[][] | RowCode {
  try {
    return parse(text, { record_delimiter: '\n', trim: true, relax_column_count: true })
  } catch (error) {
    return (error as { code?: string }).code === 'CSV_QUOTE_NOT_CLOSED' ? 'ROW_UNCLOSED_QUOTE' : 'ROW_BAD_QUOTE'
  }
}
