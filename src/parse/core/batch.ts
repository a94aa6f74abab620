// The batch under way: columns for as many rows as it may hold, and its meters, each once.

import { direction, flag, meterDigits, meterHead, meterTail, revision } from './cells'
import { hash } from './hash'
import {
  DIRECTION,
  ESTIMATED,
  KWH,
  LINE,
  METER,
  METER_PLACE_SIZE,
  METER_PLACES,
  METER_TEXTS,
  MINUTES,
  REVISION,
  START
} from './memory'

/** Rows that the batch may hold, and those it holds. */
export let capacity: i32 = 0
export let length: i32 = 0
/** Bytes of its meters' digits. */
export let textsLength: i32 = 0

let meterCount: u32 = 0
// A place in the table of meters: stamp, number, and the ESIID's two halves.
const NUMBER: usize = 4
const HEAD: usize = 8
const TAIL: usize = 16
let placeMask: u32 = 0
/** Tells this batch's meters from those that earlier ones left in the table. */
let stamp: u32 = 0

// The meter looked up last: most rows have the meter of the row before.
let lastHead: u64 = 0
let lastTail: u64 = 0
let lastNumber: u32 = 0

/** From now on batches have so many rows. */
export function setCapacity(rows: i32): void {
  capacity = rows
  placeMask = 15
  while (placeMask < <u32>rows * 2) placeMask = placeMask * 2 + 1
  empty()
}

export function empty(): void {
  length = 0
  meterCount = 0
  textsLength = 0
  stamp++
  lastHead = 0
}

/** Adds the row being read. `minute` counts from the epoch, `units` are 0.00001 kWh. */
export function add(minute: i32, minutes: i32, units: i64, line: i32): void {
  const n = <usize>length
  length++
  store<f64>(START + (n << 3), <f64>minute * 60000)
  store<f64>(KWH + (n << 3), <f64>units / 100000)
  store<f64>(REVISION + (n << 3), revision)
  store<u32>(LINE + (n << 2), line)
  store<u32>(METER + (n << 2), meterNumber())
  store<u8>(ESTIMATED + n, flag)
  store<u8>(DIRECTION + n, direction)
  store<u8>(MINUTES + n, minutes)
}

/** The number of the row's meter in this batch. */
function meterNumber(): u32 {
  if (meterHead === lastHead && meterTail === lastTail) return lastNumber
  lastHead = meterHead
  lastTail = meterTail
  let place = <u32>(hash(meterHead, meterTail) >> 40) & placeMask
  let at = METER_PLACES + <usize>place * METER_PLACE_SIZE
  while (load<u32>(at) === stamp) {
    if (load<u64>(at, HEAD) === meterHead && load<u64>(at, TAIL) === meterTail) {
      lastNumber = load<u32>(at, NUMBER)
      return lastNumber
    }
    place = (place + 1) & placeMask
    at = METER_PLACES + <usize>place * METER_PLACE_SIZE
  }
  lastNumber = meterCount++
  store<u32>(at, stamp)
  store<u32>(at, lastNumber, NUMBER)
  store<u64>(at, meterHead, HEAD)
  store<u64>(at, meterTail, TAIL)
  // From the numbers, not from the bytes they were read from: those may have gone, where rows began like the one before.
  writeDigits(METER_TEXTS + <usize>textsLength, meterHead, 16)
  writeDigits(METER_TEXTS + <usize>textsLength + 16, meterTail & 0xfffff, meterDigits - 16)
  textsLength += meterDigits
  store<u8>(METER_TEXTS + <usize>textsLength, 44)
  textsLength++
  return lastNumber
}

function writeDigits(at: usize, number: u64, digits: i32): void {
  for (let i = digits - 1; i >= 0; i--) {
    store<u8>(at + <usize>i, <u8>(48 + (number % 10)))
    number /= 10
  }
}
