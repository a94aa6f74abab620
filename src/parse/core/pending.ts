// Readings on their way to their sheets. Where rows stand in no order, the group and the sheet of each are somewhere
// else in memory, and waiting for one after another takes longer than all the rest. So they are collected, all that is
// needed is looked at side by side, and then they are noted in the order of the file.

import { groupOf, likelyGroup, placeOf, sheetNumber } from './groups'
import { MOST_PENDING, PENDING, PENDING_SIZE } from './memory'
import { noteReading } from './repeats'
import { likelyCell } from './sheets'

// Fields of one that waits.
const METER: usize = 0
const SERIES: usize = 8
const VERSION: usize = 16
const READING: usize = 24
const QUARTER: usize = 28
/** Its place in the index of groups, then what was looked at: nobody reads it, but a load without use would be left out. */
const NEXT: usize = 32

let count: i32 = 0

/** Adds a reading of a day without a repeated hour. */
export function addPending(meter: u64, series: u64, version: u64, quarter: i32, reading: u32): void {
  const at = PENDING + <usize>count * PENDING_SIZE
  store<u64>(at, meter, METER)
  store<u64>(at, series, SERIES)
  store<u64>(at, version, VERSION)
  store<u32>(at, reading, READING)
  store<i32>(at, quarter, QUARTER)
  store<u32>(at, placeOf(meter, series), NEXT)
  if (++count === MOST_PENDING) noteAll()
}

/** Notes what waits. */
export function notePending(): void {
  if (count > 0) noteAll()
}

function noteAll(): void {
  const end = PENDING + <usize>count * PENDING_SIZE
  if (count > 1) lookAhead(end)
  count = 0
  for (let at = PENDING; at < end; at += PENDING_SIZE) {
    const group = groupOf(load<u64>(at, METER), load<u64>(at, SERIES), load<u64>(at, VERSION), 0)
    noteReading(group, load<i32>(at, QUARTER), load<u32>(at, READING))
  }
}

/** Loads that do not wait for one another, each into the cache: of the index, of the groups, of their sheets. */
function lookAhead(end: usize): void {
  for (let at = PENDING; at < end; at += PENDING_SIZE) store<u32>(at, <u32>likelyGroup(load<u32>(at, NEXT)), NEXT)
  for (let at = PENDING; at < end; at += PENDING_SIZE) {
    store<u32>(at, <u32>likelyCell(sheetNumber(load<u32>(at, NEXT)), load<i32>(at, QUARTER)), NEXT)
  }
  for (let at = PENDING; at < end; at += PENDING_SIZE) store<u32>(at, load<u32>(load<u32>(at, NEXT)), NEXT)
}
