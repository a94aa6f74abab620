import type { Direction } from '../batch.ts'
import { maskDigits } from '../errors.ts'

/** What a column of an interval file holds. */
export type Role = 'esiid' | 'date' | 'revision' | 'start' | 'end' | 'kwh' | 'flag' | 'direction'

/**
 * A known header: which column plays which role. A file has this layout when its header names all these columns, in any
 * order, among any others; names are compared whole, trimmed, in any case of letters.
 *
 * Rows have a `start` and an `end` column beside a `date`, or only one of the two: that is how it is declared whether
 * the one time in a row is the interval's begin or its end, which no file tells by itself. Without a `date` column the
 * one time is a date and a time of day: `2025-07-14T00:15`, `07/14/2025 00:15`, or with `Z` or an offset.
 */
export interface IntervalLayout {
  /** Stands in the account of every entry that has it. */
  readonly name: string
  readonly columns: { readonly [role in Role]?: string | undefined } & { readonly kwh: string }
  /** The meter of every row, where there is no column that names it: 17 or 22 digits. */
  readonly esiid?: string | undefined
  /**
   * The series of every row, where there is no column that names it.
   * @default 'consumption'
   */
  readonly direction?: Direction | undefined
  /**
   * How long an interval is, in minutes, where there is only one time.
   * @default 15
   */
  readonly minutes?: 15 | 30 | 60 | undefined
  /**
   * Where there is a `date` and an `end`: which date stands beside the end `00:00`, that of the day which it closes
   * (as SMT writes) or that of the next.
   * @default 'closing-day'
   */
  readonly midnight?: 'closing-day' | 'next-day' | undefined
}

/** The layouts that are known without being told, most complete first. */
export const knownLayouts: readonly IntervalLayout[] = [
  {
    // SMT's interval report, as the portal and the subscriptions deliver it today.
    name: 'smt-interval',
    columns: {
      esiid: 'ESIID',
      date: 'USAGE_DATE',
      revision: 'REVISION_DATE',
      start: 'USAGE_START_TIME',
      end: 'USAGE_END_TIME',
      kwh: 'USAGE_KWH',
      flag: 'ESTIMATED_ACTUAL',
      direction: 'CONSUMPTION_SURPLUSGENERATION'
    }
  },
  {
    // The portal's report before 2019: no revisions, consumption only.
    name: 'smt-interval-2018',
    columns: {
      esiid: 'ESIID',
      date: 'USAGE_DATE',
      start: 'USAGE_START_TIME',
      end: 'USAGE_END_TIME',
      kwh: 'USAGE_KWH',
      flag: 'ESTIMATED_ACTUAL'
    }
  }
]

/** A layout laid over one file's header. */
export interface BoundLayout {
  readonly layout: IntervalLayout
  /** Position of each role's cell, -1 where the layout has none. */
  readonly column: Readonly<Record<Role, number>>
  /** The header's names, to recognise it when it is repeated. */
  readonly header: readonly string[]
  /** The role of each column, for the core; undefined when the layout has something that only JavaScript reads. */
  readonly roles: readonly (Role | undefined)[] | undefined
}

/** Why a header is not one of the known ones. */
export interface HeaderProblem {
  readonly code: 'PARSE_MISSING_COLUMN' | 'PARSE_DUPLICATE_COLUMN' | 'PARSE_UNKNOWN_HEADER'
  readonly what: string
  /** Whether it is an interval header all the same, only a faulty one. */
  readonly intervals: boolean
}

/** Columns up to which the core reads rows by itself. */
const MOST_COLUMNS = 256

