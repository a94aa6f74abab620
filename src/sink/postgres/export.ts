import type { DuckDBAppender, DuckDBConnection, DuckDBDataChunk } from '@duckdb/node-api'
import { AbortError } from '../../errors.ts'
import { type DuckDb, loadDuckDb } from '../duckdb/library.ts'
import { Sql as DuckDbSql } from '../duckdb/store.ts'
import { putColumn } from '../duckdb/vectors.ts'
import type { Guard, Snapshot, SnapshotPlace } from '../parquet/export.ts'
import type { Month } from '../parquet/months.ts'
import { writeParquet } from '../parquet/write.ts'
import { inTransaction, type Sql } from './connection.ts'
import { DoubleRows } from './copy-out.ts'
import { layoutTables, readingsSql, SCHEMA_VERSION, type StoreLayout } from './schema.ts'
import type { PostgresStore } from './store.ts'

/** Rows of one vector of DuckDB. */
const CHUNK = 2048

/** Meters that are fetched at once. */
const FETCH = 10_000

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
  const table = `${schema}.${layoutTables[layout]}`
  const snapshot: Snapshot = {
    store: { kind: 'postgres', schemaVersion: SCHEMA_VERSION },
    async days() {
      await writer.run('CREATE TABLE meters (meter DOUBLE, esiid VARCHAR)')
      await fetchMeters(sql, schema, await connection.createAppender('meters'))
      const query = `SELECT DISTINCT floor(date_part('epoch', start) / 86400)::int AS day FROM ${table}`
      return (await sql.rows(query)).map(({ day }) => day as number)
    },
    async write(month, path, writing) {
      await writer.run(`CREATE TABLE fetched (${columns.map(name => `${name} DOUBLE`).join(', ')})`)
      const appender = await connection.createAppender('fetched')
      const chunk = duckdb.DuckDBDataChunk.create(columns.map(() => duckdb.DOUBLE))
      await fetchReadings(sql, readingsOf(layout, table, month), appender, chunk, writing)
      const written = await writing(() => writeParquet(writer, intervalsSql, path))
      await writer.run('DROP TABLE fetched')
      return written
    }
  }
  return snapshot
}

async function fetchMeters(sql: Sql, schema: string, appender: DuckDBAppender): Promise<void> {
  await sql.run(`DECLARE exported NO SCROLL CURSOR FOR SELECT meter, esiid FROM ${schema}.meters`)
  for (let count = FETCH; count === FETCH; ) {
    const rows = await sql.rows(`FETCH ${FETCH} FROM exported`)
    for (const { meter, esiid } of rows) {
      appender.appendDouble(meter as number)
      appender.appendVarchar(esiid as string)
      appender.endRow()
    }
    count = rows.length
  }
  await sql.run('CLOSE exported')
  appender.closeSync()
}

/** What is copied: numbers that a double holds exactly, and seconds. */
const columns = ['meter', 'start', 'direction', 'reading', 'estimated', 'revision', 'entry_id', 'line'] as const

/** The query of a month's readings. */
function readingsOf(layout: StoreLayout, table: string, { name, from, to }: Month): string {
  const condition = {
    days: `day >= date '${name}-01' AND day < date '${name}-01' + interval '1 month'`,
    rows: `start >= to_timestamp(${from / 1000}) AND start < to_timestamp(${to / 1000})`
  }[layout]
  const doubles = columns.map(name => {
    if (name === 'start' || name === 'revision') return `date_part('epoch', ${name})`
    return name === 'estimated' ? 'estimated::int::float8' : `${name}::float8`
  })
  return `SELECT ${doubles.join(', ')} FROM (${readingsSql[layout](`(SELECT * FROM ${table} WHERE ${condition})`)}) i`
}

/** Brings a month's readings into DuckDB's table `fetched`. */
async function fetchReadings(
  sql: Sql,
  query: string,
  appender: DuckDBAppender,
  chunk: DuckDBDataChunk,
  writing: Guard
): Promise<void> {
  const rows = new DoubleRows(columns.length, CHUNK, values => {
    chunk.reset()
    chunk.rowCount = values[0]!.length
    for (const [index, column] of values.entries()) putColumn(chunk, index, column)
    appender.appendDataChunk(chunk)
  })
  try {
    for await (const piece of sql.copyOut(`COPY (${query}) TO STDOUT (FORMAT binary)`)) {
      await writing(async () => rows.push(piece))
    }
    await writing(async () => {
      rows.end()
      appender.closeSync()
    })
  } catch (error) {
    // An appender that is merely forgotten would write its rest when it is collected.
    appender.clear()
    throw error
  }
}

/** What was fetched, as intervals. A blank revision was not a number. */
const intervalsSql = `
  SELECT esiid, to_timestamp(start) AS start,
    CASE direction WHEN 0 THEN 'consumption' ELSE 'surplus-generation' END AS direction,
    reading::BIGINT::DECIMAL(18,0) * 0.00001 AS kwh, estimated = 1 AS estimated,
    CASE WHEN isnan(revision) THEN NULL ELSE to_timestamp(revision) END AS revision, entry_id, line
  FROM fetched JOIN meters USING (meter)`
