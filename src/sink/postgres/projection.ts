import * as z from 'zod'
import type { Direction } from '../../batch.ts'
import { SinkError } from '../../errors.ts'
import { quoteName, type Sql } from './connection.ts'

/** What an interval has that a column of your own may take. */
export interface ProjectedColumns {
  readonly esiid: string
  /** UTC. A column without a time zone takes UTC too. */
  readonly start: string
  readonly kwh?: string
  /** `consumption` or `surplus-generation`. */
  readonly direction?: string
  readonly estimated?: string
  readonly revision?: string
}

/** A value for every row, or an expression that PostgreSQL evaluates for each. */
export type ProjectedConstant = string | number | boolean | null | { readonly sql: string }

/** A table of your own that is kept up to date with the store. */
export interface Projection {
  /** Its name as it is, capitals included; `schema.name` where the search path does not find it. */
  readonly table: string
  /** Which of its columns takes what. A unique index must be made of these and of constants, with `esiid` and `start`. */
  readonly columns: ProjectedColumns
  /** What its other columns get. A row that is there keeps what its unique indexes name. */
  readonly constants?: Readonly<Record<string, ProjectedConstant>>
  /** The one series that is copied, for a table that cannot tell two. */
  readonly direction?: Direction
}

const name = z.string().min(1)

/** Checks a {@link Projection}. */
export const projectionSchema = z
  .strictObject({
    table: z.string().regex(/^[^.]+(\.[^.]+)?$/, 'must be a name, or schema.name'),
    columns: z.strictObject({
      esiid: name,
      start: name,
      kwh: name.optional(),
      direction: name.optional(),
      estimated: name.optional(),
      revision: name.optional()
    }),
    constants: z
      .record(
        name,
        z.union([z.string(), z.number(), z.boolean(), z.null(), z.strictObject({ sql: z.string().min(1) })])
      )
      .default({}),
    direction: z.enum(['consumption', 'surplus-generation']).optional()
  })
  .refine(({ columns, direction }) => direction !== undefined || columns.direction !== undefined, {
    path: ['direction'],
    message: 'must name a series, or `columns` a column for it: one table row cannot hold both'
  })

/** A column of the user's table that is filled: with what, and whether each row has its own. */
interface Filled {
  readonly column: string
  readonly sql: string
  readonly isExpression: boolean
}

/**
 * The statement that copies winners into a user's table. Reads the table's columns and unique indexes first, so that
 * what cannot work is said when the store is opened and not in the middle of a night.
 *
 * The statement stands around a query of winners with the columns esiid, start, direction (0 or 1), kwh, estimated
 * and revision.
 */
export async function projectionSql(
  sql: Sql,
  { table, columns, constants, direction }: z.output<typeof projectionSchema>
): Promise<(winners: string) => string> {
  const target = table.split('.').map(quoteName).join('.')
  const [found] = await sql.rows('SELECT to_regclass($1)::oid AS oid', [target])
  if (!found?.oid) throw refusal(table, 'the table is not there')
  const types = await columnsOf(sql, found.oid)
  const filled = [...ofIntervals(columns, types), ...ofConstants(constants)]
  for (const { column } of filled) if (!types.has(column)) throw refusal(table, `it has no column ${column}`)
  for (const [column, { isNeeded }] of types) {
    if (isNeeded && !filled.some(other => other.column === column)) {
      throw refusal(table, `its column ${column} needs a value: name one in \`constants\``)
    }
  }
  const indexes = await uniqueIndexes(sql, found.oid)
  const key = keyOf(indexes, filled, [columns.esiid, columns.start, ...(direction ? [] : [columns.direction!])])
  if (!key) throw refusal(table, 'no unique index is made of the columns that are filled, with esiid and start')
  const kept = new Set(indexes.flat())
  const changing = filled.filter(({ column }) => !kept.has(column))
  const compared = changing.filter(({ isExpression }) => !isExpression).map(({ column }) => quoteName(column))
  const list = (of: readonly { column: string }[]) => of.map(({ column }) => quoteName(column)).join(', ')
  const update = `UPDATE SET ${changing.map(({ column }) => `${quoteName(column)} = excluded.${quoteName(column)}`).join(', ')}
    WHERE (${compared.map(column => `t.${column}`).join(', ')}) IS DISTINCT FROM (${compared.map(column => `excluded.${column}`).join(', ')})`
  const series = direction ? `WHERE w.direction = ${direction === 'consumption' ? 0 : 1}` : ''
  const statement = (winners: string) => `
    INSERT INTO ${target} AS t (${list(filled)})
    SELECT ${filled.map(({ sql }) => sql).join(', ')} FROM (${winners}) w ${series} ORDER BY w.esiid, w.direction, w.start
    ON CONFLICT (${key.map(quoteName).join(', ')}) DO ${compared.length > 0 ? update : 'NOTHING'}`
  await sql.run(statement(nothing))
  return statement
}

