import type { EntryLabel, IntervalBatch } from '../batch.ts'
import { ParseError, type RowCode } from '../errors.ts'
import { BatchBuilder } from './batch-builder.ts'
import { type RowContext, type Tally, takeFastRows, UNIT } from './fast-rows.ts'
import { type Quality, type RowCounts, type RowReject, tooManyRejects } from './file-account.ts'
import type { BoundLayout } from './layouts.ts'
import { type ReadRow, RowReader } from './row-reader.ts'

/** The longest line that can still be a row: a hundred times a real one. */
const LONGEST_LINE = 8192
const [LF, CR, COMMA, QUOTE] = [10, 13, 44, 34]

/** Where and how an entry's rows begin. */
export interface ScannerStart {
  readonly entry: EntryLabel
  readonly layout: BoundLayout
  /** Path of the file, for errors. */
  readonly file: string | undefined
  /** The byte that ends a line: 10, or 13 in files that know no other. */
  readonly lineEnd: number
  /** Byte offset of the first row. */
  readonly offset: number
  /** Number of the header's line, from 1. */
  readonly headerLine: number
  /** Rows per batch. */
  readonly batchRows: number
  /** Rejects after which to give up. */
  readonly maxRejects: number
}

/** What a scanner has counted. */
export interface ScanAccount {
  readonly rows: RowCounts
  readonly rejects: readonly RowReject[]
  readonly quality: Quality
}

/**
 * The thinking part of the parser: bytes in, columns out. Knows nothing of streams, promises or clocks.
 *
 * Within a meter-day the first three cells repeat, so the fast loop compares them with the row before, four bytes at a
 * time, and reads the rest straight from the bytes. Every row it does not know goes to {@link RowReader}.
 *
 * Memory: one batch, and the row that a chunk cut in half.
 */
export class IntervalScanner {
  readonly #start: ScannerStart
  readonly #reader: RowReader
  readonly #builder: BatchBuilder
  readonly #inOrder: boolean
  #context: RowContext | undefined
  #cut: Uint8Array | undefined
  #offset: number
  #batches: IntervalBatch[] = []
  readonly #rejects: RowReject[] = []
  readonly #tally: Tally
  #read = 0
  #placeholder = 0
  #missing = 0
  #repeatedHeader = 0

