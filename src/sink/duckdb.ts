import * as z from 'zod'
import type { IntervalBatch } from '../batch.ts'
import type { Claim, Ledger } from '../ledger/ledger.ts'
import { payloadOf, type Stored } from '../ledger/receipt.ts'
import { settle } from '../options.ts'
import type { FileAccount } from '../parse/file-account.ts'
import type { ReportBatch } from '../report-batch.ts'
import type { IngestFile } from '../source/source.ts'
import { takeSnapshot } from './duckdb/export.ts'
import { DuckDbLedger, fileId, replayOtherReports, replayOthers, settleIn } from './duckdb/ledger.ts'
import { mergePieces } from './duckdb/merge.ts'
import { DuckDbReports } from './duckdb/reports.ts'
import { DuckDbStaging, type Piece } from './duckdb/staging.ts'
import { DuckDbStore, guarded, inTransaction, type Sql, type Values } from './duckdb/store.ts'
import { storedDays } from './duckdb/stored-days.ts'
import { OpenedOnce } from './opened-once.ts'
import { exportParquet, type ParquetExportOptions } from './parquet/export.ts'
import type { ParquetManifest } from './parquet/manifest.ts'
import { mergeReports } from './report-merge.ts'
import { type Closing, Sink, type SinkTransaction } from './sink.ts'
import { entryColumns } from './sql-columns.ts'
import type { StoredDay, StoredDaysQuery } from './stored-days.ts'

export type { ParquetExportOptions } from './parquet/export.ts'
export type { ExportedFile, ParquetManifest } from './parquet/manifest.ts'

/** Where and how DuckDB keeps intervals. */
export interface DuckDbSinkOptions {
  /** The database file. Made when missing; its directory must be there. */
  readonly path: string
  /**
   * What DuckDB may take for itself, in its own words.
   * @default '128MB'
   */
  readonly memoryLimit?: string
  /** @default 1 */
  readonly threads?: number
}

const schema = z.strictObject({
  path: z.string().min(1),
  memoryLimit: z
    .string()
    .regex(/^\d+(\.\d+)? ?[KMGT]i?B$/i, 'must be a size such as 256MB')
    .default('128MB'),
  threads: z.number().int().min(1).default(1)
})

/**
 * Intervals in one DuckDB file: `intervals`, the ledger `files`, `entries` and `rejects`; beside them `daily_reads` and
 * `monthly_bills`.
 *
 * A file's rows are staged outside any transaction. One short transaction then merges them, writes the ledger and
 * checks the epoch: all of it is visible, or nothing. One process holds the file; a second one gets `STORE_BUSY`.
 *
 * In: the batches of one file. Out: merged rows.
 * Memory: one batch, and what `memoryLimit` lets DuckDB have.
 */
export class DuckDbSink extends Sink {
  readonly #options: z.output<typeof schema>
  readonly #store = new OpenedOnce(() => DuckDbStore.open(this.#options))

  constructor(options: DuckDbSinkOptions) {
    super()
    this.#options = settle('DuckDbSink', schema, options)
  }

