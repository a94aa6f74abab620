import type { CentralDay } from '../central-time.ts'

/**
 * A day's list of readings, as SMT's REST API writes it, has 100 positions on every day of the year:
 *
 *     0..7    00:00 to 02:00
 *     8..11   the hour that autumn repeats, empty on every other day
 *     12..99  02:00 to 24:00
 *
 * so an ordinary day is 8 readings, 4 empty positions and 88 readings. On the spring day there are 92 readings. Whether
 * 02:00 to 03:00 is left empty beside the hour of autumn, or the list counts on and is empty at its end, nobody has
 * shown: a whole day leaves no doubt, and a day with gaps is taken only where both say the same. Lists of 96 positions,
 * without a place for the hour of autumn, and of 92 in spring are taken too.
 */

/** A quarter hour since midnight, from 0; or one that the day does not have; or one of which nobody can tell. */
export type Place = number | 'skipped' | 'unclear'

/** Where the positions of one list belong. */
export interface Places {
  readonly places: readonly Place[]
  /** Whether the hour that autumn repeats is listed once: read as its first pass. */
  readonly isHourOnce: boolean
}

/** Positions of the two hours before the clock changes, and those of one hour. */
const BEFORE = 8
const HOUR = 4

/** Where each position belongs, `filled` telling which are not empty. Undefined: so many positions fit no such day. */
export function placesOf(kind: CentralDay['kind'], filled: readonly boolean[]): Places | undefined {
  const count = filled.length
  if (kind === 'spring') {
    return count === 100 || count === 96 || count === 92
      ? { places: springPlaces(filled), isHourOnce: false }
      : undefined
  }
  if (count !== 100 && count !== 96) return undefined
  if (kind === 'ordinary') return { places: skipping(filled, count - 96, 0), isHourOnce: false }
  const firstPass = filled.slice(HOUR, BEFORE)
  const secondPass = count === 100 ? filled.slice(BEFORE, BEFORE + HOUR) : []
  const isHourOnce = firstPass.includes(true) && !secondPass.includes(true)
  return { places: skipping(filled, 0, 100 - count), isHourOnce }
}

/** Positions in order, but that after 02:00 so many stand for nothing, and so many quarter hours are passed over. */
function skipping(filled: readonly boolean[], empty: number, passedOver: number): Place[] {
  return filled.map((_, i) => {
    if (i < BEFORE) return i
    return i < BEFORE + empty ? 'skipped' : i - empty + passedOver
  })
}

function springPlaces(filled: readonly boolean[]): Place[] {
  const empty = filled.length - 92
  const byTheClock = skipping(filled, empty, 0)
  const isToTheEnd = filled.slice(-HOUR).includes(true)
  if (empty === 0 || isToTheEnd || !filled.slice(BEFORE, BEFORE + empty).includes(true)) return byTheClock
  if (!isCountingOn(filled, empty)) return filled.map((_, i) => (i < BEFORE ? i : 'unclear'))
  let next = 0
  return filled.map(isFilled => (isFilled ? next++ : 'skipped'))
}

/** Whether a list has all 92 readings in a row, but for hours that are empty after 02:00 and at the very end. */
function isCountingOn(filled: readonly boolean[], empty: number): boolean {
  const end = filled.length
  const hours = [...Array(empty / HOUR).keys()]
  const emptyHours = [
    ...hours.map(hour => BEFORE + hour * HOUR),
    ...hours.map(hour => end - empty + hour * HOUR)
  ].filter(from => !filled.slice(from, from + HOUR).includes(true))
  const inTail = emptyHours.filter(from => from >= end - empty)
  const isAtTheEnd = inTail.every((from, i) => from === end - (inTail.length - i) * HOUR)
  const isWhole = filled.every((isFilled, i) => isFilled !== emptyHours.some(from => i >= from && i < from + HOUR))
  return isAtTheEnd && isWhole && filled.filter(Boolean).length === 92
}
