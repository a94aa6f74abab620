/** Grows with each change of the tables below. */
export const SCHEMA_VERSION = 1

/** Which of them a store has. Looked at before anything else is touched. */
export const versionSql = `CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)`

/** The store's tables. Instants are UTC; `intervals` has one row for each (esiid, direction, start), by construction. */
export const schemaSql = [
  `CREATE TYPE IF NOT EXISTS direction AS ENUM ('consumption', 'surplus-generation')`,
  `CREATE SEQUENCE IF NOT EXISTS file_ids`,
  `CREATE SEQUENCE IF NOT EXISTS entry_ids`,
  `CREATE TABLE IF NOT EXISTS intervals (
     esiid VARCHAR NOT NULL,
     start TIMESTAMPTZ NOT NULL,
     direction direction NOT NULL,
     kwh DECIMAL(12,5) NOT NULL,
     estimated BOOLEAN NOT NULL,
     revision TIMESTAMPTZ,
     entry_id BIGINT NOT NULL,
     line UINTEGER NOT NULL
   )`,
  `CREATE TABLE IF NOT EXISTS files (
     file_id BIGINT PRIMARY KEY DEFAULT nextval('file_ids'),
     fingerprint VARCHAR NOT NULL UNIQUE,
     source VARCHAR NOT NULL,
     path VARCHAR NOT NULL,
     name VARCHAR NOT NULL,
     size BIGINT NOT NULL,
     modified_at TIMESTAMPTZ NOT NULL,
     state VARCHAR NOT NULL,
     epoch INTEGER NOT NULL,
     attempts INTEGER NOT NULL DEFAULT 0,
     lease_until TIMESTAMPTZ,
     next_attempt_at TIMESTAMPTZ,
     fetched_sha256 VARCHAR,
     payload_sha256 VARCHAR,
     duplicate_of VARCHAR,
     code VARCHAR,
     reason VARCHAR,
     receipt VARCHAR,
     first_seen_at TIMESTAMPTZ NOT NULL DEFAULT now(),
     updated_at TIMESTAMPTZ NOT NULL DEFAULT now()
   )`,
  `CREATE TABLE IF NOT EXISTS entries (
     entry_id BIGINT PRIMARY KEY DEFAULT nextval('entry_ids'),
     file_id BIGINT NOT NULL,
     ordinal INTEGER NOT NULL,
     name VARCHAR NOT NULL,
     kind VARCHAR NOT NULL,
     outcome VARCHAR NOT NULL,
     layout VARCHAR,
     header VARCHAR,
     bytes BIGINT NOT NULL,
     crc32 VARCHAR,
     rows_read BIGINT NOT NULL,
     rows_accepted BIGINT NOT NULL,
     rows_rejected BIGINT NOT NULL,
     rows_placeholder BIGINT NOT NULL,
     rows_missing BIGINT NOT NULL,
     rows_repeated_header BIGINT NOT NULL,
     parser_version INTEGER NOT NULL
   )`,
  `CREATE TABLE IF NOT EXISTS rejects (
     entry_id BIGINT NOT NULL,
     line UINTEGER NOT NULL,
     byte_offset BIGINT NOT NULL,
     code VARCHAR NOT NULL
   )`,
  // Whoever held a claim is gone: this process alone has the file now.
  `UPDATE files SET state = 'seen', lease_until = NULL WHERE state IN ('claimed', 'staged')`
]

/** Staging of one file, on a connection of its own: rows as they come, and which meter each batch's number means. */
export const stagingSql = [
  `CREATE TEMP TABLE staged_rows (
     entry UINTEGER, meter UINTEGER, start DOUBLE, units DOUBLE,
     estimated UTINYINT, direction UTINYINT, revision DOUBLE, line UINTEGER
   )`,
  `CREATE TEMP TABLE staged_meters (meter UINTEGER, esiid VARCHAR)`
]

/** What is left of staging once the winners are known. */
export const unstageSql = ['DROP TABLE staged_rows', 'DROP TABLE staged_meters']

