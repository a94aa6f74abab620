// The table that services have, and the rule by which a reading replaces another one.

export function makeTableSql(schema) {
  return `
    CREATE SCHEMA IF NOT EXISTS ${schema};
    CREATE TABLE IF NOT EXISTS ${schema}.intervals (
      esiid text NOT NULL,
      start timestamptz NOT NULL,
      direction text NOT NULL,
      kwh numeric(12,5) NOT NULL,
      estimated boolean NOT NULL,
      revision timestamptz,
      PRIMARY KEY (esiid, direction, start)
    );`
}

/** Stores what a `VALUES` or `SELECT` gives, where nothing newer stands. */
export function upsertSql(schema, rows) {
  return `
    INSERT INTO ${schema}.intervals AS old (esiid, start, direction, kwh, estimated, revision)
    ${rows}
    ON CONFLICT (esiid, direction, start) DO UPDATE
    SET kwh = excluded.kwh, estimated = excluded.estimated, revision = excluded.revision
    WHERE (coalesce(excluded.revision, '-infinity'), NOT excluded.estimated)
      > (coalesce(old.revision, '-infinity'), NOT old.estimated)`
}
