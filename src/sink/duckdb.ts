import type { DuckDBAppender, DuckDBConnection, DuckDBDataChunk, DuckDBType } from '@duckdb/node-api'
import * as z from 'zod'
import type { IntervalBatch } from '../batch.ts'
import type { Claim, Ledger } from '../ledger/ledger.ts'
import { payloadOf, type RowsStored } from '../ledger/receipt.ts'
import { settle } from '../options.ts'
import type { FileAccount } from '../parse/file-account.ts'
import type { IngestFile } from '../source/source.ts'
import { AscendingKeys } from './ascending-keys.ts'
import { DuckDbLedger, fileId, settleIn } from './duckdb/ledger.ts'
import { mergeSql, rivalsSql, singleSql, stagingSql, unstageSql, winnersSql } from './duckdb/schema.ts'
import { type DuckDb, DuckDbStore, guarded, inTransaction, type Sql } from './duckdb/store.ts'
import { OpenedOnce } from './opened-once.ts'
import { type Closing, Sink, type SinkTransaction } from './sink.ts'
import { countSql, entryColumns, storedOf } from './sql-columns.ts'

/** Rows that one of DuckDB's chunks holds. */
const CHUNK = 2048

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
 * Intervals in one DuckDB file: `intervals`, the ledger `files`, `entries` and `rejects`.
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

  override async close(): Promise<void> {
    await super.close()
    await this.#store.close()
  }
}

/** One file between staging and commit, on a connection whose temporary tables nobody else sees. */
class DuckDbTransaction implements SinkTransaction {
  readonly recordsCommit = true
  readonly #store: DuckDbStore
  readonly #claim: Claim
  readonly #connection: DuckDBConnection
  readonly #rows: DuckDBAppender
  readonly #meters: DuckDBAppender
  /** One chunk, filled again and again: what it holds is native memory, which the collector does not see. */
  readonly #chunk: DuckDBDataChunk
  readonly #keys = new AscendingKeys()
  /** Meters staged so far: each batch numbers its own from here. */
  #numbered = 0

  private constructor(store: DuckDbStore, claim: Claim, staging: Staging) {
    this.#store = store
    this.#claim = claim
    this.#connection = staging.connection
    this.#rows = staging.rows
    this.#meters = staging.meters
    this.#chunk = store.duckdb.DuckDBDataChunk.create(rowTypes(store.duckdb))
  }

  static async begin(store: DuckDbStore, claim: Claim): Promise<DuckDbTransaction> {
    return guarded(store.path, async () => {
      const connection = await store.connect()
      for (const statement of stagingSql) await connection.run(statement)
      const rows = await connection.createAppender('staged_rows', 'main', 'temp')
      const meters = await connection.createAppender('staged_meters', 'main', 'temp')
      return new DuckDbTransaction(store, claim, { connection, rows, meters })
    })
  }

  async write(batch: IntervalBatch): Promise<void> {
    await guarded(this.#store.path, async () => {
      for (let i = 0; i < batch.esiids.length; i++) {
        this.#meters.appendUInteger(this.#numbered + i)
        this.#meters.appendVarchar(batch.esiids[i]!)
        this.#meters.endRow()
      }
      for (let from = 0; from < batch.length; from += CHUNK) {
        this.#fill(batch, from, Math.min(batch.length, from + CHUNK))
        this.#rows.appendDataChunk(this.#chunk)
      }
      this.#numbered += batch.esiids.length
      this.#keys.take(batch)
    })
  }

  async commit(account: FileAccount, closing: Closing): Promise<RowsStored> {
    await guarded(this.#store.path, async () => {
      this.#rows.closeSync()
      this.#meters.closeSync()
      await this.#connection.run(this.#keys.mayRepeat ? winnersSql : singleSql)
      for (const statement of unstageSql) await this.#connection.run(statement)
    })
    const stored = await this.#store.exclusive(() =>
      inTransaction(this.#connection, sql => this.#merge(sql, account, closing))
    )
    this.#connection.closeSync()
    return stored
  }

  async rollback(): Promise<void> {
    // An appender that is merely forgotten would write its rest when it is collected.
    for (const appender of [this.#rows, this.#meters]) appender.clear()
    this.#connection.closeSync()
  }

  /** The short transaction: ledger with its fence, entries, rejects, rows. */
  async #merge(sql: Sql, account: FileAccount, closing: Closing): Promise<RowsStored> {
    const file = await fileId(sql, this.#claim.fingerprint)
    const { sha256: payload } = payloadOf(closing.evidence.fetched, closing.evidence.opened)
    await sql.run('UPDATE files SET payload_sha256 = $payload WHERE file_id = $file', { payload, file })
    await writeEntries(sql, file, account)
    await sql.run(rivalsSql, { file })
    const [row] = await sql.rows(countSql('winners', 'rivals'))
    const [takeOut, putIn] = mergeSql
    await sql.run(takeOut)
    await sql.run(putIn, { file })
    const stored = storedOf(row)
    await settleIn(sql, this.#claim, closing.receipt(stored))
    return stored
  }

  /** Fills the chunk with rows `from` to `to` of a batch. */
  #fill(batch: IntervalBatch, from: number, to: number): void {
    const { start, kwh, estimated, direction, revision, line, meter, entry } = batch
    this.#chunk.reset()
    this.#chunk.rowCount = to - from
    const columns = Array.from({ length: this.#chunk.columnCount }, (_, i) => this.#chunk.getColumnVector(i))
    const [entries, meters, starts, units, estimates, directions, revisions, lines] = columns
    for (let i = from, row = 0; i < to; i++, row++) {
      entries!.setItem(row, entry.index)
      meters!.setItem(row, this.#numbered + meter[i]!)
      starts!.setItem(row, start[i]!)
      units!.setItem(row, Math.round(kwh[i]! * 100_000))
      estimates!.setItem(row, estimated[i]!)
      directions!.setItem(row, direction[i]!)
      revisions!.setItem(row, Number.isNaN(revision[i]!) ? null : revision[i]!)
      lines!.setItem(row, line[i]!)
    }
    for (const column of columns) column.flush()
  }
}

interface Staging {
  readonly connection: DuckDBConnection
  readonly rows: DuckDBAppender
  readonly meters: DuckDBAppender
}

/** The types of `staging.rows`, in the order of its columns. */
function rowTypes({ UINTEGER, DOUBLE, UTINYINT }: DuckDb): readonly DuckDBType[] {
  return [UINTEGER, UINTEGER, DOUBLE, DOUBLE, UTINYINT, UTINYINT, DOUBLE, UINTEGER]
}

async function writeEntries(sql: Sql, file: bigint, account: FileAccount): Promise<void> {
  for (const entry of account.entries) {
    const columns = { file_id: file, ...entryColumns(entry) }
    const names = Object.keys(columns)
    const [row] = await sql.rows(
      `INSERT INTO entries (${names.join(', ')}) VALUES (${names.map(name => `$${name}`).join(', ')}) RETURNING entry_id`,
      columns
    )
    const id = row!.entry_id as bigint
    for (const { line, offset, code } of entry.rejects) {
      await sql.run('INSERT INTO rejects VALUES ($id, $line, $offset, $code)', { id, line, offset, code })
    }
  }
}
