import type { IntervalBatch } from '../batch.ts'
import type { ReportBatch } from '../report-batch.ts'
import type { EntryHead } from './entry-head.ts'
import { type EntryCounts, EntryRows, type EntryStart } from './entry-rows.ts'
import type { BoundLayout } from './layouts.ts'
import { readLine } from './row-reader.ts'
import { LONGEST_LINE, type ScanCore } from './scan-core.ts'

/** What reads the bytes of one entry. Knows nothing of streams, promises or clocks. */
export interface EntryScanner {
  /** Takes the next bytes; gives the batches they filled. */
  push(bytes: Uint8Array): readonly (IntervalBatch | ReportBatch)[]
  /** Takes the last row if it had no line end; gives the last batch. */
  end(): readonly (IntervalBatch | ReportBatch)[]
  counts(): EntryCounts
}

/**
 * The thinking part of the parser: bytes of CSV in, columns out. Plain rows are read by the core, {@link ScanCore};
 * every other one is read here, the complete way, and given to the core to be placed in time.
 *
 * Memory: one batch, and the row that a chunk cut in half.
 */
export class IntervalScanner implements EntryScanner {
  readonly #core: ScanCore
  readonly #rows: EntryRows
  readonly #layout: BoundLayout
  /** Offset in the entry of the first byte that was not given to the core yet. */
  #offset: number

  constructor(start: EntryStart, layout: BoundLayout, head: EntryHead) {
    this.#core = start.core
    this.#rows = new EntryRows(start)
    this.#layout = layout
    this.#offset = head.next
    start.core.beginEntry(head.number, layout.roles)
  }

  push(bytes: Uint8Array): readonly IntervalBatch[] {
    for (let at = 0; at < bytes.length; ) {
      const given = this.#core.give(bytes.subarray(at))
      at += given
      this.#offset += given
      this.#scan()
    }
    return this.#rows.given()
  }

  end(): readonly IntervalBatch[] {
    if (this.#core.left > 0) {
      this.#core.give(Uint8Array.of(10))
      this.#offset++
      this.#scan()
    }
    this.#rows.end()
    return this.#rows.given()
  }

  counts(): EntryCounts {
    return this.#rows.counts()
  }

  #scan(): void {
    for (;;) {
      const stop = this.#core.scan()
      if (stop === 'odd-row') this.#oddRow()
      else if (stop === 'rejected') this.#rejected()
      else if (stop === 'full') this.#rows.flush()
      else if (stop === 'day-ended') this.#rows.endDay()
      else break
    }
    if (this.#core.left > LONGEST_LINE) throw this.#tooLong(this.#core.line + 1)
  }

  #oddRow(): void {
    const text = this.#core.row
    if (text.length > LONGEST_LINE) throw this.#tooLong(this.#core.line)
    const read = readLine(text, this.#layout)
    if (read !== 'blank') this.#rows.take(read, this.#offset - this.#core.sinceRow)
  }

  #rejected(): void {
    const code = this.#core.rejected
    if (code.startsWith('ROW_')) this.#rows.reject(code as `ROW_NOT_15_MINUTES`, this.#offset - this.#core.sinceRow)
  }

  #tooLong(line: number) {
    return this.#rows.error('PARSE_LINE_TOO_LONG', `a line is longer than ${LONGEST_LINE} bytes`, line)
  }
}