/** Lays a known layout over a header. Names are compared whole, upper-cased and trimmed; never guessed from parts. */
export function bindLayout(cells: readonly string[], layouts: readonly IntervalLayout[]): BoundLayout | HeaderProblem {
  const header = cells.map(columnName)
  const fitting = layouts
    .map(layout => ({ layout, missing: namesOf(layout).filter(name => !header.includes(name)) }))
    // What a fuller layout would have named is no extra column: the file is that layout's, and lacks something.
    .filter(({ layout }) => !layouts.some(fuller => extends_(fuller, layout) && namesSome(fuller, layout, header)))
  const found = fitting.find(({ missing }) => missing.length === 0)
  const nearest = found ?? fitting.toSorted((a, b) => a.missing.length - b.missing.length)[0]!
  const intervals = found !== undefined || looksMeant(nearest.layout, header)
  const twice = namesOf(nearest.layout).find(name => header.indexOf(name) !== header.lastIndexOf(name))
  if (twice !== undefined) {
    return { code: 'PARSE_DUPLICATE_COLUMN', what: `column ${twice} stands twice in the header`, intervals }
  }
  if (found) return bound(found.layout, header)
  const { missing, layout } = nearest
  if (intervals) {
    const columns = missing.length === 1 ? `column ${missing[0]} is` : `columns ${missing.join(', ')} are`
    return { code: 'PARSE_MISSING_COLUMN', what: `${columns} missing from the header`, intervals }
  }
  const what = `unknown header ${showHeader(cells)}; the nearest known layout, ${layout.name}, also has ${missing.join(', ')}`
  return { code: 'PARSE_UNKNOWN_HEADER', what, intervals }
}

/** A header as it may be quoted: cut to a line's length, long numbers masked. */
export function showHeader(cells: readonly string[]): string {
  const text = maskDigits(cells.join(','))
  return text.length > 200 ? `${text.slice(0, 200)}…` : text
}

/** A column's name as it is compared. */
export function columnName(cell: string): string {
  return cell.trim().toUpperCase()
}

/** A header that is recognised and refused, since nobody could show a real file that has it. */
export function unverifiedLayout(cells: readonly string[]): string | undefined {
  if (/^0{7}1$/.test(cells[0]!.trim())) return 'LodeStar Enhanced (LSE)'
  const values = cells.filter(cell => /^((INT|INTERVAL|KWH|HR|V)[ _]?\d{1,3}|\d{1,2}:\d{2})$/i.test(cell.trim()))
  // One row a day: a column for each of its 92, 96 or 100 quarter hours.
  return values.length >= 92 && values.length <= 100
    ? `wide day rows (${values.length} columns of readings)`
    : undefined
}

function namesOf({ columns }: IntervalLayout): string[] {
  return Object.values(columns).flatMap(name => (name === undefined ? [] : columnName(name)))
}

/** Whether a layout has all the columns of another, and more. */
function extends_(fuller: IntervalLayout, layout: IntervalLayout): boolean {
  const names = namesOf(fuller)
  return names.length > namesOf(layout).length && namesOf(layout).every(name => names.includes(name))
}

/** Whether a header has a column that the fuller layout has and the other one has not. */
function namesSome(fuller: IntervalLayout, layout: IntervalLayout, header: readonly string[]): boolean {
  const names = namesOf(layout)
  return namesOf(fuller).some(name => !names.includes(name) && header.includes(name))
}

/** Half of the columns are there, and one of the times: this was meant to be a file of that layout. */
function looksMeant(layout: IntervalLayout, header: readonly string[]): boolean {
  const { start, end } = layout.columns
  const times = [start, end].some(name => name !== undefined && header.includes(columnName(name)))
  const present = namesOf(layout).filter(name => header.includes(name))
  return times && present.length >= 2 && present.length * 2 >= namesOf(layout).length
}

function bound(layout: IntervalLayout, header: readonly string[]): BoundLayout {
  const { columns } = layout
  const at = (role: Role) => {
    const name = columns[role]
    return name === undefined ? -1 : header.indexOf(columnName(name))
  }
  const column: Record<Role, number> = {
    esiid: at('esiid'),
    date: at('date'),
    revision: at('revision'),
    start: at('start'),
    end: at('end'),
    kwh: at('kwh'),
    flag: at('flag'),
    direction: at('direction')
  }
  const { esiid, date, start, end } = column
  const plain =
    [esiid, date, start, end].every(position => position >= 0) &&
    layout.direction === undefined &&
    header.length <= MOST_COLUMNS
  const roleAt = (position: number) => (Object.keys(column) as Role[]).find(role => column[role] === position)
  return { layout, column, header, roles: plain ? header.map((_, position) => roleAt(position)) : undefined }
}
