import type { DuckDBAppender, DuckDBConnection, DuckDBDataChunk, DuckDBType } from '@duckdb/node-api'
import type { IntervalBatch } from '../../batch.ts'
import { AscendingKeys } from '../ascending-keys.ts'
import type { DuckDb } from './library.ts'
import { type DuckDbStore, Sql } from './store.ts'
import { putColumn } from './vectors.ts'

/** Rows that one of DuckDB's chunks holds. */
const CHUNK = 2048

/**
 * Rows of one piece. A piece is one side of a join, and has to fit into a small memory limit beside the rest; with twice
 * as many, a merge of six million rows failed at 128 MB. Two of DuckDB's row groups.
 */
const PIECE = 245_760

/** Pieces whose keys are compared at once, those of some of the meters: more would not fit into the same limit. */
const COMPARED = 5

/** Meters whose numbers are remembered; about 5 MB when full. Who is forgotten gets another number. */
const MOST_METERS = 50_000

/** A table of staged rows, of which no two in all pieces have one key. */
export interface Piece {
  readonly table: string
  readonly rows: number
  /** Whether it says how many `rivals` of its file each row beat, and whether it is in `conflict` with one of them. */
  readonly hasRivals: boolean
}

const pieceColumns = `number UINTEGER, start DOUBLE, direction UTINYINT, kwh DOUBLE, estimated UTINYINT,
  revision DOUBLE, entry UINTEGER, line UINTEGER`

/** The types of {@link pieceColumns}. */
export function pieceTypes({ UINTEGER, DOUBLE, UTINYINT }: DuckDb): readonly DuckDBType[] {
  return [UINTEGER, DOUBLE, UTINYINT, DOUBLE, UTINYINT, DOUBLE, UINTEGER, UINTEGER]
}

/**
 * The rows of one file as they come, outside any transaction, in temporary tables that nobody else sees: pieces of
 * {@link PIECE} rows, and `staged_meters`, which says whose number is whose.
 *
 * Memory: one chunk, the numbers of {@link MOST_METERS} meters, and what DuckDB holds or spills.
 */
export class DuckDbStaging {
  readonly connection: DuckDBConnection
  readonly #store: DuckDbStore
  readonly #meters: DuckDBAppender
  readonly #keys = new AscendingKeys()
  readonly #numbers = new Map<string, number>()
  /** The next meter's number. */
  #next = 0
  /** Rows in each piece. */
  readonly #pieces: number[] = []
  #rows: DuckDBAppender | undefined
  /** The appenders are closed. */
  #hasEnded = false
  /** One chunk, filled again and again: what it holds is native memory, which the collector does not see. */
  readonly #chunk: DuckDBDataChunk
  readonly #number = new Uint32Array(CHUNK)
  readonly #entry = new Uint32Array(CHUNK)

  private constructor(store: DuckDbStore, connection: DuckDBConnection, meters: DuckDBAppender) {
    this.#store = store
    this.connection = connection
    this.#meters = meters
    this.#chunk = store.duckdb.DuckDBDataChunk.create(pieceTypes(store.duckdb))
  }

  static async begin(store: DuckDbStore): Promise<DuckDbStaging> {
    const connection = await store.connect()
    try {
      await connection.run('CREATE TEMP TABLE staged_meters (number UINTEGER, esiid VARCHAR)')
      return new DuckDbStaging(store, connection, await connection.createAppender('staged_meters', 'main', 'temp'))
    } catch (error) {
      store.disconnect(connection)
      throw error
    }
  }

