// Places in time: what a row's labels mean, what becomes of it, and what is counted.

import * as batch from './batch'
import { AUTUMN, CHANGE, kindOf, midnight, ORDINARY, SPRING } from './calendar'
import { day, dayNumber, direction, endMinute, flag, meterHead, meterTail, revision, startMinute, units } from './cells'
import { generation, groupOf, hasSiblings, REPEATING, serialOf, seriesOf } from './groups'
import { closeHour as close, follows, isInHour } from './passes'
import { addPending, notePending } from './pending'
import { cellOf, inFourBytes, noteReading } from './repeats'
import { isAlike } from './rows'
import { MOST_QUARTERS } from './sheets'

// What became of a row.
const ACCEPTED: i32 = 0
const PLACEHOLDER: i32 = 1
export const MISSING: i32 = 2
const NOT_15_MINUTES: i32 = 3
const OTHER_LENGTH: i32 = 4
const NONEXISTENT_HOUR: i32 = 5
const AMBIGUOUS_HOUR: i32 = 6
/** A row of the repeated hour, to be placed by its instant when all of them are known. */
const HELD: i32 = 7
/** A row whose reading is bad: it only shows in what order the rows stand. */
const STEP: i32 = 8

export let accepted: i32 = 0
export let placeholders: i32 = 0
export let missing: i32 = 0
export let estimated: i32 = 0
/** 0.00001 kWh by direction. */
export let consumed: i64 = 0
export let surplus: i64 = 0
/** Minutes from the epoch to the earliest and the latest interval. */
export let first: i32 = 0
export let last: i32 = 0

/** Bit 0: intervals of 15 minutes are taken; bit 1: of 30, bit 2: of 60. */
let lengths: i32 = 1

// The group of the row before in either direction, and the generation in which they were found.
let consumptionGroup: usize = 0
let surplusGroup: usize = 0
let groupsOf: u32 = 0

/** The group of the last row of an autumn day, by its serial number. */
export let rowGroup: u32 = 0

export function allowLengths(bits: i32): void {
  lengths = bits
}

export function beginCounts(): void {
  accepted = 0
  placeholders = 0
  missing = 0
  estimated = 0
  consumed = 0
  surplus = 0
  first = i32.MAX_VALUE
  last = i32.MIN_VALUE
}

function forgetRowBefore(): void {
  consumptionGroup = 0
  surplusGroup = 0
}

function allows(length: i32): bool {
  return (lengths & (length === 15 ? 1 : length === 30 ? 2 : 4)) !== 0
}

/** The row's group: the one of the row before, when nothing but the direction may differ. What waits is noted first. */
function groupOfRow(): usize {
  notePending()
  if (groupsOf !== generation) forgetRowBefore()
  groupsOf = generation
  let group = direction === 0 ? consumptionGroup : surplusGroup
  if (group !== 0) return group
  const state = kindOf(day) === AUTUMN ? REPEATING : 0
  group = groupOf(meterHead, seriesOf(meterTail, dayNumber, direction), reinterpret<u64>(revision), state)
  if (direction === 0) consumptionGroup = group
  else surplusGroup = group
  return group
}

/** Places the row being read in time, counts it, and adds it to the batch. */
export function placeRow(line: i32): i32 {
  if (!isAlike) forgetRowBefore()
  const kind = kindOf(day)
  // Nearly every row.
  if (kind === ORDINARY && endMinute - startMinute === 15 && startMinute % 15 === 0 && units >= 0 && lengths === 1) {
    accept(0, midnight(day) + startMinute, startMinute / 15, 15, line)
    return ACCEPTED
  }
  let until = endMinute === 0 ? 1440 : endMinute
  // Where the clock jumps from 02:00 to 03:00, `01:45,03:00` is a quarter hour too.
  if (kind === SPRING && until === CHANGE + 60 && startMinute < CHANGE) until = CHANGE
  const marker = kind === AUTUMN && startMinute === CHANGE && until === CHANGE - 45
  const length = marker ? 15 : until - startMinute
  if ((length !== 15 && length !== 30 && length !== 60) || startMinute % length !== 0) return NOT_15_MINUTES
  if (!allows(length)) return OTHER_LENGTH

  let group: usize = 0
  if (kind === AUTUMN) {
    group = groupOfRow()
    rowGroup = serialOf(group)
    const inPlace = follows(group, until, length)
    if (isInHour(until)) return inPlace ? HELD : AMBIGUOUS_HOUR
  }
  const skipped = kind === SPRING && until > CHANGE && until <= CHANGE + 60
  if (units < 0) {
    if (units === -2) return STEP
    if (skipped) {
      placeholders++
      return PLACEHOLDER
    }
    missing++
    return MISSING
  }
  if (skipped) return NONEXISTENT_HOUR

  let minute = until - length
  if (kind === SPRING && until > CHANGE) minute -= 60
  if (kind === AUTUMN && until > CHANGE) minute += 60
  accept(group, midnight(day) + minute, minute / 15, length, line)
  return ACCEPTED
}

/** Whether the row being read is one of those that are held back. */
export function isOfRepeatedHour(): bool {
  return kindOf(day) === AUTUMN && isInHour(endMinute)
}

/** No more rows of the repeated hour may follow in the group of the row that was given. Gives whether all is in order. */
export function closeHour(): bool {
  forgetRowBefore()
  return close(groupOfRow())
}

/** Places a reading whose instant is known: minutes from the epoch, within the local day. */
export function placeInstant(minute: i32, length: i32, line: i32): i32 {
  forgetRowBefore()
  if (!allows(length)) return OTHER_LENGTH
  const quarter = (minute - midnight(day)) / 15
  if (quarter < 0 || quarter + length / 15 > MOST_QUARTERS) return NOT_15_MINUTES
  if (units === -2) return STEP
  if (units < 0) {
    missing++
    return MISSING
  }
  accept(0, minute, quarter, length, line)
  return ACCEPTED
}

/** `minute` counts from the epoch, `quarter` from the day's midnight. */
function accept(group: usize, minute: i32, quarter: i32, length: i32, line: i32): void {
  const reading = inFourBytes(units, flag, length / 15)
  if (group === 0 && !isAlike && kindOf(day) !== AUTUMN) {
    const series = seriesOf(meterTail, dayNumber, direction)
    addPending(meterHead, series, reinterpret<u64>(revision), quarter, reading)
  } else {
    if (group === 0) group = groupOfRow()
    const cell = cellOf(group, quarter)
    // Nearly every reading comes for the first time.
    if (cell !== 0 && load<u32>(cell) === 0 && length === 15 && !hasSiblings(group)) store<u32>(cell, reading)
    else noteReading(group, quarter, reading)
  }
  batch.add(minute, length, units, line)
  accepted++
  estimated += flag
  if (direction === 0) consumed += units
  else surplus += units
  if (minute < first) first = minute
  if (minute > last) last = minute
}
