import { realpath, rm } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import type { DuckDBConnection, DuckDBInstance, DuckDBValue } from '@duckdb/node-api'
import { IngestError, SinkError } from '../../errors.ts'
import { isClaimedSql } from '../sql-columns.ts'
import { type DuckDb, loadDuckDb } from './library.ts'
import { migrations, SCHEMA_VERSION, versionSql } from './schema.ts'

/** What a query's values may be given as. */
export type Values = Record<string, DuckDBValue>

/**
 * Files that this process holds open. DuckDB's lock keeps other processes out, not a second opening by the same one,
 * and closing that one would give up the lock of the first.
 */
const held = new Set<string>()

/** How a store is opened. */
export interface DuckDbStoreOptions {
  readonly path: string
  readonly memoryLimit: string
  readonly threads: number
}

/** One DuckDB file, held by this process alone, with a connection that does one thing at a time. */
export class DuckDbStore {
  readonly duckdb: DuckDb
  readonly path: string
  readonly #instance: DuckDBInstance
  readonly #connection: DuckDBConnection
  #turn: Promise<unknown> = Promise.resolve()
  /** Connections that were asked for, and what waits for the last of them. */
  #lent = 0
  #onReturn: () => void = () => {}

  private constructor(duckdb: DuckDb, path: string, instance: DuckDBInstance, connection: DuckDBConnection) {
    this.duckdb = duckdb
    this.path = path
    this.#instance = instance
    this.#connection = connection
  }

  /** Opens or makes the file, brings its tables up to date and removes what a dead run left behind. */
  static async open(options: DuckDbStoreOptions): Promise<DuckDbStore> {
    const duckdb = await loadDuckDb('DuckDbSink')
    const path = await truePath(options.path)
    if (held.has(path)) throw new SinkError('STORE_BUSY', 'this process holds the store already', { file: path })
    held.add(path)
    try {
      const instance = await openInstance(duckdb, path, options)
      // What a run that died could not take along; nobody else has the store now.
      await rm(`${path}.tmp`, { recursive: true, force: true })
      const store = new DuckDbStore(duckdb, path, instance, await instance.connect())
      await store.#prepare()
      return store
    } catch (error) {
      held.delete(path)
      throw error
    }
  }

  /** A connection of its own, for work beside the commits of others. Whoever asked for it gives it to `disconnect`. */
  async connect(): Promise<DuckDBConnection> {
    this.#lent++
    try {
      return await this.#instance.connect()
    } catch (error) {
      this.#returned()
      throw error
    }
  }

  /** Nothing may be under way on it: DuckDB frees what a statement still uses, and the process crashes. */
  disconnect(connection: DuckDBConnection): void {
    connection.closeSync()
    this.#returned()
  }

  /** Work that changes the store's tables, one piece after another. */
  exclusive<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(() => guarded(this.path, work))
    this.#turn = turn.catch(() => {})
    return turn
  }

  /** One transaction on the store's own connection. */
  transaction<T>(work: (sql: Sql) => Promise<T>): Promise<T> {
    return this.exclusive(() => inTransaction(this.#connection, work))
  }

  async close(): Promise<void> {
    await this.#turn
    // DuckDB keeps the file for as long as one is left: a second opening would write into it beside the first.
    while (this.#lent > 0) await new Promise<void>(resolve => (this.#onReturn = resolve))
    this.#connection.closeSync()
    this.#instance.closeSync()
    held.delete(this.path)
    await rm(`${this.path}.tmp`, { recursive: true, force: true })
  }

  #returned(): void {
    this.#lent--
    this.#onReturn()
  }

  async #prepare(): Promise<void> {
    await this.transaction(sql => this.#migrate(sql)).catch(async error => {
      await this.close()
      if (error.code !== 'STORE_WRITE') throw error
      throw new SinkError('STORE_OPEN', 'the store’s tables are not ours', { file: this.path, cause: error.cause })
    })
  }

  async #migrate(sql: Sql): Promise<void> {
    await sql.run(versionSql)
    const [row] = await sql.rows('SELECT max(version) AS version FROM schema_version')
    const version = (row?.version as number | null) ?? 0
    if (version > SCHEMA_VERSION) {
      throw new SinkError('STORE_OPEN', `the store has schema ${version}, this version knows ${SCHEMA_VERSION}`, {
        file: this.path
      })
    }
    for (const statement of migrations.slice(version).flat()) await sql.run(statement)
    if (version < SCHEMA_VERSION) {
      await sql.run('DELETE FROM schema_version')
      await sql.run('INSERT INTO schema_version VALUES ($version)', { version: SCHEMA_VERSION })
    }
    // Whoever held a claim is gone: this process alone has the file now.
    await sql.run(`UPDATE files SET state = CASE state WHEN 'committed' THEN state ELSE 'seen' END, lease_until = NULL
      WHERE ${isClaimedSql} OR state IN ('claimed', 'staged')`)
  }
}

/** SQL on one connection. */
export class Sql {
  readonly #connection: DuckDBConnection

  constructor(connection: DuckDBConnection) {
    this.#connection = connection
  }

  /** Runs a statement; gives how many rows it changed. */
  async run(statement: string, values?: Values): Promise<number> {
    return (await this.#connection.run(statement, values)).rowsChanged
  }

  /** Runs a query; gives its rows. */
  async rows(query: string, values?: Values): Promise<Record<string, unknown>[]> {
    return (await this.#connection.runAndReadAll(query, values)).getRowObjectsJS()
  }
}

/** All of the work, or nothing of it. */
export async function inTransaction<T>(connection: DuckDBConnection, work: (sql: Sql) => Promise<T>): Promise<T> {
  const sql = new Sql(connection)
  await sql.run('BEGIN')
  try {
    const result = await work(sql)
    await sql.run('COMMIT')
    return result
  } catch (error) {
    await sql.run('ROLLBACK').catch(() => {})
    throw error
  }
}

/** An error of the database as one of ours. */
export async function guarded<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    if (cause instanceof IngestError) throw cause
    // A disk that is too full to wait on is out of memory too, and then names that limit.
    const isTooLarge = /^Out of Memory(?!.*max_temp_directory_size)/s.test((cause as Error).message)
    const what = isTooLarge ? 'memoryLimit is too small for the work' : 'the store refused the work'
    throw new SinkError('STORE_WRITE', what, { file: path, cause })
  }
}

async function openInstance(duckdb: DuckDb, path: string, options: DuckDbStoreOptions): Promise<DuckDBInstance> {
  try {
    return await duckdb.DuckDBInstance.create(path, {
      memory_limit: options.memoryLimit,
      threads: String(options.threads),
      autoinstall_known_extensions: 'false',
      // What does not fit in memory waits beside the store, as its write-ahead log does, and goes with the run.
      temp_directory: `${path}.tmp`
    })
  } catch (cause) {
    // Not just "lock": a damaged file is reported with the "block" that is damaged, and paths hold any word.
    const busy = cause instanceof Error && /Could not set lock|being used by another process/i.test(cause.message)
    if (busy) throw new SinkError('STORE_BUSY', 'another process holds the store', { file: path, cause })
    throw new SinkError('STORE_OPEN', 'the store cannot be opened', { file: path, cause })
  }
}

/** The one true name of a file that may not be there yet. */
async function truePath(path: string): Promise<string> {
  const whole = resolve(path)
  const directory = await realpath(dirname(whole)).catch(cause => {
    throw new SinkError('STORE_OPEN', 'the store’s directory is not there', { file: whole, cause })
  })
  return realpath(whole).catch(() => join(directory, basename(whole)))
}
