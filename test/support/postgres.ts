import { createHash } from 'node:crypto'
import pg from 'pg'
import { afterAll, beforeAll } from 'vitest'
import { startPostgres } from './postgres-server.js'

/** A PostgreSQL to test against: the one that DATABASE_URL names, or a real server of its own on loopback. */
export interface TestPostgres {
  readonly connectionString: string
  /** Ends the server: in order, at once (`SIGQUIT`), or as a crash does (`SIGKILL`). */
  stop(signal?: NodeJS.Signals): Promise<void>
  start(): Promise<void>
}

/** Starts a server before the tests of a file and stops it after them. */
export function usePostgres(): TestPostgres {
  let server: Awaited<ReturnType<typeof startPostgres>> | undefined
  let url = process.env.DATABASE_URL ?? ''
  beforeAll(async () => {
    if (url !== '') return
    server = await startPostgres()
    url = server.connectionString
  }, 120_000)
  afterAll(async () => server?.remove(), 60_000)
  return {
    get connectionString() {
      return url
    },
    stop: async signal => server?.stop(signal),
    start: async () => server?.start()
  }
}

/** A schema's name for a test's folder. */
export function schemaFor(folder: string): string {
  return `t_${createHash('sha256').update(folder).digest('hex').slice(0, 16)}`
}

/** Runs one query on a connection of its own. */
export async function queryPostgres(
  connectionString: string,
  text: string,
  values?: unknown[]
): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString })
  await client.connect()
  try {
    return (await client.query(text, values)).rows
  } finally {
    await client.end()
  }
}
