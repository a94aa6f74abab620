import type { IntervalBatch } from '../../batch.ts'
import type { RowsStored } from '../../ledger/receipt.ts'
import { lostOf, type Merged, storedOf } from '../sql-columns.ts'
import type { Sql } from './connection.ts'
import { BinaryCopy } from './copy.ts'
import { type AssemblyCounts, DayAssembler, type MeterDay } from './day-assembler.ts'
import { entryArray, type LayoutStaging, lockMeters, type MergeContext } from './layout.ts'
import { element } from './schema.ts'

/**
 * Staging of the layout `days`: rows are put together to days before they are copied.
 *
 * Memory: the days under way, and the bytes for one COPY.
 */
export class DayStaging implements LayoutStaging {
  readonly #copy = new BinaryCopy(12)
  readonly #days = new DayAssembler(day => this.#stage(day))
  #counts: AssemblyCounts = { beaten: 0, reopened: false }

  readonly tables = [
    {
      suffix: 'days',
      columns: `esiid text, direction smallint, day date, start timestamptz, size smallint, filled smallint,
        readings bigint[], estimated boolean[], revisions timestamptz[], entries bigint[], lines bigint[],
        conflicts boolean[]`,
      copy: this.#copy
    }
  ]

  add(batch: IntervalBatch, entryId: number): void {
    this.#days.take(batch, entryId)
  }

  end(): void {
    this.#counts = this.#days.end()
  }