  constructor(start: ScannerStart) {
    this.#start = start
    this.#offset = start.offset
    this.#tally = {
      line: start.headerLine,
      accepted: 0,
      estimated: 0,
      units: [0, 0],
      first: Number.POSITIVE_INFINITY,
      last: Number.NEGATIVE_INFINITY
    }
    this.#reader = new RowReader(start.layout)
    this.#builder = new BatchBuilder(start.entry, start.batchRows)
    const { column, cells } = start.layout
    const order = [column.esiid, column.date, column.revision, column.start, column.end, column.kwh, column.flag]
    this.#inOrder = cells === 8 && [...order, column.direction].every((at, i) => at === i) && start.lineEnd === LF
  }

  /** Takes the next bytes; gives the batches they filled. */
  push(bytes: Uint8Array): readonly IntervalBatch[] {
    let rest = bytes
    if (this.#cut) {
      const end = bytes.indexOf(this.#start.lineEnd)
      const line = Buffer.concat([this.#cut, end < 0 ? bytes : bytes.subarray(0, end + 1)])
      if (end < 0) this.#keep(line)
      else {
        this.#cut = undefined
        this.#scan(line)
        rest = bytes.subarray(end + 1)
      }
    }
    if (!this.#cut) this.#keep(rest.subarray(this.#scan(rest)))
    return this.#given()
  }

  /** Takes the last row if it had no line end; gives the last batch. */
  end(): readonly IntervalBatch[] {
    if (this.#cut) {
      this.#slowLine(this.#cut, 0, this.#cut.length)
      this.#cut = undefined
    }
    this.#flush()
    return this.#given()
  }

  account(): ScanAccount {
    const some = this.#tally.accepted > 0
    return {
      rows: {
        read: this.#read,
        accepted: this.#tally.accepted,
        rejected: this.#rejects.length,
        placeholder: this.#placeholder,
        missing: this.#missing,
        repeatedHeader: this.#repeatedHeader
      },
      rejects: this.#rejects,
      quality: {
        estimated: this.#tally.estimated,
        kwh: { consumption: this.#tally.units[0]! / UNIT, surplusGeneration: this.#tally.units[1]! / UNIT },
        first: some ? this.#tally.first : null,
        last: some ? this.#tally.last : null,
        ambiguousHourAssumed: this.#reader.ambiguousHourAssumed
      }
    }
  }

  /** Reads the whole rows of a chunk; gives the position of the first byte of the row it cuts in half. */
  #scan(bytes: Uint8Array): number {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    let at = 0
    while (at < bytes.length) {
      if (this.#context) {
        const before = this.#tally.accepted
        at = takeFastRows(bytes, view, at, this.#context, this.#builder, this.#tally)
        this.#read += this.#tally.accepted - before
      }
      if (this.#builder.length === this.#builder.capacity) {
        this.#flush()
        continue
      }
      const end = bytes.indexOf(this.#start.lineEnd, at)
      if (end < 0) break
      this.#slowLine(bytes, at, end)
      at = end + 1
    }
    this.#offset += at
    return at
  }

  /**
   * A line, the complete way; `end` is the position of its end. Where files with other line ends were joined, the other
   * one stands inside it, and it is several rows.
   */
  #slowLine(bytes: Uint8Array, from: number, end: number): void {
    if (end - from > LONGEST_LINE) this.#tooLong()
    const other = this.#start.lineEnd === LF ? CR : LF
    let at = from
    for (let cut = bytes.indexOf(other, at); cut >= 0 && cut < end - 1; cut = bytes.indexOf(other, at)) {
      if (cut > at) this.#slowRow(bytes, at, cut)
      at = cut + 1
    }
    this.#slowRow(bytes, at, end)
  }

  #slowRow(bytes: Uint8Array, from: number, end: number): void {
    this.#tally.line++
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const outcome = this.#reader.read(text.toString('latin1', from, end))
    if (outcome === 'blank') return
    this.#read++
    if (typeof outcome === 'object') this.#accept(outcome, bytes.subarray(from, end))
    else if (outcome === 'placeholder') this.#placeholder++
    else if (outcome === 'missing') this.#missing++
    else if (outcome === 'repeated-header') this.#repeatedHeader++
    else this.#reject(outcome, this.#offset + from)
  }

  #accept(row: ReadRow, bytes: Uint8Array): void {
    const to = this.#builder
    const n = to.length
    to.meter[n] = to.meterOf(row.esiid)
    to.start[n] = row.start
    to.kwh[n] = row.units / UNIT
    to.estimated[n] = row.estimated ? 1 : 0
    to.direction[n] = row.direction
    to.revision[n] = row.revision
    to.line[n] = this.#tally.line
    to.length = n + 1
    this.#tally.accepted++
    if (row.estimated) this.#tally.estimated++
    this.#tally.units[row.direction]! += row.units
    if (row.start < this.#tally.first) this.#tally.first = row.start
    if (row.start > this.#tally.last) this.#tally.last = row.start
    this.#context = this.#contextOf(row, bytes)
    if (to.length === to.capacity) this.#flush()
  }

  /** Ordinary days only: the two clock changes take the complete way, row by row. */
  #contextOf(row: ReadRow, bytes: Uint8Array): RowContext | undefined {
    if (!this.#inOrder || row.day.kind !== 'ordinary' || bytes.includes(QUOTE)) return undefined
    let comma = -1
    for (let i = 0; i < 3; i++) comma = bytes.indexOf(COMMA, comma + 1)
    const { esiid, revision } = row
    return { esiid, revision, dayStart: row.day.start, prefix: bytes.slice(0, comma + 1) }
  }

  #reject(code: RowCode, offset: number): void {
    this.#rejects.push({ code, line: this.#tally.line, offset })
    if (this.#rejects.length <= this.#start.maxRejects) return
    const rows = { read: this.#read, accepted: this.#tally.accepted }
    throw tooManyRejects(this.#rejects, rows, { file: this.#start.file, entry: this.#start.entry.name })
  }

  #keep(rest: Uint8Array): void {
    if (rest.length > LONGEST_LINE) this.#tooLong()
    // A copy: the chunk belongs to whoever gave it.
    this.#cut = rest.length > 0 ? Uint8Array.prototype.slice.call(rest) : undefined
  }

  #tooLong(): never {
    throw new ParseError('PARSE_LINE_TOO_LONG', `a line is longer than ${LONGEST_LINE} bytes`, {
      file: this.#start.file,
      entry: this.#start.entry.name,
      line: this.#tally.line + 1
    })
  }

  #flush(): void {
    const batch = this.#builder.take()
    if (batch) this.#batches.push(batch)
  }

  #given(): readonly IntervalBatch[] {
    const batches = this.#batches
    this.#batches = []
    return batches
  }
}
