// A PostgreSQL with the settings that it has by itself, and questions to it.
import pg from 'pg'
import { startPostgres as startServer } from '../../test/support/postgres-server.js'
import { answerOf, storedSql } from './stored.js'

/** The server that DATABASE_URL names, whose user may order checkpoints, or one of its own on loopback. */
export async function startPostgres() {
  if (process.env.DATABASE_URL) return { connectionString: process.env.DATABASE_URL, stop: async () => {} }
  const server = await startServer([])
  return { connectionString: server.connectionString, stop: () => server.remove() }
}

const named = [
  'server_version',
  'fsync',
  'synchronous_commit',
  'wal_level',
  'full_page_writes',
  'shared_buffers',
  'max_wal_size',
  'autovacuum'
]

/** What decides how much a commit is worth, and what it costs. */
export function serverSettings({ connectionString }) {
  return connected(connectionString, async client => {
    const settings = {}
    for (const name of named) {
      const { rows } = await client.query('SELECT current_setting($1) AS value', [name])
      settings[name] = rows[0].value
    }
    const { rows } = await client.query('SELECT datcollate FROM pg_database WHERE datname = current_database()')
    return { ...settings, collation: rows[0].datcollate }
  })
}

/** A schema of the server, which is a store. */
export class PostgresPlace {
  /** What a contender is told. */
  place

  constructor({ connectionString }, schema) {
    this.place = { connectionString, schema }
  }

  /** Takes the store away. */
  async empty() {
    await this.#connected(client => client.query(`DROP SCHEMA IF EXISTS ${this.place.schema} CASCADE`))
  }

  /** What the server would do by itself a minute later, in the middle of somebody's pass. */
  async settle() {
    await this.#connected(async client => {
      const { rows } = await client.query(
        'SELECT format($2, schemaname, tablename) AS name FROM pg_tables WHERE schemaname = $1',
        [this.place.schema, '%I.%I']
      )
      for (const { name } of rows) await client.query(`VACUUM (ANALYZE) ${name}`)
      await client.query('CHECKPOINT')
    })
  }

  /** What the store holds. */
  look() {
    const words = {
      seconds: column => `extract(epoch FROM ${column})::bigint`,
      hash: line => `('x' || left(md5(${line}), 15))::bit(60)::bigint`
    }
    const query = storedSql(`${this.place.schema}.intervals`, words)
    return this.#connected(async client => answerOf((await client.query(query)).rows))
  }

  /** Megabytes of all tables, and of their indexes. */
  size() {
    const query = `SELECT coalesce(sum(pg_table_size(c.oid)), 0) / 1e6 AS tables,
      coalesce(sum(pg_indexes_size(c.oid)), 0) / 1e6 AS indexes
      FROM pg_class c WHERE relnamespace = $1::regnamespace AND relkind = 'r'`
    return this.#connected(async client => {
      const { rows } = await client.query(query, [this.place.schema])
      return { tables: Number(rows[0].tables), indexes: Number(rows[0].indexes) }
    })
  }

  /**
   * How long a question about `intervals` takes the server for each of some lists of values, and how many rows it gives.
   * What a client makes of the rows is the same for every store, and takes longer.
   */
  timesOf(questionOf, lists) {
    const text = `EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) ${questionOf(`${this.place.schema}.intervals`)}`
    return this.#connected(async client => {
      const found = []
      for (const values of lists) {
        const { rows } = await client.query(text, values)
        const [{ Plan: plan, ...times }] = rows[0]['QUERY PLAN']
        found.push({ ms: times['Planning Time'] + times['Execution Time'], rows: plan['Actual Rows'] })
      }
      return found
    })
  }

  #connected(work) {
    return connected(this.place.connectionString, work)
  }
}

/** Work on a connection of its own. */
async function connected(connectionString, work) {
  const client = new pg.Client({ connectionString })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}
