import { getRandomValues } from 'node:crypto'
import { type EntryLabel, IntervalBatch } from '../batch.ts'
import type { RowCode } from '../errors.ts'
import { type CentralDay, numberedDay } from './central-time.ts'
import { type CoreExports, startCore } from './core-program.ts'
import type { Role } from './layouts.ts'

/** The longest line that can still be a row: a hundred times a real one. */
export const LONGEST_LINE = 8192

/** Bytes that the core takes at a time; what a cut row leaves behind fits beside them. */
const PIECE = 128 * 1024

/** Cores that wait for the next file at least; as many wait as were at work at the same time. */
const FEWEST_IDLE = 2

// What follows is numbered as in core/index.ts.

/** Why the core stopped reading: it wants more bytes, or an empty batch; it met a row that it does not take; or a day is over. */
const stops = ['more', 'full', 'odd-row', 'unknown-day', 'rejected', 'day-ended'] as const

/**
 * What became of a row. One that is held is of the repeated hour, to be placed by its instant later; a step is one with a
 * bad reading, which still shows in what order a day's rows stand.
 */
const outcomes = [
  'accepted',
  'placeholder',
  'missing',
  'ROW_NOT_15_MINUTES',
  'ROW_OTHER_LENGTH',
  'ROW_NONEXISTENT_HOUR',
  'ROW_AMBIGUOUS_HOUR',
  'held',
  'step'
] as const satisfies readonly (RowCode | 'accepted' | 'placeholder' | 'missing' | 'held' | 'step')[]

type Stop = Exclude<(typeof stops)[number], 'unknown-day'>
export type PlaceOutcome = (typeof outcomes)[number]

const kinds = { ordinary: 1, spring: 2, autumn: 3 }
const roles: Readonly<Record<Role, number>> = {
  esiid: 1,
  date: 2,
  revision: 3,
  start: 4,
  end: 5,
  kwh: 6,
  flag: 7,
  direction: 8
}
const lengthBits: Readonly<Record<number, number>> = { 15: 1, 30: 2, 60: 4 }

/** The cells of one row, read by JavaScript. */
export interface RowCells {
  readonly esiid: string
  readonly day: CentralDay
  /** When it starts and ends: minutes of the day by the clock's labels, or the instant and the length in minutes. */
  readonly time: { readonly start: number; readonly end: number } | { readonly at: number; readonly minutes: number }
  /** Stamp of the version on the local clock; null when blank. */
  readonly revision: { readonly day: CentralDay; readonly second: number } | null
  /** Position in `directions`. */
  readonly direction: number
  /** 0.00001 kWh, nothing, or what is wrong with it. */
  readonly reading: number | 'blank' | RowCode
  readonly estimated: boolean
}

const idle: ScanCore[] = []
let atWork = 0
let mostAtWork = FEWEST_IDLE

/**
 * One running core: WebAssembly, compiled from `core/`. It knows rows, days and repeats, and nothing of files.
 *
 * Memory: 1 MB, one batch, and with the number of meter-days up to 7 MB to recognise rows that come again and 7 MB to
 * tell the two passes of the repeated hour apart.
 */
export class ScanCore {
  readonly #core: CoreExports
  readonly #rows: number
  readonly #lengths: number
  readonly #bytes: Uint8Array
  readonly #text: Buffer
  readonly #days: Int32Array

