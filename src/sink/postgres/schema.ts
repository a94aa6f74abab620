import { createSql, reportTables, type SqlTypes } from '../report-tables.ts'
import { quoteName } from './connection.ts'

/** How intervals are kept: a row for each meter, direction and local day, or a row for each interval. */
export type StoreLayout = 'days' | 'rows'

const instant = (name: 'first' | 'last') => `(receipt #>> '{quality,${name}}')`

/** The files that are in and have readings, and from when to when, in UTC epoch milliseconds. */
export const hasReadings = `state = 'committed' AND ${instant('first')} IS NOT NULL`
export const readingSpan = `int8range(${instant('first')}::bigint, ${instant('last')}::bigint, '[]')`

/** What PostgreSQL calls the types of the reports' tables. */
export const reportTypes: SqlTypes = { text: 'text', decimal: 'numeric(14,5)', line: 'bigint' }

/** The tables that both layouts share, step by step: a store has as many steps as its version says. */
export const migrations: readonly ((s: string) => readonly string[])[] = [
  s => [
    `CREATE TABLE ${s}.meters (
       meter integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
       esiid text NOT NULL UNIQUE
     )`,
    `CREATE TABLE ${s}.files (
       file_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
       fingerprint text NOT NULL UNIQUE,
       source text NOT NULL,
       path text NOT NULL,
       name text NOT NULL,
       size bigint NOT NULL,
       modified_at timestamptz NOT NULL,
       state text NOT NULL,
       epoch integer NOT NULL,
       attempts integer NOT NULL DEFAULT 0,
       lease_until timestamptz,
       next_attempt_at timestamptz,
       replay_due boolean NOT NULL DEFAULT false,
       fetched_sha256 text,
       payload_sha256 text,
       duplicate_of text,
       code text,
       reason text,
       receipt jsonb,
       first_seen_at timestamptz NOT NULL DEFAULT now(),
       updated_at timestamptz NOT NULL DEFAULT now()
     )`,
    `CREATE UNIQUE INDEX ON ${s}.files (payload_sha256) WHERE state = 'committed'`,
    `CREATE INDEX ON ${s}.files (path)`,
    `CREATE INDEX ON ${s}.files (name)`,
    `CREATE INDEX ON ${s}.files (updated_at) WHERE state NOT IN ('committed', 'duplicate', 'ignored')`,
    `CREATE SEQUENCE ${s}.entry_ids`,
    `CREATE TABLE ${s}.entries (
       entry_id bigint PRIMARY KEY,
       file_id bigint NOT NULL REFERENCES ${s}.files,
       ordinal integer NOT NULL,
       name text NOT NULL,
       kind text NOT NULL,
       outcome text NOT NULL,
       layout text,
       header text,
       bytes bigint NOT NULL,
       crc32 text,
       rows_read bigint NOT NULL,
       rows_accepted bigint NOT NULL,
       rows_rejected bigint NOT NULL,
       rows_placeholder bigint NOT NULL,
       rows_missing bigint NOT NULL,
       rows_repeated_header bigint NOT NULL,
       parser_version integer NOT NULL
     )`,
    `CREATE INDEX ON ${s}.entries (file_id)`,
    `CREATE TABLE ${s}.rejects (
       entry_id bigint NOT NULL REFERENCES ${s}.entries,
       line bigint NOT NULL,
       byte_offset bigint NOT NULL,
       code text NOT NULL
     )`,
    `CREATE INDEX ON ${s}.rejects (entry_id)`
  ],
  // Which files have readings of a span, for those that must be read anew.
  s => [`CREATE INDEX ON ${s}.files USING gist (${readingSpan}) WHERE ${hasReadings}`],
  // Where the epochs of a forgotten file go on from, should it come again.
  s => [`CREATE TABLE ${s}.forgotten (fingerprint text PRIMARY KEY, epoch integer NOT NULL)`],
  // The reports beside intervals.
  s => reportTables.map(table => createSql(table, `${s}.${table.name}`, reportTypes, true))
]

/** Grows with each change of the tables. */
export const SCHEMA_VERSION = migrations.length

