// Groups: the rows of one meter, day, direction and revision. Each remembers where its rows stand in the repeated autumn
// hour, and which quarter hours it has read, so that rows that come again are seen.
//
// Two generations bound the memory: the young one takes new groups and, when it is full, becomes the old one, whose
// own old groups are forgotten; a group that is met again moves to the young one.

import { AUTUMN, CHANGE, day, dayNumber, direction, kindOf, meterHead, meterTail, revision } from './cells'
import {
  GROUP_SIZE,
  GROUPS_A,
  GROUPS_B,
  INDEX_A,
  INDEX_B,
  INDEX_BITS,
  MOST_GROUPS,
  MOST_SHEETS,
  SHEET_SIZE,
  SHEETS
} from './memory'

// A group's fields.
const METER: usize = 0
const SERIES: usize = 8
const REVISION: usize = 16
/** Its place in the index: an entry that does not point back here was left by an earlier file. */
const PLACE: usize = 24
/** A number that no other group had. */
const SERIAL: usize = 28
const SHEET: usize = 32
/** End of its previous row, in minutes of the day. */
const LAST_END: usize = 36
const STATE: usize = 38
/** The entry whose rows the two above speak of. */
const ENTRY: usize = 40

// Bits of a group's state.
const SECOND: u32 = 1
/** Rows stand in no order that tells the passes apart. */
const DISORDERED: u32 = 2
/** Counted among the groups without a second pass so far. */
const ASSUMED: u32 = 4
const HAD_SECOND: u32 = 8
/** Other revisions of the same series on the same day are known. */
const SIBLINGS: u32 = 16
/** The day is one on which an hour comes twice. */
const REPEATING: u32 = 32
/** A newer copy stands in the young generation. */
const MOVED: u32 = 64

const INDEX_MASK: u32 = (1 << (<u32>INDEX_BITS)) - 1
const MIDNIGHT: i32 = 1440

let young: usize = GROUPS_A
let youngIndex: usize = INDEX_A
let youngCount: u32 = 0
let old: usize = GROUPS_B
let oldIndex: usize = INDEX_B
let oldCount: u32 = 0

/** Grows when groups were moved: addresses kept from before no longer hold. */
export let generation: u32 = 0
let serial: u32 = 0
let sheet: u32 = 0
let entry: u32 = 0
/** A group that lists an hour twice was forgotten. */
let forgot: bool = false
// Odd numbers that nobody outside knows, so that no file can be written that makes all its groups collide.
let mixHead: u64 = 0
let mixTail: u64 = 0

/** Groups that list the repeated hour once: read as the first pass, so that the second one is missing. */
export let assumed: i32 = 0

export function mix(head: u64, tail: u64): void {
  mixHead = head | 1
  mixTail = tail | 1
}

export function forgetGroups(): void {
  youngCount = 0
  oldCount = 0
  forgot = false
}

/** What was said of the order of rows holds within an entry; which readings were seen, within the file. */
export function beginEntry(): void {
  entry++
  assumed = 0
}

/** The group of the row being read; made when it is new. */
export function groupOfRow(): usize {
  const series = (meterTail << 20) | ((<u64>dayNumber) << 1) | <u64>direction
  const version = reinterpret<u64>(revision)
  const hash = <u32>((meterHead * mixHead + series * mixTail) >> (64 - INDEX_BITS))
  let state: u32 = kindOf(day) === AUTUMN ? REPEATING : 0

  let place = hash
  for (;;) {
    const group = groupAt(young, youngIndex, youngCount, place)
    if (group === 0) break
    if (load<u64>(group, METER) === meterHead && load<u64>(group, SERIES) === series) {
      if (load<u64>(group, REVISION) === version) return group
      state |= SIBLINGS
      store<u16>(group, load<u16>(group, STATE) | SIBLINGS, STATE)
    }
    place = (place + 1) & INDEX_MASK
  }
  let twin: usize = 0
  for (let at = hash; oldCount > 0; at = (at + 1) & INDEX_MASK) {
    const group = groupAt(old, oldIndex, oldCount, at)
    if (group === 0) break
    if (load<u64>(group, METER) !== meterHead || load<u64>(group, SERIES) !== series) continue
    if (load<u64>(group, REVISION) === version) twin = group
    else {
      state |= SIBLINGS
      store<u16>(group, load<u16>(group, STATE) | SIBLINGS, STATE)
    }
  }

  const group = young + <usize>youngCount * GROUP_SIZE
  if (twin !== 0) {
    memory.copy(group, twin, GROUP_SIZE)
    store<u16>(twin, load<u16>(twin, STATE) | MOVED, STATE)
    store<u16>(group, load<u16>(group, STATE) | (state & SIBLINGS), STATE)
  } else {
    store<u64>(group, meterHead, METER)
    store<u64>(group, series, SERIES)
    store<u64>(group, version, REVISION)
    store<u32>(group, ++serial, SERIAL)
    store<u32>(group, newSheet(serial), SHEET)
    store<u16>(group, state, STATE)
    beginOrder(group)
  }
  store<u32>(group, place, PLACE)
  store<u32>(youngIndex + ((<usize>place) << 2), youngCount++)
  if (youngCount === MOST_GROUPS) turn()
  return group
}

