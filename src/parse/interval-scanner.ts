import type { EntryLabel, IntervalBatch } from '../batch.ts'
import { ParseError, type RowCode } from '../errors.ts'
import { BatchBuilder } from './batch-builder.ts'
import { type Quality, type RowCounts, type RowReject, tooManyRejects } from './file-account.ts'
import type { BoundLayout } from './layouts.ts'
import { type ReadRow, RowReader } from './row-reader.ts'

/** The longest line that can still be a row: a hundred times a real one. */
const LONGEST_LINE = 8192
/** Bytes from the third comma to the line's end of any row the fast loop takes; it leaves shorter rests alone. */
const LONGEST_TAIL = 64
const UNIT = 100_000
const SCALE = [UNIT, UNIT / 10, UNIT / 100, UNIT / 1000, UNIT / 10_000, 1]
const MINUTE = 60_000

const [LF, CR, SPACE, COMMA, DOT, COLON, ZERO] = [10, 13, 32, 44, 46, 58, 48]
const [LETTER_A, LETTER_E] = [65, 69]

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

/** The three first cells of the row before, which most rows repeat byte for byte, and what they mean. */
interface Context {
  readonly esiid: string
  readonly dayStart: number
  readonly revision: number
  readonly prefix: Uint8Array
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
  #context: Context | undefined
  #cut: Uint8Array | undefined
  #line: number
  #offset: number
  #batches: IntervalBatch[] = []
  readonly #rejects: RowReject[] = []
  #read = 0
  #accepted = 0
  #placeholder = 0
  #missing = 0
  #repeatedHeader = 0
  #estimated = 0
  readonly #units = [0, 0]
  #first = Number.POSITIVE_INFINITY
  #last = Number.NEGATIVE_INFINITY

