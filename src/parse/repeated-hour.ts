import type { RowCells, ScanCore } from './scan-core.ts'

/** When the hour begins and ends that autumn repeats, in minutes of the day. */
const HOUR = { begin: 60, end: 120 } as const

/** Minutes that may be lost of two passes without doubt about the rest. */
const FEW = 30

/** Rows that the hour has in two passes. More can never be told. */
const WHOLE = 8

/** What may be held, a row weighing 1 and an hour 8: all of a file that lists 16,384 meters hour by hour; 20 MB. */
const MOST_HELD = 262_144
const HOUR_WEIGHT = 8

/** What the labels of a row say: when it ends, in minutes of the day, and how long it is. */
export interface HourLabels {
  readonly end: number
  readonly minutes: number
  /** Whether it is SMT's row `02:00,01:15`, which begins the second pass. */
  readonly marker: boolean
}

/**
 * Which pass of the repeated hour each row belongs to, 0 or 1, from all rows of the hour that one meter-day has, in the
 * order of the file; undefined when nobody can tell.
 *
 * SMT lists the first pass, then the second, each in order. End labels are right. So the second pass begins at the one
 * row whose end is not after the previous end, or at SMT's marker. Where one or two rows are lost, this still holds. Where
 * more are lost, what looks like the second pass may be a row that changed places, or one that is there twice: only the
 * marker is believed, and only rows behind it that pass over nothing.
 */
export function passesOf(rows: readonly HourLabels[]): readonly (0 | 1)[] | undefined {
  const passes: (0 | 1)[] = []
  /** How far the two hours are read, in minutes, and how many of these were passed over. */
  let reached = 0
  let lost = 0
  let lostOfFirst = 0
  for (const [i, { end, minutes, marker }] of rows.entries()) {
    let pass = passes.at(-1) ?? 0
    const previous = rows[i - 1]?.end ?? 0
    if (marker || end <= previous) {
      if (pass === 1) return undefined
      // Rows sorted by their labels stand so. Only at 02:00 can two equal ends meet in order.
      if (end === previous && end < HOUR.end) return undefined
      pass = 1
    }
    const from = pass * 60 + end - HOUR.begin
    const skipped = Math.max(0, from - minutes - reached)
    lost += skipped
    if (reached < 60) lostOfFirst += Math.min(skipped, 60 - reached)
    if (pass === 1 && !marker && skipped > 0 && lostOfFirst > 0 && lost > FEW) return undefined
    reached = from
    passes.push(pass)
  }
  const isSure = passes.at(-1) === 0 || rows.some(({ marker }) => marker) || lost + 120 - reached <= FEW
  return isSure ? passes : undefined
}

/** Whether rows cover both passes, so that no other can belong to them. */
function isComplete(rows: readonly HourLabels[]): boolean {
  const passes = rows.at(-1)?.end === HOUR.end ? passesOf(rows) : undefined
  return passes?.at(-1) === 1 && rows.reduce((sum, { minutes }) => sum + minutes, 0) === 120
}

/** A row that was held back and where it stands: with its instant, or without when nobody can tell it. */
export interface ToldRow {
  readonly row: RowCells | undefined
  readonly line: number
  readonly offset: number
}

/** What a row does not share with the others of its hour. */
interface HeldRow extends HourLabels, Pick<RowCells, 'reading' | 'estimated'>, Pick<ToldRow, 'line' | 'offset'> {}

interface HeldHour {
  /** Its first row. */
  readonly first: RowCells
  readonly rows: HeldRow[]
}

/**
 * The rows of the repeated hour, held back until the hour of their meter-day is whole, the day is over, or the entry is.
 *
 * Memory: 150 bytes for each row held. In a file that lists day by day those of a few meters; never more than 20 MB.
 */
export class RepeatedHours {
  readonly #core: ScanCore
  readonly #hours = new Map<number, HeldHour>()
  #held = 0
  /** Hours that are listed once: read as the first pass, so that the second one is missing. */
  assumed = 0

  constructor(core: ScanCore) {
    this.#core = core
  }

  /** Holds the row that the core has just placed; gives the rows that can be told by it. */
  hold(row: RowCells, line: number, offset: number): readonly ToldRow[] {
    const group = this.#core.group
    let hour = this.#hours.get(group)
    if (!hour) {
      // A copy: the text that the row was read from would be held with its ESIID.
      const esiid = Buffer.from(row.esiid).toString('latin1')
      this.#hours.set(group, (hour = { first: { ...row, esiid }, rows: [] }))
      this.#held += HOUR_WEIGHT
    }
    const { end, minutes, marker } = labelsOf(row)
    const { reading, estimated } = row
    hour.rows.push({ end, minutes, marker, reading, estimated, line, offset })
    this.#held++
    if (hour.rows.length > WHOLE || isComplete(hour.rows)) return this.end(group)
    return this.#held > MOST_HELD ? this.#giveUp() : []
  }

  /** The rows of a meter-day that is over. */
  end(group: number): readonly ToldRow[] {
    const hour = this.#take(group)
    if (!hour) return []
    const { first, rows } = hour
    const { esiid, day, revision, direction } = first
    const passes = this.#core.closeHour(first) ? passesOf(rows) : undefined
    if (passes?.at(-1) === 0) this.assumed++
    return rows.map(({ end, minutes, reading, estimated, line, offset }, i) => {
      if (!passes) return { row: undefined, line, offset }
      const at = day.start + (passes[i]! * 60 + end - minutes) * 60_000
      return { row: { esiid, day, time: { at, minutes }, revision, direction, reading, estimated }, line, offset }
    })
  }

  /** All that are left, at the end of the entry. */
  endAll(): readonly ToldRow[] {
    return [...this.#hours.keys()].flatMap(group => this.end(group))
  }

  /** Too many hours are under way at a time: nothing is said of the one that has waited longest. */
  #giveUp(): readonly ToldRow[] {
    const { first, rows } = this.#take(this.#hours.keys().next().value!)!
    this.#core.closeHour(first)
    return rows.map(({ line, offset }) => ({ row: undefined, line, offset }))
  }

  #take(group: number): HeldHour | undefined {
    const hour = this.#hours.get(group)
    this.#hours.delete(group)
    if (hour) this.#held -= HOUR_WEIGHT + hour.rows.length
    return hour
  }
}

function labelsOf({ time }: RowCells): HourLabels {
  const { start, end } = time as { start: number; end: number }
  const marker = end < start
  return { end, minutes: marker ? 15 : end - start, marker }
}
