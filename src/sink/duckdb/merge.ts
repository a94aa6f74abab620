import { countSql, type Merged, storedOf } from '../sql-columns.ts'
import { takeOutBefore } from './replay.ts'
import type { Piece } from './staging.ts'
import type { Sql } from './store.ts'

/** What a merge needs to know of the file, beside what was staged. */
export interface MergeContext {
  readonly fileId: bigint
  /** Hash of the opened payload: of equal versions the greater one wins. */
  readonly payload: string
  /** Numbers of the entries that the store has of this file already: it is read anew. */
  readonly before: readonly bigint[]
}

/**
 * Merges a file's rows, inside the caller's transaction: (revision, actual over estimated, payload hash) decide, I6. A
 * winner with the same reading takes over its provenance too, so that any order of files gives the same store.
 *
 * Rows are taken out and put in again, not updated: DuckDB keeps every updated version in memory until its next
 * checkpoint. All pieces take out before the first puts in, because rows that are not committed are slow to search.
 */
export async function mergePieces(sql: Sql, pieces: readonly Piece[], file: MergeContext): Promise<Merged> {
  await sql.run(newMetersSql)
  await sql.run(numbersSql)
  await sql.run(judgedSql)
  for (const [piece, { table, hasRivals }] of pieces.entries()) await sql.run(pieceSql(piece, table, hasRivals))
  const lost = file.before.length > 0 ? await takeOutBefore(sql, saidSql(pieces.length, file), file.before) : undefined
  const met: number[] = []
  for (const piece of pieces.keys()) met.push(await sql.run(judgeSql(piece)))
  await findSeniors(sql, file.payload)
  await sql.run(decidedSql)
  const won: number[] = []
  for (const piece of pieces.keys()) won.push(met[piece]! > 0 ? await sql.run(takeOutSql(piece)) : 0)
  for (const [piece, { rows }] of pieces.entries()) {
    const beaten = met[piece]! - won[piece]!
    if (rows > beaten) await sql.run(putInSql(piece, beaten > 0), { fileId: file.fileId })
  }
  const [row] = await sql.rows(countSql(ownSql(pieces), metSql))
  return { stored: storedOf(row), lost }
}

/** In the order of the file: the meters of a piece have numbers close together, and most of the store is not read. */
const newMetersSql = `
  INSERT INTO meters (esiid)
  SELECT esiid FROM staged_meters ANTI JOIN meters USING (esiid) GROUP BY esiid ORDER BY min(number)`

/** The store's number of each meter that the file has. */
const numbersSql = 'CREATE TEMP TABLE numbers AS SELECT number, meter FROM staged_meters JOIN meters USING (esiid)'

/** Rows whose key has a row already, each by its place in its piece, and the old one by its rowid. */
const judgedSql = `CREATE TEMP TABLE judged (piece UINTEGER, place BIGINT, old BIGINT, entry_id BIGINT, wins BOOLEAN,
  unchanged BOOLEAN, conflict BOOLEAN)`

/** Entries that are asked for one by one, by the indexes; for more than these all of the ledger is read once. */
const ASKED_SINGLY = 100

/**
 * Makes the table of the entries that were met in an equal version and whose payload is not the lesser one. What somebody
 * took out of the ledger is not among them.
 *
 * Step by step: as one join, DuckDB puts all hashes of the ledger in memory to meet a few of them.
 */
async function findSeniors(sql: Sql, payload: string): Promise<void> {
  await sql.run('CREATE TEMP TABLE seniors (entry_id BIGINT, is_senior BOOLEAN)')
  await sql.run('CREATE TEMP TABLE equals AS SELECT DISTINCT entry_id FROM judged WHERE wins IS NULL')
  const equals = await sql.rows(`SELECT entry_id FROM equals LIMIT ${ASKED_SINGLY + 1}`)
  if (equals.length > ASKED_SINGLY) {
    await sql.run('CREATE TEMP TABLE equal_files AS SELECT entry_id, file_id FROM equals JOIN entries USING (entry_id)')
    await sql.run(
      `INSERT INTO seniors SELECT entry_id, true FROM equal_files JOIN files USING (file_id)
       WHERE payload_sha256 >= $payload`,
      { payload }
    )
    await sql.run('DROP TABLE equal_files')
  } else {
    for (const { entry_id: id } of equals) await askSenior(sql, id as bigint, payload)
  }
  await sql.run('DROP TABLE equals')
}