/** Which version and layout a store has. Looked at before anything else is touched. */
export const storeSql = (s: string): string =>
  `CREATE TABLE IF NOT EXISTS ${s}.store (version integer NOT NULL, layout text NOT NULL)`

/** An array's element for the quarter hour `q.i`. One element holds for all of its day. */
export const element = (array: string) => `CASE cardinality(${array}) WHEN 1 THEN ${array}[1] ELSE ${array}[q.i] END`

/** The table of each layout. */
export const layoutTables: Readonly<Record<StoreLayout, string>> = { days: 'meter_days', rows: 'interval_rows' }

/** The readings in a table of each layout, or in a part of it, with the numbers that stand for words. */
export const readingsSql: Readonly<Record<StoreLayout, (table: string) => string>> = {
  days: table => `
    SELECT meter, d.start + (q.i - 1) * interval '15 minutes' AS start, direction, q.reading,
      ${element('d.estimated')} AS estimated, ${element('d.revisions')} AS revision, ${element('d.entries')} AS entry_id,
      CASE cardinality(d.lines) WHEN 2 THEN d.lines[1] + d.lines[2] * (q.i - 1) ELSE d.lines[q.i] END AS line
    FROM ${table} d, unnest(d.readings) WITH ORDINALITY AS q(reading, i)
    WHERE q.reading IS NOT NULL`,
  rows: table => `SELECT meter, start, direction, reading, estimated, revision, entry_id, line FROM ${table} r`
}

const viewSql = (s: string, layout: StoreLayout) => `
  CREATE VIEW ${s}.intervals AS
  SELECT m.esiid, r.start, CASE r.direction WHEN 0 THEN 'consumption' ELSE 'surplus-generation' END AS direction,
    r.reading * 0.00001 AS kwh, r.estimated, r.revision, r.entry_id, r.line
  FROM (${readingsSql[layout](`${s}.${layoutTables[layout]}`)}) r JOIN ${s}.meters m USING (meter)`

/** The tables of each layout, and the view `intervals` that is the same in both. */
export const layoutSql: Readonly<Record<StoreLayout, (s: string) => readonly string[]>> = {
  days: s => [
    // By quarter hour from local midnight on: readings in 0.00001 kWh, null where there is none. The other arrays have
    // one element where it holds for all; lines have two, the first and the step, where they rise evenly.
    `CREATE TABLE ${s}.meter_days (
       start timestamptz NOT NULL,
       meter integer NOT NULL,
       day date NOT NULL,
       direction smallint NOT NULL,
       filled smallint NOT NULL,
       readings bigint[] NOT NULL,
       estimated boolean[] NOT NULL,
       revisions timestamptz[] NOT NULL,
       entries bigint[] NOT NULL,
       lines bigint[] NOT NULL,
       PRIMARY KEY (meter, day, direction)
     )`,
    viewSql(s, 'days')
  ],
  rows: s => [
    // No foreign key: its check of every row takes longer than all the rest, and a commit holds the meters it names.
    // Half of each page is left free: a newer version then stands beside the one it replaces, and no index is touched,
    // which takes a third of the time. Wide columns stand first, so that none is padded.
    `CREATE TABLE ${s}.interval_rows (
       start timestamptz NOT NULL,
       revision timestamptz,
       reading bigint NOT NULL,
       entry_id bigint NOT NULL,
       line bigint NOT NULL,
       meter integer NOT NULL,
       direction smallint NOT NULL,
       estimated boolean NOT NULL,
       PRIMARY KEY (meter, direction, start)
     ) WITH (fillfactor = 50)`,
    viewSql(s, 'rows')
  ]
}

/** The whole schema as SQL, for people who make or read it themselves. */
export function schemaText(schema = 'smt', layout: StoreLayout = 'days'): string {
  const s = quoteName(schema)
  return [
    `CREATE SCHEMA IF NOT EXISTS ${s}`,
    storeSql(s),
    ...migrations.flatMap(migration => migration(s)),
    ...layoutSql[layout](s),
    `INSERT INTO ${s}.store VALUES (${SCHEMA_VERSION}, '${layout}')`
  ]
    .map(statement => `${statement};\n`)
    .join('')
}
