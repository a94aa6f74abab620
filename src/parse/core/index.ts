// The core of the parser: bytes in, columns out, one row after another. It reads plain rows by itself and stops at every
// other one, so that JavaScript can read that row the complete way, see `RowReader`, and hand its cells back to `place`.

import * as batch from './batch'
import {
  AUTUMN,
  CHANGE,
  COMMA,
  CR,
  day,
  direction,
  endMinute,
  flag,
  forget,
  kindOf,
  LF,
  midnight,
  ORDINARY,
  QUOTE,
  readDate,
  readDirection,
  readEnd,
  readEsiid,
  readFlag,
  readKwh,
  readOther,
  readRevision,
  readStart,
  readTail,
  SPRING,
  skipBlanks,
  startMinute,
  take,
  takeRevision,
  units,
  unknownDay
} from './cells'
import {
  assumed,
  beginEntry as beginOrder,
  conflicts,
  duplicates,
  forgetGroups,
  forgetRepeats,
  generation,
  groupOfRow,
  mix,
  noteReading,
  overlaps,
  passOf,
  unchecked
} from './groups'
import {
  DAYS,
  DIRECTION,
  ESIID,
  ESTIMATED,
  INPUT,
  KWH,
  LINE,
  LONGEST_PREFIX,
  METER,
  METER_TEXTS,
  MINUTES,
  PREFIX,
  REVISION,
  ROLES,
  START
} from './memory'

export { assumed, conflicts, duplicates, mix, overlaps, unchecked, unknownDay }

export const dayTable: usize = DAYS
export const input: usize = INPUT
export const roles: usize = ROLES
export const esiid: usize = ESIID

// What `scan` stopped for.
const MORE: i32 = 0
const FULL: i32 = 1
const ODD_ROW: i32 = 2
const UNKNOWN_DAY: i32 = 3
const REJECTED: i32 = 4

// What became of a row.
const ACCEPTED: i32 = 0
const PLACEHOLDER: i32 = 1
const MISSING: i32 = 2
const NOT_15_MINUTES: i32 = 3
const OTHER_LENGTH: i32 = 4
const NONEXISTENT_HOUR: i32 = 5
const AMBIGUOUS_HOUR: i32 = 6
/** A row whose reading is bad: it counts as a step of the clock only. */
const STEP: i32 = 7

/** The next byte to be read, and the one behind the last. */
export let at: usize = INPUT
export let end: usize = INPUT
/** The row that `scan` stopped at, from its first byte to its line end. */
export let rowStart: usize = INPUT
export let rowEnd: usize = INPUT
/** Why it was rejected. */
export let outcome: i32 = 0

/** The line read last. */
export let line: i32 = 0
export let read: i32 = 0
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

let columns: i32 = 0
/** Columns up to which rows of one meter-day are alike; 0 when the order of columns is another. */
let alike: i32 = 0
/** Bytes of them in the row before; 0 when there is none to compare with. */
let prefix: i32 = 0
/** Behind them stand start, end, kWh, flag and direction, as SMT writes them. */
let usualTail: bool = false
let prefixEnd: usize = 0
/** Bit 0: intervals of 15 minutes are taken; bit 1: of 30, bit 2: of 60. */
let lengths: i32 = 1
let longestLine: i32 = 8192

// The group of the row before in either direction, and the generation in which they were found.
let consumptionGroup: usize = 0
let surplusGroup: usize = 0
let groupsOf: u32 = 0

export function setUp(rows: i32, allowedLengths: i32, longest: i32): void {
  lengths = allowedLengths
  longestLine = longest
  batch.setCapacity(rows)
}

/** Nothing of earlier files is known any more. */
export function beginFile(): void {
  forgetGroups()
  batch.empty()
}

/** The rows of an entry begin, below its header. `alikeColumns` first columns hold ESIID, day and revision, and no other. */
export function beginEntry(columnCount: i32, alikeColumns: i32, headerLine: i32): void {
  columns = columnCount
  alike = alikeColumns
  prefix = 0
  usualTail = columnCount === alikeColumns + 5 && load<u64>(ROLES + <usize>alikeColumns) << 24 === 0x0807060504000000
  at = INPUT
  end = INPUT
  line = headerLine
  read = 0
  accepted = 0
  placeholders = 0
  missing = 0
  estimated = 0
  consumed = 0
  surplus = 0
  first = i32.MAX_VALUE
  last = i32.MIN_VALUE
  beginOrder()
  forgetRepeats()
  forget()
}

