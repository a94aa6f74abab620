import { setTimeout as pause } from 'node:timers/promises'
import { ConfigError, IngestError, SinkError } from '../../errors.ts'
import { layoutSql, migrations, SCHEMA_VERSION, type StoreLayout } from './schema.ts'

/** The part of a pool of `pg` that is used. */
export interface PostgresPool {
  connect(): Promise<PostgresClient>
  end(): Promise<void>
}

/** The part of a client of `pg` that is used. */
export interface PostgresClient {
  query(text: string, values?: unknown[]): Promise<{ rows: Record<string, unknown>[]; rowCount: number | null }>
  query<T extends { submit(connection: unknown): void }>(query: T): T
  on(event: 'error' | 'end', listener: (error?: Error) => void): unknown
  off(event: 'error' | 'end', listener: (error?: Error) => void): unknown
  release(destroy?: boolean): void
}

/** How often a transaction is begun again that lost against another one. */
const MOST_ATTEMPTS = 6
const FIRST_PAUSE_MS = 20

/** What PostgreSQL says when two transactions cannot both go on: one of them may try again. */
const lost = new Set(['40001', '40P01', '23505'])

/** How a store is opened. */
export interface PostgresStoreOptions {
  readonly pool: PostgresPool | undefined
  readonly connectionString: string | undefined
  readonly schema: string
  readonly layout: StoreLayout
  readonly timeoutMs: number
}

/** One schema of a PostgreSQL database, reached through a pool. */
export class PostgresStore {
  /** The schema's name, quoted, to stand before a table's. */
  readonly schema: string
  readonly layout: StoreLayout
  readonly #pool: PostgresPool
  readonly #isOurs: boolean
  readonly #timeoutMs: number

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
      await store.transaction(sql => store.#migrate(sql))
      return store
    } catch (error) {
      await store.close()
      if (!(error instanceof SinkError) || error.code !== 'STORE_WRITE') throw error
      // A password, a name or a permission that is wrong, or tables that are not ours: the database says which.
      const { cause } = error
      throw new SinkError('STORE_OPEN', `the store cannot be opened: ${(cause as Error).message}`, { cause })
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

  /** All of the work, or nothing of it; again when it lost against another transaction. */
  async transaction<T>(work: (sql: Sql) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.session(sql => inTransaction(sql, work))
      } catch (error) {
        const code = (error as { cause?: { code?: string } }).cause?.code
        if (attempt === MOST_ATTEMPTS || code === undefined || !lost.has(code)) throw error
        await pause(FIRST_PAUSE_MS * 2 ** (attempt - 1) * (0.5 + Math.random()))
      }
    }
  }

  async close(): Promise<void> {
    if (this.#isOurs) await this.#pool.end()
  }

  async #migrate(sql: Sql): Promise<void> {
    const s = this.schema
    await sql.run('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [`smt-ingest ${s}`])
    await sql.run(`CREATE SCHEMA IF NOT EXISTS ${s}`)
    await sql.run(`CREATE TABLE IF NOT EXISTS ${s}.store (version integer NOT NULL, layout text NOT NULL)`)
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

/** SQL on one connection. Each statement ends by result, error or deadline. */
export class Sql {
  readonly #client: PostgresClient
  readonly #timeoutMs: number
  readonly #gone: Promise<never>
  #reject!: (error: Error) => void
  readonly #onEnd = (error?: Error) => this.#break(error ?? new Error('the connection ended'))
  /** The connection must not be used again. */
  isBroken = false

  constructor(client: PostgresClient, timeoutMs: number) {
    this.#client = client
    this.#timeoutMs = timeoutMs
    this.#gone = new Promise((_, reject) => {
      this.#reject = reject
    })
    this.#gone.catch(() => {})
    client.on('error', this.#onEnd)
    client.on('end', this.#onEnd)
  }

  /** Runs a statement; gives how many rows it touched. */
  async run(text: string, values?: unknown[]): Promise<number> {
    return (await this.#settle(() => this.#client.query(text, values))).rowCount ?? 0
  }

  /** Runs a query; gives its rows. */
  async rows(text: string, values?: unknown[]): Promise<Record<string, unknown>[]> {
    return (await this.#settle(() => this.#client.query(text, values))).rows
  }

  /** Copies bytes in that are in PostgreSQL's binary format. */
  async copy(text: string, bytes: Buffer): Promise<void> {
    const { from } = await loadPeer('pg-copy-streams', () => import('pg-copy-streams'))
    await this.#settle(
      () =>
        new Promise<void>((resolve, reject) => {
          const stream = this.#client.query(from(text))
          stream.once('error', reject).once('finish', resolve)
          stream.end(bytes)
        })
    )
  }

  release(): void {
    this.#client.off('error', this.#onEnd)
    this.#client.off('end', this.#onEnd)
    if (this.isBroken) this.#client.on('error', () => {})
    this.#client.release(this.isBroken)
  }

  /** Neither driver says a word when the server is gone without one, so the deadline is ours. */
  async #settle<T>(work: () => Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        this.isBroken = true
        reject(Object.assign(new Error(`no answer within ${this.#timeoutMs} ms`), { code: 'ETIMEDOUT' }))
      }, this.#timeoutMs)
    })
    try {
      return await Promise.race([work(), this.#gone, late])
    } finally {
      clearTimeout(timer)
    }
  }

  #break(error: Error): void {
    this.isBroken = true
    this.#reject(Object.assign(error, { code: (error as { code?: string }).code ?? 'ECONNRESET' }))
  }
}

/** A worker that is frozen in the middle of a transaction keeps its locks from others no longer than this. */
const LONGEST_SILENCE = '10s'

async function inTransaction<T>(sql: Sql, work: (sql: Sql) => Promise<T>): Promise<T> {
  await sql.run(`BEGIN; SET LOCAL idle_in_transaction_session_timeout = '${LONGEST_SILENCE}'`)
  try {
    const result = await work(sql)
    await sql.run('COMMIT')
    return result
  } catch (error) {
    // A connection in the middle of a transaction must not go back to the pool.
    if (!sql.isBroken) await sql.run('ROLLBACK').catch(() => (sql.isBroken = true))
    throw error
  }
}

/** Whether the database itself is away: gone, going, not up yet, or not to be connected to. */
function isUnreachable(error: unknown): boolean {
  const { code = '' } = error as { code?: string }
  if (/^(ECONN|EPIPE|ETIMEDOUT|EHOST|ENET|ENOTFOUND|EAI_)/.test(code)) return true
  return (
    /^(08|57P|53300|25P03)/.test(code) ||
    /Connection terminated|timeout exceeded when trying to connect/.test(String(error))
  )
}

async function openPool({ connectionString, timeoutMs }: PostgresStoreOptions): Promise<PostgresPool> {
  const { default: pg } = await loadPeer('pg', () => import('pg'))
  const pool = new pg.Pool({
    ...(connectionString !== undefined && { connectionString }),
    max: 4,
    connectionTimeoutMillis: Math.min(timeoutMs, 15_000),
    keepAlive: true,
    application_name: 'smt-ingest'
  })
  // An idle connection that breaks is no error of anybody's: the next one is made.
  pool.on('error', () => {})
  return pool as unknown as PostgresPool
}

async function loadPeer<T>(name: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load()
  } catch (cause) {
    throw new ConfigError('CONFIG_MISSING_PEER', `PostgresSink needs the package ${name}`, { cause })
  }
}

function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}
