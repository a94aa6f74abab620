// What was read already: rows that come again are counted, not refused, since a store can tell which of them wins.

import { hasSiblings, nextSibling, seekSiblings, serialOf, sheetNumber, wereSiblingsLeft } from './groups'
import { sheetOf } from './sheets'

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

/** The lowest bits of a reading: its flag, and its length in quarter hours. */
const FLAG_AND_LENGTH: u32 = 7
/** What marks a quarter hour that a longer interval covers, behind its first: a length that no interval has. */
const COVERED: u32 = 6

/**
 * kWh in the upper 29 bits, never 0: exact below 5,368 kWh in one interval. Beyond that the bits are mixed, and one in
 * 500 million conflicts would be counted as a duplicate. `length` is in quarter hours.
 */
export function inFourBytes(units: i64, flag: i32, length: i32): u32 {
  const value = <u64>units + 1
  const upper = value < 0x20000000 ? (<u32>value) << 3 : (<u32>((value * 0x9e3779b97f4a7c15) >> 35) | 1) << 3
  return upper | (<u32>length & 6) | <u32>flag
}

/** How many quarter hours a reading in four bytes covers. */
function lengthOf(reading: u32): i32 {
  return <i32>max(reading & 6, 1)
}

/** Where a quarter hour is written down, which counts from the day's midnight; 0 when its sheet is gone. */
export function cellOf(group: usize, quarter: i32): usize {
  const readings = sheetOf(sheetNumber(group), serialOf(group))
  return readings === 0 ? 0 : readings + ((<usize>quarter) << 2)
}

/** Writes a reading down and counts it if its quarter hours were covered before. */
export function noteReading(group: usize, quarter: i32, reading: u32): void {
  const at = cellOf(group, quarter)
  if (at === 0) {
    unchecked++
    return
  }
  const before = load<u32>(at)
  const length = lengthOf(reading)
  if (before === 0 && (length === 1 || !isCovered(at, length))) {
    if (hasSiblings(group)) countSiblings(group, quarter, length)
  } else if (before === reading) duplicates++
  else if (before !== 0 && (before & FLAG_AND_LENGTH) === (reading & FLAG_AND_LENGTH)) conflicts++
  else overlaps++
  store<u32>(at, reading)
  for (let i = 1; i < length; i++) store<u32>(at + ((<usize>i) << 2), COVERED)
}

function isCovered(at: usize, length: i32): bool {
  for (let i = 0; i < length; i++) if (load<u32>(at + ((<usize>i) << 2)) !== 0) return true
  return false
}

/** Counts a reading that another revision of its series has, too. */
function countSiblings(group: usize, quarter: i32, length: i32): void {
  let gone = false
  for (let generation = 0; generation < 2; generation++) {
    seekSiblings(group)
    for (let other = nextSibling(group, generation === 1); other !== 0; other = nextSibling(group, generation === 1)) {
      const readings = sheetOf(sheetNumber(other), serialOf(other))
      if (readings === 0) gone = true
      else if (isCovered(readings + ((<usize>quarter) << 2), length)) {
        overlaps++
        return
      }
    }
    if (wereSiblingsLeft()) gone = true
  }
  if (gone) unchecked++
}
