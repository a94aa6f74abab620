import type { ReportKind, ReportRows } from '../report-batch.ts'

/** One column of a report's table, and the field of a row that it keeps. */
interface ReportColumn {
  readonly name: string
  readonly field: string
  readonly type: 'text' | 'date' | 'decimal'
}

/** The table of one kind of report. Its key is the ESIID and a local day. */
export interface ReportTable {
  readonly kind: ReportKind
  readonly name: string
  /** The local day of the key. */
  readonly day: string
  /** The columns that stand in the file, the two of the key first. */
  readonly columns: readonly ReportColumn[]
}

const esiid: ReportColumn = { name: 'esiid', field: 'esiid', type: 'text' }
const date = (name: string, field: string): ReportColumn => ({ name, field, type: 'date' })
const decimal = (name: string, field: string): ReportColumn => ({ name, field, type: 'decimal' })

/** The tables of the reports beside intervals, the same in every database. */
export const reportTables: readonly ReportTable[] = [
  {
    kind: 'daily-reads',
    name: 'daily_reads',
    day: 'read_date',
    columns: [
      esiid,
      date('read_date', 'date'),
      decimal('start_reading', 'startReading'),
      decimal('end_reading', 'endReading'),
      decimal('kwh', 'kwh')
    ]
  },
  {
    kind: 'monthly-bills',
    name: 'monthly_bills',
    day: 'start_date',
    columns: [
      esiid,
      date('start_date', 'startDate'),
      date('end_date', 'endDate'),
      decimal('actual_kwh', 'actualKwh'),
      decimal('metered_kw', 'meteredKw'),
      decimal('billed_kw', 'billedKw'),
      decimal('metered_kva', 'meteredKva'),
      decimal('billed_kva', 'billedKva')
    ]
  }
]

/** The table of a kind. */
export function reportTable(kind: ReportKind): ReportTable {
  return reportTables.find(table => table.kind === kind)!
}

/** The texts of a row in the order of the columns. */
export function cellsOf({ columns }: ReportTable, row: ReportRows[ReportKind]): readonly (string | null)[] {
  const cells = row as unknown as Readonly<Record<string, string | null>>
  return columns.map(({ field }) => cells[field]!)
}

/** How a database calls what differs from one to the other. */
export interface SqlTypes {
  readonly text: string
  readonly decimal: string
  readonly line: string
}

/** The table as SQL; `name` with its schema, `key` what declares its key, where the database is to keep it. */
export function createSql({ columns, day }: ReportTable, name: string, types: SqlTypes, key: boolean): string {
  const notNull = (column: string) => (column === 'esiid' || column.endsWith('_date') ? ' NOT NULL' : '')
  const own = columns.map(({ name, type }) => `${name} ${type === 'date' ? 'date' : types[type]}${notNull(name)}`)
  const rest = ['revision timestamptz', 'entry_id bigint NOT NULL', `line ${types.line} NOT NULL`]
  return `CREATE TABLE ${name} (
       ${[...own, ...rest, ...(key ? [`PRIMARY KEY (esiid, ${day})`] : [])].join(',\n       ')}
     )`
}

/** What was staged as text, in the types of the table. */
export function typedColumns({ columns }: ReportTable, { decimal }: SqlTypes): string {
  const typed = { text: '', date: 'date', decimal }
  return columns
    .map(({ name, type }) => (type === 'text' ? name : `CAST(${name} AS ${typed[type]}) AS ${name}`))
    .join(', ')
}