  async merge(sql: Sql, context: MergeContext): Promise<Merged> {
    const { schema: s, staging, isSmall, before } = context
    const days = staging('days')
    // A few rows are looked up by their keys, however much the store has and whatever is known of the tables. Where rows
    // without keys are joined, that would take for ever.
    const byKeys = isSmall && before.length === 0 && !this.#counts.reopened
    if (byKeys) await sql.run('SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off')
    const again = this.#counts.reopened ? await joinReopened(sql, days) : 0
    const theirs = `SELECT meter FROM ${s}.meter_days WHERE entries && ${entryArray(before)}`
    await lockMeters(sql, context, days, before.length > 0 ? theirs : 'NULL')
    const lost = before.length > 0 ? lostOf((await sql.rows(takeOutSql(s, days, before)))[0]) : undefined
    const stored = await mergeDays(sql, context, days)
    return { stored: { ...stored, superseded: stored.superseded + this.#counts.beaten + again }, lost }
  }

  winnersSql({ schema, staging }: MergeContext): string {
    return `SELECT esiid, d.start + (q.i - 1) * interval '15 minutes' AS start, direction, q.reading * 0.00001 AS kwh,
        ${element('d.estimated')} AS estimated, ${element('d.revisions')} AS revision
      FROM (SELECT DISTINCT esiid, day, direction FROM ${staging('days')}) n JOIN smt_meters USING (esiid)
        JOIN ${schema}.meter_days d USING (meter, day, direction), unnest(d.readings) WITH ORDINALITY AS q(reading, i)
      WHERE q.reading IS NOT NULL AND ${element('d.entries')} = ANY ($1::bigint[])`
  }

  #stage({ esiid, direction, day, filled, readings, estimated, revisions, entries, lines, conflicts }: MeterDay): void {
    const copy = this.#copy
    const { size } = day
    copy.row()
    copy.text(esiid)
    copy.int2(direction)
    copy.date(day.number)
    copy.timestamp(day.start)
    copy.int2(size)
    copy.int2(filled)
    copy.int8s(readings, size)
    const gaps = filled < size ? readings : undefined
    copy.bools(...shortest(estimated, gaps, size))
    copy.timestamps(...shortest(revisions, gaps, size))
    copy.int8s(...shortest(entries, gaps, size))
    copy.int8s(...lineRun(lines, gaps, size))
    if (conflicts.includes(1)) copy.bools(conflicts, size)
    else copy.null()
  }
}

/** One element where it holds for every reading of the day; else all, null where there is no reading. */
function shortest(values: Float64Array, gaps: Float64Array | undefined, size: number): [Float64Array, number] {
  const at = gaps ? gaps.findIndex(reading => !Number.isNaN(reading)) : 0
  const first = values[at]!
  for (let i = 0; i < size; i++) {
    if (gaps && Number.isNaN(gaps[i]!)) continue
    if (!Object.is(values[i], first)) return [withGaps(values, gaps, size), size]
  }
  return [Float64Array.of(first), 1]
}

/** First and step, where lines rise evenly without a gap; else all. */
function lineRun(lines: Float64Array, gaps: Float64Array | undefined, size: number): [Float64Array, number] {
  if (gaps) return [withGaps(lines, gaps, size), size]
  const step = lines[1]! - lines[0]!
  for (let i = 1; i < size; i++) if (lines[i]! - lines[i - 1]! !== step) return [lines, size]
  return [Float64Array.of(lines[0]!, step), 2]
}

function withGaps(values: Float64Array, gaps: Float64Array | undefined, size: number): Float64Array {
  return gaps ? values.slice(0, size).map((value, i) => (Number.isNaN(gaps[i]!) ? Number.NaN : value)) : values
}

/** The merge of staged days: I6 for each quarter hour, most of it decided day by day. */
async function mergeDays(sql: Sql, { schema: s, isSmall, sha256 }: MergeContext, staging: string): Promise<RowsStored> {
  await sql.run(`CREATE TEMP TABLE IF NOT EXISTS smt_met (meter integer, day date, direction smallint, had smallint,
    kind text, PRIMARY KEY (meter, day, direction)) ON COMMIT DELETE ROWS`)
  await sql.run(metSql(s, staging), [sha256])
  if (!isSmall) await sql.run('ANALYZE smt_met')
  const { stored, days } = await countDays(sql, staging)
  if (days.fresh > 0) await sql.run(insertSql(s, staging))
  if (days.newer > 0) await sql.run(replaceSql(s, staging))
  if (days.adopted > 0) await sql.run(adoptSql(s, staging))
  if (days.mixed === 0) return stored
  const mixed = await mergeMixed(sql, s, staging, sha256)
  return {
    inserted: stored.inserted + mixed.inserted,
    replaced: stored.replaced + mixed.replaced,
    unchanged: stored.unchanged + mixed.unchanged,
    superseded: stored.superseded + mixed.superseded,
    conflicts: stored.conflicts + mixed.conflicts
  }
}

/**
 * Staged days that the store has already, and what can be said of each as a whole: `newer` and `older` where every
 * quarter hour is, `same` where nothing but the file differs, `mixed` where each quarter hour must be looked at.
 */
function metSql(s: string, staging: string): string {
  return `
    INSERT INTO smt_met SELECT d.meter, d.day, d.direction, d.filled,
      CASE
        WHEN cardinality(n.revisions) > 1 OR cardinality(d.revisions) > 1 THEN 'mixed'
        WHEN coalesce(n.revisions[1], '-infinity') > coalesce(d.revisions[1], '-infinity') AND n.filled = n.size
          THEN 'newer'
        WHEN coalesce(n.revisions[1], '-infinity') < coalesce(d.revisions[1], '-infinity') AND d.filled = n.size
          THEN 'older'
        WHEN n.revisions[1] IS NOT DISTINCT FROM d.revisions[1] AND n.readings = d.readings
          AND n.estimated = d.estimated AND cardinality(n.entries) = 1 AND cardinality(d.entries) = 1
          THEN CASE WHEN $1::text > coalesce(f.payload_sha256, '') THEN 'same, and greater' ELSE 'same' END
        ELSE 'mixed'
      END AS kind
    FROM ${staging} n JOIN smt_meters USING (esiid) JOIN ${s}.meter_days d USING (meter, day, direction)
      LEFT JOIN ${s}.entries e ON cardinality(d.entries) = 1 AND e.entry_id = d.entries[1]
      LEFT JOIN ${s}.files f USING (file_id)`
}

/** What becomes of rows of days that are decided as a whole, and how many days of each kind there are. */
async function countDays(sql: Sql, staging: string) {
  const [row] = await sql.rows(`
    SELECT coalesce(sum(n.filled) FILTER (WHERE m.kind IS NULL), 0)
        + coalesce(sum(n.filled - m.had) FILTER (WHERE m.kind = 'newer'), 0) AS inserted,
      coalesce(sum(m.had) FILTER (WHERE m.kind = 'newer'), 0) AS replaced,
      coalesce(sum(n.filled) FILTER (WHERE m.kind IN ('same', 'same, and greater')), 0) AS unchanged,
      coalesce(sum(n.filled) FILTER (WHERE m.kind = 'older'), 0) AS superseded,
      coalesce(sum(cardinality(array_positions(n.conflicts, true)))
        FILTER (WHERE m.kind IS DISTINCT FROM 'mixed'), 0) AS conflicts,
      count(*) FILTER (WHERE m.kind IS NULL) AS days_fresh, count(*) FILTER (WHERE m.kind = 'newer') AS days_newer,
      count(*) FILTER (WHERE m.kind = 'same, and greater') AS days_adopted,
      count(*) FILTER (WHERE m.kind = 'mixed') AS days_mixed
    FROM ${staging} n JOIN smt_meters USING (esiid) LEFT JOIN smt_met m USING (meter, day, direction)`)
  const [fresh, newer, adopted, mixed] = ['fresh', 'newer', 'adopted', 'mixed'].map(kind =>
    Number(row![`days_${kind}`])
  )
  return { stored: storedOf(row), days: { fresh: fresh!, newer: newer!, adopted: adopted!, mixed: mixed! } }
}

const values = 'readings, estimated, revisions, entries, lines'

function insertSql(s: string, staging: string): string {
  return `
    INSERT INTO ${s}.meter_days (meter, day, direction, start, filled, ${values})
    SELECT meter, day, direction, start, filled, ${values} FROM ${staging} JOIN smt_meters USING (esiid)
    WHERE (meter, day, direction) NOT IN (SELECT meter, day, direction FROM smt_met)
    ORDER BY meter, day, direction`
}

function replaceSql(s: string, staging: string): string {
  return `
    UPDATE ${s}.meter_days d SET (filled, ${values}) = (n.filled, n.readings, n.estimated, n.revisions, n.entries, n.lines)
    FROM smt_met m JOIN smt_meters USING (meter) JOIN ${staging} n USING (esiid, day, direction)
    WHERE m.kind = 'newer' AND (d.meter, d.day, d.direction) = (m.meter, m.day, m.direction)`
}

/** The same readings of a greater file: any order of files must give the same store. */
function adoptSql(s: string, staging: string): string {
  return `
    UPDATE ${s}.meter_days d SET entries = n.entries, lines = n.lines
    FROM smt_met m JOIN smt_meters USING (meter) JOIN ${staging} n USING (esiid, day, direction)
    WHERE m.kind = 'same, and greater' AND (d.meter, d.day, d.direction) = (m.meter, m.day, m.direction)`
}

/** Quarter hour by quarter hour. */
async function mergeMixed(sql: Sql, s: string, staging: string, sha256: string): Promise<RowsStored> {
  const [row] = await sql.rows(
    `
    WITH pairs AS (
      SELECT d.meter, d.day, d.direction, n.readings AS nr, d.readings AS dr,
        ${spread('n.estimated', 'n.size')} AS ne, ${spread('d.estimated', 'n.size')} AS de,
        ${spread('n.revisions', 'n.size')} AS nv, ${spread('d.revisions', 'n.size')} AS dv,
        ${spread('n.entries', 'n.size')} AS nf, ${spread('d.entries', 'n.size')} AS df,
        ${spreadLines('n.lines', 'n.size')} AS nl, ${spreadLines('d.lines', 'n.size')} AS dl, n.conflicts
      FROM smt_met m JOIN smt_meters USING (meter) JOIN ${staging} n USING (esiid, day, direction)
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
function takeOutSql(s: string, staging: string, before: readonly number[]): string {
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
      FROM ${staging} n JOIN smt_meters m USING (esiid), ${quarters('n', 'n.size')} WITH ORDINALITY AS q(r, e, v, f, l, i)
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
async function joinReopened(sql: Sql, staging: string): Promise<number> {
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