/** The group that an index's place points to; 0 where it points to none. */
function groupAt(groups: usize, index: usize, count: u32, place: u32): usize {
  const n = load<u32>(index + ((<usize>place) << 2))
  if (n >= count) return 0
  const group = groups + <usize>n * GROUP_SIZE
  return load<u32>(group, PLACE) === place ? group : 0
}

/** The young generation becomes the old one. */
function turn(): void {
  for (let i: u32 = 0; i < oldCount && !forgot; i++) {
    forgot = (load<u16>(old + <usize>i * GROUP_SIZE, STATE) & (REPEATING | MOVED)) === REPEATING
  }
  const groups = old
  const index = oldIndex
  old = young
  oldIndex = youngIndex
  oldCount = youngCount
  young = groups
  youngIndex = index
  youngCount = 0
  generation++
}

// The repeated hour.

function beginOrder(group: usize): void {
  // Once a group was forgotten, one that begins inside the hour might be its second half: not to be guessed at.
  store<i16>(group, forgot ? <i16>MIDNIGHT : 0, LAST_END)
  store<u16>(group, load<u16>(group, STATE) & (SIBLINGS | REPEATING), STATE)
  store<u32>(group, entry, ENTRY)
}

/**
 * Which pass of the repeated hour a row of an autumn day belongs to: 0 the first, 1 the second, -1 when nobody can tell.
 *
 * SMT lists the day's 100 rows in order. End labels are right; the second pass begins with a row that says
 * `02:00,01:15`, whose start is not. So the second pass begins at the first row of its group whose end is not after the
 * previous end, or at that marker. Labels in any other order cannot be told apart.
 */
export function passOf(group: usize, end: i32, length: i32, marker: bool): i32 {
  if (load<u32>(group, ENTRY) !== entry) beginOrder(group)
  const previous = <i32>load<i16>(group, LAST_END)
  store<i16>(group, <i16>end, LAST_END)
  let state: u32 = load<u16>(group, STATE)
  if (end <= CHANGE - 60 || end > CHANGE) {
    // A row outside the hour only tells whether the day is in order. The day listed again from its start is.
    if (end <= previous) {
      if (previous === MIDNIGHT && end === length) state &= ~SECOND
      else state |= DISORDERED
      store<u16>(group, state, STATE)
    }
    return 0
  }
  if (previous > CHANGE || ((state & SECOND) !== 0 && (marker || end <= previous))) state |= DISORDERED
  // Equal neighbours come of rows sorted by their labels: the next one would be taken for the wrong pass. Only at
  // 02:00 do the two passes meet so in order, where all but the last row of the second is lost.
  if (end === previous && previous < CHANGE) state |= DISORDERED
  if ((state & DISORDERED) === 0) {
    if (marker || end <= previous) {
      if ((state & ASSUMED) !== 0) assumed--
      state = (state | SECOND | HAD_SECOND) & ~ASSUMED
    } else if ((state & (SECOND | ASSUMED | HAD_SECOND)) === 0) {
      assumed++
      state |= ASSUMED
    }
  }
  store<u16>(group, state, STATE)
  if ((state & DISORDERED) !== 0) return -1
  return <i32>(state & SECOND)
}

// What was read already.

/** Rows that were there before: the same reading, another one of the same version, one of another version or length. */
export let duplicates: i32 = 0
export let conflicts: i32 = 0
export let overlaps: i32 = 0
/** Rows whose day was last met so long ago that nobody can tell. */
export let unchecked: i32 = 0

