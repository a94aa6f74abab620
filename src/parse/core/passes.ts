// The autumn day, on which an hour comes twice, as far as its order goes. Which of the two passes a row of the hour
// belongs to shows only from all of them, so JavaScript holds them back, see `repeated-hour.ts`; here it is watched
// whether the day's rows stand in order around them, and when the hour is over.

import { CHANGE } from './calendar'
import { ENTRY, forgot, LAST_END, LISTED, REPEATING, SIBLINGS, STATE, serialOf } from './groups'

const MIDNIGHT: i32 = 1440
/** Quarter hours, of 100, whose rows stood in order: enough to believe that the day ends with the row that ends it. */
const NEARLY_ALL: i32 = 80

// Bits of a group's state; others are in groups.ts.
/** The day's rows are not in order, so those of the hour need not be either. */
const DISORDERED: u32 = 1
/** Rows of the hour are held back. */
const HELD: u32 = 2

let entry: u32 = 0

/** The group, by its serial number, whose day has just ended while rows of its hour were held back; 0 for none. */
export let ended: u32 = 0

/** What was said of the order of rows holds within an entry. */
export function beginOrders(): void {
  entry++
  ended = 0
}

function beginOrder(group: usize): void {
  if (load<u32>(group, ENTRY) === entry) return
  // Once a group was forgotten, one that begins inside the hour might be its second half: not to be guessed at.
  store<i16>(group, forgot ? <i16>MIDNIGHT : 0, LAST_END)
  store<u16>(group, load<u16>(group, STATE) & (SIBLINGS | REPEATING), STATE)
  store<u16>(group, 0, LISTED)
  store<u32>(group, entry, ENTRY)
}

/** Whether a row with this end is of the hour that comes twice. */
export function isInHour(end: i32): bool {
  return end > CHANGE - 60 && end <= CHANGE
}

/** Takes note of a row of an autumn day: whether it may stand where it stands. Outside the hour every row may. */
export function follows(group: usize, end: i32, length: i32): bool {
  beginOrder(group)
  const previous = <i32>load<i16>(group, LAST_END)
  let state: u32 = load<u16>(group, STATE)
  store<u16>(group, load<u16>(group, LISTED) + <u16>(length / 15), LISTED)
  if (isInHour(end)) {
    state |= previous > CHANGE ? DISORDERED : HELD
    store<u16>(group, state, STATE)
    store<i16>(group, <i16>max(end, previous), LAST_END)
    return (state & DISORDERED) === 0
  }
  store<i16>(group, <i16>end, LAST_END)
  if (end <= previous) {
    // The whole day may be listed again.
    if (previous === MIDNIGHT && end === length && (state & HELD) === 0) store<u16>(group, <u16>(length / 15), LISTED)
    else state |= DISORDERED
  }
  store<u16>(group, state, STATE)
  const isEnd = end === MIDNIGHT && <i32>load<u16>(group, LISTED) >= NEARLY_ALL
  if (isEnd && (state & (HELD | DISORDERED)) === HELD) ended = serialOf(group)
  return true
}

/** The group whose day has just ended, once. */
export function takeEnded(): u32 {
  const group = ended
  ended = 0
  return group
}

/** The hour's rows are held back no longer, and more of them may not follow. Gives whether all was in order. */
export function closeHour(group: usize): bool {
  // The group was forgotten meanwhile, and what was seen of its order.
  const isKnown = load<u32>(group, ENTRY) === entry
  beginOrder(group)
  const state: u32 = load<u16>(group, STATE)
  store<u16>(group, state & ~HELD, STATE)
  store<i16>(group, <i16>max(<i32>load<i16>(group, LAST_END), CHANGE + 1), LAST_END)
  return isKnown && (state & DISORDERED) === 0
}