/** Where the next bytes go: what is left of the ones before is moved to the front. */
export function makeRoom(): usize {
  const left = end - at
  memory.copy(INPUT, at, left)
  at = INPUT
  end = INPUT + left
  return end
}

/** Takes so many bytes, which stand where `makeRoom` said. */
export function give(bytes: i32): void {
  end += <usize>bytes
  memory.fill(end, 0, 64)
}

/** Reads rows until something is wanted of JavaScript. */
export function scan(): i32 {
  while (at < end) {
    if (batch.length === batch.capacity) return FULL
    const row = at
    let next: usize = 0
    if (prefix > 0) {
      if (startsAlike(row)) {
        if (usualTail) next = readTail(row + <usize>prefix)
      } else prefix = 0
    }
    if (next === 0) next = readRow(row)
    if (next === 0 || next - row > <usize>longestLine) return oddRow(row)
    at = next
    line++
    read++
    const became = placeRow()
    if (became > MISSING) {
      rowStart = row
      outcome = became
      return REJECTED
    }
  }
  return batch.length === batch.capacity ? FULL : MORE
}

function oddRow(row: usize): i32 {
  prefix = 0
  if (unknownDay >= 0) return UNKNOWN_DAY
  const p = lineEnd(row)
  if (p === 0) return MORE
  rowStart = row
  rowEnd = p
  at = <u32>load<u8>(p) === CR && <u32>load<u8>(p + 1) === LF ? p + 2 : p + 1
  line++
  return ODD_ROW
}

/** The end of a line: LF, CR LF or CR alone. 0 when it is not there yet; a CR at the very end may be half of one. */
function lineEnd(p: usize): usize {
  for (; p < end; p++) {
    const byte: u32 = load<u8>(p)
    if (byte === LF) return p
    if (byte === CR) return p + 1 < end ? p : 0
  }
  return 0
}

/** Reads the cells of a row; gives the position behind its line end, or 0 when it is not plain or not whole. */
function readRow(row: usize): usize {
  if (columns === 0) return 0
  let p = row
  let column = 0
  if (prefix > 0) {
    p += <usize>prefix
    column = alike
  } else {
    forget()
    prefixEnd = 0
  }
  for (;;) {
    p = skipBlanks(p)
    const quoted = <u32>load<u8>(p) === QUOTE
    if (quoted) p = skipBlanks(p + 1)
    p = readCell(load<u8>(ROLES + <usize>column), p, quoted)
    if (p === 0) return 0
    p = skipBlanks(p)
    if (quoted) {
      if (<u32>load<u8>(p) !== QUOTE) return 0
      p = skipBlanks(p + 1)
    }
    if (++column === columns) break
    if (<u32>load<u8>(p) !== COMMA) return 0
    p++
    if (column === alike) prefixEnd = p
  }
  const byte: u32 = load<u8>(p)
  if (byte === CR) {
    if (p + 1 === end) return 0
    if (<u32>load<u8>(p + 1) === LF) p++
  } else if (byte !== LF) return 0
  // A reading without its flag is nothing that a plain row has.
  if (units >= 0 && flag < 0) return 0
  if (prefix === 0 && alike > 0) remember(row)
  return p + 1
}

function readCell(role: u32, p: usize, quoted: bool): usize {
  switch (role) {
    case 1:
      return readEsiid(p)
    case 2:
      return readDate(p)
    case 3:
      return readRevision(p)
    case 4:
      return readStart(p)
    case 5:
      return readEnd(p)
    case 6:
      return readKwh(p)
    case 7:
      return readFlag(p)
    case 8:
      return readDirection(p)
    default:
      return readOther(p, quoted, end)
  }
}

/** Within a meter-day the first cells repeat byte for byte: comparing them is faster than reading them. */
function startsAlike(row: usize): bool {
  const last = <usize>prefix - 16
  for (let i: usize = 0; i < last; i += 16) {
    if (!i8x16.all_true(i8x16.eq(v128.load(row + i), v128.load(PREFIX + i)))) return false
  }
  return i8x16.all_true(i8x16.eq(v128.load(row + last), v128.load(PREFIX + last)))
}

function remember(row: usize): void {
  const width = prefixEnd - row
  consumptionGroup = 0
  surplusGroup = 0
  if (width < 16 || width > LONGEST_PREFIX) return
  prefix = <i32>width
  memory.copy(PREFIX, row, width)
}

