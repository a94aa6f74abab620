// Rows: their cells in the order of the header, read where they stand.

import { COMMA, CR, LF, QUOTE, skipBlanks } from './bytes'
import {
  flag,
  forget,
  readDate,
  readDirection,
  readEnd,
  readEsiid,
  readFlag,
  readKwh,
  readOther,
  readRevision,
  readStart,
  units
} from './cells'
import { LONGEST_PREFIX, PREFIX, ROLES } from './memory'
import { readTail } from './tail'

let columns: i32 = 0
/** Columns up to which rows of one meter-day are alike; 0 when the order of columns is another. */
let alike: i32 = 0
/** Behind them stand start, end, kWh, flag and direction, as SMT writes them. */
let usualTail: bool = false
/** And before them ESIID, day and revision. */
let usualHead: bool = false
/** Bytes of the first columns in the row before; 0 when there is none to compare with. */
let prefix: i32 = 0
let prefixEnd: usize = 0
/** Whether the row began like the one before: nothing but its last columns was read. */
export let isAlike: bool = false

/** `alikeColumns` first columns hold ESIID, day and revision, and no other. */
export function beginRows(columnCount: i32, alikeColumns: i32): void {
  columns = columnCount
  alike = alikeColumns
  usualTail = columnCount === alikeColumns + 5 && load<u64>(ROLES + <usize>alikeColumns) << 24 === 0x0807060504000000
  usualHead = usualTail && alikeColumns === 3 && (load<u32>(ROLES) & 0xffffff) === 0x030201
  forgetPrefix()
  forget()
}

/** The next row is not to be compared with one before. */
export function forgetPrefix(): void {
  prefix = 0
  isAlike = false
}

/**
 * Reads the cells of a row; gives the position behind its line end, or 0 when it is not plain or not whole. `end` is
 * behind the last byte.
 */
export function readPlainRow(row: usize, end: usize): usize {
  isAlike = prefix > 0 && startsAlike(row)
  const next = isAlike ? (usualTail ? readTail(row + <usize>prefix) : 0) : usualHead ? readUsual(row) : 0
  return next === 0 ? readRow(row, end) : next
}

/** Reads a row with SMT's own columns, if nothing is unusual about it. */
function readUsual(row: usize): usize {
  forget()
  let p = readEsiid(row)
  if (p === 0 || <u32>load<u8>(p) !== COMMA) return 0
  p = readDate(p + 1)
  if (p === 0 || <u32>load<u8>(p) !== COMMA) return 0
  p = readRevision(p + 1)
  if (p === 0 || <u32>load<u8>(p) !== COMMA) return 0
  prefixEnd = p + 1
  const next = readTail(prefixEnd)
  if (next !== 0) remember(row)
  return next
}

function readRow(row: usize, end: usize): usize {
  if (columns === 0) return 0
  let p = row
  let column = 0
  if (isAlike) {
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
    p = readCell(load<u8>(ROLES + <usize>column), p, quoted, end)
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
  if (!isAlike && alike > 0) remember(row)
  return p + 1
}

function readCell(role: u32, p: usize, quoted: bool, end: usize): usize {
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
  prefix = 0
  if (width < 16 || width > LONGEST_PREFIX) return
  prefix = <i32>width
  memory.copy(PREFIX, row, width)
}
