import type { RowsStored } from '../../ledger/receipt.ts'
import { storedOf } from '../sql-columns.ts'
import type { Sql } from './connection.ts'
import { entryArray } from './layout.ts'

/** Merges days of which each quarter hour must be looked at: the rule itself, element by element. */
export async function mergeMixed(sql: Sql, s: string, staging: string, sha256: string): Promise<RowsStored> {
  const [row] = await sql.rows(
    `
    WITH pairs AS (
      SELECT d.meter, d.day, d.direction, n.readings AS nr, d.readings AS dr,
        ${spread('n.estimated', 'n.size')} AS ne, ${spread('d.estimated', 'n.size')} AS de,
        ${spread('n.revisions', 'n.size')} AS nv, ${spread('d.revisions', 'n.size')} AS dv,
        ${spread('n.entries', 'n.size')} AS nf, ${spread('d.entries', 'n.size')} AS df,
        ${spreadLines('n.lines', 'n.size')} AS nl, ${spreadLines('d.lines', 'n.size')} AS dl, n.conflicts
      FROM pg_temp.smt_met m JOIN pg_temp.smt_meters USING (meter) JOIN ${staging} n USING (esiid, day, direction)
        JOIN ${s}.meter_days d USING (meter, day, direction)
      WHERE m.kind = 'mixed'
    ), quarters AS (
      SELECT p.meter, p.day, p.direction, q.*,
        q.nv IS NOT DISTINCT FROM q.dv AND q.ne = q.de AS same_version,
        q.nr IS NOT NULL AND (q.dr IS NULL OR
          row(coalesce(q.nv, '-infinity'), NOT q.ne, $1::text) >
          row(coalesce(q.dv, '-infinity'), NOT q.de, coalesce(f.payload_sha256, ''))) AS wins
      FROM pairs p, unnest(p.nr, p.dr, p.ne, p.de, p.nv, p.dv, p.nf, p.df, p.nl, p.dl, p.conflicts)
          WITH ORDINALITY AS q(nr, dr, ne, de, nv, dv, nf, df, nl, dl, within, i)
        LEFT JOIN ${s}.entries e ON e.entry_id = q.df LEFT JOIN ${s}.files f USING (file_id)
    ), merged AS (
      SELECT meter, day, direction, count(coalesce(nr, dr)) AS filled, bool_or(wins) AS changed,
        array_agg(CASE WHEN wins THEN nr ELSE dr END ORDER BY i) AS readings,
        array_agg(CASE WHEN wins THEN ne ELSE de END ORDER BY i) AS estimated,
        array_agg(CASE WHEN wins THEN nv ELSE dv END ORDER BY i) AS revisions,
        array_agg(CASE WHEN wins THEN nf ELSE df END ORDER BY i) AS entries,
        array_agg(CASE WHEN wins THEN nl ELSE dl END ORDER BY i) AS lines
      FROM quarters GROUP BY meter, day, direction
    ), done AS (
      UPDATE ${s}.meter_days d SET filled = n.filled, readings = n.readings,
        estimated = ${gather('n.estimated', 'n.readings')}, revisions = ${gather('n.revisions', 'n.readings')},
        entries = ${gather('n.entries', 'n.readings')}, lines = n.lines
      FROM merged n WHERE n.changed AND (d.meter, d.day, d.direction) = (n.meter, n.day, n.direction)
    )
    SELECT count(*) FILTER (WHERE nr IS NOT NULL AND dr IS NULL) AS inserted,
      count(*) FILTER (WHERE nr IS NOT NULL AND dr IS NOT NULL AND wins AND NOT (same_version AND nr = dr)) AS replaced,
      count(*) FILTER (WHERE same_version AND nr = dr) AS unchanged,
      count(*) FILTER (WHERE nr IS NOT NULL AND dr IS NOT NULL AND NOT wins AND NOT (same_version AND nr = dr))
        AS superseded,
      count(*) FILTER (WHERE within OR (same_version AND nr <> dr)) AS conflicts
    FROM quarters`,
    [sha256]
  )
  return storedOf(row)
}

