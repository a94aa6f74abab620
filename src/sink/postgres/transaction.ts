import type { IntervalBatch } from '../../batch.ts'
import { afterSettling, type Claim } from '../../ledger/ledger.ts'
import { payloadOf } from '../../ledger/receipt.ts'
import type { FileAccount } from '../../parse/file-account.ts'
import type { ReportBatch } from '../../report-batch.ts'
import type { Closing, Committed, SinkTransaction } from '../sink.ts'
import { entryColumns } from '../sql-columns.ts'
import type { Sql } from './connection.ts'
import { DayStaging } from './days.ts'
import type { LayoutStaging, StagingTable } from './layout.ts'
import { findPayloadIn, lockClaim, replayOtherReports, replayOthers, writeSettled } from './ledger.ts'
import { ReportStaging } from './reports.ts'
import { RowStaging } from './rows.ts'
import type { PostgresStore } from './store.ts'

/** Bytes that wait before they are copied. */
const COPY_BYTES = 1024 * 1024

/** A file of no more bytes is copied by its commit: 400 meter-days, or 6,000 rows. */
const SMALL_BYTES = 512 * 1024

/** What PostgreSQL says of a table that is not there. */
const NO_SUCH_TABLE = '42P01'

/** One file between staging and commit. Holds no connection while it waits for rows. */
export class PostgresTransaction implements SinkTransaction {
  readonly recordsCommit = true
  readonly #store: PostgresStore
  readonly #claim: Claim
  /** The file's path, for errors. */
  readonly #path: string
  readonly #staging: LayoutStaging
  readonly #reports = new ReportStaging()
  /** Numbers of the file's entries, by their position. */
  readonly #entryIds = new Map<number, number>()
  /** The COPY under way, one at a time. */
  #copying: Promise<void> = Promise.resolve()
  /** What the names of this file's staging tables begin with, once there are any. */
  #prefix: string | undefined
  /** The staging tables that there are, by the ends of their names. */
  readonly #made = new Set<string>()

  /** Entries that the store has of the file already. */
  #before: readonly number[] = []

  private constructor(store: PostgresStore, claim: Claim, path: string) {
    this.#store = store
    this.#claim = claim
    this.#path = path
    this.#staging = store.layout === 'days' ? new DayStaging() : new RowStaging()
  }

  static async begin(store: PostgresStore, claim: Claim, path: string): Promise<PostgresTransaction> {
    const transaction = new PostgresTransaction(store, claim, path)
    // Nobody can have left anything of a file that was never claimed before.
    if (claim.epoch > 1) await store.transaction(sql => transaction.#takeOver(sql))
    return transaction
  }

  async write(batch: IntervalBatch): Promise<void> {
    this.#staging.add(batch, await this.#entryId(batch.entry.index))
    await this.#stageFull(this.#staging.tables)
  }

  async writeReports(batch: ReportBatch): Promise<void> {
    this.#reports.add(batch, await this.#entryId(batch.entry.index))
    await this.#stageFull(this.#reports.tables)
  }

  async commit(account: FileAccount, closing: Closing): Promise<Committed> {
    this.#staging.end()
    const tables = this.#tables
    const isSmall = !this.#prefix && tables.reduce((sum, { copy }) => sum + copy.length, 0) <= SMALL_BYTES
    if (!isSmall) await this.#stage(tables)
    await this.#copying
    for (const entry of account.entries) await this.#entryId(entry.index)
    const pieces = isSmall ? piecesOf(tables) : []
    return this.#store.transaction(async sql => {
      // Before the claim is locked: a worker that is frozen in the middle of a COPY must not keep others from the file.
      await this.#copy(sql, pieces)
      return this.#merge(sql, account, closing)
    }, this.#opening(isSmall))
  }

  async rollback(): Promise<void> {
    await this.#copying.catch(() => {})
    const prefix = this.#prefix
    if (prefix) await this.#store.session(sql => dropStaging(sql, this.#store.schema, prefix))
  }

