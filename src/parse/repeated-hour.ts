import { CHANGE } from './central-time.ts'

/** Groups whose place in the repeated hour is remembered; about 10 MB when full. */
const MOST_GROUPS = 100_000
const LAST_END = 1440

interface Group {
  /** End of the previous row, in minutes of the day. */
  end: number
  pass: 'first' | 'second'
  /** Rows stand in no order that tells the passes apart. */
  disordered: boolean
  /** Counted among the groups without a second pass so far. */
  assumed: boolean
  hadSecond: boolean
}

/**
 * Tells the two passes of the repeated autumn hour apart, row by row in file order.
 *
 * SMT lists the day's 100 rows in order. End labels are right; the second pass begins with a row that says
 * `02:00,01:15`, whose start is not. So per (meter, day, direction, revision) the second pass begins at the first row
 * whose end is not after the previous end, or at that marker. Labels in any other order cannot be told apart.
 *
 * Memory: a few dozen bytes for each group of an autumn day, at most {@link MOST_GROUPS} of them.
 */
export class RepeatedHour {
  /** Groups that list the hour once: read as the first pass, so that the second one is missing. */
  assumed = 0
  readonly #groups = new Map<string, Group>()
  #forgot = false

  /** Which pass a row of the autumn day belongs to; undefined when nobody can tell. */
  pass(key: string, startMinute: number, endMinute: number): 'first' | 'second' | undefined {
    const group = this.#group(key)
    const previous = group.end
    group.end = endMinute
    if (endMinute <= CHANGE - 60 || endMinute > CHANGE) {
      this.#plainRow(group, previous, endMinute)
      return 'first'
    }
    const marker = startMinute === CHANGE && endMinute === CHANGE - 45
    if (previous > CHANGE || (group.pass === 'second' && (marker || endMinute <= previous))) group.disordered = true
    // Equal neighbours come of rows sorted by their labels: the next one would be taken for the wrong pass. Only at
    // 02:00 do the two passes meet so in order, where all but the last row of the second is lost.
    if (endMinute === previous && previous < CHANGE) group.disordered = true
    if (group.disordered) return undefined
    if (marker || endMinute <= previous) this.#beginSecond(group)
    else if (group.pass === 'first') this.#assume(group)
    return group.pass
  }

  /** A row outside the hour only tells whether the day is in order. The day listed again from its start is. */
  #plainRow(group: Group, previous: number, end: number): void {
    if (end > previous) return
    if (previous === LAST_END && end === 15) group.pass = 'first'
    else group.disordered = true
  }

  #beginSecond(group: Group): void {
    group.pass = 'second'
    group.hadSecond = true
    if (!group.assumed) return
    group.assumed = false
    this.assumed--
  }

  #assume(group: Group): void {
    if (group.assumed || group.hadSecond) return
    group.assumed = true
    this.assumed++
  }

  #group(key: string): Group {
    let group = this.#groups.get(key)
    if (group === undefined) {
      // Once a group was forgotten, one that begins inside the hour might be its second half: not to be guessed at.
      group = { end: this.#forgot ? LAST_END : 0, pass: 'first', disordered: false, assumed: false, hadSecond: false }
      this.#groups.set(key, group)
      if (this.#groups.size > MOST_GROUPS) {
        this.#groups.delete(this.#groups.keys().next().value!)
        this.#forgot = true
      }
    }
    return group
  }
}
