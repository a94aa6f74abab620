import type { IntervalBatch } from '../../batch.ts'
import type { RowCode } from '../../errors.ts'
import { type EntryCounts, EntryRows, type EntryStart } from '../entry-rows.ts'
import type { EntryScanner } from '../interval-scanner.ts'
import { isCode, readDay, readEsiid, readReading, readRevision } from '../row-reader.ts'
import type { RowCells, ScanCore } from '../scan-core.ts'
import { type Place, placesOf } from './positions.ts'
import { type DayList, ReadListReader } from './reader.ts'

const QUARTER = 15 * 60_000

/** What all positions of a list share. */
type Shared = Pick<RowCells, 'esiid' | 'day' | 'revision' | 'direction'>

/**
 * SMT's JSON answers among the other layouts: each position of a list is a row, and goes through the same core as every
 * other. Rows have no lines of their own here: they are numbered through the answer, from 1.
 *
 * Memory: one batch, and what {@link ReadListReader} holds.
 */
export class ReadListScanner implements EntryScanner {
  readonly #core: ScanCore
  readonly #rows: EntryRows
  readonly #reader: ReadListReader
  #line = 0

  constructor(start: EntryStart) {
    this.#core = start.core
    this.#rows = new EntryRows(start)
    this.#reader = new ReadListReader({ file: start.file, entry: start.entry.name })
    start.core.beginEntry(0)
  }

  push(bytes: Uint8Array): readonly IntervalBatch[] {
    for (const list of this.#reader.push(bytes)) this.#take(list)
    return this.#rows.given()
  }

  end(): readonly IntervalBatch[] {
    this.#reader.end()
    this.#rows.end()
    return this.#rows.given()
  }

  counts(): EntryCounts {
    return this.#rows.counts()
  }

  #take(list: DayList): void {
    const shared = sharedOf(list)
    const positions = list.readings.split(',')
    const readings = positions.map(readPosition)
    const placed = isCode(shared) ? undefined : placesOf(shared.day.kind, readings.map(isFilled))
    if (placed?.isHourOnce) this.#rows.assumeFirstPass()
    let { offset } = list
    for (const [i, reading] of readings.entries()) {
      this.#core.beginLine(++this.#line)
      this.#takeRow(shared, placed ? placed.places[i]! : 'unclear', reading, offset)
      offset += positions[i]!.length + 1
    }
  }

  #takeRow(shared: Shared | RowCode, place: Place, { reading, estimated }: Reading, offset: number): void {
    if (isCode(shared)) this.#rows.take(shared, offset)
    else if (isCode(reading)) this.#rows.take(reading, offset)
    else if (reading === 'blank') this.#rows.takeBlank(place === 'skipped' ? 'placeholder' : 'missing')
    else if (place === 'unclear') this.#rows.take('ROW_BAD_LIST', offset)
    else if (place === 'skipped') this.#rows.take('ROW_NONEXISTENT_HOUR', offset)
    else {
      const time = { at: shared.day.start + place * QUARTER, minutes: 15 }
      const { esiid, day, revision, direction } = shared
      // Field by field: spreading one object into another takes longer than all the rest.
      this.#rows.take({ esiid, day, time, revision, direction, reading, estimated }, offset)
    }
  }
}

type Reading = Pick<RowCells, 'reading' | 'estimated'>

function sharedOf({ esiid: meter, date, revision: stamp, type }: DayList): Shared | RowCode {
  const esiid = typeof meter === 'number' ? 'ROW_ESIID_AS_NUMBER' : readEsiid(textOf(meter) ?? '')
  if (isCode(esiid)) return esiid
  const day = readDay(textOf(date) ?? '')
  if (isCode(day)) return day
  const revision = stamp === undefined || stamp === null ? null : readRevision(textOf(stamp) ?? 'no text')
  if (isCode(revision)) return revision
  const direction = type === 'C' ? 0 : type === 'G' ? 1 : undefined
  return direction === undefined ? 'ROW_BAD_DIRECTION' : { esiid, day, revision, direction }
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value.trim() : undefined
}

/** `0.231-A`, `0.204-E`; nothing, or a bare `-`, is no reading. The sign of a negative number is not the last dash. */
function readPosition(text: string): Reading {
  const dash = text.lastIndexOf('-')
  if (dash < 0) return readReading(text.trim(), '')
  return readReading(text.slice(0, dash).trim(), text.slice(dash + 1).trim())
}

function isFilled({ reading }: Reading): boolean {
  return reading !== 'blank'
}
