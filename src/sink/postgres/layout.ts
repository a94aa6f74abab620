import type { IntervalBatch } from '../../batch.ts'
import type { Merged } from '../sql-columns.ts'
import type { Sql } from './connection.ts'
import type { BinaryCopy } from './copy.ts'

/** What a merge needs to know, beside what was staged. */
export interface MergeContext {
  /** Quoted name of the schema. */
  readonly schema: string
  /** Quoted name of a staging table, by the end of its name. */
  readonly staging: (suffix: string) => string
  /** A file of a few hundred days: what the planner knows of it need not be gathered. */
  readonly isSmall: boolean
  /** Hash of the file's opened payload: of equal versions the greater one wins. */
  readonly sha256: string
  /** Numbers of the entries that the store has of this file already: it is read anew. */
  readonly before: readonly number[]
}

/** One staging table of a file. */
export interface StagingTable {
  /** What its name ends in. */
  readonly suffix: string
  /** Its columns and their types, in the order in which they are copied. */
  readonly columns: string
  /** Rows that wait to be copied. */
  readonly copy: BinaryCopy
}

/** How one layout stages a file's rows and merges them into its table. */
export interface LayoutStaging {
  readonly tables: readonly StagingTable[]
  /** Takes a batch of an entry with this number. */
  add(batch: IntervalBatch, entryId: number): void
  /** No more rows come. */
  end(): void
  /** What the transaction begins with: the merge's temporary tables, and what the planner is told. */
  opening(context: Pick<MergeContext, 'isSmall' | 'before'>): readonly string[]
  /** Merges what was copied, inside the caller's transaction. */
  merge(sql: Sql, context: MergeContext): Promise<Merged>
  /**
   * The query of what the store has of this file after the merge, whose entries are `$1`: esiid, start, direction, kwh,
   * estimated, revision.
   */
  winnersSql(context: MergeContext): string
}

/** The table that {@link lockMeters} fills. */
export const metersTable =
  'CREATE TEMP TABLE IF NOT EXISTS pg_temp.smt_meters (meter integer PRIMARY KEY, esiid text NOT NULL UNIQUE) ON COMMIT DELETE ROWS'

/**
 * The meters of the staged rows, new ones added, and of what stands in the store of an earlier reading: `smt_meters`,
 * until the transaction ends. They are locked, so that two commits with a meter in common come one after the other, and
 * in one order, so that neither waits for the other.
 */
export async function lockMeters(
  sql: Sql,
  { schema: s, isSmall }: MergeContext,
  staged: string,
  before: string
): Promise<void> {
  await sql.run(`INSERT INTO ${s}.meters (esiid)
    SELECT DISTINCT esiid FROM ${staged} n WHERE NOT EXISTS (SELECT FROM ${s}.meters m WHERE m.esiid = n.esiid)
    ORDER BY esiid ON CONFLICT DO NOTHING`)
  await sql.run(`INSERT INTO pg_temp.smt_meters SELECT meter, esiid FROM ${s}.meters
    WHERE esiid IN (SELECT esiid FROM ${staged}) OR meter IN (${before}) ORDER BY meter FOR NO KEY UPDATE`)
  if (!isSmall) await sql.run('ANALYZE pg_temp.smt_meters')
}

/** Entries as an array of SQL. */
export const entryArray = (entries: readonly number[]) => `'{${entries.join(',')}}'::bigint[]`