/** Winners that are none, to hear whether types and permissions fit. */
const nothing = `SELECT NULL::text AS esiid, NULL::timestamptz AS start, 0::smallint AS direction, 0::numeric AS kwh,
  false AS estimated, NULL::timestamptz AS revision WHERE false`

function ofIntervals(columns: z.output<typeof projectionSchema>['columns'], types: Columns): Filled[] {
  return Object.entries(columns)
    .filter(([, column]) => column !== undefined)
    .map(([field, column]) => ({
      column: column!,
      sql: valueSql(field, types.get(column!)?.type),
      isExpression: false
    }))
}

function ofConstants(constants: Readonly<Record<string, ProjectedConstant>>): Filled[] {
  return Object.entries(constants).map(([column, value]) => {
    const isExpression = typeof value === 'object' && value !== null
    return { column, sql: isExpression ? `(${value.sql})` : literal(value), isExpression }
  })
}

function valueSql(field: string, type: string | undefined): string {
  if (field === 'direction') return `CASE w.direction WHEN 0 THEN 'consumption' ELSE 'surplus-generation' END`
  // Left to itself PostgreSQL would write down the session's local time.
  if (type === 'timestamp without time zone') return `w.${field} AT TIME ZONE 'UTC'`
  return `w.${field}`
}

function literal(value: string | number | boolean | null): string {
  if (typeof value !== 'string') return String(value)
  const quoted = `'${value.replaceAll("'", "''")}'`
  return value.includes('\\') ? `E${quoted.replaceAll('\\', '\\\\')}` : quoted
}

type Columns = ReadonlyMap<string, { readonly type: string; readonly isNeeded: boolean }>

async function columnsOf(sql: Sql, table: unknown): Promise<Columns> {
  const rows = await sql.rows(
    `SELECT attname, format_type(atttypid, NULL) AS type,
       attnotnull AND NOT atthasdef AND attidentity = '' AS needed
     FROM pg_attribute WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped`,
    [table]
  )
  return new Map(
    rows.map(({ attname, type, needed }) => [attname as string, { type: type as string, isNeeded: needed as boolean }])
  )
}

/** The columns of each unique index that holds for every row. */
async function uniqueIndexes(sql: Sql, table: unknown): Promise<readonly (readonly string[])[]> {
  const rows = await sql.rows(
    `SELECT array_agg(a.attname::text ORDER BY k.n) AS columns
     FROM pg_index i, unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, n), pg_attribute a
     WHERE i.indrelid = $1 AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL
       AND i.indexprs IS NULL AND k.n <= i.indnkeyatts AND a.attrelid = i.indrelid AND a.attnum = k.attnum
     GROUP BY i.indexrelid`,
    [table]
  )
  return rows.map(({ columns }) => columns as string[])
}

/** The smallest index that is made of filled columns alone and has all of the `must`. */
function keyOf(
  indexes: readonly (readonly string[])[],
  filled: readonly Filled[],
  must: readonly string[]
): readonly string[] | undefined {
  const plain = new Set(filled.filter(({ isExpression }) => !isExpression).map(({ column }) => column))
  return indexes
    .filter(index => index.every(column => plain.has(column)) && must.every(column => index.includes(column)))
    .sort((a, b) => a.length - b.length)[0]
}

function refusal(table: string, what: string): SinkError {
  return new SinkError('STORE_OPEN', `${what}: \`project\` into ${table}`)
}