  protected override async openLedger(): Promise<Ledger> {
    return new DuckDbLedger(await this.#store.get())
  }

  protected override async begin(_file: IngestFile, claim: Claim): Promise<SinkTransaction> {
    return DuckDbTransaction.begin(await this.#store.get(), claim)
  }

  /**
   * Writes the intervals into Parquet files, one for each month of Central time, all of one moment; commits go on
   * meanwhile. An export that fails leaves the directory as it was: `STORE_EXPORT` where it cannot be written.
   */
  async exportParquet(options: ParquetExportOptions): Promise<ParquetManifest> {
    return exportParquet(options, async (place, work) => takeSnapshot(await this.#store.get(), place, work))
  }

  override async storedDays(query: StoredDaysQuery): Promise<readonly StoredDay[]> {
    return storedDays(await this.#store.get(), query)
  }

  override async close(): Promise<void> {
    await super.close()
    await this.#store.close()
  }
}

/** One file between staging and commit. */
class DuckDbTransaction implements SinkTransaction {
  readonly recordsCommit = true
  readonly #store: DuckDbStore
  readonly #claim: Claim
  readonly #staging: DuckDbStaging
  readonly #reports: DuckDbReports

  private constructor(store: DuckDbStore, claim: Claim, staging: DuckDbStaging) {
    this.#store = store
    this.#claim = claim
    this.#staging = staging
    this.#reports = new DuckDbReports(staging.connection)
  }

  static async begin(store: DuckDbStore, claim: Claim): Promise<DuckDbTransaction> {
    return new DuckDbTransaction(store, claim, await guarded(store.path, () => DuckDbStaging.begin(store)))
  }

  async write(batch: IntervalBatch): Promise<void> {
    await guarded(this.#store.path, () => this.#staging.add(batch))
  }

  async writeReports(batch: ReportBatch): Promise<void> {
    await guarded(this.#store.path, () => this.#reports.add(batch))
  }

  async commit(account: FileAccount, closing: Closing): Promise<Stored> {
    const pieces = await guarded(this.#store.path, async () => {
      this.#reports.end()
      return this.#staging.end()
    })
    const stored = await this.#store.exclusive(() =>
      inTransaction(this.#staging.connection, sql => this.#merge(sql, pieces, account, closing))
    )
    this.#staging.close()
    return stored
  }

  async rollback(): Promise<void> {
    await guarded(this.#store.path, async () => {
      this.#reports.clear()
      this.#staging.close()
    })
  }

  /** The short transaction: entries, rejects, rows, and the ledger with its fence. */
  async #merge(sql: Sql, pieces: readonly Piece[], account: FileAccount, closing: Closing): Promise<Stored> {
    const file = await fileId(sql, this.#claim.fingerprint)
    const { sha256: payload } = payloadOf(closing.evidence.fetched, closing.evidence.opened)
    const before = await writeEntries(sql, file, account)
    const { stored: intervals, lost } = await mergePieces(sql, pieces, { fileId: file, payload, before })
    if (lost) await replayOthers(sql, this.#claim, lost)
    const reports = await mergeReports(sql, {
      prefix: '',
      temporary: '',
      sha256: payload,
      before,
      staged: table => this.#reports.stagedSql(table, file),
      replayOthers: (kind, days) => replayOtherReports(sql, this.#claim, kind, days)
    })
    const stored = { ...intervals, reports }
    await settleIn(sql, this.#claim, closing.receipt(stored))
    return stored
  }
}

/** Writes the file's entries. One that is read anew keeps its number; gives the numbers that were there before. */
async function writeEntries(sql: Sql, file: bigint, account: FileAccount): Promise<readonly bigint[]> {
  const known = await sql.rows('SELECT entry_id, ordinal FROM entries WHERE file_id = $file', { file })
  const before = new Map(known.map(({ entry_id, ordinal }) => [ordinal as number, entry_id as bigint]))
  for (const id of before.values()) await sql.run('DELETE FROM rejects WHERE entry_id = $id', { id })
  for (const entry of account.entries) {
    const id = await writeEntry(sql, { file_id: file, ...entryColumns(entry) }, before.get(entry.index))
    for (const { line, offset, code } of entry.rejects) {
      await sql.run('INSERT INTO rejects VALUES ($id, $line, $offset, $code)', { id, line, offset, code })
    }
  }
  const ordinals = account.entries.map(({ index }) => index)
  for (const [ordinal, id] of before) {
    if (!ordinals.includes(ordinal)) await sql.run('DELETE FROM entries WHERE entry_id = $id', { id })
  }
  return [...before.values()]
}

/** Writes an entry, or writes over the one of this number. DuckDB would not take a number again that it just gave up. */
async function writeEntry(sql: Sql, columns: Values, known: bigint | undefined): Promise<bigint> {
  const names = Object.keys(columns)
  if (known !== undefined) {
    const set = names.map(name => `${name} = $${name}`).join(', ')
    await sql.run(`UPDATE entries SET ${set} WHERE entry_id = $known`, { ...columns, known })
    return known
  }
  const values = names.map(name => `$${name}`).join(', ')
  const [row] = await sql.rows(
    `INSERT INTO entries (${names.join(', ')}) VALUES (${values}) RETURNING entry_id`,
    columns
  )
  return row!.entry_id as bigint
}
