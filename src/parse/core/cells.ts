// Reads cells straight from bytes. Each reader takes a position and gives the one behind what it read, or 0 when the
// cell is anything but plain: then the row goes the complete way, in JavaScript, which also names what is wrong with it.
// Behind the last byte stand zeros, which end every cell.

import {
  APOSTROPHE,
  COLON,
  COMMA,
  CR,
  DOT,
  digitAt,
  eightDigits,
  isBlank,
  LETTER_A,
  LETTER_E,
  LF,
  QUOTE,
  SPACE,
  skipBlanks
} from './bytes'
import { dayOf, forgetUnknownDay, instantOf, readCalendarDay, readDay } from './calendar'

// The row being read.

/** First sixteen digits of the ESIID, and the others with their number. */
export let meterHead: u64 = 0
export let meterTail: u64 = 0
/** How many digits it has. */
export let meterDigits: i32 = 0
/** The usage day: its number in DAYS, and what stands there. */
export let dayNumber: i32 = 0
export let day: i32 = 0
/** UTC epoch milliseconds of the version, NaN where blank. */
export let revision: f64 = NaN
export let startMinute: i32 = 0
export let endMinute: i32 = 0
/** 0.00001 kWh; -1 where blank. */
export let units: i64 = 0
/** 1 where estimated, 0 where actual, -1 where blank. */
export let flag: i32 = 0
/** 0 consumption, 1 surplus generation. */
export let direction: i32 = 0

/** What the cells of a row say when its layout has no such column. */
export function forget(): void {
  revision = NaN
  flag = 0
  direction = 0
  forgetUnknownDay()
}

/** Takes the cells that JavaScript has read. */
export function take(ofDay: i32, start: i32, end: i32, way: i32, reading: i64, estimated: i32): void {
  dayNumber = ofDay
  day = dayOf(ofDay)
  startMinute = start
  endMinute = end
  direction = way
  units = reading
  flag = estimated
}

/** Takes the cells of a row's usual end, but for its direction. */
export function takeTail(start: i32, end: i32, reading: i64, estimated: i32): void {
  startMinute = start
  endMinute = end
  units = reading
  flag = estimated
}

export function takeConsumption(): void {
  direction = 0
}

export function takeRevision(ofDay: i32, second: i32): void {
  revision = ofDay < 0 ? NaN : instantOf(dayOf(ofDay), second)
}

/** `'10443720009999001`: an apostrophe guards the 17 or 22 digits from spreadsheets. */
export function readEsiid(p: usize): usize {
  if (<u32>load<u8>(p) === APOSTROPHE) p++
  const digits = i8x16.sub(v128.load(p), i8x16.splat(48))
  if (v128.any_true(i8x16.gt_u(digits, i8x16.splat(9)))) return 0
  if (load<u16>(p) !== 0x3031) return 0
  const head = eightDigits(i64x2.extract_lane(digits, 0)) * 100000000 + eightDigits(i64x2.extract_lane(digits, 1))
  const from = p
  p += 16
  let tail: u64 = 0
  let digit = digitAt(p)
  while (digit <= 9 && p - from < 23) {
    tail = tail * 10 + digit
    digit = digitAt(++p)
  }
  meterDigits = <i32>(p - from)
  if (meterDigits !== 17 && meterDigits !== 22) return 0
  meterHead = head
  meterTail = meterDigits === 17 ? tail : tail | 0x100000
  return <u32>load<u8>(p) === APOSTROPHE ? p + 1 : p
}

export function readDate(p: usize): usize {
  p = readCalendarDay(p)
  dayNumber = readDay
  day = dayOf(readDay)
  return p
}

