import * as z from 'zod'
import type { IntervalBatch } from '../batch.ts'
import { afterSettling, type Claim, type Ledger } from '../ledger/ledger.ts'
import { payloadOf } from '../ledger/receipt.ts'
import { settle } from '../options.ts'
import type { FileAccount } from '../parse/file-account.ts'
import type { IngestFile } from '../source/source.ts'
import { OpenedOnce } from './opened-once.ts'
import { exportParquet, type ParquetExportOptions } from './parquet/export.ts'
import type { ParquetManifest } from './parquet/manifest.ts'
import type { PostgresPool, Sql } from './postgres/connection.ts'
import { DayStaging } from './postgres/days.ts'
import { takeSnapshot } from './postgres/export.ts'
import type { LayoutStaging } from './postgres/layout.ts'
import { findPayloadIn, lockClaim, PostgresLedger, replayOthers, writeSettled } from './postgres/ledger.ts'
import { type Projection, projectionSchema } from './postgres/projection.ts'
import { RowStaging } from './postgres/rows.ts'
import type { StoreLayout } from './postgres/schema.ts'
import { PostgresStore } from './postgres/store.ts'
import { type Closing, type Committed, Sink, type SinkTransaction } from './sink.ts'
import { entryColumns } from './sql-columns.ts'

export type { ParquetExportOptions } from './parquet/export.ts'
export type { ExportedFile, ParquetManifest } from './parquet/manifest.ts'
export type { PostgresClient, PostgresPool } from './postgres/connection.ts'
export type { ProjectedColumns, ProjectedConstant, Projection } from './postgres/projection.ts'
export type { StoreLayout } from './postgres/schema.ts'

/** Bytes that wait before they are copied. */
const COPY_BYTES = 4 * 1024 * 1024

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
 * them, writes the ledger and checks the epoch: all of it is visible, or nothing. Any number of workers may share a
 * store.
 *
 * In: the batches of one file. Out: merged rows.
 * Memory: the bytes for two COPYs, 4 MB each; in the layout `days` also 3 KB for each meter-day under way, 25 MB at most.
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

  override async close(): Promise<void> {
    await super.close()
    await this.#store.close()
  }
}

/** One file between staging and commit. Holds no connection while it waits for rows. */
class PostgresTransaction implements SinkTransaction {
  readonly recordsCommit = true
  readonly #store: PostgresStore
  readonly #claim: Claim
  /** The file's path, for errors. */
  readonly #path: string
  readonly #staging: LayoutStaging
  /** Names of this file's staging tables, but for their ends. */
  readonly #prefix: string
  /** Numbers of the file's entries, by their position. */
  readonly #entryIds = new Map<number, number>()
  /** The COPY under way, one at a time. */
  #copying: Promise<void> = Promise.resolve()

  /** Entries that the store has of the file already. */
  #before: readonly number[] = []

  private constructor(store: PostgresStore, claim: Claim, path: string, fileId: string) {
    this.#store = store
    this.#claim = claim
    this.#path = path
    this.#staging = store.layout === 'days' ? new DayStaging() : new RowStaging()
    this.#prefix = stagingPrefix(fileId, claim.epoch)
  }

  static async begin(store: PostgresStore, claim: Claim, path: string): Promise<PostgresTransaction> {
    return store.transaction(async sql => {
      const { fileId } = await lockClaim(sql, store.schema, claim, path)
      await endHolders(sql, store.schema, stagingPrefix(fileId))
      await dropStaging(sql, store.schema, stagingPrefix(fileId))
      const transaction = new PostgresTransaction(store, claim, path, fileId)
      if (claim.isReplay) await transaction.#knowEntries(sql, fileId)
      for (const { suffix, columns } of transaction.#staging.tables) {
        await sql.run(
          `CREATE UNLOGGED TABLE ${transaction.#table(suffix)} (${columns}) WITH (autovacuum_enabled = false)`
        )
      }
      return transaction
    })
  }

  async write(batch: IntervalBatch): Promise<void> {
    this.#staging.add(batch, await this.#entryId(batch.entry.index))
    await this.#flush(COPY_BYTES)
  }

  async commit(account: FileAccount, closing: Closing): Promise<Committed> {
    this.#staging.end()
    await this.#flush(1)
    await this.#copying
    for (const entry of account.entries) await this.#entryId(entry.index)
    return this.#store.transaction(sql => this.#merge(sql, account, closing))
  }

  async rollback(): Promise<void> {
    await this.#copying.catch(() => {})
    await this.#store.session(sql => dropStaging(sql, this.#store.schema, this.#prefix))
  }

