import type { RowsStored } from '../../ledger/receipt.ts'
import type { ReportBatch, ReportKind } from '../../report-batch.ts'
import { mergeReports, type ReportMerge } from '../report-merge.ts'
import { cellsOf, type ReportTable, reportTable, reportTables, typedColumns } from '../report-tables.ts'
import type { Sql } from './connection.ts'
import { BinaryCopy } from './copy.ts'
import type { MergeContext, StagingTable } from './layout.ts'
import { reportTypes } from './schema.ts'

/**
 * Staging of the reports beside intervals, the same in both layouts.
 *
 * Memory: the bytes for one COPY.
 */
export class ReportStaging {
  readonly #tables = new Map<ReportTable, StagingTable>()

  get tables(): readonly StagingTable[] {
    return [...this.#tables.values()]
  }

  add({ kind, rows, lines }: ReportBatch, entryId: number): void {
    const table = reportTable(kind)
    const { copy } = this.#tables.get(table) ?? this.#begin(table)
    for (const [i, row] of rows.entries()) {
      copy.row()
      for (const cell of cellsOf(table, row)) {
        if (cell === null) copy.null()
        else copy.text(cell)
      }
      copy.timestamp(row.revision ?? Number.NaN)
      copy.int8(entryId)
      copy.int8(lines[i]!)
    }
  }

  /** Merges what was copied, inside the caller's transaction and after the intervals. */
  async merge(
    sql: Sql,
    { schema: s, staging, sha256, before }: MergeContext,
    replayOthers: ReportMerge['replayOthers']
  ): Promise<Partial<Record<ReportKind, RowsStored>>> {
    if (this.#tables.size === 0 && before.length === 0) return {}
    // Other than the intervals' these joins are of tables that have no keys.
    await sql.run('SET LOCAL enable_hashjoin = on')
    // Two commits with a row in common come one after the other, whoever reads meanwhile: else one could lose against a row
    // that the other, a replay, is about to take out. All take the meters first.
    await sql.run(`LOCK TABLE ${reportTables.map(({ name }) => `${s}.${name}`).join(', ')} IN SHARE ROW EXCLUSIVE MODE`)
    return mergeReports(sql, {
      prefix: `${s}.`,
      temporary: 'pg_temp.',
      sha256,
      before,
      replayOthers,
      staged: table => {
        const staged = this.#tables.get(table)
        const query = `SELECT ${typedColumns(table, reportTypes)}, revision, entry_id, line FROM`
        return staged && `${query} ${staging(staged.suffix)}`
      }
    })
  }

  #begin(table: ReportTable): StagingTable {
    const columns = table.columns.map(({ name }) => `${name} text`)
    const staging = {
      suffix: table.name,
      columns: `${columns.join(', ')}, revision timestamptz, entry_id bigint, line bigint`,
      copy: new BinaryCopy(columns.length + 3)
    }
    this.#tables.set(table, staging)
    return staging
  }
}
