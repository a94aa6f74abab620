import type { Snapshot, SnapshotPlace } from '../parquet/export.ts'
import { writeParquet } from '../parquet/write.ts'
import { SCHEMA_VERSION } from './schema.ts'
import { type DuckDbStore, guarded, inTransaction, type Sql } from './store.ts'

/** One transaction on a connection of its own: commits go on beside it, and are not seen. */
export async function takeSnapshot<T>(
  store: DuckDbStore,
  { signal }: SnapshotPlace,
  work: (snapshot: Snapshot) => Promise<T>
): Promise<T> {
  const connection = await store.connect()
  const interrupt = () => connection.interrupt()
  signal?.addEventListener('abort', interrupt)
  try {
    return await guarded(store.path, () => inTransaction(connection, sql => work(snapshotOf(sql))))
  } finally {
    signal?.removeEventListener('abort', interrupt)
    store.disconnect(connection)
  }
}

function snapshotOf(sql: Sql): Snapshot {
  return {
    store: { kind: 'duckdb', schemaVersion: SCHEMA_VERSION },
    async days() {
      const rows = await sql.rows('SELECT DISTINCT (epoch_ms(start) // 86400000)::INTEGER AS day FROM interval_rows')
      return rows.map(({ day }) => day as number)
    },
    write({ from, to }, path, writing) {
      const within = `start >= to_timestamp(${from / 1000}) AND start < to_timestamp(${to / 1000})`
      return writing(() => writeParquet(sql, `FROM intervals WHERE ${within}`, path))
    }
  }
}
