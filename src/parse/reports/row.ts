import type { RowCode } from '../../errors.ts'
import type { DailyReadRow, MonthlyBillRow, ReportKind, ReportRows } from '../../report-batch.ts'
import { readDate, readDecimal } from '../cells.ts'
import { instantIn } from '../central-time.ts'
import { columnName } from '../layouts.ts'
import { isCode, readEsiid, readRevision } from '../row-reader.ts'
import type { BoundReport } from './layouts.ts'

/** What a row is: one of its report, or something else. */
export type ReportRead = ReportRows[ReportKind] | RowCode | 'missing' | 'repeated-header'

/** Reads the cells of one row. */
export function readReportRow(cells: readonly string[], { layout, fields, header }: BoundReport): ReportRead {
  if (cells.length !== header.length) return 'ROW_CELL_COUNT'
  if (cells.every((cell, i) => columnName(cell) === header[i])) return 'repeated-header'
  const cell = (field: string) => cells[fields.indexOf(field)]?.trim() ?? ''
  const esiid = readEsiid(cell('esiid'))
  if (isCode(esiid)) return esiid
  const stamp = readRevision(cell('revision'))
  if (isCode(stamp)) return stamp
  const head = { esiid, revision: stamp && instantIn(stamp.day, stamp.second) }
  return layout.kind === 'daily-reads' ? readDaily(head, cell) : readMonthly(head, cell)
}

type Head = Pick<DailyReadRow, 'esiid' | 'revision'>
type Cell = (field: string) => string

function readDaily(head: Head, cell: Cell): ReportRead {
  const date = readLocalDate(cell('date'))
  if (isCode(date)) return date
  const values = readDecimals(cell, ['startReading', 'endReading', 'kwh'])
  return typeof values === 'string' ? values : { ...head, date, ...values }
}

function readMonthly(head: Head, cell: Cell): ReportRead {
  const startDate = readLocalDate(cell('startDate'))
  if (isCode(startDate)) return startDate
  const endDate = readLocalDate(cell('endDate'))
  if (isCode(endDate)) return endDate
  if (endDate < startDate) return 'ROW_BAD_PERIOD'
  const values = readDecimals(cell, ['actualKwh', 'meteredKw', 'billedKw', 'meteredKva', 'billedKva'])
  return typeof values === 'string' ? values : ({ ...head, startDate, endDate, ...values } satisfies MonthlyBillRow)
}

/** `07/14/2025` as `2025-07-14`, where the calendar has it. */
function readLocalDate(cell: string): string | RowCode {
  const read = readDate(cell)
  if (read === 'two-digit-year') return 'ROW_TWO_DIGIT_YEAR'
  if (typeof read === 'string') return 'ROW_BAD_DATE'
  const { year, month, day } = read
  const at = new Date(Date.UTC(year, month - 1, day))
  const isThere = year >= 1970 && year <= 2199 && at.getUTCMonth() === month - 1 && at.getUTCDate() === day
  return isThere ? at.toISOString().slice(0, 10) : 'ROW_BAD_DATE'
}

/** Each value, null where it is blank. A row of blanks alone says nothing. */
function readDecimals<Field extends string>(
  cell: Cell,
  fields: readonly Field[]
): { [field in Field]: string | null } | RowCode | 'missing' {
  const values: Partial<Record<Field, string | null>> = {}
  let isBlank = true
  for (const field of fields) {
    const text = cell(field)
    const read = text === '' ? null : readDecimal(text)
    if (typeof read === 'string') return decimalCodes[read]
    values[field] = read?.text ?? null
    if (read) isBlank = false
  }
  return isBlank ? 'missing' : (values as { [field in Field]: string | null })
}

const decimalCodes = {
  bad: 'ROW_BAD_NUMBER',
  negative: 'ROW_NEGATIVE_NUMBER',
  'out-of-range': 'ROW_NUMBER_OUT_OF_RANGE'
} as const

/** The local day by which a row is found. */
export function dateOf(row: ReportRows[ReportKind]): string {
  return 'date' in row ? row.date : row.startDate
}