/** `07/15/2025 06:41:12` or `7/15/2025 6:41`; blank is older than any other. */
export function readRevision(p: usize): usize {
  if (isBlank(p)) {
    revision = NaN
    return p
  }
  p = readCalendarDay(p)
  if (p === 0 || <u32>load<u8>(p) !== SPACE) return 0
  const value = dayOf(readDay)
  p = readClock(skipBlanks(p))
  if (p === 0 || clockMinute >= 1440) return 0
  let second: i32 = clockMinute * 60
  if (<u32>load<u8>(p) === COLON) {
    const tens = digitAt(p + 1)
    const ones = digitAt(p + 2)
    if (tens > 5 || ones > 9) return 0
    second += <i32>(tens * 10 + ones)
    p += 3
  }
  revision = instantOf(value, second)
  return p
}

/** `06:41` or `6:41` as minutes of the day. */
let clockMinute: i32 = 0
function readClock(p: usize): usize {
  let hour = digitAt(p)
  if (hour > 9) return 0
  const digit = digitAt(++p)
  if (digit <= 9) {
    hour = hour * 10 + digit
    p++
  }
  const tens = digitAt(p + 1)
  const ones = digitAt(p + 2)
  if (<u32>load<u8>(p) !== COLON || tens > 5 || ones > 9) return 0
  clockMinute = <i32>(hour * 60 + tens * 10 + ones)
  return clockMinute > 1440 ? 0 : p + 3
}

export function readStart(p: usize): usize {
  p = readClock(p)
  startMinute = clockMinute
  // Nothing begins at 24:00.
  return clockMinute < 1440 ? p : 0
}

export function readEnd(p: usize): usize {
  p = readClock(p)
  endMinute = clockMinute
  return p
}

/** `0.231`, `.145`, `5.` or blank, exactly. */
export function readKwh(p: usize): usize {
  if (isBlank(p)) {
    units = -1
    return p
  }
  let sum: u64 = 0
  const from = p
  let digit = digitAt(p)
  while (digit <= 9) {
    sum = sum * 10 + digit
    digit = digitAt(++p)
  }
  const whole = p - from
  if (whole > 7) return 0
  let places: usize = 0
  if (<u32>load<u8>(p) === DOT) {
    digit = digitAt(++p)
    const point = p
    while (digit <= 9) {
      sum = sum * 10 + digit
      digit = digitAt(++p)
    }
    places = p - point
    if (places > 5) return 0
  }
  if (whole + places === 0) return 0
  // Three places, as SMT writes them, first.
  if (places === 3) sum *= 100
  else for (; places < 5; places++) sum *= 10
  units = <i64>sum
  return p
}

/** `A`, `E`, or blank beside a blank reading. */
export function readFlag(p: usize): usize {
  if (isBlank(p)) {
    flag = -1
    return p
  }
  const letter = <u32>load<u8>(p) | 0x20
  if (letter !== LETTER_A && letter !== LETTER_E) return 0
  flag = letter === LETTER_E ? 1 : 0
  return p + 1
}

/** `Consumption` or `Surplus Generation`, in any case of letters, with one blank or none. */
export function readDirection(p: usize): usize {
  if (load<u64>(p) === 0x74706d75736e6f43 && load<u32>(p + 7) === 0x6e6f6974) {
    direction = 0
    return p + 11
  }
  // Letters differ from capitals by one bit; no other byte becomes a letter of these words by it.
  if ((load<u64>(p) | 0x2020202020202020) === 0x74706d75736e6f63 && (load<u32>(p + 7) | 0x20202020) === 0x6e6f6974) {
    direction = 0
    return p + 11
  }
  if ((load<u64>(p - 1) | 0x20202020202020ff) !== 0x73756c70727573ff) return 0
  p += 7
  if (<u32>load<u8>(p) === SPACE) p++
  if ((load<u64>(p) | 0x2020202020202020) !== 0x69746172656e6567) return 0
  if ((load<u16>(p + 8) | 0x2020) !== 0x6e6f) return 0
  direction = 1
  return p + 10
}

/** A column that no layout knows: anything up to its end, which may not be a quotation mark inside quotation marks. */
export function readOther(p: usize, quoted: bool, end: usize): usize {
  let byte: u32 = load<u8>(p)
  while (p < end && byte !== LF && byte !== CR && byte !== QUOTE && (quoted || byte !== COMMA)) byte = load<u8>(++p)
  return p
}
