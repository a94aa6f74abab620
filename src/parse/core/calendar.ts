// Calendar days, and the instants of local times within them. JavaScript says when each day begins, once.

import { digitAt, SLASH } from './bytes'
import { DAYS } from './memory'

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
export function instantOf(value: i32, second: i32): f64 {
  const kind = kindOf(value)
  let shift = 0
  if (kind === SPRING && second >= (CHANGE + 60) * 60) shift = -3600
  if (kind === AUTUMN && second >= CHANGE * 60) shift = 3600
  return (<f64>midnight(value) * 60 + <f64>(second + shift)) * 1000
}

/** A day that was met and whose entry in DAYS is still 0: JavaScript must say when it begins. */
export let unknownDay: i32 = -1

export function forgetUnknownDay(): void {
  unknownDay = -1
}

/** What DAYS holds of a day. */
export function dayOf(number: i32): i32 {
  return load<i32>(DAYS + ((<usize>number) << 2))
}

/** `07/14/2025` or `7/14/2025`, as the number of the day in DAYS. */
export let readDay: i32 = 0
export function readCalendarDay(p: usize): usize {
  // `00/00/20` taken away, only digits are left; adding lifts those above 9 into the highest bit of their byte.
  const text = load<u64>(p) ^ 0x30322f30302f3030
  const c = digitAt(p + 8)
  const d = digitAt(p + 9)
  const isUsual = ((text | (text + 0x0000007676007676)) & 0xffffff8080ff8080) === 0 && c <= 9 && d <= 9
  if (!isUsual) return readAnyCalendarDay(p)
  const month = (text & 0xff) * 10 + ((text >> 8) & 0xff)
  const dayOfMonth = ((text >> 24) & 0xff) * 10 + ((text >> 32) & 0xff)
  return takeCalendarDay(p + 10, 2000 + c * 10 + d, <u32>month, <u32>dayOfMonth)
}

function readAnyCalendarDay(p: usize): usize {
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
  return takeCalendarDay(p + 5, a * 1000 + b * 100 + c * 10 + d, month, dayOfMonth)
}

function takeCalendarDay(p: usize, year: u32, month: u32, dayOfMonth: u32): usize {
  if (month < 1 || month > 12 || dayOfMonth < 1 || dayOfMonth > 31 || year < 1970 || year > 2199) return 0
  readDay = <i32>(((year - 1970) << 9) | (month << 5) | dayOfMonth)
  const value = dayOf(readDay)
  if (value > 0) return p
  if (value === 0) unknownDay = readDay
  return 0
}
