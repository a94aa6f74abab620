import { createHash } from 'node:crypto'
import { createSql, reportTables, type SqlTypes } from '../report-tables.ts'

/** Digits of a hash that are looked up by an index: few enough for it to stay small, and to tell files apart mostly. */
const KEY_DIGITS = 6

/** The number by which a text is looked up. Several may have the same. */
export function keyOf(text: string): number {
  return Number.parseInt(createHash('sha256').update(text).digest('hex').slice(0, KEY_DIGITS), 16)
}

/** The same in SQL. */
function keySql(column: string): string {
  return `CAST('0x' || left(sha256(${column}), ${KEY_DIGITS}) AS UINTEGER)`
}

/** What DuckDB calls the types of the reports' tables. */
export const reportTypes: SqlTypes = { text: 'VARCHAR', decimal: 'DECIMAL(14,5)', line: 'UINTEGER' }

/**
 * The tables, step by step: a store has as many steps as its version says. A step that has been released is never
 * changed again.
 */
export const migrations: readonly (readonly string[])[] = [
  [
    `CREATE TYPE direction AS ENUM ('consumption', 'surplus-generation')`,
    'CREATE SEQUENCE file_ids',
    'CREATE SEQUENCE entry_ids',
    `CREATE TABLE intervals (
       esiid VARCHAR NOT NULL,
       start TIMESTAMPTZ NOT NULL,
       direction direction NOT NULL,
       kwh DECIMAL(12,5) NOT NULL,
       estimated BOOLEAN NOT NULL,
       revision TIMESTAMPTZ,
       entry_id BIGINT NOT NULL,
       line UINTEGER NOT NULL
     )`,
    `CREATE TABLE files (
       file_id BIGINT PRIMARY KEY DEFAULT nextval('file_ids'),
       fingerprint VARCHAR NOT NULL UNIQUE,
       source VARCHAR NOT NULL,
       path VARCHAR NOT NULL,
       name VARCHAR NOT NULL,
       size BIGINT NOT NULL,
       modified_at TIMESTAMPTZ NOT NULL,
       state VARCHAR NOT NULL,
       epoch INTEGER NOT NULL,
       fetched_sha256 VARCHAR,
       payload_sha256 VARCHAR,
       duplicate_of VARCHAR,
       code VARCHAR,
       reason VARCHAR,
       receipt VARCHAR,
       first_seen_at TIMESTAMPTZ NOT NULL DEFAULT now(),
       updated_at TIMESTAMPTZ NOT NULL DEFAULT now()
     )`,
    `CREATE TABLE entries (
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
    `CREATE TABLE rejects (
       entry_id BIGINT NOT NULL,
       line UINTEGER NOT NULL,
       byte_offset BIGINT NOT NULL,
       code VARCHAR NOT NULL
     )`
  ],
  // Attempts and leases, which some stores of version 1 have already. Made anew, not altered: DuckDB 1.5.5 cannot replay
  // the altering of a table that has defaults from its write-ahead log, and a run killed here would lose the store.
  [
    'CREATE TEMP TABLE old_files AS FROM files',
    'DROP TABLE files',
    `CREATE TABLE files (
       file_id BIGINT PRIMARY KEY DEFAULT nextval('file_ids'),
       fingerprint VARCHAR NOT NULL,
       fingerprint_key UINTEGER NOT NULL,
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
       replay_due BOOLEAN NOT NULL DEFAULT false,
       fetched_sha256 VARCHAR,
       payload_sha256 VARCHAR,
       duplicate_of VARCHAR,
       code VARCHAR,
       reason VARCHAR,
       receipt VARCHAR,
       first_seen_at TIMESTAMPTZ NOT NULL DEFAULT now(),
       updated_at TIMESTAMPTZ NOT NULL DEFAULT now()
     )`,
    `INSERT INTO files BY NAME SELECT *, ${keySql('fingerprint')} AS fingerprint_key FROM old_files`,
    'DROP TABLE old_files',
    // Indexes over numbers of 24 bits. DuckDB keeps what it has read of an index in memory and cannot give it up again; of
    // a million hashes as text that was 120 MB, the whole limit.
    'CREATE INDEX files_by_fingerprint ON files (fingerprint_key)',
    // Beside `files`, so that a commit changes no index of that one, which would write its whole row anew.
    'CREATE TABLE payloads (payload_key UINTEGER NOT NULL, file_id BIGINT NOT NULL)',
    `INSERT INTO payloads SELECT ${keySql('payload_sha256')}, min(file_id) FROM files
     WHERE state = 'committed' AND payload_sha256 NOT NULL GROUP BY payload_sha256`,
    'CREATE INDEX payloads_by_key ON payloads (payload_key)'
  ],
  // Numbers for meters: joins and comparisons of twenty characters took most of a merge.
  [
    'CREATE SEQUENCE meter_ids',
    `CREATE TABLE meters (
       meter INTEGER PRIMARY KEY DEFAULT nextval('meter_ids'),
       esiid VARCHAR NOT NULL UNIQUE
     )`,
    'INSERT INTO meters (esiid) SELECT esiid FROM intervals GROUP BY esiid ORDER BY min(rowid)',
    // One row for each (meter, direction, start), by the merge: an index would take five times as long.
    `CREATE TABLE interval_rows (
       meter INTEGER NOT NULL,
       start TIMESTAMPTZ NOT NULL,
       direction direction NOT NULL,
       kwh DECIMAL(12,5) NOT NULL,
       estimated BOOLEAN NOT NULL,
       revision TIMESTAMPTZ,
       entry_id BIGINT NOT NULL,
       line UINTEGER NOT NULL
     )`,
    `INSERT INTO interval_rows
     SELECT meter, start, direction, kwh, estimated, revision, entry_id, line FROM intervals JOIN meters USING (esiid)`,
    'DROP TABLE intervals',
    `CREATE VIEW intervals AS
     SELECT esiid, start, direction, kwh, estimated, revision, entry_id, line FROM interval_rows JOIN meters USING (meter)`
  ],
  // The reports beside intervals. One row for each key, by the merge: DuckDB does not take a key again in the transaction
  // that gave it up.
  reportTables.map(table => createSql(table, table.name, reportTypes, false))
]

/** Grows with each change of the tables. */
export const SCHEMA_VERSION = migrations.length

/** Which version a store has. Looked at before anything else is touched. */
export const versionSql = 'CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)'

/** The whole schema as SQL, for people who make or read it themselves. */
export function schemaText(): string {
  return [versionSql, ...migrations.flat(), `INSERT INTO schema_version VALUES (${SCHEMA_VERSION})`]
    .map(statement => `${statement};\n`)
    .join('')
}