/** Takes out, quarter hour by quarter hour, what an earlier reading of the file gave and this one does not just so. */
export function takeOutSql(s: string, staging: string, before: readonly number[]): string {
  const entries = entryArray(before)
  const quarters = (of: string, size: string) => `unnest(${of}.readings, ${spread(`${of}.estimated`, size)},
    ${spread(`${of}.revisions`, size)}, ${spread(`${of}.entries`, size)}, ${spreadLines(`${of}.lines`, size)})`
  const version = (of: string) => `row(coalesce(${of}.v, '-infinity'), NOT ${of}.e)`
  const kept = (column: string) => `array_agg(CASE WHEN r IS NOT NULL AND NOT gone THEN ${column} END ORDER BY i)`
  return `
    WITH stored AS (
      SELECT d.meter, d.day, d.direction, d.start + (q.i - 1) * interval '15 minutes' AS at, q.*
      FROM ${s}.meter_days d, ${quarters('d', 'cardinality(d.readings)')} WITH ORDINALITY AS q(r, e, v, f, l, i)
      WHERE d.entries && ${entries}
    ), said AS (
      SELECT m.meter, n.day, n.direction, q.*
      FROM ${staging} n JOIN pg_temp.smt_meters m USING (esiid), ${quarters('n', 'n.size')} WITH ORDINALITY AS q(r, e, v, f, l, i)
      WHERE q.r IS NOT NULL
    ), judged AS (
      SELECT o.*, o.r IS NOT NULL AND o.f = ANY (${entries})
          AND ((n.r, n.f, n.l) IS DISTINCT FROM (o.r, o.f, o.l) OR ${version('n')} <> ${version('o')}) AS gone,
        n.r IS NOT NULL AND ${version('n')} >= ${version('o')} AS again
      FROM stored o LEFT JOIN said n USING (meter, day, direction, i)
    ), rebuilt AS (
      SELECT meter, day, direction, count(*) FILTER (WHERE r IS NOT NULL AND NOT gone) AS filled, ${kept('r')} AS readings,
        ${kept('e')} AS estimated, ${kept('v')} AS revisions, ${kept('f')} AS entries, ${kept('l')} AS lines
      FROM judged GROUP BY meter, day, direction HAVING bool_or(gone)
    ), emptied AS (
      DELETE FROM ${s}.meter_days d USING rebuilt b
      WHERE b.filled = 0 AND (d.meter, d.day, d.direction) = (b.meter, b.day, b.direction)
    ), done AS (
      UPDATE ${s}.meter_days d SET filled = b.filled, readings = b.readings,
        estimated = ${gather('b.estimated', 'b.readings')}, revisions = ${gather('b.revisions', 'b.readings')},
        entries = ${gather('b.entries', 'b.readings')}, lines = b.lines
      FROM rebuilt b WHERE b.filled > 0 AND (d.meter, d.day, d.direction) = (b.meter, b.day, b.direction)
    )
    SELECT (extract(epoch FROM min(at)) * 1000)::bigint AS first, (extract(epoch FROM max(at)) * 1000)::bigint AS last
    FROM judged WHERE gone AND NOT again`
}

/** One element for each quarter hour. */
function spread(array: string, size: string): string {
  return `CASE cardinality(${array}) WHEN 1 THEN array_fill(${array}[1], ARRAY[${size}::int]) ELSE ${array} END`
}

function spreadLines(array: string, size: string): string {
  return `CASE cardinality(${array}) WHEN 2 THEN
    (SELECT array_agg(${array}[1] + ${array}[2] * i ORDER BY i) FROM generate_series(0, ${size} - 1) i) ELSE ${array} END`
}

/** One element where it holds for every reading of the day. */
function gather(array: string, readings: string): string {
  return `CASE WHEN (SELECT count(DISTINCT coalesce(v::text, '')) FROM unnest(${array}, ${readings}) AS q(v, r)
      WHERE r IS NOT NULL) = 1
    THEN ARRAY[(SELECT v FROM unnest(${array}, ${readings}) AS q(v, r) WHERE r IS NOT NULL LIMIT 1)] ELSE ${array} END`
}

/** Days whose rows came far apart in one file: each quarter hour's best row is kept. Gives how many were beaten. */
export async function joinReopened(sql: Sql, staging: string): Promise<number> {
  const [row] = await sql.rows(`
    WITH again AS (
      SELECT esiid, direction, day FROM ${staging} GROUP BY esiid, direction, day HAVING count(*) > 1
    ), taken AS (
      DELETE FROM ${staging} n USING again a
      WHERE (n.esiid, n.direction, n.day) = (a.esiid, a.direction, a.day) RETURNING n.*
    ), quarters AS (
      SELECT t.esiid, t.direction, t.day, t.start, t.size, q.*,
        count(*) OVER quarter - 1 AS rivals,
        coalesce(bool_or(q.within) OVER version, false)
          OR min(q.reading) OVER version <> max(q.reading) OVER version AS conflict,
        row_number() OVER (quarter ORDER BY q.revision DESC NULLS LAST, q.estimated, q.entry DESC, q.line DESC) AS place
      FROM taken t, unnest(t.readings, ${spread('t.estimated', 't.size')}, ${spread('t.revisions', 't.size')},
          ${spread('t.entries', 't.size')}, ${spreadLines('t.lines', 't.size')}, t.conflicts)
          WITH ORDINALITY AS q(reading, estimated, revision, entry, line, within, i)
      WHERE q.reading IS NOT NULL
      WINDOW quarter AS (PARTITION BY t.esiid, t.direction, t.day, q.i),
        version AS (PARTITION BY t.esiid, t.direction, t.day, q.i, q.revision, q.estimated)
    ), best AS (
      SELECT * FROM quarters WHERE place = 1
    ), days AS (
      SELECT DISTINCT esiid, direction, day, start, size FROM best
    ), joined AS (
      SELECT d.*, count(b.reading) AS filled, array_agg(b.reading ORDER BY g.i) AS readings,
        array_agg(b.estimated ORDER BY g.i) AS estimated, array_agg(b.revision ORDER BY g.i) AS revisions,
        array_agg(b.entry ORDER BY g.i) AS entries, array_agg(b.line ORDER BY g.i) AS lines,
        array_agg(coalesce(b.conflict, false) ORDER BY g.i) AS conflicts
      FROM days d CROSS JOIN LATERAL generate_series(1, d.size) AS g(i)
        LEFT JOIN best b ON (b.esiid, b.direction, b.day, b.i) = (d.esiid, d.direction, d.day, g.i)
      GROUP BY d.esiid, d.direction, d.day, d.start, d.size
    ), put AS (
      INSERT INTO ${staging}
      SELECT esiid, direction, day, start, size, filled, readings, ${gather('estimated', 'readings')},
        ${gather('revisions', 'readings')}, ${gather('entries', 'readings')}, lines,
        CASE WHEN true = ANY (conflicts) THEN conflicts END
      FROM joined
    )
    SELECT coalesce(sum(rivals), 0) AS beaten FROM best`)
  return Number(row!.beaten)
}