/** A staged row in the store's types. */
const storedColumns = `
  esiid, to_timestamp(start / 1000) AS start,
  (CASE direction WHEN 0 THEN 'consumption' ELSE 'surplus-generation' END)::direction AS direction,
  (units / 100000)::DECIMAL(12,5) AS kwh, estimated = 1 AS estimated, to_timestamp(revision / 1000) AS revision,
  entry, line`

/** The rows of a file in which no key occurs twice: each is the winner of its own key. */
export const singleSql = `
  CREATE TEMP TABLE winners AS
  SELECT ${storedColumns}, 0 AS rivals, false AS conflict
  FROM staged_rows JOIN staged_meters USING (meter)`

/**
 * The file's own winners: of rows with one key the one with the greatest (revision, actual over estimated, entry,
 * line). `rivals` counts the rows that it beat.
 */
export const winnersSql = `
  CREATE TEMP TABLE winners AS
  WITH numbered AS (SELECT meter, esiid, min(meter) OVER (PARTITION BY esiid) AS canon FROM staged_meters),
  ranked AS (
    SELECT n.esiid, r.*,
      count(*) OVER same_key - 1 AS rivals,
      min(r.units) OVER same_version <> max(r.units) OVER same_version AS conflict,
      row_number() OVER best_first AS place
    FROM staged_rows r JOIN numbered n USING (meter)
    WINDOW same_key AS (PARTITION BY n.canon, r.direction, r.start),
      same_version AS (PARTITION BY n.canon, r.direction, r.start, r.revision, r.estimated),
      best_first AS (PARTITION BY n.canon, r.direction, r.start
        ORDER BY r.revision DESC NULLS LAST, r.estimated, r.entry DESC, r.line DESC)
  )
  SELECT ${storedColumns}, rivals, conflict
  FROM ranked WHERE place = 1`

/** The winners whose key has a row already, and what becomes of it: I6, from either side. */
export const rivalsSql = `
  CREATE TEMP TABLE rivals AS
  WITH judged AS (
    SELECT w.esiid, w.direction, w.start, w.conflict AS within, i.rowid AS old,
      i.revision IS NOT DISTINCT FROM w.revision AND i.estimated = w.estimated AS same_version,
      i.kwh = w.kwh AS same_kwh,
      row(coalesce(w.revision, '-infinity'), NOT w.estimated, new_file.payload_sha256, w.entry, w.line)
        > row(coalesce(i.revision, '-infinity'), NOT i.estimated, coalesce(f.payload_sha256, ''), coalesce(e.ordinal, -1),
            i.line) AS wins
    FROM winners w
    JOIN files new_file ON new_file.file_id = $file
    JOIN (
      SELECT rowid, * FROM intervals WHERE start BETWEEN
        (SELECT min(start) FROM winners) AND (SELECT max(start) FROM winners)
    ) i ON i.esiid = w.esiid AND i.direction = w.direction AND i.start = w.start
    LEFT JOIN entries e ON e.entry_id = i.entry_id
    LEFT JOIN files f ON f.file_id = e.file_id
  )
  SELECT esiid, direction, start, old, wins, same_version AND NOT same_kwh AND NOT within AS conflict,
    CASE WHEN same_version AND same_kwh THEN 'unchanged' WHEN wins THEN 'replaced' ELSE 'superseded' END AS outcome
  FROM judged`

/**
 * The merge. A winner with the same reading takes over its provenance too: any order gives the same store. Rows are
 * taken out and put in again, not updated: DuckDB keeps every updated version in memory until its next checkpoint.
 */
export const mergeSql: readonly [takeOut: string, putIn: string] = [
  `DELETE FROM intervals WHERE rowid IN (SELECT old FROM rivals WHERE wins)`,
  `INSERT INTO intervals
   SELECT w.esiid, w.start, w.direction, w.kwh, w.estimated, w.revision, e.entry_id, w.line
   FROM winners w JOIN entries e ON e.file_id = $file AND e.ordinal = w.entry
   WHERE NOT EXISTS (
     FROM rivals r WHERE NOT r.wins AND r.esiid = w.esiid AND r.direction = w.direction AND r.start = w.start
   )`
]