  constructor(start: ScannerStart) {
    this.#start = start
    this.#offset = start.offset
    this.#line = start.headerLine
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
      this.#slowRow(this.#cut, 0, this.#cut.length)
      this.#cut = undefined
    }
    this.#flush()
    return this.#given()
  }

  account(): ScanAccount {
    const some = this.#accepted > 0
    return {
      rows: {
        read: this.#read,
        accepted: this.#accepted,
        rejected: this.#rejects.length,
        placeholder: this.#placeholder,
        missing: this.#missing,
        repeatedHeader: this.#repeatedHeader
      },
      rejects: this.#rejects,
      quality: {
        estimated: this.#estimated,
        kwh: { consumption: this.#units[0]! / UNIT, surplusGeneration: this.#units[1]! / UNIT },
        first: some ? this.#first : null,
        last: some ? this.#last : null,
        ambiguousHourAssumed: this.#reader.ambiguousHourAssumed
      }
    }
  }

  /** Reads the whole rows of a chunk; gives the position of the first byte of the row it cuts in half. */
  #scan(bytes: Uint8Array): number {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    let at = 0
    while (at < bytes.length) {
      if (this.#context) at = this.#fastRows(bytes, view, at, this.#context)
      if (this.#builder.length === this.#builder.capacity) {
        this.#flush()
        continue
      }
      const end = bytes.indexOf(this.#start.lineEnd, at)
      if (end < 0) break
      this.#slowRow(bytes, at, end)
      at = end + 1
    }
    this.#offset += at
    return at
  }

  /**
   * Rows like the one before: the same first three cells, ` HH:MM, HH:MM,` a quarter hour apart, a plain decimal, A or
   * E, a direction, a line end. Stops before the first row that is anything else, and when the batch is full.
   */
  #fastRows(bytes: Uint8Array, view: DataView, from: number, context: Context): number {
    const { prefix, dayStart, revision } = context
    const { start, kwh, estimated, direction, revision: revisions, line, meter, capacity } = this.#builder
    const known = new DataView(prefix.buffer, prefix.byteOffset, prefix.byteLength)
    const width = prefix.length
    const lastWord = width - 4
    const lastRow = bytes.length - width - LONGEST_TAIL
    let position = -1
    let at = from
    let n = this.#builder.length
    let lines = this.#line
    let estimates = 0
    let consumed = 0
    let surplus = 0
    let first = this.#first
    let last = this.#last

    row: while (at <= lastRow && n < capacity) {
      for (let i = 0; i < lastWord; i += 4) {
        if (view.getInt32(at + i, true) !== known.getInt32(i, true)) break row
      }
      if (view.getInt32(at + lastWord, true) !== known.getInt32(lastWord, true)) break
      let p = at + width

      if (bytes[p] === SPACE) p++
      const startMinute = minutesAt(bytes, p)
      if (startMinute < 0 || bytes[p + 5] !== COMMA) break
      p += 6
      if (bytes[p] === SPACE) p++
      let endMinute = minutesAt(bytes, p)
      if (endMinute < 0 || bytes[p + 5] !== COMMA) break
      p += 6
      if (endMinute === 0) endMinute = 1440
      if (endMinute - startMinute !== 15 || endMinute % 15 !== 0 || endMinute > 1440) break

      let units = 0
      const number = p
      let digit = bytes[p]! - ZERO
      while (digit >= 0 && digit <= 9) {
        units = units * 10 + digit
        digit = bytes[++p]! - ZERO
      }
      let digits = p - number
      if (digits > 7) break
      let decimals = 0
      if (bytes[p] === DOT) {
        digit = bytes[++p]! - ZERO
        while (digit >= 0 && digit <= 9) {
          units = units * 10 + digit
          decimals++
          digit = bytes[++p]! - ZERO
        }
        digits += decimals
        if (decimals > 5) break
      }
      if (digits === 0 || bytes[p] !== COMMA) break

      const flag = bytes[p + 1]
      if ((flag !== LETTER_A && flag !== LETTER_E) || bytes[p + 2] !== COMMA) break
      p += 3
      let way: 0 | 1
      if (isConsumption(view, p)) {
        way = 0
        p += 11
      } else if (isSurplusGeneration(view, p)) {
        way = 1
        p += 18
      } else break
      if (bytes[p] === CR) p++
      if (bytes[p] !== LF) break

      const exact = units * SCALE[decimals]!
      const instant = dayStart + (endMinute - 15) * MINUTE
      start[n] = instant
      kwh[n] = exact / UNIT
      estimated[n] = flag === LETTER_E ? 1 : 0
      direction[n] = way
      revisions[n] = revision
      line[n] = ++lines
      if (position < 0) position = this.#builder.meterOf(context.esiid)
      meter[n] = position
      n++
      if (flag === LETTER_E) estimates++
      if (way === 0) consumed += exact
      else surplus += exact
      if (instant < first) first = instant
      if (instant > last) last = instant
      at = p + 1
    }

    const taken = n - this.#builder.length
    this.#builder.length = n
    this.#line = lines
    this.#read += taken
    this.#accepted += taken
    this.#estimated += estimates
    this.#units[0]! += consumed
    this.#units[1]! += surplus
    this.#first = first
    this.#last = last
    return at
  }

  /** One row, the complete way. `end` is the position of its line end. */
  #slowRow(bytes: Uint8Array, from: number, end: number): void {
    if (end - from > LONGEST_LINE) this.#tooLong()
    this.#line++
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
    to.line[n] = this.#line
    to.length = n + 1
    this.#accepted++
    if (row.estimated) this.#estimated++
    this.#units[row.direction]! += row.units
    if (row.start < this.#first) this.#first = row.start
    if (row.start > this.#last) this.#last = row.start
    this.#context = this.#contextOf(row, bytes)
    if (to.length === to.capacity) this.#flush()
  }

  /** Ordinary days only: the two clock changes take the complete way, row by row. */
  #contextOf(row: ReadRow, bytes: Uint8Array): Context | undefined {
    if (!this.#inOrder || row.day.kind !== 'ordinary' || bytes.includes(34)) return undefined
    let comma = -1
    for (let i = 0; i < 3; i++) comma = bytes.indexOf(COMMA, comma + 1)
    const { esiid, revision } = row
    return { esiid, revision, dayStart: row.day.start, prefix: bytes.slice(0, comma + 1) }
  }

  #reject(code: RowCode, offset: number): void {
    this.#rejects.push({ code, line: this.#line, offset })
    if (this.#rejects.length <= this.#start.maxRejects) return
    const rows = { read: this.#read, accepted: this.#accepted }
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
      line: this.#line + 1
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

/** `HH:MM` at a position as minutes of the day; -1 when it is something else. */
function minutesAt(bytes: Uint8Array, p: number): number {
  const a = bytes[p]! - ZERO
  const b = bytes[p + 1]! - ZERO
  const c = bytes[p + 3]! - ZERO
  const d = bytes[p + 4]! - ZERO
  // Each a digit, or an unsigned number far above nine.
  if (a >>> 0 > 2 || b >>> 0 > 9 || c >>> 0 > 5 || d >>> 0 > 9 || bytes[p + 2] !== COLON) return -1
  return (a * 10 + b) * 60 + c * 10 + d
}

// The two directions as little-endian words of their letters, so that comparing them takes three or five steps.
const word = (text: string) => Buffer.from(text, 'latin1').readInt32LE()
const [CONS, UMPT, TION] = [word('Cons'), word('umpt'), word('tion')]
const [SURP, LUS_, GENE, RATI, TION_END] = [word('Surp'), word('lus '), word('Gene'), word('rati'), word('tion')]

function isConsumption(view: DataView, p: number): boolean {
  return view.getInt32(p, true) === CONS && view.getInt32(p + 4, true) === UMPT && view.getInt32(p + 7, true) === TION
}

function isSurplusGeneration(view: DataView, p: number): boolean {
  return (
    view.getInt32(p, true) === SURP &&
    view.getInt32(p + 4, true) === LUS_ &&
    view.getInt32(p + 8, true) === GENE &&
    view.getInt32(p + 12, true) === RATI &&
    view.getInt32(p + 14, true) === TION_END
  )
}