export function forgetRepeats(): void {
  duplicates = 0
  conflicts = 0
  overlaps = 0
  unchecked = 0
}

/** The oldest sheet is torn off for a new owner. */
function newSheet(owner: u32): u32 {
  const n = sheet
  sheet = sheet + 1 === MOST_SHEETS ? 0 : sheet + 1
  const at = SHEETS + <usize>n * SHEET_SIZE
  memory.fill(at, 0, SHEET_SIZE)
  store<u32>(at, owner)
  return n
}

/** Readings of a group by quarter hour of the day; 0 when they were given up for others. */
function sheetOf(group: usize): usize {
  const at = SHEETS + <usize>load<u32>(group, SHEET) * SHEET_SIZE
  return load<u32>(at) === load<u32>(group, SERIAL) ? at + 8 : 0
}

/** The lowest bits of a reading: its flag, and its length in quarter hours. */
const FLAG_AND_LENGTH: u32 = 7
/** What marks a quarter hour that a longer interval covers, behind its first: a length that no interval has. */
const COVERED: u32 = 6

/**
 * Writes a reading down and counts it if its quarter hours were covered before. `quarter` counts from the day's
 * midnight, `length` is in quarter hours.
 */
export function noteReading(group: usize, quarter: i32, length: i32, units: i64, flag: i32): void {
  const reading = inFourBytes(units) | (<u32>length & 6) | <u32>flag
  const readings = sheetOf(group)
  if (readings === 0) {
    unchecked++
    return
  }
  const at = readings + ((<usize>quarter) << 2)
  const before = load<u32>(at)
  if (before === 0 && length === 1) {
    store<u32>(at, reading)
    if ((load<u16>(group, STATE) & SIBLINGS) !== 0) countSiblings(group, quarter, length)
    return
  }
  if (before === reading) duplicates++
  else if (before !== 0 && (before & FLAG_AND_LENGTH) === (reading & FLAG_AND_LENGTH)) conflicts++
  else if (isCovered(at, length)) overlaps++
  else countSiblings(group, quarter, length)
  store<u32>(at, reading)
  for (let i = 1; i < length; i++) store<u32>(at + ((<usize>i) << 2), COVERED)
}

/**
 * kWh in the upper 29 bits, never 0: exact below 5,368 kWh in one interval. Beyond that the bits are mixed, and one in
 * 500 million conflicts would be counted as a duplicate.
 */
function inFourBytes(units: i64): u32 {
  const value = <u64>units + 1
  return value < 0x20000000 ? (<u32>value) << 3 : (<u32>((value * 0x9e3779b97f4a7c15) >> 35) | 1) << 3
}

function isCovered(at: usize, length: i32): bool {
  for (let i = 0; i < length; i++) if (load<u32>(at + ((<usize>i) << 2)) !== 0) return true
  return false
}

/** Counts a reading that another revision of its series has, too. */
function countSiblings(group: usize, quarter: i32, length: i32): void {
  if ((load<u16>(group, STATE) & SIBLINGS) === 0) return
  const found =
    seekSibling(young, youngIndex, youngCount, group, quarter, length) |
    seekSibling(old, oldIndex, oldCount, group, quarter, length)
  if ((found & COVERS) !== 0) overlaps++
  else if ((found & GONE) !== 0) unchecked++
}

const COVERS: i32 = 1
const GONE: i32 = 2

function seekSibling(groups: usize, index: usize, count: u32, own: usize, quarter: i32, length: i32): i32 {
  let found = 0
  const meter = load<u64>(own, METER)
  const series = load<u64>(own, SERIES)
  let place = <u32>((meter * mixHead + series * mixTail) >> (64 - INDEX_BITS))
  for (; count > 0; place = (place + 1) & INDEX_MASK) {
    const group = groupAt(groups, index, count, place)
    if (group === 0) break
    if (load<u64>(group, METER) !== meter || load<u64>(group, SERIES) !== series) continue
    if (load<u32>(group, SERIAL) === load<u32>(own, SERIAL)) continue
    const readings = sheetOf(group)
    if (readings === 0) found |= GONE
    else if (isCovered(readings + ((<usize>quarter) << 2), length)) return COVERS
  }
  return found
}
