import { directions } from '../batch.ts'
import type { RowCode } from '../errors.ts'
import {
  type CellProblem,
  type DateCell,
  readClock,
  readDate,
  readDateTime,
  readKwh,
  readTime,
  splitCells,
  withoutEnd
} from './cells.ts'
import { type CentralDay, centralDay, centralDayAt, dayBefore } from './central-time.ts'
import { type BoundLayout, columnName, type IntervalLayout } from './layouts.ts'
import type { RowCells } from './scan-core.ts'

/** What a line is: the cells of an interval, still to be placed in time, or something else. */
export type LineRead = RowCells | RowCode | 'repeated-header' | 'blank'

const MIDNIGHT = 1440

/**
 * Reads the cells of one line, whatever its shape: the slow and complete way. The core takes only rows about which this
 * would say the same.
 */
export function readLine(line: string, { layout, column, header }: BoundLayout): LineRead {
  if (line.trim() === '') return 'blank'
  // Files joined end to end bring the next one's byte-order mark along, read here as three letters.
  const cells = splitCells(line.startsWith('\u00ef\u00bb\u00bf') ? line.slice(3) : line)
  if (cells === undefined) return 'ROW_UNCLOSED_QUOTE'
  if (cells.length === header.length && cells.every((cell, i) => columnName(cell) === header[i])) {
    return 'repeated-header'
  }
  if (cells.length !== header.length) return 'ROW_CELL_COUNT'
  /** Undefined where the layout has no such column. */
  const cell = (at: number) => (at < 0 ? undefined : cells[at]!)

  const esiid = readEsiid(cell(column.esiid) ?? layout.esiid ?? '')
  if (isCode(esiid)) return esiid
  const date = cell(column.date)
  const day = date === undefined ? undefined : readDay(date)
  if (isCode(day)) return day
  const revision = readRevision(cell(column.revision) ?? '')
  if (isCode(revision)) return revision
  const direction = readDirection(cell(column.direction) ?? layout.direction ?? 'consumption')
  if (isCode(direction)) return direction
  const time = readTimes(cell(column.start), cell(column.end), day, layout)
  if (isCode(time)) return time
  const { reading, estimated } = readReading(cells[column.kwh]!, cell(column.flag) ?? 'A')
  return { esiid, revision, direction, ...time, reading, estimated }
}

type Times = Pick<RowCells, 'day' | 'time'>

function readTimes(
  start: string | undefined,
  end: string | undefined,
  day: CentralDay | undefined,
  layout: IntervalLayout
): Times | RowCode {
  const { minutes = 15, midnight = 'closing-day' } = layout
  if (day === undefined) return readDateTimes(start ?? end!, end !== undefined, minutes)
  const from = start === undefined ? undefined : readStart(start)
  if (typeof from === 'string') return timeCode(from)
  const until = end === undefined ? undefined : readTime(end)
  if (typeof until === 'string') return timeCode(until)
  if (until === undefined) return { day, time: { start: from!, end: from! + minutes } }
  if (from !== undefined) return { day, time: { start: from, end: until } }
  return closing(midnight === 'next-day' && until === 0 ? dayBefore(day) : day, until, minutes)
}

/** Nothing begins at 24:00: that is the next day's 00:00. */
function readStart(cell: string): number | CellProblem {
  const minute = readTime(cell)
  return minute === MIDNIGHT ? 'bad' : minute
}

/** An interval of which only the end is known. The end 00:00 closes the day. */
function closing(day: CentralDay | undefined, until: number, minutes: number): Times | RowCode {
  const end = until === 0 ? MIDNIGHT : until
  return day ? { day, time: { start: end - minutes, end } } : 'ROW_BAD_DATE'
}

