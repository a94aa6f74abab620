// Groups: the rows of one meter, day, direction and revision. Each remembers in what order its rows stand on an autumn day
// (passes.ts), and which quarter hours it has read (repeats.ts).
//
// Two generations bound the memory: the young one takes new groups and, when it is full, becomes the old one, whose
// own old groups are forgotten; a group that is met again moves to the young one.

import { hash } from './hash'
import { GROUP_SIZE, GROUPS_A, GROUPS_B, INDEX_A, INDEX_B, INDEX_BITS, MOST_GROUPS } from './memory'
import { newSheet } from './sheets'

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
export const LAST_END: usize = 36
export const STATE: usize = 38
/** The entry of whose rows the two above speak; 0 before any. */
export const ENTRY: usize = 40
/** Quarter hours that its rows have covered, on an autumn day. */
export const LISTED: usize = 44

// Bits of a group's state; others are in passes.ts.
/** Other revisions of the same series on the same day are known. */
export const SIBLINGS: u32 = 16
/** The day is one on which an hour comes twice. */
export const REPEATING: u32 = 32
/** A newer copy stands in the young generation. */
const MOVED: u32 = 64

/** Places at which all groups of a series are looked for. */
const MOST_NEAR: u32 = 64

const INDEX_MASK: u32 = (1 << (<u32>INDEX_BITS)) - 1

let young: usize = GROUPS_A
let youngIndex: usize = INDEX_A
let youngCount: u32 = 0
let old: usize = GROUPS_B
let oldIndex: usize = INDEX_B
let oldCount: u32 = 0

/** Grows when groups were moved: addresses kept from before no longer hold. */
export let generation: u32 = 0
let serial: u32 = 0
/** A group that lists an hour twice was forgotten. */
export let forgot: bool = false
export function forgetGroups(): void {
  youngCount = 0
  oldCount = 0
  forgot = false
}

/** What tells series apart on one meter: the rest of its digits, the day, and the direction. */
export function seriesOf(meterTail: u64, dayNumber: i32, direction: i32): u64 {
  return (meterTail << 20) | ((<u64>dayNumber) << 1) | <u64>direction
}

/** Where in the index the groups of a series begin. */
export function placeOf(meter: u64, series: u64): u32 {
  return <u32>(hash(meter, series) >> (64 - INDEX_BITS))
}

/**
 * The next place of a search, after so many. Groups of one series stand near one another, so that its other versions are
 * found; but a file may have thousands of versions of one day, and then most stand where only they are looked for.
 */
function nextPlace(place: u32, steps: u32, meter: u64, series: u64, version: u64): u32 {
  if (steps === MOST_NEAR) return <u32>(hash(meter ^ (version >> 20), series ^ version) >> (64 - INDEX_BITS))
  return (place + 1) & INDEX_MASK
}

/** A group; made when it is new. `state` is what it then begins with. */
export function groupOf(meter: u64, series: u64, version: u64, state: u32): usize {
  const home = placeOf(meter, series)
  let place = home
  for (let steps: u32 = 1; ; steps++) {
    const group = groupAt(young, youngIndex, youngCount, place)
    if (group === 0) break
    if (isOf(group, meter, series)) {
      if (load<u64>(group, REVISION) === version) return group
      state |= SIBLINGS
      setState(group, SIBLINGS)
    }
    place = nextPlace(place, steps, meter, series, version)
  }
  let twin: usize = 0
  let at = home
  for (let steps: u32 = 1; oldCount > 0; steps++) {
    const group = groupAt(old, oldIndex, oldCount, at)
    if (group === 0) break
    if (isOf(group, meter, series)) {
      if (load<u64>(group, REVISION) === version) twin = group
      else {
        state |= SIBLINGS
        setState(group, SIBLINGS)
      }
    }
    at = nextPlace(at, steps, meter, series, version)
  }

  const group = young + <usize>youngCount * GROUP_SIZE
  if (twin !== 0) {
    memory.copy(group, twin, GROUP_SIZE)
    setState(twin, MOVED)
    setState(group, state & SIBLINGS)
  } else {
    store<u64>(group, meter, METER)
    store<u64>(group, series, SERIES)
    store<u64>(group, version, REVISION)
    store<u32>(group, ++serial, SERIAL)
    store<u32>(group, newSheet(serial), SHEET)
    store<u16>(group, state, STATE)
    store<u32>(group, 0, ENTRY)
  }
  store<u32>(group, place, PLACE)
  store<u32>(youngIndex + ((<usize>place) << 2), youngCount++)
  if (youngCount === MOST_GROUPS) turn()
  return group
}

function isOf(group: usize, meter: u64, series: u64): bool {
  return load<u64>(group, METER) === meter && load<u64>(group, SERIES) === series
}

export function hasSiblings(group: usize): bool {
  return (load<u16>(group, STATE) & SIBLINGS) !== 0
}

function setState(group: usize, bits: u32): void {
  store<u16>(group, load<u16>(group, STATE) | bits, STATE)
}

/** The group that an index's place points to; 0 where it points to none. */
function groupAt(groups: usize, index: usize, count: u32, place: u32): usize {
  const n = load<u32>(index + ((<usize>place) << 2))
  if (n >= count) return 0
  const group = groups + <usize>n * GROUP_SIZE
  return load<u32>(group, PLACE) === place ? group : 0
}

/** The group that most likely stands first at a place, only to be looked at. */
export function likelyGroup(place: u32): usize {
  return young + <usize>(load<u32>(youngIndex + ((<usize>place) << 2)) % MOST_GROUPS) * GROUP_SIZE
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

export function sheetNumber(group: usize): u32 {
  return load<u32>(group, SHEET)
}

export function serialOf(group: usize): u32 {
  return load<u32>(group, SERIAL)
}

let cursor: u32 = 0
let near: u32 = 0

/** Begins to look for groups of the same series but another revision. */
export function seekSiblings(own: usize): void {
  cursor = placeOf(load<u64>(own, METER), load<u64>(own, SERIES))
  near = 0
}

/** Whether there may be others that were not looked for. */
export function wereSiblingsLeft(): bool {
  return near === MOST_NEAR
}

/** The next of them in one of the two generations; 0 when there are no more. */
export function nextSibling(own: usize, isOld: bool): usize {
  const groups = isOld ? old : young
  const index = isOld ? oldIndex : youngIndex
  const count = isOld ? oldCount : youngCount
  while (count > 0 && near < MOST_NEAR) {
    const group = groupAt(groups, index, count, cursor)
    if (group === 0) break
    near++
    cursor = (cursor + 1) & INDEX_MASK
    if (isOf(group, load<u64>(own, METER), load<u64>(own, SERIES)) && serialOf(group) !== serialOf(own)) return group
  }
  return 0
}
