// The core of the parser: bytes in, columns out, one row after another. It reads plain rows by itself and stops at every
// other one, so that JavaScript can read that row the complete way, see `row-reader.ts`, and hand its cells back to
// `place`.

import * as batch from './batch'
import { CR, LF } from './bytes'
import { unknownDay } from './calendar'
import { readEsiid, take, takeRevision } from './cells'
import { forgetGroups } from './groups'
import { mix } from './hash'
import {
  DAYS,
  DIRECTION,
  ESIID,
  ESTIMATED,
  INPUT,
  KWH,
  LINE,
  METER,
  METER_TEXTS,
  MINUTES,
  REVISION,
  ROLES,
  START
} from './memory'
import { beginOrders, ended, takeEnded } from './passes'
import { notePending } from './pending'
import {
  accepted,
  allowLengths,
  beginCounts,
  closeHour,
  consumed,
  estimated,
  first,
  isOfRepeatedHour,
  last,
  MISSING,
  missing,
  placeholders,
  placeInstant,
  placeRow,
  rowGroup,
  surplus
} from './places'
import { conflicts, duplicates, forgetRepeats, overlaps, unchecked } from './repeats'
import { beginRows, forgetPrefix, readPlainRow } from './rows'

export {
  accepted,
  closeHour,
  conflicts,
  consumed,
  duplicates,
  estimated,
  first,
  last,
  missing,
  mix,
  overlaps,
  placeholders,
  rowGroup,
  surplus,
  takeEnded,
  unchecked,
  unknownDay
}

export const dayTable: usize = DAYS
export const roles: usize = ROLES
export const esiid: usize = ESIID

// What `scan` stopped for.
const MORE: i32 = 0
const FULL: i32 = 1
const ODD_ROW: i32 = 2
const UNKNOWN_DAY: i32 = 3
const REJECTED: i32 = 4
const DAY_ENDED: i32 = 5

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
/** Rows that were read here. */
export let read: i32 = 0

let longestLine: i32 = 8192

/** Batches have so many rows; of intervals of 15 minutes where bit 0 is set, of 30 where bit 1 is, of 60 where bit 2 is. */
export function setUp(rows: i32, allowedLengths: i32, longest: i32): void {
  allowLengths(allowedLengths)
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
  at = INPUT
  end = INPUT
  line = headerLine
  read = 0
  beginRows(columnCount, alikeColumns)
  beginCounts()
  beginOrders()
  forgetRepeats()
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
  const stop = scanRows()
  notePending()
  return stop
}

function scanRows(): i32 {
  while (at < end) {
    if (batch.length === batch.capacity) return FULL
    const row = at
    const next = readPlainRow(row, end)
    if (next === 0 || next - row > <usize>longestLine || isOfRepeatedHour()) return oddRow(row)
    at = next
    line++
    read++
    const became = placeRow(line)
    if (became > MISSING) {
      rowStart = row
      outcome = became
      return REJECTED
    }
    if (ended !== 0) return DAY_ENDED
  }
  return batch.length === batch.capacity ? FULL : MORE
}

function oddRow(row: usize): i32 {
  forgetPrefix()
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

/** Takes the ESIID that stands in `esiid`, so many digits; and the version, whose day is -1 where it is blank. */
export function identify(digits: i32, revisionDay: i32, revisionSecond: i32): void {
  store<u8>(ESIID + <usize>digits, 0)
  readEsiid(ESIID)
  takeRevision(revisionDay, revisionSecond)
  forgetPrefix()
}

/** Places a row whose cells JavaScript has read, of the meter and version told before. `reading` is in 0.00001 kWh, -1 where blank, -2 where it is bad. */
export function place(dayOf: i32, from: i32, until: i32, way: i32, reading: f64, flagged: i32): i32 {
  take(dayOf, from, until, way, <i64>reading, flagged)
  const became = placeRow(line)
  notePending()
  return became
}

/** The row that `closeHour` speaks of, of the meter and version told before. */
export function takeGroup(dayOf: i32, way: i32): void {
  take(dayOf, 0, 0, way, 0, 0)
}

/** Places a reading whose instant is known: minutes from the epoch, within the local day. */
export function placeAt(dayOf: i32, minute: i32, length: i32, way: i32, reading: f64, flagged: i32): i32 {
  take(dayOf, 0, 0, way, <i64>reading, flagged)
  const became = placeInstant(minute, length, line)
  notePending()
  return became
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