  /** The short transaction: the fence first, then entries, rejects, rows and the ledger. */
  async #merge(sql: Sql, account: FileAccount, closing: Closing): Promise<Committed> {
    const { schema: s } = this.#store
    const { fileId, record } = await lockClaim(sql, s, this.#claim, this.#path)
    const { sha256 } = payloadOf(closing.evidence.fetched, closing.evidence.opened)
    const first = await findPayloadIn(sql, s, sha256)
    if (first && !this.#claim.isReplay) return { duplicateOf: first }
    await dropEntries(sql, s, this.#before)
    await writeEntries(sql, s, fileId, account, this.#entryIds)
    const staging = (suffix: string) => this.#table(suffix)
    const context = { schema: s, staging, isSmall: !this.#prefix, sha256, before: this.#before }
    const { stored, lost } = await this.#staging.merge(sql, context)
    if (lost) await replayOthers(sql, s, this.#claim, lost)
    if (this.#store.project && stored.inserted + stored.replaced > 0) {
      const entries = [...this.#entryIds.values()]
      await sql.run(this.#store.project(this.#staging.winnersSql(context)), [entries])
    }
    const reports = await this.#reports.merge(sql, context, (kind, days) =>
      replayOtherReports(sql, s, this.#claim, { kind, days })
    )
    if (this.#prefix) await dropStaging(sql, s, this.#prefix)
    const all = { ...stored, reports }
    const settled = afterSettling(record, this.#claim, closing.receipt(all), false)
    await writeSettled(sql, s, this.#claim.fingerprint, settled)
    return all
  }

  /** Ends what an earlier claim's worker may still do, and removes what it left. */
  async #takeOver(sql: Sql): Promise<void> {
    const { schema: s } = this.#store
    const { fileId } = await lockClaim(sql, s, this.#claim, this.#path)
    await endHolders(sql, s, stagingPrefix(fileId))
    await dropStaging(sql, s, stagingPrefix(fileId))
    if (this.#claim.isReplay) await this.#knowEntries(sql, fileId)
  }

  get #tables(): readonly StagingTable[] {
    return [...this.#staging.tables, ...this.#reports.tables]
  }

  async #stageFull(tables: readonly StagingTable[]): Promise<void> {
    const full = tables.filter(({ copy }) => copy.length >= COPY_BYTES)
    if (full.length > 0) await this.#stage(full)
  }

  /** Begins to copy what waits into staging tables; the next rows are made ready meanwhile. */
  async #stage(tables: readonly StagingTable[]): Promise<void> {
    await this.#copying
    const missing = this.#tables.filter(({ suffix }) => !this.#made.has(suffix))
    if (missing.length > 0) {
      this.#prefix = await this.#store.transaction(sql => this.#makeStaging(sql, missing))
      for (const { suffix } of missing) this.#made.add(suffix)
    }
    const pieces = piecesOf(tables)
    this.#copying = this.#store.session(sql => this.#copy(sql, pieces)).catch(error => this.#explain(error))
    // A failure is heard of by whoever waits for it next.
    this.#copying.catch(() => {})
  }

  /** Tables that are not there any more were dropped by whoever took the file over. */
  async #explain(error: unknown): Promise<never> {
    const { code } = (error as { cause?: { code?: string } }).cause ?? {}
    if (code === NO_SUCH_TABLE) {
      await this.#store.transaction(sql => lockClaim(sql, this.#store.schema, this.#claim, this.#path))
    }
    throw error
  }

  /** Only a claim that still holds may make tables: whoever took the file over has looked for them already. */
  async #makeStaging(sql: Sql, tables: readonly StagingTable[]): Promise<string> {
    const { fileId } = await lockClaim(sql, this.#store.schema, this.#claim, this.#path)
    const prefix = stagingPrefix(fileId, this.#claim.epoch)
    for (const { suffix, columns } of tables) {
      const table = `${this.#store.schema}."${prefix}${suffix}"`
      await sql.run(`CREATE UNLOGGED TABLE ${table} (${columns}) WITH (autovacuum_enabled = false)`)
    }
    return prefix
  }

  /**
   * What the commit's transaction begins with. Temporary tables stay with the connection, empty: to make and drop them for
   * each file costs more than to fill them.
   */
  #opening(isSmall: boolean): readonly string[] {
    const staging = this.#tables.map(
      ({ suffix, columns }) => `CREATE TEMP TABLE IF NOT EXISTS ${temporary(suffix)} (${columns}) ON COMMIT DELETE ROWS`
    )
    return [
      // Of tables that are there already the server would tell each time.
      'SET LOCAL client_min_messages = warning',
      // With PostgreSQL's own 4 MB, joins of a large file's rows with the store's spill to disk.
      "SET LOCAL work_mem = '64MB'",
      ...(isSmall ? staging : []),
      ...this.#staging.opening({ isSmall, before: this.#before })
    ]
  }

  async #copy(sql: Sql, pieces: readonly Piece[]): Promise<void> {
    for (const { suffix, bytes } of pieces)
      await sql.copy(`COPY ${this.#table(suffix)} FROM STDIN (FORMAT binary)`, bytes)
  }

  async #entryId(index: number): Promise<number> {
    // Of rows of one version that of the later entry wins: an entry without rows has its number before the next ones.
    for (let next = this.#entryIds.size; next <= index; next++) {
      this.#entryIds.set(next, await this.#store.newEntryId())
    }
    return this.#entryIds.get(index)!
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
    return this.#prefix ? `${this.#store.schema}."${this.#prefix}${suffix}"` : temporary(suffix)
  }
}

/** Rows of one staging table on their way. */
interface Piece {
  readonly suffix: string
  readonly bytes: Buffer
}

function piecesOf(tables: readonly StagingTable[]): readonly Piece[] {
  return tables.filter(({ copy }) => copy.length > 0).map(({ suffix, copy }) => ({ suffix, bytes: copy.take() }))
}

/** A small file's staging table. */
const temporary = (suffix: string) => `pg_temp.smt_staged_${suffix}`

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
    if (entry.rejects.length === 0) continue
    await sql.run(`INSERT INTO ${s}.rejects SELECT $1::bigint, * FROM unnest($2::bigint[], $3::bigint[], $4::text[])`, [
      id,
      entry.rejects.map(({ line }) => line),
      entry.rejects.map(({ offset }) => offset),
      entry.rejects.map(({ code }) => code)
    ])
  }
}