  /** A core for one file, which {@link ScanCore.release} gives back. */
  static take(batchRows: number, minutes: readonly number[]): ScanCore {
    const lengths = minutes.reduce((bits, length) => bits | lengthBits[length]!, 0)
    const at = idle.findIndex(core => core.#rows === batchRows && core.#lengths === lengths)
    const core = at < 0 ? new ScanCore(batchRows, lengths) : idle.splice(at, 1)[0]!
    core.#core.beginFile()
    atWork += 1
    mostAtWork = Math.max(mostAtWork, atWork)
    return core
  }

  private constructor(batchRows: number, lengths: number) {
    this.#core = startCore()
    this.#rows = batchRows
    this.#lengths = lengths
    const [head, tail] = getRandomValues(new BigUint64Array(2))
    this.#core.mix(head!, tail!)
    this.#core.setUp(batchRows, lengths, LONGEST_LINE)
    const { buffer } = this.#core.memory
    this.#bytes = new Uint8Array(buffer)
    this.#text = Buffer.from(buffer)
    this.#days = new Int32Array(buffer, this.#core.dayTable.value)
  }

  release(): void {
    atWork -= 1
    // The ones used last wait: files to come are most likely read in the same way.
    idle.push(this)
    if (idle.length > mostAtWork) idle.shift()
  }

  /** The rows of an entry come next, in these columns; without any, every row comes through {@link ScanCore.place}. */
  beginEntry(headerLine: number, columns: readonly (Role | undefined)[] = []): void {
    const numbers = columns.map(role => (role === undefined ? 0 : roles[role]))
    this.#bytes.set(numbers, this.#core.roles.value)
    this.#core.beginEntry(columns.length, alikeColumns(columns), headerLine)
  }

  /** Copies bytes in, as many as there is room for; gives their number. */
  give(bytes: Uint8Array): number {
    const piece = bytes.length > PIECE ? bytes.subarray(0, PIECE) : bytes
    this.#bytes.set(piece, this.#core.makeRoom())
    this.#core.give(piece.length)
    return piece.length
  }

  /** Reads rows until something is wanted. Days that it does not know are looked up. */
  scan(): Stop {
    for (;;) {
      const stop = stops[this.#core.scan()]!
      if (stop !== 'unknown-day') return stop
      this.#learn(this.#core.unknownDay.value)
    }
  }

  /** Bytes that wait for the rest of their row, its line end left out. */
  get left(): number {
    const { at, end } = this.#core
    const half = end.value > at.value && this.#bytes[end.value - 1] === 13 ? 1 : 0
    return end.value - at.value - half
  }

  /** How many bytes were given since the row began at which `scan` stopped. */
  get sinceRow(): number {
    return this.#core.end.value - this.#core.rowStart.value
  }

  /** The row at which `scan` stopped, a character for each byte. */
  get row(): string {
    return this.#text.toString('latin1', this.#core.rowStart.value, this.#core.rowEnd.value)
  }

  /** The outcome for which `scan` rejected a row. */
  get rejected(): PlaceOutcome {
    return outcomes[this.#core.outcome.value]!
  }

  /** The line that was read last. */
  get line(): number {
    return this.#core.line.value
  }

  /** For rows that are no lines of CSV: where the next one stands. */
  beginLine(line: number): void {
    this.#core.beginLine(line)
  }

  /** Places a row in time, and adds it to the batch if it is an interval. */
  place(row: RowCells): PlaceOutcome {
    const { day, time, direction } = row
    this.#identify(row)
    const reading = row.reading === 'blank' ? -1 : typeof row.reading === 'number' ? row.reading : -2
    const flag = row.estimated ? 1 : 0
    const outcome =
      'at' in time
        ? this.#core.placeAt(day.number, time.at / 60_000, time.minutes, direction, reading, flag)
        : this.#core.place(day.number, time.start, time.end, direction, reading, flag)
    return outcomes[outcome]!
  }

  /** The meter-day, of one direction and version, of the autumn row placed last: a number that no other has. */
  get group(): number {
    return this.#core.rowGroup.value
  }

  /** The autumn meter-day that has ended, nearly all of its rows in order, while some were held; 0 for none. */
  takeEnded(): number {
    return this.#core.takeEnded()
  }

  /** No more rows of the repeated hour may follow in a row's meter-day. Whether all of its rows stood in order. */
  closeHour(row: RowCells): boolean {
    this.#identify(row)
    this.#core.takeGroup(row.day.number, row.direction)
    return this.#core.closeHour() !== 0
  }

  #identify({ esiid, day, revision }: RowCells): void {
    this.#learn(day.number)
    if (revision) this.#learn(revision.day.number)
    const length = this.#text.write(esiid, this.#core.esiid.value, 'latin1')
    this.#core.identify(length, revision?.day.number ?? -1, revision?.second ?? 0)
  }

  /** Whether the next row needs an empty batch. */
  get full(): boolean {
    return this.#core.batchLength() === this.#rows
  }

  /** The rows since the last batch; undefined when there are none. */
  takeBatch(entry: EntryLabel): IntervalBatch | undefined {
    const n = this.#core.batchLength()
    if (n === 0) return undefined
    const lengths = this.#lengths === lengthBits[15] ? 0 : n
    // One piece of memory for all columns, not cleared first.
    const { buffer } = Buffer.allocUnsafeSlow(n * 34 + lengths)
    const target = new Uint8Array(buffer)
    let at = 0
    const copy = (column: number, bytes: number) => {
      const from = this.#core.column(column)
      target.set(this.#bytes.subarray(from, from + bytes), at)
      at += bytes
      return at - bytes
    }
    const texts = this.#core.column(8)
    const batch = new IntervalBatch(entry, {
      start: new Float64Array(buffer, copy(0, n * 8), n),
      kwh: new Float64Array(buffer, copy(1, n * 8), n),
      revision: new Float64Array(buffer, copy(2, n * 8), n),
      line: new Uint32Array(buffer, copy(3, n * 4), n),
      meter: new Uint32Array(buffer, copy(4, n * 4), n),
      estimated: new Uint8Array(buffer, copy(5, n), n),
      direction: new Uint8Array(buffer, copy(6, n), n),
      minutes: lengths === 0 ? undefined : new Uint8Array(buffer, copy(7, n), n),
      esiids: this.#text.toString('latin1', texts, texts + this.#core.textsLength() - 1).split(',')
    })
    this.#core.emptyBatch()
    return batch
  }

  /** What was counted in the entry so far. */
  get counts() {
    const core = this.#core
    const some = core.accepted.value > 0
    return {
      read: core.read.value as number,
      accepted: core.accepted.value as number,
      placeholder: core.placeholders.value as number,
      missing: core.missing.value as number,
      estimated: core.estimated.value as number,
      /** 0.00001 kWh. */
      units: { consumption: Number(core.consumed.value), surplusGeneration: Number(core.surplus.value) },
      first: some ? core.first.value * 60_000 : null,
      last: some ? core.last.value * 60_000 : null,
      repeats: {
        duplicates: core.duplicates.value as number,
        conflicts: core.conflicts.value as number,
        overlaps: core.overlaps.value as number,
        unchecked: core.unchecked.value as number
      }
    }
  }

  /** Tells the core when a day begins; of a date that no calendar has, that there is none. */
  #learn(number: number): void {
    if (this.#days[number] !== 0) return
    const day = numberedDay(number)
    this.#days[number] = day ? (day.start / 60_000) * 4 + kinds[day.kind] : -1
  }
}

/** How many first columns hold ESIID, day and revision, and nothing else: within a meter-day they repeat. */
function alikeColumns(columns: readonly (Role | undefined)[]): number {
  const shared: readonly (Role | undefined)[] = ['esiid', 'date', 'revision']
  const count = columns.filter(role => role !== undefined && shared.includes(role)).length
  return columns.slice(0, count).every(role => shared.includes(role)) ? count : 0
}
