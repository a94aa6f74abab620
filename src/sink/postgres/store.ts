import { setTimeout as pause } from 'node:timers/promises'
import type * as pgTypes from 'pg'
import type * as z from 'zod'
import { IngestError, SinkError } from '../../errors.ts'
import { inTransaction, isUnreachable, loadPeer, type PostgresPool, quoteName, Sql } from './connection.ts'
import { type projectionSchema, projectionSql } from './projection.ts'
import { layoutSql, migrations, SCHEMA_VERSION, type StoreLayout, storeSql } from './schema.ts'

/** How often a transaction is begun again that lost against another one. */
const MOST_ATTEMPTS = 6
const FIRST_PAUSE_MS = 20

/** Entries whose numbers are fetched at once. */
const ENTRY_IDS = 32

/** The first that knows MERGE. */
const OLDEST_MAJOR = 15

/** What PostgreSQL says when two transactions cannot both go on: one of them may try again. */
const lost = new Set(['40001', '40P01', '23505'])

/** How a store is opened. */
export interface PostgresStoreOptions {
  readonly pool: PostgresPool | undefined
  readonly connectionString: string | undefined
  readonly schema: string
  readonly layout: StoreLayout
  readonly timeoutMs: number
  readonly project?: z.output<typeof projectionSchema> | undefined
}

/** One schema of a PostgreSQL database, reached through a pool. */
export class PostgresStore {
  /** The schema's name, quoted, to stand before a table's. */
  readonly schema: string
  readonly layout: StoreLayout
  /** The statement that copies winners, which a query gives, into the user's own table. */
  project: ((winners: string) => string) | undefined
  readonly #pool: PostgresPool
  readonly #isOurs: boolean
  readonly #timeoutMs: number
  /** Numbers for entries to come, the next one last. */
  readonly #entryIds: number[] = []
  #fetching: Promise<void> | undefined

  private constructor(pool: PostgresPool, isOurs: boolean, options: PostgresStoreOptions) {
    this.#pool = pool
    this.#isOurs = isOurs
    this.schema = quoteName(options.schema)
    this.layout = options.layout
    this.#timeoutMs = options.timeoutMs
  }

  /** Connects, and brings the schema's tables up to date. */
  static async open(options: PostgresStoreOptions): Promise<PostgresStore> {
    const pool = options.pool ?? (await openPool(options))
    const store = new PostgresStore(pool, options.pool === undefined, options)
    try {
      await refusing('the store cannot be opened', () => store.transaction(sql => store.#migrate(sql)))
      const { project } = options
      if (project) {
        const what = `\`project\` does not fit the table ${project.table}`
        store.project = await refusing(what, () => store.transaction(sql => projectionSql(sql, project)))
      }
      return store
    } catch (error) {
      await store.close()
      throw error
    }
  }

  /** Work on one connection, which goes back to the pool; one that broke is thrown away. */
  async session<T>(work: (sql: Sql) => Promise<T>): Promise<T> {
    const client = await this.#guarded(() => this.#pool.connect())
    const sql = new Sql(client, this.#timeoutMs)
    try {
      return await this.#guarded(() => work(sql))
    } catch (error) {
      sql.isBroken ||= isUnreachable(error)
      throw error
    } finally {
      sql.release()
    }
  }

  /** All of the work, or nothing of it; again when it lost against another transaction. `opening` comes before it. */
  async transaction<T>(work: (sql: Sql) => Promise<T>, opening: readonly string[] = []): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.session(sql => inTransaction(sql, work, opening))
      } catch (error) {
        const code = (error as { cause?: { code?: string } }).cause?.code
        if (attempt === MOST_ATTEMPTS || code === undefined || !lost.has(code)) throw error
        await pause(FIRST_PAUSE_MS * 2 ** (attempt - 1) * (0.5 + Math.random()))
      }
    }
  }

