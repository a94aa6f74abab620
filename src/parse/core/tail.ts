// The usual end of a row, eight bytes at a time: ` 00:00, 00:15,0.231,A,Consumption` and the line end.

import { COMMA, CR, DOT, digitAt, LF, SPACE } from './bytes'
import { readDirection, takeConsumption, takeTail } from './cells'

// Eight bytes hold what they should when, after their pattern was taken from them, no separator is left and no digit is
// too large: adding lifts those into the highest bit of their byte.

/** `HH:MM,`, the first byte lowest: its separators, its digits, and what lifts tens of hours above 2, of minutes above 5. */
const CLOCK: u64 = 0x00002c30303a3030
const CLOCK_SEPARATORS: u64 = 0x0000ff0000ff0000
const CLOCK_LIFT: u64 = 0x000000767a00767d
const CLOCK_HIGH: u64 = 0x0000008080008080

/** `0.000,A,`; an `E` is an `A` with one bit more. */
const READING: u64 = 0x2c412c3030302e30
const READING_SEPARATORS: u64 = 0xfffbff000000ff00
const READING_LIFT: u64 = 0x0000007676760076
const READING_HIGH: u64 = 0x0000008080800080

const CONSUMPT: u64 = 0x74706d75736e6f43
const ION_LF: u32 = 0x0a6e6f69

/** The end of the row that began like the one before it; 0 when it is anything but usual. */
export function readTail(p: usize): usize {
  if (<u32>load<u8>(p) === SPACE) p++
  const from = clockOf(load<u64>(p) ^ CLOCK)
  p += 6
  if (<u32>load<u8>(p) === SPACE) p++
  const until = clockOf(load<u64>(p) ^ CLOCK)
  if ((from | until) < 0 || from >= 1440 || until > 1440) return 0
  p += 6
  const text = load<u64>(p) ^ READING
  if (((text | (text + READING_LIFT)) & READING_HIGH) === 0 && (text & READING_SEPARATORS) === 0) {
    const milli = byte(text, 0) * 1000 + byte(text, 16) * 100 + byte(text, 24) * 10 + byte(text, 32)
    takeTail(from, until, <i64>milli * 100, byte(text, 48) >> 2)
    p += 8
  } else {
    p = readLonger(p, from, until)
    if (p === 0) return 0
  }
  if (load<u64>(p) === CONSUMPT && load<u32>(p, 8) === ION_LF) {
    takeConsumption()
    return p + 12
  }
  p = readDirection(p)
  if (p === 0) return 0
  if (<u32>load<u8>(p) === CR) p++
  return <u32>load<u8>(p) === LF ? p + 1 : 0
}

function byte(text: u64, shift: u64): i32 {
  return <i32>(text >> shift) & 0xff
}

/** Minutes of the day; negative when the bytes are no time with a comma behind it. */
function clockOf(text: u64): i32 {
  if (((text | (text + CLOCK_LIFT)) & CLOCK_HIGH) !== 0 || (text & CLOCK_SEPARATORS) !== 0) return -1
  return byte(text, 0) * 600 + byte(text, 8) * 60 + byte(text, 24) * 10 + byte(text, 32)
}

/** A reading of 10 kWh and more, with three decimals. */
function readLonger(p: usize, from: i32, until: i32): usize {
  let sum: u32 = 0
  const number = p
  let digit = digitAt(p)
  while (digit <= 9) {
    sum = sum * 10 + digit
    digit = digitAt(++p)
  }
  if (p - number > 5 || p === number || <u32>load<u8>(p) !== DOT) return 0
  const a = digitAt(p + 1)
  const b = digitAt(p + 2)
  const c = digitAt(p + 3)
  if (a > 9 || b > 9 || c > 9 || <u32>load<u8>(p + 4) !== COMMA) return 0
  const letter = <u32>load<u8>(p + 5)
  if ((letter !== 65 && letter !== 69) || <u32>load<u8>(p + 6) !== COMMA) return 0
  takeTail(from, until, <i64>(sum * 1000 + a * 100 + b * 10 + c) * 100, letter === 69 ? 1 : 0)
  return p + 7
}