async function askSenior(sql: Sql, entry: bigint, payload: string): Promise<void> {
  const [found] = await sql.rows('SELECT file_id FROM entries WHERE entry_id = $entry', { entry })
  if (!found) return
  const [file] = await sql.rows('SELECT payload_sha256 FROM files WHERE file_id = $id', { id: found.file_id as bigint })
  // As text of hexadecimal digits, or null.
  if (file && ((file.payload_sha256 as string | null) ?? '') >= payload) {
    await sql.run('INSERT INTO seniors VALUES ($entry, true)', { entry })
  }
}

const decidedSql = `
  CREATE TEMP VIEW decided AS
  SELECT * EXCLUDE is_senior REPLACE (coalesce(wins, is_senior IS NULL) AS wins)
  FROM judged LEFT JOIN seniors USING (entry_id)`

/** The rows of a piece in the store's types. A blank revision is older than any. */
const pieceSql = (piece: number, table: string, hasRivals: boolean) => `
  CREATE TEMP VIEW piece_${piece} AS
  SELECT p.rowid AS place, meter, to_timestamp(start / 1000) AS start,
    CASE direction WHEN 0 THEN 'consumption'::direction ELSE 'surplus-generation'::direction END AS direction,
    kwh::DECIMAL(12,5) AS kwh, estimated = 1 AS estimated,
    CASE WHEN isnan(revision) THEN '-infinity' ELSE to_timestamp(revision / 1000) END AS revision,
    entry, line, ${rivalColumns(hasRivals)}
  FROM ${table} p JOIN numbers USING (number)`

/** What the file gives now. */
function saidSql(pieces: number, { fileId }: MergeContext): string {
  const columns = 'meter, start, direction, kwh, estimated, revision, entry_id, line'
  if (pieces === 0) return `SELECT ${columns} FROM interval_rows WHERE false`
  const all = Array.from({ length: pieces }, (_, i) => `FROM piece_${i}`).join(' UNION ALL ')
  return `SELECT ${columns} FROM (${all}) JOIN entries ON file_id = ${fileId} AND ordinal = entry`
}

const judgeSql = (piece: number) => `
  INSERT INTO judged
  WITH met AS (
    SELECT p.place, i.rowid AS old, i.entry_id, p.conflict AS within, p.kwh = i.kwh AS same_kwh,
      p.revision AS new_revision, coalesce(i.revision, '-infinity') AS old_revision,
      p.estimated AS new_estimated, i.estimated AS old_estimated,
      new_revision = old_revision AND new_estimated = old_estimated AS same_version
    FROM interval_rows i
    JOIN piece_${piece} p ON p.meter = i.meter AND p.direction = i.direction AND p.start = i.start
  )
  SELECT ${piece}, place, old, entry_id,
    CASE WHEN same_version THEN NULL
      WHEN new_revision = old_revision THEN old_estimated
      ELSE new_revision > old_revision END,
    same_version AND same_kwh, same_version AND NOT same_kwh AND NOT within
  FROM met`

const takeOutSql = (piece: number) => `
  DELETE FROM interval_rows WHERE rowid IN (SELECT old FROM decided WHERE piece = ${piece} AND wins)`

const putInSql = (piece: number, hasBeaten: boolean) => `
  INSERT INTO interval_rows
  SELECT meter, start, direction, p.kwh, estimated, nullif(revision, '-infinity'), entry_id, p.line
  FROM piece_${piece} p
  ${hasBeaten ? `ANTI JOIN (SELECT place FROM decided WHERE piece = ${piece} AND NOT wins) lost USING (place)` : ''}
  JOIN entries ON file_id = $fileId AND ordinal = entry`

/** What each row of all pieces beat within the file. Counted over the tables themselves, whose columns are not read. */
const ownSql = (pieces: readonly Piece[]) => {
  const each = pieces.map(({ table, hasRivals }) => `SELECT ${rivalColumns(hasRivals)} FROM ${table}`)
  return `(${['SELECT 0 AS rivals, false AS conflict WHERE false', ...each].join(' UNION ALL ')})`
}

const rivalColumns = (hasRivals: boolean) => (hasRivals ? 'rivals, conflict' : '0 AS rivals, false AS conflict')

const metSql = `(
  SELECT conflict, CASE WHEN unchanged THEN 'unchanged' WHEN wins THEN 'replaced' ELSE 'superseded' END AS outcome
  FROM decided)`
