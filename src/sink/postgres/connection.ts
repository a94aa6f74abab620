import { ConfigError } from '../../errors.ts'

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

/** SQL on one connection. Each statement ends by result, error or deadline. */
export class Sql {
  readonly #client: PostgresClient
  readonly #timeoutMs: number
  /** What ended the connection. */
  #end: Error | undefined
  /** Ends each of the statements that wait for an answer. One promise for all of them would keep all their answers. */
  readonly #waiting = new Set<(error: Error) => void>()
  readonly #onEnd = (error?: Error) => this.giveUp(error ?? new Error('the connection ended'))
  /** The connection must not be used again. */
  isBroken = false

  constructor(client: PostgresClient, timeoutMs: number) {
    this.#client = client
    this.#timeoutMs = timeoutMs
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

  /** Copies rows out in PostgreSQL's binary format, piece by piece. Whoever stops before the end breaks the connection. */
  async *copyOut(text: string): AsyncGenerator<Buffer, void> {
    const { to } = await loadPeer('pg-copy-streams', () => import('pg-copy-streams'))
    const stream = this.#client.query(to(text))
    // The driver tells of an end also when nobody reads any more.
    stream.on('error', () => {})
    const pieces = stream[Symbol.asyncIterator]()
    let isWhole = false
    try {
      for (;;) {
        const { done, value } = await this.#settle(() => pieces.next())
        isWhole = done === true
        if (isWhole) return
        yield value
      }
    } finally {
      if (!isWhole) this.isBroken = true
    }
  }

  /** Ends what waits for an answer with an error, and the connection with it. */
  giveUp(error: Error): void {
    this.isBroken = true
    this.#end ??= Object.assign(error, { code: (error as { code?: string }).code ?? 'ECONNRESET' })
    for (const fail of this.#waiting) fail(this.#end)
  }

  release(): void {
    this.#client.off('error', this.#onEnd)
    this.#client.off('end', this.#onEnd)
    if (this.isBroken) this.#client.on('error', () => {})
    this.#client.release(this.isBroken)
  }

  /** Neither driver says a word when the server is gone without one, so the deadline is ours. */
  async #settle<T>(work: () => Promise<T>): Promise<T> {
    if (this.#end) throw this.#end
    let fail!: (error: Error) => void
    const failed = new Promise<never>((_, reject) => {
      fail = reject
    })
    const timer = setTimeout(() => {
      this.isBroken = true
      fail(Object.assign(new Error(`no answer within ${this.#timeoutMs} ms`), { code: 'ETIMEDOUT' }))
    }, this.#timeoutMs)
    this.#waiting.add(fail)
    try {
      return await Promise.race([work(), failed])
    } finally {
      clearTimeout(timer)
      this.#waiting.delete(fail)
    }
  }
}

/** A worker that is frozen in the middle of a transaction keeps its locks from others no longer than this. */
const LONGEST_SILENCE = '10s'

/** All of the work, or nothing of it. `opening` are statements that come first, all in one message. */
export async function inTransaction<T>(
  sql: Sql,
  work: (sql: Sql) => Promise<T>,
  opening: readonly string[] = []
): Promise<T> {
  try {
    const settings = `SET LOCAL idle_in_transaction_session_timeout = '${LONGEST_SILENCE}'`
    // Whoever waited for a lock must see what its holder did, whatever the database has by itself.
    await sql.run(['BEGIN ISOLATION LEVEL READ COMMITTED', settings, ...opening].join('; '))
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
export function isUnreachable(error: unknown): boolean {
  const { code = '' } = error as { code?: string }
  if (/^(ECONN|EPIPE|ETIMEDOUT|EHOST|ENET|ENOTFOUND|EAI_)/.test(code)) return true
  return (
    /^(08|57P|53300|25P03)/.test(code) ||
    /Connection terminated|timeout exceeded when trying to connect/.test(String(error))
  )
}

/** An optional peer, loaded at first use. */
export async function loadPeer<T>(name: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load()
  } catch (cause) {
    throw new ConfigError('CONFIG_MISSING_PEER', `PostgresSink needs the package ${name}`, { cause })
  }
}

/** A name as it stands in a statement, capitals and all. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}
