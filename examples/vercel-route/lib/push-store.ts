import type { FileRecord, ReceivingStore, StoredFile } from '@intelliwatt/smt-ingest/http/receive'
import { Pool, type PoolClient } from 'pg'

/** Keeps what is pushed in PostgreSQL, in the tables of schema.sql. */
export class PushStore implements ReceivingStore {
  #pool: Pool | undefined

  async transaction<T>(file: string, work: (stored: StoredFile) => Promise<T>): Promise<T> {
    const client = await this.#connect()
    try {
      await client.query('BEGIN')
      await client.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [file])
      const result = await work(await storedFile(client, file))
      await client.query('COMMIT')
      client.release()
      return result
    } catch (error) {
      // Its end undoes the transaction, whatever state that is in.
      client.release(true)
      throw error
    }
  }

  /** At the first message: while the app is built there is no database. */
  #connect(): Promise<PoolClient> {
    const { DATABASE_URL } = process.env
    if (!DATABASE_URL) throw new Error('not set in the environment: DATABASE_URL')
    this.#pool ??= new Pool({
      connectionString: DATABASE_URL,
      connectionTimeoutMillis: 10_000,
      statement_timeout: 50_000,
      query_timeout: 55_000
    }).on('error', () => {}) // An idle connection that broke: the pool has dropped it.
    return this.#pool.connect()
  }
}

async function storedFile(client: PoolClient, file: string): Promise<StoredFile> {
  const recordWhere = async (condition: string, value: string): Promise<FileRecord | undefined> => {
    const { rows } = await client.query(`SELECT record FROM pushed_files WHERE ${condition} = $1`, [value])
    return rows[0]?.record
  }
  const forgetStaged = (condition = '', values: unknown[] = []) =>
    client.query(`DELETE FROM pushed_rows WHERE file = $1 AND NOT visible ${condition}`, [file, ...values])
  return {
    record: await recordWhere('file', file),
    findPayload: sha256 => recordWhere('payload', sha256),
    async remember(record) {
      await client.query(
        `INSERT INTO pushed_files (file, record) VALUES ($1, $2)
         ON CONFLICT (file) DO UPDATE SET record = excluded.record`,
        [file, record]
      )
    },
    async stage({ index, rows }) {
      await forgetStaged('AND part = $2', [index])
      await client.query(
        `INSERT INTO pushed_rows (file, part, esiid, start, minutes, direction, kwh, estimated, revision, entry, line)
         SELECT $1, $2, esiid, to_timestamp(start / 1000.0), coalesce(minutes, 15), direction, kwh, estimated,
           to_timestamp(revision / 1000.0), entry, line
         FROM jsonb_to_recordset($3) AS row (esiid text, start bigint, minutes integer, direction text,
           kwh numeric, estimated boolean, revision bigint, entry integer, line integer)`,
        [file, index, JSON.stringify(rows)]
      )
    },
    async commit({ parts, isReplay }) {
      // Parts beyond those listed are of a run that cut the file otherwise.
      await forgetStaged('AND part >= $2', [parts.length])
      if (isReplay) await client.query('DELETE FROM pushed_rows WHERE file = $1 AND visible', [file])
      const { rowCount } = await client.query('UPDATE pushed_rows SET visible = true WHERE file = $1 AND NOT visible', [
        file
      ])
      // All versions are kept, so none takes the place of another.
      return { inserted: rowCount ?? 0, replaced: 0, unchanged: 0, superseded: 0, conflicts: 0 }
    },
    async rollback() {
      await forgetStaged()
    }
  }
}
