import type { RowsStored } from '../ledger/receipt.ts'
import type { ReportKind } from '../report-batch.ts'
import { type ReportTable, reportTables } from './report-tables.ts'
import { countSql, storedOf } from './sql-columns.ts'

/** SQL on a connection that is in the middle of a commit. */
interface Sql {
  run(statement: string): Promise<unknown>
  rows(query: string): Promise<Record<string, unknown>[]>
}

/** What the merge of a file's reports needs to know. */
export interface ReportMerge {
  /** Stands before the names of the store's tables. */
  readonly prefix: string
  /** Stands before the names of temporary tables. */
  readonly temporary: string
  /** Hash of the opened payload: of equal versions the greater one wins. */
  readonly sha256: string
  /** Numbers of the entries that the store has of this file already: it is read anew. */
  readonly before: readonly (bigint | number)[]
  /**
   * The query of what was staged of a kind, in the types of its table: its columns, `revision`, `entry_id`, `line`.
   * Undefined where nothing was.
   */
  staged(table: ReportTable): string | undefined
  /** Has files read anew that have rows of a kind in a span of local days. */
  replayOthers(kind: ReportKind, days: readonly [first: string, last: string]): Promise<void>
}

/**
 * Merges a file's reports, inside the caller's transaction and beside nobody else who does: (revision, payload hash, line)
 * decide, as for intervals, I6. A winner with the same values takes over its provenance too, so that any order of files
 * gives the same store. Gives what became of the rows of each kind.
 */
export async function mergeReports(sql: Sql, merge: ReportMerge): Promise<Partial<Record<ReportKind, RowsStored>>> {
  const stored: Partial<Record<ReportKind, RowsStored>> = {}
  for (const table of reportTables) {
    const staged = merge.staged(table)
    if (staged === undefined && merge.before.length === 0) continue
    stored[table.kind] = await mergeTable(sql, table, staged, merge)
  }
  return stored
}

async function mergeTable(
  sql: Sql,
  table: ReportTable,
  staged: string | undefined,
  { prefix, temporary, sha256, before, replayOthers }: ReportMerge
): Promise<RowsStored> {
  const called = (name: string) => `${temporary}smt_report_${name}`
  const [best, gone, met, again] = [called('best'), called('gone'), called('met'), called('again')]
  const names: Names = { table, stored: `${prefix}${table.name}`, best, gone, met, again }
  const { stored } = names
  await chooseBest(sql, names, staged ?? `SELECT ${allOf(table)} FROM ${stored} WHERE false`)
  if (before.length > 0) {
    const lost = await takeOutBefore(sql, names, before)
    if (lost) await replayOthers(table.kind, lost)
  }
  await sql.run(`CREATE TEMP TABLE ${met} AS ${metSql(names, prefix, sha256)}`)
  await sql.run(`DELETE FROM ${stored} r USING ${met} m WHERE m.wins AND ${sameKey(table, 'm', 'r')}`)
  await sql.run(`INSERT INTO ${stored} (${allOf(table)}) SELECT ${allOf(table)} FROM ${best} b
    WHERE NOT EXISTS (SELECT 1 FROM ${met} m WHERE NOT m.wins AND ${sameKey(table, 'm', 'b')})`)
  const [row] = await sql.rows(countSql(best, met))
  for (const temporary of [best, met]) await sql.run(`DROP TABLE ${temporary}`)
  return storedOf(row)
}

/** The table of a kind, and how it and the temporary ones of its merge are called. */
interface Names {
  readonly table: ReportTable
  readonly stored: string
  readonly best: string
  readonly gone: string
  readonly met: string
  readonly again: string
}

const allOf = ({ columns }: ReportTable) => [...columns.map(({ name }) => name), 'revision, entry_id, line'].join(', ')

const sameKey = ({ day }: ReportTable, a: string, b: string) => `${a}.esiid = ${b}.esiid AND ${a}.${day} = ${b}.${day}`

/** The values beside the key as one text: two rows that say the same have the same. */
const said = ({ columns }: ReportTable, of: string) =>
  `CAST(row(${columns.slice(2).map(({ name }) => `${of}.${name}`)}) AS text)`

/** A blank revision is older than any. */
const version = (of: string) => `coalesce(${of}.revision, '-infinity')`

/**
 * Makes the table of the best row of each key in the file: of its versions the newest, of one version the last line. Only
 * rows of keys that come again are compared: to sort all of them would take DuckDB far more memory than it may have.
 */