  /**
   * A number for an entry, greater than any before. Some are fetched ahead, and only when none are left; those that are not
   * used stay unused.
   */
  async newEntryId(): Promise<number> {
    while (this.#entryIds.length === 0) {
      this.#fetching ??= this.#fetchEntryIds().finally(() => (this.#fetching = undefined))
      await this.#fetching
    }
    return this.#entryIds.pop()!
  }

  async close(): Promise<void> {
    if (this.#isOurs) await this.#pool.end()
  }

  async #fetchEntryIds(): Promise<void> {
    const query = `SELECT nextval($1::regclass) AS id FROM generate_series(1, ${ENTRY_IDS})`
    const rows = await this.session(sql => sql.rows(query, [`${this.schema}.entry_ids`]))
    this.#entryIds.push(...rows.map(({ id }) => Number(id)).reverse())
  }

  async #migrate(sql: Sql): Promise<void> {
    const s = this.schema
    const [server] = await sql.rows(`SELECT current_setting('server_version_num')::int AS number`)
    const major = Math.floor((server!.number as number) / 10_000)
    if (major < OLDEST_MAJOR) {
      throw new SinkError('STORE_OPEN', `PostgreSQL ${major} is too old, ${OLDEST_MAJOR} is needed`)
    }
    await sql.run('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [`smt-ingest ${s}`])
    await sql.run(`CREATE SCHEMA IF NOT EXISTS ${s}`)
    await sql.run(storeSql(s))
    const [row] = await sql.rows(`SELECT version, layout FROM ${s}.store`)
    const version = (row?.version as number | undefined) ?? 0
    if (version > SCHEMA_VERSION) {
      throw new SinkError('STORE_OPEN', `the store has schema ${version}, this version knows ${SCHEMA_VERSION}`)
    }
    if (row && row.layout !== this.layout) {
      throw new SinkError('STORE_OPEN', `the store has the layout ${row.layout}, not ${this.layout}`)
    }
    for (const migration of migrations.slice(version)) for (const text of migration(s)) await sql.run(text)
    if (!row) {
      for (const text of layoutSql[this.layout](s)) await sql.run(text)
      await sql.run(`INSERT INTO ${s}.store VALUES ($1, $2)`, [SCHEMA_VERSION, this.layout])
    } else if (version < SCHEMA_VERSION) await sql.run(`UPDATE ${s}.store SET version = $1`, [SCHEMA_VERSION])
  }

  /** An error of the database as one of ours. */
  async #guarded<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (cause) {
      if (cause instanceof IngestError) throw cause
      if (isUnreachable(cause)) throw new SinkError('STORE_UNREACHABLE', 'the database cannot be reached', { cause })
      throw new SinkError('STORE_WRITE', `the store refused the work: ${(cause as Error).message}`, { cause })
    }
  }
}

/** What the database refuses while a store is opened is the store's fault, or its settings'. */
async function refusing<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof SinkError) || error.code !== 'STORE_WRITE') throw error
    // A password, a name or a permission that is wrong, or tables that are not ours: the database says which.
    const { cause } = error
    throw new SinkError('STORE_OPEN', `${what}: ${(cause as Error).message}`, { cause })
  }
}

async function openPool({ connectionString, timeoutMs }: PostgresStoreOptions): Promise<PostgresPool> {
  const { default: pg } = await loadPeer('pg', () => import('pg'))
  // A pool's own limit counts the wait for a connection that others use, too: that may take as long as a commit.
  class Client extends pg.Client {
    constructor(options?: pgTypes.ClientConfig) {
      super({ ...options, connectionTimeoutMillis: Math.min(timeoutMs, 15_000) })
    }
  }
  const pool = new pg.Pool({
    ...(connectionString !== undefined && { connectionString }),
    Client,
    max: 4,
    keepAlive: true,
    application_name: 'smt-ingest'
  })
  // An idle connection that breaks is no error of anybody's: the next one is made.
  pool.on('error', () => {})
  return pool as unknown as PostgresPool
}
