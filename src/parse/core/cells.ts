// Reads cells straight from bytes. Each reader takes a position and gives the one behind what it read, or 0 when the
// cell is anything but plain: then the row goes the complete way, in JavaScript, which also names what is wrong with it.
// Behind the last byte stand zeros, which end every cell.

import { DAYS } from './memory'

export const LF: u32 = 10
export const CR: u32 = 13
export const QUOTE: u32 = 34
export const COMMA: u32 = 44
const TAB: u32 = 9
export const SPACE: u32 = 32
const APOSTROPHE: u32 = 39
export const DOT: u32 = 46
const SLASH: u32 = 47
export const COLON: u32 = 58
const LETTER_A: u32 = 0x61
const LETTER_E: u32 = 0x65

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

/** A day that was met and whose entry in DAYS is still 0: JavaScript must say when it begins. */
export let unknownDay: i32 = -1

/** What the cells of a row say when its layout has no such column. */
export function forget(): void {
  revision = NaN
  flag = 0
  direction = 0
  unknownDay = -1
}

/** Takes the cells that JavaScript has read. */
export function take(dayOf: i32, start: i32, end: i32, way: i32, reading: i64, estimated: i32): void {
  dayNumber = dayOf
  day = load<i32>(DAYS + ((<usize>dayOf) << 2))
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

export function takeRevision(dayOf: i32, second: i32): void {
  revision = dayOf < 0 ? NaN : instantOf(load<i32>(DAYS + ((<usize>dayOf) << 2)), second)
}

// What DAYS holds: minutes from the epoch to local midnight, times four, and the kind; 0 when unknown, -1 for dates that
// no calendar has.
export const ORDINARY: i32 = 1
export const SPRING: i32 = 2
export const AUTUMN: i32 = 3

/** Minutes from the epoch to a day's midnight. */
export function midnight(value: i32): i32 {
  return value >> 2
}

export function kindOf(value: i32): i32 {
  return value & 3
}

/** First minute that spring skips, and the end of the hour that autumn repeats. */
export const CHANGE: i32 = 120

/**
 * A local time of day. One that happens twice is taken as the first, one that does not exist as the clock read before
 * the change would show it.
 */
function instantOf(value: i32, second: i32): f64 {
  const kind = kindOf(value)
  let shift = 0
  if (kind === SPRING && second >= (CHANGE + 60) * 60) shift = -3600
  if (kind === AUTUMN && second >= CHANGE * 60) shift = 3600
  return (<f64>midnight(value) * 60 + <f64>(second + shift)) * 1000
}

export function skipBlanks(p: usize): usize {
  let byte: u32 = load<u8>(p)
  while (byte === SPACE || byte === TAB) byte = load<u8>(++p)
  return p
}

export function digitAt(p: usize): u32 {
  return <u32>load<u8>(p) - 48
}

/** Whether a cell ends here without having begun. */
function isBlank(p: usize): bool {
  const byte: u32 = load<u8>(p)
  return byte === COMMA || byte === QUOTE || byte === LF || byte === CR
}

/** Eight digits at once, the first of them in the lowest byte. */
function eightDigits(text: u64): u64 {
  text = ((text & 0x0f0f0f0f0f0f0f0f) * 2561) >> 8
  text = ((text & 0x00ff00ff00ff00ff) * 6553601) >> 16
  return ((text & 0x0000ffff0000ffff) * 42949672960001) >> 32
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

/** `07/14/2025` or `7/14/2025`, as the number of the day in DAYS. */
let readDay: i32 = 0
function readCalendarDay(p: usize): usize {
  let month = digitAt(p)
  if (month > 9) return 0
  let digit = digitAt(++p)
  if (digit <= 9) {
    month = month * 10 + digit
    p++
  }
  if (<u32>load<u8>(p) !== SLASH) return 0
  let dayOfMonth = digitAt(++p)
  if (dayOfMonth > 9) return 0
  digit = digitAt(++p)
  if (digit <= 9) {
    dayOfMonth = dayOfMonth * 10 + digit
    p++
  }
  if (<u32>load<u8>(p) !== SLASH) return 0
  const a = digitAt(p + 1)
  const b = digitAt(p + 2)
  const c = digitAt(p + 3)
  const d = digitAt(p + 4)
  if (a > 9 || b > 9 || c > 9 || d > 9) return 0
  const year = a * 1000 + b * 100 + c * 10 + d
  if (month < 1 || month > 12 || dayOfMonth < 1 || dayOfMonth > 31 || year < 1970 || year > 2199) return 0
  readDay = <i32>(((year - 1970) << 9) | (month << 5) | dayOfMonth)
  const value = load<i32>(DAYS + ((<usize>readDay) << 2))
  if (value > 0) return p + 5
  if (value === 0) unknownDay = readDay
  return 0
}

export function readDate(p: usize): usize {
  p = readCalendarDay(p)
  dayNumber = readDay
  day = load<i32>(DAYS + ((<usize>readDay) << 2))
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
  const value = load<i32>(DAYS + ((<usize>readDay) << 2))
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
  return p
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