/** The row's group: the one of the row before, when nothing but the direction may differ. */
function groupOfThis(): usize {
  if (groupsOf !== generation) {
    consumptionGroup = 0
    surplusGroup = 0
    groupsOf = generation
  }
  if (prefix === 0) return groupOfRow()
  if (direction === 0) {
    if (consumptionGroup === 0) consumptionGroup = groupOfRow()
    return consumptionGroup
  }
  if (surplusGroup === 0) surplusGroup = groupOfRow()
  return surplusGroup
}

/** Places the row being read in time, counts it, and adds it to the batch. */
function placeRow(): i32 {
  const kind = kindOf(day)
  // Nearly every row.
  if (kind === ORDINARY && endMinute - startMinute === 15 && startMinute % 15 === 0 && units >= 0 && lengths === 1) {
    accept(0, midnight(day) + startMinute, startMinute / 15, 15)
    return ACCEPTED
  }
  let until = endMinute === 0 ? 1440 : endMinute
  // Where the clock jumps from 02:00 to 03:00, `01:45,03:00` is a quarter hour too.
  if (kind === SPRING && until === CHANGE + 60 && startMinute < CHANGE) until = CHANGE
  const marker = kind === AUTUMN && startMinute === CHANGE && until === CHANGE - 45
  const length = marker ? 15 : until - startMinute
  if (length !== 15 || startMinute % 15 !== 0) {
    if ((length !== 15 && length !== 30 && length !== 60) || startMinute % length !== 0) return NOT_15_MINUTES
    if ((lengths & (length >> 4 === 0 ? 1 : length === 30 ? 2 : 4)) === 0) return OTHER_LENGTH
  } else if ((lengths & 1) === 0) return OTHER_LENGTH

  const skipped = kind === SPRING && until > CHANGE && until <= CHANGE + 60
  let pass = 0
  let group: usize = 0
  if (kind === AUTUMN) {
    group = groupOfThis()
    pass = passOf(group, until, length, marker)
    if (pass < 0) return AMBIGUOUS_HOUR
  }
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
  if (kind === AUTUMN && (pass === 1 || until > CHANGE)) minute += 60
  accept(group, midnight(day) + minute, minute / 15, length)
  return ACCEPTED
}

function accept(group: usize, minute: i32, quarter: i32, length: i32): void {
  if (group === 0) group = groupOfThis()
  noteReading(group, quarter, length / 15, units, flag)
  batch.add(minute, length, units, line)
  accepted++
  estimated += flag
  if (direction === 0) consumed += units
  else surplus += units
  if (minute < first) first = minute
  if (minute > last) last = minute
}

/** Takes the ESIID that stands in `esiid`, so many digits; and the version, whose day is -1 where it is blank. */
export function identify(digits: i32, revisionDay: i32, revisionSecond: i32): void {
  store<u8>(ESIID + <usize>digits, 0)
  readEsiid(ESIID)
  takeRevision(revisionDay, revisionSecond)
  prefix = 0
}

/** Places a row whose cells JavaScript has read. `reading` is in 0.00001 kWh, -1 where blank, -2 where it is bad. */
export function place(dayOf: i32, from: i32, until: i32, way: i32, reading: f64, flagged: i32): i32 {
  take(dayOf, from, until, way, <i64>reading, flagged)
  return placeRow()
}

/** Places a reading whose instant is known: minutes from the epoch, within the local day. */
export function placeAt(dayOf: i32, minute: i32, length: i32, way: i32, reading: f64, flagged: i32): i32 {
  take(dayOf, 0, 0, way, <i64>reading, flagged)
  if ((lengths & (length === 15 ? 1 : length === 30 ? 2 : 4)) === 0) return OTHER_LENGTH
  if (units < 0) {
    missing++
    return MISSING
  }
  accept(0, minute, (minute - midnight(day)) / 15, length)
  return ACCEPTED
}

/** The line on which the next row stands, of those that JavaScript places. */
export function beginLine(number: i32): void {
  line = number
}

/** A new batch begins. */
export function emptyBatch(): void {
  batch.empty()
}

/** Addresses of the batch's columns, in the order of the batch's own fields; last the digits of its meters. */
export function column(n: i32): usize {
  switch (n) {
    case 0:
      return START
    case 1:
      return KWH
    case 2:
      return REVISION
    case 3:
      return LINE
    case 4:
      return METER
    case 5:
      return ESTIMATED
    case 6:
      return DIRECTION
    case 7:
      return MINUTES
    default:
      return METER_TEXTS
  }
}

export function batchLength(): i32 {
  return batch.length
}

export function textsLength(): i32 {
  return batch.textsLength
}