async function chooseBest(sql: Sql, { table, best, again }: Names, staged: string): Promise<void> {
  const key = `esiid, ${table.day}`
  await sql.run(`CREATE TEMP TABLE ${again} AS
    SELECT ${key} FROM (${staged}) s GROUP BY ${key} HAVING count(*) > 1`)
  const [row] = await sql.rows(`SELECT count(*) AS keys FROM ${again}`)
  const isAgain = `(SELECT 1 FROM ${again} n WHERE ${sameKey(table, 'n', 's')})`
  const once = (condition: string) =>
    `SELECT ${allOf(table)}, CAST(0 AS bigint) AS rivals, false AS conflict FROM (${staged}) s ${condition}`
  const compared = `
    SELECT ${allOf(table)}, rivals, conflict FROM (
      SELECT t.*, count(*) OVER same_key - 1 AS rivals,
        min(said) OVER same_version <> max(said) OVER same_version AS conflict,
        row_number() OVER (same_key ORDER BY revision DESC NULLS LAST, entry_id DESC, line DESC) AS place
      FROM (SELECT s.*, ${said(table, 's')} AS said FROM (${staged}) s WHERE EXISTS ${isAgain}) t
      WINDOW same_key AS (PARTITION BY ${key}), same_version AS (PARTITION BY ${key}, revision)
    ) ranked WHERE place = 1`
  const rows = Number(row!.keys) === 0 ? once('') : `${once(`WHERE NOT EXISTS ${isAgain}`)} UNION ALL ${compared}`
  await sql.run(`CREATE TEMP TABLE ${best} AS ${rows}`)
  await sql.run(`DROP TABLE ${again}`)
}

/** What becomes of the rows whose key the store has. */
function metSql({ table, stored, best }: Names, prefix: string, sha256: string): string {
  return `
    SELECT esiid, ${table.day}, wins, same_version AND NOT same AND NOT within AS conflict,
      CASE WHEN same_version AND same THEN 'unchanged' WHEN wins THEN 'replaced' ELSE 'superseded' END AS outcome
    FROM (
      SELECT judged.*, newer OR (same_version AND is_greater) AS wins FROM (
        SELECT b.esiid, b.${table.day}, b.conflict AS within, ${said(table, 'b')} = ${said(table, 'r')} AS same,
          ${version('b')} > ${version('r')} AS newer, ${version('b')} = ${version('r')} AS same_version,
          '${sha256}' > coalesce(f.payload_sha256, '') AS is_greater
        FROM ${best} b JOIN ${stored} r ON ${sameKey(table, 'b', 'r')}
          LEFT JOIN ${prefix}entries e ON e.entry_id = r.entry_id LEFT JOIN ${prefix}files f ON f.file_id = e.file_id
      ) judged
    ) decided`
}

/**
 * Takes out what an earlier reading of the file gave and this one does not give just so. Gives the local days of what it
 * does not give at all, or in a lesser version.
 */
async function takeOutBefore(
  sql: Sql,
  { table, stored, best, gone }: Names,
  before: ReportMerge['before']
): Promise<[first: string, last: string] | undefined> {
  await sql.run(`CREATE TEMP TABLE ${gone} AS
    SELECT r.* FROM ${stored} r WHERE r.entry_id IN (${before.join(', ')}) AND NOT EXISTS (
      SELECT 1 FROM ${best} b WHERE ${sameKey(table, 'b', 'r')} AND ${said(table, 'b')} = ${said(table, 'r')}
        AND ${version('b')} = ${version('r')} AND b.entry_id = r.entry_id AND b.line = r.line
    )`)
  const [row] = await sql.rows(`
    SELECT extract(epoch FROM min(g.${table.day})) AS first, extract(epoch FROM max(g.${table.day})) AS last FROM ${gone} g
    WHERE NOT EXISTS (
      SELECT 1 FROM ${best} b WHERE ${sameKey(table, 'b', 'g')} AND ${version('b')} >= ${version('g')}
    )`)
  await sql.run(`DELETE FROM ${stored} r USING ${gone} g WHERE ${sameKey(table, 'g', 'r')}`)
  await sql.run(`DROP TABLE ${gone}`)
  return row?.first == null ? undefined : [dateAt(row.first), dateAt(row.last)]
}

/** Seconds from the epoch to a day's midnight in UTC as the day. */
function dateAt(seconds: unknown): string {
  return new Date(Number(seconds) * 1000).toISOString().slice(0, 10)
}
