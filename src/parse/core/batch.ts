// The batch under way: columns for as many rows as it may hold, and its meters, each once.

import { direction, flag, meterDigits, meterHead, meterTail, meterText, revision } from './cells'
import { BATCH } from './memory'

/** Rows that a batch may hold, and those it holds. */
export let capacity: i32 = 0
export let length: i32 = 0

/** Addresses of the columns. */
export let start: usize = 0
export let kwh: usize = 0
export let revisions: usize = 0
export let lines: usize = 0
export let meters: usize = 0
export let flags: usize = 0
export let directions: usize = 0
export let minutes: usize = 0
/** The meters' digits, a comma behind each. */
export let texts: usize = 0
export let textsLength: i32 = 0
export let meterCount: u32 = 0

/** A hash table of the batch's meters: stamp, number, and the ESIID's two halves. */
let places: usize = 0
let placeMask: u32 = 0
const PLACE_SIZE: usize = 24
const NUMBER: usize = 4
const HEAD: usize = 8
const TAIL: usize = 16
/** Tells this batch's meters from those that earlier ones left in the table. */
let stamp: u32 = 0

// The meter looked up last: most rows have the meter of the row before.
let lastHead: u64 = 0
let lastTail: u64 = 0
let lastNumber: u32 = 0

/** Lays out a batch of so many rows; gives the address behind it. */
export function layOut(rows: i32): usize {
  capacity = rows
  const n = <usize>rows
  start = BATCH
  kwh = start + n * 8
  revisions = kwh + n * 8
  lines = revisions + n * 8
  meters = lines + n * 4
  flags = meters + n * 4
  directions = flags + n
  minutes = directions + n
  texts = minutes + n
  places = (texts + n * 23 + 7) & ~7
  placeMask = 15
  while (placeMask < <u32>rows * 2) placeMask = placeMask * 2 + 1
  empty()
  return places + (<usize>placeMask + 1) * PLACE_SIZE
}

export function empty(): void {
  length = 0
  meterCount = 0
  textsLength = 0
  stamp++
  lastHead = 0
}

/** Adds the row being read. `minute` counts from the epoch, `units` are 0.00001 kWh. */
export function add(minute: i32, length_: i32, units: i64, line: i32): void {
  const n = <usize>length
  length++
  store<f64>(start + (n << 3), <f64>minute * 60000)
  store<f64>(kwh + (n << 3), <f64>units / 100000)
  store<f64>(revisions + (n << 3), revision)
  store<u32>(lines + (n << 2), line)
  store<u32>(meters + (n << 2), meterNumber())
  store<u8>(flags + n, flag)
  store<u8>(directions + n, direction)
  store<u8>(minutes + n, length_)
}

/** The number of the row's meter in this batch. */
function meterNumber(): u32 {
  if (meterHead === lastHead && meterTail === lastTail) return lastNumber
  lastHead = meterHead
  lastTail = meterTail
  let place = <u32>(((meterHead ^ (meterTail << 40)) * 0x9e3779b97f4a7c15) >> 40) & placeMask
  let at = places + <usize>place * PLACE_SIZE
  while (load<u32>(at) === stamp) {
    if (load<u64>(at, HEAD) === meterHead && load<u64>(at, TAIL) === meterTail) {
      lastNumber = load<u32>(at, NUMBER)
      return lastNumber
    }
    place = (place + 1) & placeMask
    at = places + <usize>place * PLACE_SIZE
  }
  lastNumber = meterCount++
  store<u32>(at, stamp)
  store<u32>(at, lastNumber, NUMBER)
  store<u64>(at, meterHead, HEAD)
  store<u64>(at, meterTail, TAIL)
  memory.copy(texts + <usize>textsLength, meterText, <usize>meterDigits)
  textsLength += meterDigits
  store<u8>(texts + <usize>textsLength, 44)
  textsLength++
  return lastNumber
}
