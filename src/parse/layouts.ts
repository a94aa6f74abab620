import { maskDigits } from '../errors.ts'

/** What a column of an interval file holds. */
type Role = 'esiid' | 'date' | 'revision' | 'start' | 'end' | 'kwh' | 'flag' | 'direction'

/** A known header: which column name plays which role. */
interface Layout {
  readonly name: string
  readonly columns: Readonly<Partial<Record<Role, string>>>
}

/** The layouts this version reads, most complete first. */
const layouts: readonly Layout[] = [
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
  readonly layout: Layout
  /** Position of each role's cell, -1 where the layout has none. */
  readonly column: Readonly<Record<Role, number>>
  /** How many cells every row has. */
  readonly cells: number
  /** The header's names, to recognise it when it is repeated. */
  readonly header: readonly string[]
}

/** Why a header is not one of the known ones. */
export interface HeaderProblem {
  readonly code: 'PARSE_MISSING_COLUMN' | 'PARSE_DUPLICATE_COLUMN' | 'PARSE_UNKNOWN_HEADER'
  readonly what: string
  /** Whether it is an interval header all the same, only a faulty one. */
  readonly intervals: boolean
}

/** Lays a known layout over a header. Names are compared whole, upper-cased and trimmed; never guessed from parts. */
export function bindLayout(cells: readonly string[]): BoundLayout | HeaderProblem {
  const header = cells.map(headerName)
  const fullest = layouts[0]!
  const known = Object.values(fullest.columns)
  const twice = known.find(name => header.indexOf(name) !== header.lastIndexOf(name))
  if (twice !== undefined) {
    return {
      code: 'PARSE_DUPLICATE_COLUMN',
      what: `column ${twice} stands twice in the header`,
      intervals: isIntervals(header)
    }
  }
  // A layout fits when all its columns are there, and none that only a fuller layout has.
  const layout = layouts.find(({ columns }) => {
    const names = Object.values(columns)
    return names.every(name => header.includes(name)) && known.every(n => names.includes(n) || !header.includes(n))
  })
  if (layout) return bound(layout, header)
  if (!isIntervals(header)) {
    return { code: 'PARSE_UNKNOWN_HEADER', what: `unknown header ${showHeader(cells)}`, intervals: false }
  }
  const missing = known.filter(name => !header.includes(name))
  const columns = missing.length === 1 ? `column ${missing[0]} is` : `columns ${missing.join(', ')} are`
  return { code: 'PARSE_MISSING_COLUMN', what: `${columns} missing from the header`, intervals: true }
}

/** A header as it may be quoted: cut to a line's length, long numbers masked. */
export function showHeader(cells: readonly string[]): string {
  const text = maskDigits(cells.join(','))
  return text.length > 200 ? `${text.slice(0, 200)}…` : text
}

/** A column's name as it is compared. */
export function headerName(cell: string): string {
  return cell.trim().toUpperCase()
}

function bound(layout: Layout, header: readonly string[]): BoundLayout {
  const at = (role: Role) => {
    const name = layout.columns[role]
    return name === undefined ? -1 : header.indexOf(name)
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
  return { layout, column, cells: header.length, header }
}

/** Most of the interval columns are there, and one of the two times: this was meant to be an interval file. */
function isIntervals(header: readonly string[]): boolean {
  const names = Object.values(layouts[0]!.columns)
  const times = header.includes('USAGE_START_TIME') || header.includes('USAGE_END_TIME')
  return times && names.filter(name => header.includes(name)).length >= 4
}
