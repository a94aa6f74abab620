import type { DuckDBAppender, DuckDBConnection } from '@duckdb/node-api'
import type { ReportBatch } from '../../report-batch.ts'
import { cellsOf, type ReportTable, reportTable, typedColumns } from '../report-tables.ts'
import { reportTypes } from './schema.ts'

/**
 * The rows of a file's reports as they come, outside any transaction, in temporary tables that nobody else sees.
 *
 * Memory: what DuckDB's appender holds, and what DuckDB holds or spills.
 */
export class DuckDbReports {
  readonly #connection: DuckDBConnection
  readonly #appenders = new Map<string, DuckDBAppender>()
  #hasEnded = false

  constructor(connection: DuckDBConnection) {
    this.#connection = connection
  }

  async add({ kind, rows, lines, entry }: ReportBatch): Promise<void> {
    const table = reportTable(kind)
    const appender = this.#appenders.get(table.name) ?? (await this.#begin(table))
    for (const [i, row] of rows.entries()) {
      for (const cell of cellsOf(table, row)) {
        if (cell === null) appender.appendNull()
        else appender.appendVarchar(cell)
      }
      if (row.revision === null) appender.appendNull()
      else appender.appendDouble(row.revision)
      appender.appendUInteger(entry.index)
      appender.appendUInteger(lines[i]!)
      appender.endRow()
    }
    // What an appender holds is native memory, which nobody limits.
    appender.flushSync()
  }

  /** No more rows come. */
  end(): void {
    for (const appender of this.#appenders.values()) appender.closeSync()
    this.#hasEnded = true
  }

  /** Forgets what waits. */
  clear(): void {
    if (!this.#hasEnded) for (const appender of this.#appenders.values()) appender.clear()
  }

  /** The query of what was staged for a table of a file with this number; undefined where nothing was. */
  stagedSql(table: ReportTable, fileId: bigint): string | undefined {
    if (!this.#appenders.has(table.name)) return undefined
    return `SELECT ${typedColumns(table, reportTypes)}, to_timestamp(staged.revision / 1000) AS revision, entry_id, line
      FROM ${stagedTable(table)} staged JOIN entries ON file_id = ${fileId} AND ordinal = entry`
  }

  async #begin(table: ReportTable): Promise<DuckDBAppender> {
    const columns = table.columns.map(({ name }) => `${name} VARCHAR`)
    await this.#connection.run(
      `CREATE TEMP TABLE ${stagedTable(table)} (${columns.join(', ')}, revision DOUBLE, entry UINTEGER, line UINTEGER)`
    )
    const appender = await this.#connection.createAppender(stagedTable(table), 'main', 'temp')
    this.#appenders.set(table.name, appender)
    return appender
  }
}

const stagedTable = ({ name }: ReportTable) => `staged_${name}`
