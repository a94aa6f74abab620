import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FakeSftpServer } from '@intelliwatt/smt-ingest/testing'
import { startPostgres } from '../support/postgres-server.js'
import { makeDelivery } from './delivery.js'
import { DuckDbStand, NdjsonStand, PostgresStand } from './stores.js'

/**
 * What all trials share: the delivery, an SFTP server that shows it, and a PostgreSQL, started at its first use.
 * @param {number} seed
 */
export async function openMatrix(seed) {
  const folder = mkdtempSync(join(tmpdir(), 'smt-ingest-kill-'))
  const delivery = await makeDelivery(join(folder, 'in'), seed)
  const server = await FakeSftpServer.start({ directory: delivery.folder })
  const identity = join(folder, 'id_ed25519')
  writeFileSync(identity, server.login.privateKey, { mode: 0o600 })
  const login = ['--identity', identity, '--host-key', server.fingerprint]
  let postgres

  return {
    folder,
    delivery,
    nextReport: 0,
    sftp: {
      argsFor: (/** @type {string} */ path) => ['--from', `sftp://smt@127.0.0.1:${server.port}${path}`, ...login]
    },
    /**
     * A new store.
     * @param {string} sink
     * @param {string | number} id
     * @returns {Promise<DuckDbStand | NdjsonStand | PostgresStand>}
     */
    async stand(sink, id) {
      const name = `${sink}_${id}`.replaceAll('-', '_')
      if (sink === 'duckdb') return new DuckDbStand(join(folder, name))
      if (sink === 'ndjson') return new NdjsonStand(join(folder, name))
      const { connectionString } = await (postgres ??= startPostgres())
      return new PostgresStand(connectionString, name, sink.replace('postgres-', ''))
    },
    async close(all = true) {
      await (await postgres)?.remove()
      await server.close()
      if (all) rmSync(folder, { recursive: true })
    }
  }
}