  /** The short transaction: the fence first, then entries, rejects, rows and the ledger. */
  async #merge(sql: Sql, account: FileAccount, closing: Closing): Promise<Committed> {
    const { schema: s } = this.#store
    const { fileId, record } = await lockClaim(sql, s, this.#claim, this.#path)
    const { sha256 } = payloadOf(closing.evidence.fetched, closing.evidence.opened)
    const first = await findPayloadIn(sql, s, sha256)
    if (first && !this.#claim.isReplay) return { duplicateOf: first }
    // With PostgreSQL's own 4 MB, joins of a large file's rows with the store's spill to disk.
    await sql.run("SET LOCAL work_mem = '64MB'")
    await dropEntries(sql, s, this.#before)
    await writeEntries(sql, s, fileId, account, this.#entryIds)
    const context = { schema: s, staging: (suffix: string) => this.#table(suffix), sha256, before: this.#before }
    const { stored, lost } = await this.#staging.merge(sql, context)
    if (lost) await replayOthers(sql, s, this.#claim, lost)
    if (this.#store.project && stored.inserted + stored.replaced > 0) {
      const entries = [...this.#entryIds.values()]
      await sql.run(this.#store.project(this.#staging.winnersSql(context)), [entries])
    }
    await dropStaging(sql, s, this.#prefix)
    const settled = afterSettling(record, this.#claim, closing.receipt(stored), false)
    await writeSettled(sql, s, this.#claim.fingerprint, settled)
    return stored
  }

  /** Begins to copy what waits, when it is so many bytes; the next rows are made ready meanwhile. */
  async #flush(bytes: number): Promise<void> {
    const full = this.#staging.tables.filter(({ copy }) => copy.length >= bytes)
    if (full.length === 0) return
    await this.#copying
    const pieces = full.map(({ suffix, copy }) => ({ table: this.#table(suffix), bytes: copy.take() }))
    this.#copying = this.#store.session(async sql => {
      for (const { table, bytes } of pieces) await sql.copy(`COPY ${table} FROM STDIN (FORMAT binary)`, bytes)
    })
    // A failure is heard of by whoever waits for it next.
    this.#copying.catch(() => {})
  }

  async #entryId(index: number): Promise<number> {
    const known = this.#entryIds.get(index)
    if (known !== undefined) return known
    const query = `SELECT nextval('${this.#store.schema}.entry_ids') AS id`
    const [row] = await this.#store.session(sql => sql.rows(query))
    const id = Number(row!.id)
    this.#entryIds.set(index, id)
    return id
  }

  /** An entry that is read anew keeps its number. */
  async #knowEntries(sql: Sql, fileId: string): Promise<void> {
    const query = `SELECT entry_id, ordinal FROM ${this.#store.schema}.entries WHERE file_id = $1`
    for (const { entry_id, ordinal } of await sql.rows(query, [fileId])) {
      this.#entryIds.set(ordinal as number, Number(entry_id))
    }
    this.#before = [...this.#entryIds.values()]
  }

  #table(suffix: string): string {
    return `${this.#store.schema}."${this.#prefix}${suffix}"`
  }
}

/** What the names of a file's staging tables begin with: of all its claims, or of one. */
function stagingPrefix(fileId: string, epoch?: number): string {
  return epoch === undefined ? `staging_${fileId}_` : `staging_${fileId}_${epoch}_`
}

/**
 * Ends the connections that hold staging tables of a file whose claim has passed on: a worker that is frozen in the
 * middle of a COPY would keep its table, and with it the file, for as long as the connection lives.
 */
async function endHolders(sql: Sql, s: string, prefix: string): Promise<void> {
  const query = `SELECT pg_terminate_backend(l.pid) FROM pg_locks l
    JOIN pg_database d ON d.oid = l.database AND d.datname = current_database() JOIN pg_class c ON c.oid = l.relation
    WHERE c.relnamespace = $1::regnamespace AND starts_with(c.relname, $2) AND l.pid <> pg_backend_pid()`
  await sql.rows(query, [s, prefix])
}

async function dropStaging(sql: Sql, s: string, prefix: string): Promise<void> {
  const query = `SELECT relname FROM pg_class WHERE relnamespace = $1::regnamespace AND relkind = 'r'
    AND starts_with(relname, $2)`
  const tables = (await sql.rows(query, [s, prefix])).map(({ relname }) => `${s}."${relname}"`)
  if (tables.length > 0) await sql.run(`DROP TABLE IF EXISTS ${tables.join(', ')}`)
}

/** Forgets entries that are written anew. Rows that name them are looked after by the merge. */
async function dropEntries(sql: Sql, s: string, entries: readonly number[]): Promise<void> {
  if (entries.length === 0) return
  for (const table of ['rejects', 'entries']) {
    await sql.run(`DELETE FROM ${s}.${table} WHERE entry_id = ANY ($1::bigint[])`, [entries])
  }
}

async function writeEntries(
  sql: Sql,
  s: string,
  fileId: string,
  account: FileAccount,
  ids: ReadonlyMap<number, number>
): Promise<void> {
  for (const entry of account.entries) {
    const id = ids.get(entry.index)!
    const columns = { entry_id: id, file_id: fileId, ...entryColumns(entry) }
    const places = Object.keys(columns).map((_, i) => `$${i + 1}`)
    await sql.run(
      `INSERT INTO ${s}.entries (${Object.keys(columns).join(', ')}) VALUES (${places.join(', ')})`,
      Object.values(columns)
    )
    await sql.run(`INSERT INTO ${s}.rejects SELECT $1::bigint, * FROM unnest($2::bigint[], $3::bigint[], $4::text[])`, [
      id,
      entry.rejects.map(({ line }) => line),
      entry.rejects.map(({ offset }) => offset),
      entry.rejects.map(({ code }) => code)
    ])
  }
}