/** A date and a time of day in one cell. */
function readDateTimes(cell: string, isEnd: boolean, minutes: number): Times | RowCode {
  const read = readDateTime(cell)
  if (typeof read === 'string') return read === 'two-digit-year' ? 'ROW_TWO_DIGIT_YEAR' : timeCode(read)
  if ('instant' in read) {
    const at = read.instant - (isEnd ? minutes * 60_000 : 0)
    const day = centralDayAt(at)
    if (day === undefined) return 'ROW_BAD_DATE'
    return (at - day.start) % (minutes * 60_000) === 0 ? { day, time: { at, minutes } } : 'ROW_NOT_15_MINUTES'
  }
  const day = calendarDay(read.date)
  if (isCode(day)) return day
  if (!isEnd && read.minute === MIDNIGHT) return 'ROW_BAD_TIME'
  if (!isEnd) return { day, time: { start: read.minute, end: read.minute + minutes } }
  return closing(read.minute === 0 ? dayBefore(day) : day, read.minute, minutes)
}

/** A reading beside its flag; blank where there is none. */
export function readReading(kwh: string, flag: string): Pick<RowCells, 'reading' | 'estimated'> {
  const word = flag.toUpperCase()
  const estimated = word === 'E'
  const known = estimated || word === 'A'
  if (kwh === '') return { reading: known || word === '' ? 'blank' : 'ROW_BAD_FLAG', estimated }
  const units = readKwh(kwh)
  if (typeof units === 'string') return { reading: kwhCodes[units], estimated }
  return { reading: known ? units : 'ROW_BAD_FLAG', estimated }
}

const kwhCodes = {
  bad: 'ROW_BAD_KWH',
  negative: 'ROW_NEGATIVE_KWH',
  'out-of-range': 'ROW_KWH_OUT_OF_RANGE'
} as const

/** An apostrophe before (and perhaps behind) the digits keeps spreadsheets from counting with them. */
export function readEsiid(cell: string): string | RowCode {
  const text = withoutEnd(cell.replace(/^'+/, ''), "'").trim()
  if (/^10(?:\d{15}|\d{20})$/.test(text)) return text
  return /^\d(?:\.\d+)?e\+?\d+$/i.test(text) ? 'ROW_ESIID_AS_NUMBER' : 'ROW_BAD_ESIID'
}

/** `MM/DD/YYYY`, a day that the calendar has. */
export function readDay(cell: string): CentralDay | RowCode {
  const date = readDate(cell)
  if (date === 'two-digit-year') return 'ROW_TWO_DIGIT_YEAR'
  return typeof date === 'string' ? 'ROW_BAD_DATE' : calendarDay(date)
}

function calendarDay({ year, month, day }: DateCell): CentralDay | RowCode {
  return centralDay(year, month, day) ?? 'ROW_BAD_DATE'
}

/** `MM/DD/YYYY HH:MM:SS`, or blank, which is older than any other. */
export function readRevision(cell: string): RowCells['revision'] | RowCode {
  if (cell === '') return null
  const space = cell.indexOf(' ')
  const second = space < 0 ? 'bad' : readClock(cell.slice(space).trim())
  if (second === 'twelve-hour') return 'ROW_TWELVE_HOUR_CLOCK'
  if (typeof second === 'string') return 'ROW_BAD_REVISION'
  const day = readDay(cell.slice(0, space))
  if (isCode(day)) return day === 'ROW_TWO_DIGIT_YEAR' ? day : 'ROW_BAD_REVISION'
  return { day, second }
}

/** `Consumption` or `Surplus Generation`, as {@link directions} numbers them. */
function readDirection(cell: string): number | RowCode {
  const word = cell.replace(/\s+/g, '').toLowerCase()
  const position = directions.findIndex(direction => direction.replace('-', '') === word.replace('-', ''))
  return position < 0 ? 'ROW_BAD_DIRECTION' : position
}

function timeCode(problem: CellProblem): RowCode {
  return problem === 'twelve-hour' ? 'ROW_TWELVE_HOUR_CLOCK' : 'ROW_BAD_TIME'
}

/** Whether a cell gave a code instead of what it should say. ESIIDs begin with a digit. */
export function isCode<T>(value: T): value is Extract<T, RowCode> {
  return typeof value === 'string' && value.startsWith('ROW_')
}
