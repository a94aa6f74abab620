import type { DuckDBAppender, DuckDBConnection, DuckDBDataChunk } from '@duckdb/node-api'
import { AbortError } from '../../errors.ts'
import { type DuckDb, loadDuckDb } from '../duckdb/library.ts'
import { Sql as DuckDbSql } from '../duckdb/store.ts'
import { putColumn } from '../duckdb/vectors.ts'
import type { Guard, Snapshot, SnapshotPlace } from '../parquet/export.ts'
import type { Month } from '../parquet/months.ts'
import { writeParquet } from '../parquet/write.ts'
import { inTransaction, type Sql } from './connection.ts'
import { intervalsSql, layoutTables, SCHEMA_VERSION, type StoreLayout } from './schema.ts'
import type { PostgresStore } from './store.ts'

/** Rows of one vector of DuckDB. */
const CHUNK = 2048

/** Rows that are fetched at once: 2 MB as text. */
const FETCH = 10 * CHUNK

/** What DuckDB may take to sort a month. */
const MEMORY = '128MB'

/** One read-only transaction, and a DuckDB of its own in memory that sorts and writes what it gives. */
export function takeSnapshot<T>(
  open: () => Promise<PostgresStore>,
  { spill, signal }: SnapshotPlace,
  work: (snapshot: Snapshot) => Promise<T>
): Promise<T> {
  return withDuckDb(spill, async (duckdb, connection) => {
    const store = await open()
    return store.session(async sql => {
      const giveUp = () => {
        connection.interrupt()
        sql.giveUp(new AbortError())
      }
      signal?.addEventListener('abort', giveUp)
      try {
        return await inTransaction(sql, async () => {
          await sql.run('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY')
          // While a month is sorted and written the transaction has nothing to do.
          await sql.run('SET LOCAL idle_in_transaction_session_timeout = 0')
          // Every row is fetched: the first ones need not come soon.
          await sql.run('SET LOCAL cursor_tuple_fraction = 1')
          return work(snapshotOf(store, sql, duckdb, connection))
        })
      } finally {
        signal?.removeEventListener('abort', giveUp)
      }
    })
  })
}

async function withDuckDb<T>(
  spill: string,
  work: (duckdb: DuckDb, connection: DuckDBConnection) => Promise<T>
): Promise<T> {
  const duckdb = await loadDuckDb('exportParquet')
  const instance = await duckdb.DuckDBInstance.create(':memory:', {
    memory_limit: MEMORY,
    threads: '1',
    autoinstall_known_extensions: 'false',
    temp_directory: spill
  })
  const connection = await instance.connect()
  try {
    return await work(duckdb, connection)
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
}

function snapshotOf({ schema, layout }: PostgresStore, sql: Sql, duckdb: DuckDb, connection: DuckDBConnection) {
  const writer = new DuckDbSql(connection)
  const snapshot: Snapshot = {
    store: { kind: 'postgres', schemaVersion: SCHEMA_VERSION },
    async days() {
      const query = `SELECT DISTINCT floor(extract(epoch FROM start) / 86400)::int AS day FROM ${schema}.${layoutTables[layout]}`
      return (await sql.rows(query)).map(({ day }) => day as number)
    },
    async write(month, path, writing) {
      await writer.run(`CREATE TABLE fetched (${columns.map(name => `${name} ${typeOf(name)}`).join(', ')})`)
      await fetch(sql, monthSql(schema, layout, month), await Appending.begin(duckdb, connection), writing)
      const written = await writing(() => writeParquet(writer, fetchedSql, path))
      await writer.run('DROP TABLE fetched')
      return written
    }
  }
  return snapshot
}

/** What is fetched: numbers but for the meter. */
const columns = ['esiid', 'start', 'direction', 'kwh', 'estimated', 'revision', 'entry_id', 'line'] as const

const typeOf = (name: (typeof columns)[number]) => (name === 'esiid' ? 'VARCHAR' : 'DOUBLE')

/** A month's intervals as numbers that a double holds exactly, or whose nearest double tells the decimal. */
function monthSql(schema: string, layout: StoreLayout, { name, from, to }: Month): string {
  const condition = {
    days: `day >= date '${name}-01' AND day < date '${name}-01' + interval '1 month'`,
    rows: `start >= to_timestamp(${from / 1000}) AND start < to_timestamp(${to / 1000})`
  }[layout]
  const table = `(SELECT * FROM ${schema}.${layoutTables[layout]} WHERE ${condition})`
  return `SELECT esiid, (extract(epoch FROM start) * 1000)::float8 AS start, (direction <> 'consumption')::int AS direction,
      kwh::float8 AS kwh, estimated::int AS estimated, (extract(epoch FROM revision) * 1000)::float8 AS revision,
      entry_id::float8 AS entry_id, line::float8 AS line
    FROM (${intervalsSql[layout](schema, table)}) i`
}

/** What was fetched, as intervals. A blank revision was not a number. */
const fetchedSql = `
  SELECT esiid, to_timestamp(start / 1000) AS start,
    CASE direction WHEN 0 THEN 'consumption' ELSE 'surplus-generation' END AS direction, kwh, estimated = 1 AS estimated,
    CASE WHEN isnan(revision) THEN NULL ELSE to_timestamp(revision / 1000) END AS revision, entry_id, line
  FROM fetched`

/** Brings a query's rows into DuckDB, so many at a time. */
async function fetch(sql: Sql, query: string, fetched: Appending, writing: Guard): Promise<void> {
  try {
    await sql.run(`DECLARE exported NO SCROLL CURSOR FOR ${query}`)
    for (let count = FETCH; count === FETCH; ) {
      const rows = await sql.rows(`FETCH ${FETCH} FROM exported`)
      await writing(async () => fetched.add(rows))
      count = rows.length
    }
    await sql.run('CLOSE exported')
    await writing(async () => fetched.end())
  } catch (error) {
    fetched.drop()
    throw error
  }
}

/** Rows on their way into the table `fetched`. */
class Appending {
  readonly #appender: DuckDBAppender
  readonly #chunk: DuckDBDataChunk

  private constructor(appender: DuckDBAppender, chunk: DuckDBDataChunk) {
    this.#appender = appender
    this.#chunk = chunk
  }

  static async begin({ DuckDBDataChunk, VARCHAR, DOUBLE }: DuckDb, connection: DuckDBConnection): Promise<Appending> {
    const types = columns.map(name => (typeOf(name) === 'VARCHAR' ? VARCHAR : DOUBLE))
    return new Appending(await connection.createAppender('fetched'), DuckDBDataChunk.create(types))
  }

  add(rows: readonly Record<string, unknown>[]): void {
    for (let from = 0; from < rows.length; from += CHUNK) {
      this.#fill(rows.slice(from, from + CHUNK))
      this.#appender.appendDataChunk(this.#chunk)
    }
  }

  end(): void {
    this.#appender.closeSync()
  }

  /** An appender that is merely forgotten would write its rest when it is collected. */
  drop(): void {
    this.#appender.clear()
  }

  #fill(rows: readonly Record<string, unknown>[]): void {
    this.#chunk.reset()
    this.#chunk.rowCount = rows.length
    for (const [index, name] of columns.entries()) {
      const values = rows.map(row => row[name])
      if (typeOf(name) === 'VARCHAR') this.#chunk.setColumnValues(index, values as string[])
      else
        putColumn(
          this.#chunk,
          index,
          Float64Array.from(values, value => (value as number | null) ?? Number.NaN)
        )
    }
  }
}
