import type { Direction } from './meter-days.ts'
import type { RowCounts } from './reports.ts'

/** One delivered file and what must become of it when the files are taken in the order of `modifiedAt`. */
export interface DeliveredFile {
  /** Relative, with `/`. */
  readonly path: string
  readonly bytes: number
  /** Lower-case hex. */
  readonly sha256: string
  /** UTC epoch milliseconds, whole seconds. */
  readonly modifiedAt: number
  /** `ignored`: its name is a dotfile's and ends in `.tmp`; whoever lists it has a filter for that. */
  readonly expect: 'committed' | 'duplicate' | 'quarantined' | 'ignored'
  /** What is special about it. */
  readonly note?: string
  /** Rows of its interval entry, where they are taken. */
  readonly rows?: RowCounts
}

/** What the store must hold when every file was taken, in whatever order. */
export interface ExpectedStore {
  readonly intervals: Readonly<Record<Direction, number>>
  /** Exact, in thousandths of a kWh. */
  readonly milliKwh: Readonly<Record<Direction, number>>
  readonly estimated: number
  /** Readings of exactly 0. */
  readonly zeros: number
  readonly meters: number
  /** Intervals whose winner is a newer revision of one that another file holds. */
  readonly revised: number
  /** Those of them whose kWh or flag is another one than before. */
  readonly changed: number
  /** One meter, and how many instants of consumption it has on the two days of a clock change. */
  readonly watched: { readonly esiid: string; readonly days: readonly { date: string; instants: number }[] }
}

/** The truth about a delivery, from its maker's own data; plain JSON. */
export interface DeliveryManifest {
  readonly seed: number
  readonly meters: number
  readonly days: number
  /** In the order of `modifiedAt`. */
  readonly files: readonly DeliveredFile[]
  readonly store: ExpectedStore
}
