import { inspect } from 'node:util'
import { showable } from './errors.ts'

/** The two series of one meter; both are written with positive kWh. The position is the code in {@link IntervalBatch.direction}. */
export const directions = ['consumption', 'surplus-generation'] as const

/** One of the two series of a meter. */
export type Direction = (typeof directions)[number]

/** Fifteen minutes of one meter in one direction. */
export interface Interval {
  /** 17 or 22 digits, always text. */
  readonly esiid: string
  /** UTC epoch milliseconds of its first instant. */
  readonly start: number
  /** Energy in kWh, never negative. */
  readonly kwh: number
  readonly estimated: boolean
  readonly direction: Direction
  /** UTC epoch milliseconds of the version this reading belongs to; null when the file leaves it blank. */
  readonly revision: number | null
  /** How long it is, in minutes; only there when the parser was told to take other lengths than 15. */
  readonly minutes?: number
}

/** The entry a batch comes from. */
export interface EntryLabel {
  /** Its position in the opened file, from 0. */
  readonly index: number
  /** Its name in the archive, or the file's name. Never a path on this machine. */
  readonly name: string
}

/** The columns of a batch, all of one length. */
export interface IntervalColumns {
  readonly start: Float64Array
  readonly kwh: Float64Array
  readonly estimated: Uint8Array
  readonly direction: Uint8Array
  readonly revision: Float64Array
  readonly line: Uint32Array
  /** Position of each row's meter in `esiids`. */
  readonly meter: Uint32Array
  readonly esiids: readonly string[]
  /** Undefined where all intervals are of 15 minutes. */
  readonly minutes?: Uint8Array | undefined
}

/**
 * The one thing that flows: intervals as columns, wholly from one entry, in file order (but for rows of the autumn hour
 * that comes twice, which may come later than their neighbours).
 *
 * Rows taken from a stream without a sink are provisional until its `pipeline` resolves.
 */
export class IntervalBatch implements Iterable<Interval>, IntervalColumns {
  readonly length: number
  readonly entry: EntryLabel
  /** UTC epoch milliseconds. */
  readonly start: Float64Array
  /** kWh: the double nearest to the decimal text. */
  readonly kwh: Float64Array
  /** 1 where estimated, 0 where actual. */
  readonly estimated: Uint8Array
  /** Position in {@link directions}. */
  readonly direction: Uint8Array
  /** UTC epoch milliseconds, NaN where blank. */
  readonly revision: Float64Array
  /** Line in the entry, from 1. */
  readonly line: Uint32Array
  /** Position in {@link IntervalBatch.esiids}. */
  readonly meter: Uint32Array
  /** The batch's meters, each once. */
  readonly esiids: readonly string[]
  /** How long each interval is; undefined unless the parser was told to take other lengths than 15 minutes. */
  readonly minutes: Uint8Array | undefined

  constructor(entry: EntryLabel, columns: IntervalColumns) {
    this.entry = entry
    this.length = columns.start.length
    this.start = columns.start
    this.kwh = columns.kwh
    this.estimated = columns.estimated
    this.direction = columns.direction
    this.revision = columns.revision
    this.line = columns.line
    this.meter = columns.meter
    this.esiids = columns.esiids
    this.minutes = columns.minutes
  }

  /** The ESIID of row `i`. */
  esiid(i: number): string {
    return this.esiids[this.meter[i]!]!
  }

  /** Row `i` as an object. */
  at(i: number): Interval {
    const revision = this.revision[i]!
    return {
      esiid: this.esiid(i),
      start: this.start[i]!,
      kwh: this.kwh[i]!,
      estimated: this.estimated[i] === 1,
      direction: directions[this.direction[i]!]!,
      revision: Number.isNaN(revision) ? null : revision,
      ...(this.minutes && { minutes: this.minutes[i]! })
    }
  }

  *[Symbol.iterator](): Iterator<Interval> {
    for (let i = 0; i < this.length; i++) yield this.at(i)
  }

  /** Printed without meters or readings: they identify homes. */
  [inspect.custom](): string {
    return `IntervalBatch { ${this.length} intervals of ${this.esiids.length} meters, entry ${showable(this.entry.name)} }`
  }
}
