import type { BatchBuilder } from './batch-builder.ts'

/** Bytes from the third comma to the line's end of any row the fast loop takes; it leaves shorter rests alone. */
const LONGEST_TAIL = 64
/** 0.00001 kWh, the smallest step that a store keeps. */
export const UNIT = 100_000
const SCALE = [UNIT, UNIT / 10, UNIT / 100, UNIT / 1000, UNIT / 10_000, 1]
const MINUTE = 60_000

const [LF, CR, SPACE, COMMA, DOT, COLON, ZERO] = [10, 13, 32, 44, 46, 58, 48]
const [LETTER_A, LETTER_E] = [65, 69]

/** The three first cells of the row before, which most rows repeat byte for byte, and what they mean. */
export interface RowContext {
  readonly esiid: string
  /** UTC epoch milliseconds of the local midnight. An ordinary day: clock changes take the complete way. */
  readonly dayStart: number
  readonly revision: number
  /** The row's bytes up to and with its third comma. */
  readonly prefix: Uint8Array
}

/** What is counted of accepted rows. */
export interface Tally {
  /** The line read last. */
  line: number
  accepted: number
  estimated: number
  /** 0.00001 kWh by direction. */
  readonly units: [consumption: number, surplusGeneration: number]
  first: number
  last: number
}

/**
 * The hot loop: takes rows like the one before from a chunk's bytes. Such a row has the same first three cells, then
 * ` HH:MM, HH:MM,` a quarter hour apart, a plain decimal, A or E, a direction and a line end. Stops before the first row
 * that is anything else, before the chunk's last rows, and when the batch is full. Gives the position where it stopped.
 */
export function takeFastRows(
  bytes: Uint8Array,
  view: DataView,
  from: number,
  context: RowContext,
  builder: BatchBuilder,
  tally: Tally
): number {
  const { prefix, dayStart, revision } = context
  const { start, kwh, estimated, direction, revision: revisions, line, meter, capacity } = builder
  const known = new DataView(prefix.buffer, prefix.byteOffset, prefix.byteLength)
  const width = prefix.length
  const lastWord = width - 4
  const lastRow = bytes.length - width - LONGEST_TAIL
  let position = -1
  let at = from
  let n = builder.length
  let lines = tally.line
  let estimates = 0
  let consumed = 0
  let surplus = 0
  let first = tally.first
  let last = tally.last

  row: while (at <= lastRow && n < capacity) {
    for (let i = 0; i < lastWord; i += 4) {
      if (view.getInt32(at + i, true) !== known.getInt32(i, true)) break row
    }
    if (view.getInt32(at + lastWord, true) !== known.getInt32(lastWord, true)) break
    let p = at + width

    if (bytes[p] === SPACE) p++
    const startMinute = minutesAt(bytes, p)
    if (startMinute < 0 || bytes[p + 5] !== COMMA) break
    p += 6
    if (bytes[p] === SPACE) p++
    let endMinute = minutesAt(bytes, p)
    if (endMinute < 0 || bytes[p + 5] !== COMMA) break
    p += 6
    if (endMinute === 0) endMinute = 1440
    if (endMinute - startMinute !== 15 || endMinute % 15 !== 0 || endMinute > 1440) break

    let units = 0
    const number = p
    let digit = bytes[p]! - ZERO
    while (digit >= 0 && digit <= 9) {
      units = units * 10 + digit
      digit = bytes[++p]! - ZERO
    }
    let digits = p - number
    if (digits > 7) break
    let decimals = 0
    if (bytes[p] === DOT) {
      digit = bytes[++p]! - ZERO
      while (digit >= 0 && digit <= 9) {
        units = units * 10 + digit
        decimals++
        digit = bytes[++p]! - ZERO
      }
      digits += decimals
      if (decimals > 5) break
    }
    if (digits === 0 || bytes[p] !== COMMA) break

    const flag = bytes[p + 1]
    if ((flag !== LETTER_A && flag !== LETTER_E) || bytes[p + 2] !== COMMA) break
    p += 3
    let way: 0 | 1
    if (isConsumption(view, p)) {
      way = 0
      p += 11
    } else if (isSurplusGeneration(view, p)) {
      way = 1
      p += 18
    } else break
    if (bytes[p] === CR) p++
    if (bytes[p] !== LF) break

    const exact = units * SCALE[decimals]!
    const instant = dayStart + (endMinute - 15) * MINUTE
    start[n] = instant
    kwh[n] = exact / UNIT
    estimated[n] = flag === LETTER_E ? 1 : 0
    direction[n] = way
    revisions[n] = revision
    line[n] = ++lines
    if (position < 0) position = builder.meterOf(context.esiid)
    meter[n] = position
    n++
    if (flag === LETTER_E) estimates++
    if (way === 0) consumed += exact
    else surplus += exact
    if (instant < first) first = instant
    if (instant > last) last = instant
    at = p + 1
  }

  tally.accepted += n - builder.length
  builder.length = n
  tally.line = lines
  tally.estimated += estimates
  tally.units[0] += consumed
  tally.units[1] += surplus
  tally.first = first
  tally.last = last
  return at
}

/** `HH:MM` at a position as minutes of the day; -1 when it is something else. */
function minutesAt(bytes: Uint8Array, p: number): number {
  const a = bytes[p]! - ZERO
  const b = bytes[p + 1]! - ZERO
  const c = bytes[p + 3]! - ZERO
  const d = bytes[p + 4]! - ZERO
  // Each a digit, or an unsigned number far above nine.
  if (a >>> 0 > 2 || b >>> 0 > 9 || c >>> 0 > 5 || d >>> 0 > 9 || bytes[p + 2] !== COLON) return -1
  return (a * 10 + b) * 60 + c * 10 + d
}

// The two directions as little-endian words of their letters, so that comparing them takes three or five steps.
const word = (text: string) => Buffer.from(text, 'latin1').readInt32LE()
const [CONS, UMPT, TION] = [word('Cons'), word('umpt'), word('tion')]
const [SURP, LUS_, GENE, RATI, TION_END] = [word('Surp'), word('lus '), word('Gene'), word('rati'), word('tion')]

function isConsumption(view: DataView, p: number): boolean {
  return view.getInt32(p, true) === CONS && view.getInt32(p + 4, true) === UMPT && view.getInt32(p + 7, true) === TION
}

function isSurplusGeneration(view: DataView, p: number): boolean {
  return (
    view.getInt32(p, true) === SURP &&
    view.getInt32(p + 4, true) === LUS_ &&
    view.getInt32(p + 8, true) === GENE &&
    view.getInt32(p + 12, true) === RATI &&
    view.getInt32(p + 14, true) === TION_END
  )
}
