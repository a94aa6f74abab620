import * as z from 'zod'
import type { Claim, Ledger } from '../ledger/ledger.ts'
import { settle } from '../options.ts'
import type { IngestFile } from '../source/source.ts'
import { OpenedOnce } from './opened-once.ts'
import { exportParquet, type ParquetExportOptions } from './parquet/export.ts'
import type { ParquetManifest } from './parquet/manifest.ts'
import type { PostgresPool } from './postgres/connection.ts'
import { takeSnapshot } from './postgres/export.ts'
import { PostgresLedger } from './postgres/ledger.ts'
import { type Projection, projectionSchema } from './postgres/projection.ts'
import type { StoreLayout } from './postgres/schema.ts'
import { PostgresStore } from './postgres/store.ts'
import { storedDays } from './postgres/stored-days.ts'
import { PostgresTransaction } from './postgres/transaction.ts'
import { Sink, type SinkTransaction } from './sink.ts'
import type { StoredDay, StoredDaysQuery } from './stored-days.ts'

export type { ParquetExportOptions } from './parquet/export.ts'
export type { ExportedFile, ParquetManifest } from './parquet/manifest.ts'
export type { PostgresClient, PostgresPool } from './postgres/connection.ts'
export type { ProjectedColumns, ProjectedConstant, Projection } from './postgres/projection.ts'
export type { StoreLayout } from './postgres/schema.ts'

/** Where and how PostgreSQL keeps intervals. */
export interface PostgresSinkOptions {
  /** A pool of `pg`, which stays yours: it is not ended. One connection is enough. */
  readonly pool?: PostgresPool
  /**
   * Where to connect without a pool of yours, as `postgres://user@host/database`.
   * @default what the environment says: PGHOST, PGUSER and so on
   */
  readonly connectionString?: string
  /**
   * The schema that holds the tables. Made when missing.
   * @default 'smt'
   */
  readonly schema?: string
  /**
   * `days`: one row for each meter, direction and local day, with arrays. `rows`: one row for each interval. The view
   * `intervals` is the same. A store keeps the layout it began with.
   * @default 'days'
   */
  readonly layout?: StoreLayout
  /**
   * Milliseconds after which a statement that has no answer is given up, and its connection with it.
   * @default 600000
   */
  readonly timeoutMs?: number
  /**
   * Copies what a commit changed into a table of yours, in the same transaction. Rows are added and updated there, never
   * deleted.
   */
  readonly project?: Projection
}

const schema = z
  .strictObject({
    pool: z
      .custom<PostgresPool>(value => typeof (value as PostgresPool)?.connect === 'function', 'must be a pool')
      .optional(),
    connectionString: z.string().min(1).optional(),
    schema: z.string().min(1).max(40).default('smt'),
    layout: z.enum(['days', 'rows']).default('days'),
    timeoutMs: z.number().int().positive().default(600_000),
    project: projectionSchema.optional()
  })
  .refine(({ pool, connectionString }) => pool === undefined || connectionString === undefined, {
    path: ['connectionString'],
    message: 'is not for a pool of your own'
  })

/**
 * Intervals in PostgreSQL: the view `intervals`, the ledger `files`, `entries` and `rejects`, in one schema.
 *
 * A file's rows are copied into staging tables of its own, outside any transaction. One short transaction then merges
 * them, writes the ledger and checks the epoch: all of it is visible, or nothing. What fits into one COPY is copied by
 * that transaction, into a temporary table. Any number of workers may share a store.
 *
 * In: the batches of one file. Out: merged rows.
 * Memory: the bytes for two COPYs, 4 MB each; in the layout `days` also 4 KB for each meter-day under way: 512 of them,
 * 8,192 where a file does not come day after day.
 */
export class PostgresSink extends Sink {
  protected override readonly commitsInTurn = false
  readonly #options: z.output<typeof schema>
  readonly #store = new OpenedOnce(() => {
    const { pool, connectionString, ...options } = this.#options
    return PostgresStore.open({ pool, connectionString, ...options })
  })

  constructor(options: PostgresSinkOptions = {}) {
    super()
    this.#options = settle('PostgresSink', schema, options)
  }

  protected override async openLedger(): Promise<Ledger> {
    return new PostgresLedger(await this.#store.get())
  }

  protected override async begin({ path }: IngestFile, claim: Claim): Promise<SinkTransaction> {
    return PostgresTransaction.begin(await this.#store.get(), claim, path)
  }

  /**
   * Writes the intervals into Parquet files, one for each month of Central time, all of one moment; commits go on
   * meanwhile. An export that fails leaves the directory as it was: `STORE_EXPORT` where it cannot be written.
   */
  async exportParquet(options: ParquetExportOptions): Promise<ParquetManifest> {
    return exportParquet(options, (place, work) => takeSnapshot(() => this.#store.get(), place, work))
  }

  override async storedDays(query: StoredDaysQuery): Promise<readonly StoredDay[]> {
    return storedDays(await this.#store.get(), query)
  }

  override async close(): Promise<void> {
    await super.close()
    await this.#store.close()
  }
}
