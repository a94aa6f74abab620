// Sheets: the readings of one group by quarter hour of its day, to be compared with rows that come again. There is a
// fixed number of them; a new group tears off the oldest.

import { MOST_SHEETS, SHEET_SIZE, SHEETS } from './memory'

/** Quarter hours of the longest day. */
export const MOST_QUARTERS: i32 = 100

let next: u32 = 0

/** The oldest sheet is torn off for a new owner. */
export function newSheet(owner: u32): u32 {
  const n = next
  next = n + 1 === MOST_SHEETS ? 0 : n + 1
  const at = SHEETS + <usize>n * SHEET_SIZE
  memory.fill(at, 0, SHEET_SIZE)
  store<u32>(at, owner)
  return n
}

/** Four bytes for each quarter hour of an owner's day; 0 when its sheet was torn off for another. */
export function sheetOf(n: u32, owner: u32): usize {
  const at = SHEETS + <usize>n * SHEET_SIZE
  return load<u32>(at) === owner ? at + 8 : 0
}

/** Where a quarter hour of a sheet is, whoever owns it: only to be looked at. */
export function likelyCell(n: u32, quarter: i32): usize {
  return SHEETS + <usize>(n % MOST_SHEETS) * SHEET_SIZE + 8 + ((<usize>quarter) << 2)
}