  async add(batch: IntervalBatch): Promise<void> {
    const numbers = batch.esiids.map(esiid => this.#numberOf(esiid))
    for (let from = 0; from < batch.length; from += CHUNK) {
      const to = Math.min(batch.length, from + CHUNK)
      this.#fill(batch, from, to, numbers)
      const rows = await this.#appender(to - from)
      rows.appendDataChunk(this.#chunk)
    }
    this.#keys.take(batch)
  }

  /** No more rows come. Gives the pieces, in which each key stands once. */
  async end(): Promise<readonly Piece[]> {
    this.#rows?.closeSync()
    this.#meters.closeSync()
    this.#hasEnded = true
    return this.#keys.mayRepeat ? this.#winners(new Sql(this.connection)) : this.#asTheyCame()
  }

  /** Forgets everything. Nothing may be under way. */
  close(): void {
    try {
      // An appender that is merely forgotten would write its rest when it is collected.
      if (!this.#hasEnded) for (const appender of [this.#rows, this.#meters]) appender?.clear()
    } finally {
      this.#store.disconnect(this.connection)
    }
  }

  #numberOf(esiid: string): number {
    const known = this.#numbers.get(esiid)
    if (known !== undefined) return known
    if (this.#numbers.size === MOST_METERS) this.#numbers.clear()
    const number = this.#next++
    this.#numbers.set(esiid, number)
    this.#meters.appendUInteger(number)
    this.#meters.appendVarchar(esiid)
    this.#meters.endRow()
    return number
  }

  /** The appender for so many more rows: of this piece, or of the next one. */
  async #appender(count: number): Promise<DuckDBAppender> {
    const last = this.#pieces.length - 1
    if (this.#rows && this.#pieces[last]! + count <= PIECE) {
      this.#pieces[last]! += count
      return this.#rows
    }
    this.#rows?.closeSync()
    const table = stagedTable(this.#pieces.length)
    await this.connection.run(`CREATE TEMP TABLE ${table} (${pieceColumns})`)
    this.#pieces.push(count)
    this.#rows = await this.connection.createAppender(table, 'main', 'temp')
    return this.#rows
  }

  /** Fills the chunk with rows `from` to `to` of a batch. */
  #fill(batch: IntervalBatch, from: number, to: number, numbers: readonly number[]): void {
    const { start, direction, kwh, estimated, revision, line, meter, entry } = batch
    for (let i = from; i < to; i++) this.#number[i - from] = numbers[meter[i]!]!
    this.#entry.fill(entry.index)
    // Setting it makes all vectors anew, also when it stays as it is.
    if (this.#chunk.rowCount !== to - from) this.#chunk.rowCount = to - from
    const columns = [start, direction, kwh, estimated, revision].map(column => column.subarray(from, to))
    const [number, entries] = [this.#number, this.#entry].map(column => column.subarray(0, to - from))
    for (const [index, column] of [number!, ...columns, entries!, line.subarray(from, to)].entries()) {
      putColumn(this.#chunk, index, column)
    }
  }

  /**
   * The best row of each key, in as many pieces again, unless no key came twice after all. Only rows of such keys are
   * compared: rows that are merely out of order cost a count of their keys.
   */
  async #winners(sql: Sql): Promise<readonly Piece[]> {
    const all = this.#pieces.map((_, i) => `SELECT ${i} AS piece, rowid AS place, * FROM ${stagedTable(i)}`)
    await sql.run(`CREATE TEMP VIEW staged_rows AS ${all.join(' UNION ALL ')}`)
    await sql.run(canonsSql)
    await sql.run(
      'CREATE TEMP TABLE ranked (piece UINTEGER, place BIGINT, rank UINTEGER, rivals UINTEGER, conflict BOOLEAN)'
    )
    let found = 0
    const parts = Math.ceil(this.#pieces.length / COMPARED)
    for (let part = 0; part < parts; part++) {
      await sql.run(repeatedSql, { part, parts })
      found += await sql.run(rankedSql)
    }
    const pieces = found === 0 ? this.#asTheyCame() : await this.#best(sql)
    for (const leftover of ['VIEW staged_rows', 'TABLE repeated', 'TABLE canons', 'TABLE ranked']) {
      await sql.run(`DROP ${leftover}`)
    }
    return pieces
  }

  async #best(sql: Sql): Promise<readonly Piece[]> {
    const pieces: Piece[] = []
    for (const piece of this.#pieces.keys()) {
      const table = `winners_${piece}`
      await sql.run(`CREATE TEMP TABLE ${table} (${pieceColumns}, rivals UINTEGER, conflict BOOLEAN)`)
      pieces.push({ table, rows: await sql.run(winnersSql(piece, table)), hasRivals: true })
      await sql.run(`DROP TABLE ${stagedTable(piece)}`)
    }
    return pieces
  }

  #asTheyCame(): readonly Piece[] {
    return this.#pieces.map((rows, piece) => ({ table: stagedTable(piece), rows, hasRivals: false }))
  }
}

const stagedTable = (piece: number) => `staged_${piece}`

/** One number for each meter: one that was forgotten has several. */
const canonsSql = `
  CREATE TEMP TABLE canons AS SELECT number, min(number) OVER (PARTITION BY esiid) AS canon FROM staged_meters`

const repeatedSql = `
  CREATE OR REPLACE TEMP TABLE repeated AS
  SELECT canon, direction, start FROM staged_rows JOIN canons USING (number) WHERE canon % $parts = $part
  GROUP BY ALL HAVING count(*) > 1`

/** The rows of repeated keys, best first: the greatest (revision, actual over estimated, entry, line). */
const rankedSql = `
  INSERT INTO ranked
  SELECT piece, place,
    row_number() OVER (same_key ORDER BY nullif(revision, 'nan') DESC NULLS LAST, estimated, entry DESC, line DESC) AS rank,
    count(*) OVER same_key - 1 AS rivals,
    min(kwh) OVER same_version <> max(kwh) OVER same_version AS conflict
  FROM staged_rows JOIN canons USING (number) JOIN repeated USING (canon, direction, start)
  WINDOW same_key AS (PARTITION BY canon, direction, start),
    same_version AS (PARTITION BY canon, direction, start, revision, estimated)`

const winnersSql = (piece: number, table: string) => `
  INSERT INTO ${table}
  SELECT s.*, coalesce(rivals, 0), coalesce(conflict, false)
  FROM ${stagedTable(piece)} s LEFT JOIN ranked r ON r.piece = ${piece} AND r.place = s.rowid
  WHERE coalesce(rank, 1) = 1`
