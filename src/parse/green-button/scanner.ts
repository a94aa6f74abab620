import type { IntervalBatch } from '../../batch.ts'
import { type CentralDay, centralDayAt } from '../central-time.ts'
import { type EntryCounts, EntryRows, type EntryStart } from '../entry-rows.ts'
import type { EntryScanner } from '../interval-scanner.ts'
import type { RowCells, ScanCore } from '../scan-core.ts'
import {
  type GreenButtonOptions,
  type GreenButtonOutcome,
  GreenButtonReader,
  type GreenButtonReading
} from './reader.ts'

/** The shortest day has 23 hours. */
const SHORTEST_DAY = 23 * 60 * 60_000

/**
 * Green Button among the other layouts: what the reader makes of each `IntervalReading` goes through the same core as
 * every row, so that lengths, repeats and counts are the same thing everywhere.
 *
 * Memory: one batch, and what {@link GreenButtonReader} holds.
 */
export class GreenButtonScanner implements EntryScanner {
  readonly #core: ScanCore
  readonly #rows: EntryRows
  readonly #reader: GreenButtonReader
  /** Of the reading before. */
  #day: CentralDay | undefined

  constructor(start: EntryStart, options: Pick<GreenButtonOptions, 'esiid' | 'clock'>) {
    this.#core = start.core
    this.#rows = new EntryRows(start)
    this.#reader = new GreenButtonReader({ ...options, file: start.file, entry: start.entry.name })
    start.core.beginEntry(0)
  }

  push(bytes: Uint8Array): readonly IntervalBatch[] {
    return this.#take(this.#reader.push(bytes))
  }

  end(): readonly IntervalBatch[] {
    const last = this.#take(this.#reader.end())
    this.#rows.end()
    return [...last, ...this.#rows.given()]
  }

  counts(): EntryCounts {
    return this.#rows.counts()
  }

  #take(outcomes: readonly GreenButtonOutcome[]): readonly IntervalBatch[] {
    for (const { line, offset, result } of outcomes) {
      this.#core.beginLine(line)
      if (result === 'missing' || result === 'placeholder') this.#rows.takeBlank(result)
      else this.#rows.take(typeof result === 'string' ? result : this.#cellsOf(result), offset)
    }
    return this.#rows.given()
  }

  #cellsOf({ esiid, start, minutes, direction, units, estimated }: GreenButtonReading): RowCells | 'ROW_BAD_TIME' {
    const day = this.#dayOf(start)
    if (!day) return 'ROW_BAD_TIME'
    // ESPI knows no versions. A blank one is the oldest, so whatever a CSV report says of the hour wins.
    return { esiid, day, time: { at: start, minutes }, revision: null, direction, reading: units, estimated }
  }

  /** The day of an instant. Asking the calendar costs more than the rest of the reading, and most days are the last one's. */
  #dayOf(instant: number): CentralDay | undefined {
    const { start = Number.NaN } = this.#day ?? {}
    if (instant >= start && instant < start + SHORTEST_DAY) return this.#day
    return (this.#day = centralDayAt(instant))
  }
}
