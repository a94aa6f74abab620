// Where the contenders for DuckDB keep their intervals.
import { existsSync, rmSync, statSync } from 'node:fs'
import { DuckDBInstance } from '@duckdb/node-api'
import { answerOf, storedSql } from '../shared/stored.js'

/** What every contender may take: what `DuckDbSink` takes by itself. */
export const limits = { threads: 1, memoryLimit: '128MB' }

export const instanceOptions = { threads: String(limits.threads), memory_limit: limits.memoryLimit }

/** What DuckDB says of itself with these limits. */
export async function duckDbSettings() {
  const instance = await DuckDBInstance.create(':memory:', instanceOptions)
  const connection = await instance.connect()
  const found = await connection.runAndReadAll(`SELECT version() AS version,
    current_setting('threads')::VARCHAR AS threads, current_setting('memory_limit') AS memory_limit`)
  connection.closeSync()
  instance.closeSync()
  return found.getRowObjectsJS()[0]
}

/** A file, which is a store. */
export class DuckDbPlace {
  /** What a contender is told. */
  place

  constructor(path) {
    this.place = { path }
  }

  /** Takes the store away. */
  async empty() {
    for (const end of ['', '.wal', '.tmp']) rmSync(`${this.place.path}${end}`, { recursive: true, force: true })
  }

  /** Closing has done it. */
  async settle() {}

  /** What the store holds. */
  async look() {
    const words = {
      seconds: column => `epoch(${column})::BIGINT`,
      hash: line => `('0x' || left(md5(${line}), 15))::BIGINT`
    }
    const instance = await DuckDBInstance.create(this.place.path, { access_mode: 'READ_ONLY' })
    const connection = await instance.connect()
    try {
      const found = await connection.runAndReadAll(storedSql('intervals', words))
      return answerOf(found.getRowObjectsJS())
    } finally {
      connection.closeSync()
      instance.closeSync()
    }
  }

  /** Megabytes of the file, and of what waits beside it. */
  async size() {
    const [tables, log] = ['', '.wal'].map(end => `${this.place.path}${end}`).map(megabytesOf)
    return { tables: tables + log, indexes: 0 }
  }
}

function megabytesOf(path) {
  return existsSync(path) ? statSync(path).size / 1e6 : 0
}
