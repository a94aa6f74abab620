import type { RowCode } from '../errors.ts'
import { readClock, readDate, readKwh, readTime, splitCells } from './cells.ts'
import { type CentralDay, centralDay, instantOf, isRepeated, isSkipped, quarterHourStart } from './central-time.ts'
import { type BoundLayout, headerName } from './layouts.ts'
import { RepeatedHour } from './repeated-hour.ts'

/** One row, read and checked. */
export interface ReadRow {
  readonly esiid: string
  readonly day: CentralDay
  /** UTC epoch milliseconds. */
  readonly start: number
  /** 0.00001 kWh. */
  readonly units: number
  readonly estimated: boolean
  /** Position in `directions`. */
  readonly direction: number
  /** UTC epoch milliseconds, NaN when blank. */
  readonly revision: number
}

/** What a line is: an interval, or one of the other outcomes. */
export type RowOutcome = ReadRow | RowCode | 'placeholder' | 'missing' | 'repeated-header' | 'blank'

/**
 * Reads one line, whatever its shape: the slow and complete way. The scanner's fast loop takes only rows about which
 * this one would say the same.
 */
export class RowReader {
  readonly #layout: BoundLayout
  readonly #repeatedHour = new RepeatedHour()

  constructor(layout: BoundLayout) {
    this.#layout = layout
  }

  /** Meter-days of the repeated hour that were listed once. */
  get ambiguousHourAssumed(): number {
    return this.#repeatedHour.assumed
  }

  read(line: string): RowOutcome {
    if (line.trim() === '') return 'blank'
    // Files joined end to end bring the next one's byte-order mark along, read here as three letters.
    const cells = splitCells(line.startsWith('\u00ef\u00bb\u00bf') ? line.slice(3) : line)
    if (cells === undefined) return 'ROW_UNCLOSED_QUOTE'
    const { column, header } = this.#layout
    if (cells.length === header.length && cells.every((cell, i) => headerName(cell) === header[i])) {
      return 'repeated-header'
    }
    if (cells.length !== this.#layout.cells) return 'ROW_CELL_COUNT'
    const cell = (at: number) => (at < 0 ? '' : cells[at]!)

    const esiid = readEsiid(cell(column.esiid))
    if (isCode(esiid)) return esiid
    const day = readDay(cell(column.date))
    if (isCode(day)) return day
    const revision = readRevision(cell(column.revision))
    if (isCode(revision)) return revision
    const direction = column.direction < 0 ? 0 : readDirection(cell(column.direction))
    if (isCode(direction)) return direction
    const start = this.#readStart(cell(column.start), cell(column.end), day, `${esiid}|${direction}|${revision}`)
    if (isCode(start)) return start
    return readReading(cell(column.kwh), cell(column.flag), { esiid, day, revision, direction, ...start })
  }

  /** The row's first instant. Its end label decides: SMT writes `02:00,01:15` where the second pass of autumn begins. */
  #readStart(startCell: string, endCell: string, day: CentralDay, group: string): StartRead | RowCode {
    const startMinute = readTime(startCell)
    if (typeof startMinute === 'string') return timeCode(startMinute)
    const label = readTime(endCell)
    if (typeof label === 'string') return timeCode(label)
    let end = label === 0 ? 1440 : label
    // Where the clock jumps from 02:00 to 03:00, `01:45,03:00` is a quarter hour too.
    if (day.kind === 'spring' && startMinute === 105 && end === 180) end = 120
    const marker = startMinute === 120 && end === 75 && day.kind === 'autumn'
    if (end % 15 !== 0 || (startMinute !== end - 15 && !marker)) return 'ROW_NOT_15_MINUTES'
    if (isSkipped(day, end)) return { start: undefined }
    const pass = day.kind === 'autumn' ? this.#repeatedHour.pass(`${group}|${day.start}`, startMinute, end) : 'first'
    if (pass === undefined) return 'ROW_AMBIGUOUS_HOUR'
    return { start: quarterHourStart(day, end, isRepeated(day, end) && pass === 'second') }
  }
}

interface StartRead {
  /** Undefined in the hour that spring leaves out. */
  readonly start: number | undefined
}

type RowSoFar = Omit<ReadRow, 'start' | 'units' | 'estimated'> & StartRead

function readReading(kwh: string, flag: string, { start, ...row }: RowSoFar): RowOutcome {
  const estimated = readFlag(flag)
  if (kwh === '') {
    if (estimated === undefined) return 'ROW_BAD_FLAG'
    return start === undefined ? 'placeholder' : 'missing'
  }
  const units = readKwh(kwh)
  if (units === 'bad') return 'ROW_BAD_KWH'
  if (units === 'negative') return 'ROW_NEGATIVE_KWH'
  if (units === 'out-of-range') return 'ROW_KWH_OUT_OF_RANGE'
  if (typeof estimated !== 'boolean') return 'ROW_BAD_FLAG'
  if (start === undefined) return 'ROW_NONEXISTENT_HOUR'
  return { ...row, start, units, estimated }
}

/** A, E, or blank beside a blank reading. Undefined: anything else. */
function readFlag(cell: string): boolean | 'blank' | undefined {
  if (cell === '') return 'blank'
  if (cell === 'A' || cell === 'a') return false
  if (cell === 'E' || cell === 'e') return true
  return undefined
}

/** An apostrophe before (and perhaps behind) the digits keeps spreadsheets from counting with them. */
function readEsiid(cell: string): string | RowCode {
  const text = cell.replace(/^'+|'+$/g, '').trim()
  if (/^10(?:\d{15}|\d{20})$/.test(text)) return text
  return /^\d(?:\.\d+)?e\+?\d+$/i.test(text) ? 'ROW_ESIID_AS_NUMBER' : 'ROW_BAD_ESIID'
}

function readDay(cell: string): CentralDay | RowCode {
  const date = readDate(cell)
  if (date === 'two-digit-year') return 'ROW_TWO_DIGIT_YEAR'
  if (typeof date === 'string') return 'ROW_BAD_DATE'
  return centralDay(date.year, date.month, date.day) ?? 'ROW_BAD_DATE'
}

/** `MM/DD/YYYY HH:MM:SS`, or blank, which is older than any other. */
function readRevision(cell: string): number | RowCode {
  if (cell === '') return Number.NaN
  const space = cell.indexOf(' ')
  const seconds = space < 0 ? 'bad' : readClock(cell.slice(space).trim())
  if (seconds === 'twelve-hour') return 'ROW_TWELVE_HOUR_CLOCK'
  if (typeof seconds === 'string') return 'ROW_BAD_REVISION'
  const day = readDay(cell.slice(0, space))
  if (typeof day === 'string') return day === 'ROW_TWO_DIGIT_YEAR' ? day : 'ROW_BAD_REVISION'
  return instantOf(day, seconds)
}

function readDirection(cell: string): number | RowCode {
  const word = cell.replace(/\s+/g, '').toLowerCase()
  return word === 'consumption' ? 0 : word === 'surplusgeneration' ? 1 : 'ROW_BAD_DIRECTION'
}

function timeCode(problem: string): RowCode {
  return problem === 'twelve-hour' ? 'ROW_TWELVE_HOUR_CLOCK' : 'ROW_BAD_TIME'
}

function isCode(value: unknown): value is RowCode {
  return typeof value === 'string' && value.startsWith('ROW_')
}
