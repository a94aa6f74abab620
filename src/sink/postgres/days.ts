import type { IntervalBatch } from '../../batch.ts'
import type { RowsStored } from '../../ledger/receipt.ts'
import { lostOf, type Merged, storedOf } from '../sql-columns.ts'
import type { Sql } from './connection.ts'
import { BinaryCopy } from './copy.ts'
import { type AssemblyCounts, DayAssembler, type MeterDay } from './day-assembler.ts'
import { entryArray, type LayoutStaging, lockMeters, type MergeContext, metersTable } from './layout.ts'
import { joinReopened, mergeMixed, takeOutSql } from './quarters.ts'
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

  opening({ isSmall, before }: Pick<MergeContext, 'isSmall' | 'before'>): readonly string[] {
    // A few rows are looked up by their keys, however much the store has and whatever is known of the tables. Where rows
    // without keys are joined, that would take for ever.
    const byKeys = isSmall && before.length === 0 && !this.#counts.reopened
    return [
      metersTable,
      metTable,
      ...(byKeys ? ['SET LOCAL enable_hashjoin = off', 'SET LOCAL enable_mergejoin = off'] : [])
    ]
  }

  async merge(sql: Sql, context: MergeContext): Promise<Merged> {
    const { schema: s, staging, before } = context
    const days = staging('days')
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
      FROM (SELECT DISTINCT esiid, day, direction FROM ${staging('days')}) n JOIN pg_temp.smt_meters USING (esiid)
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

const metTable = `CREATE TEMP TABLE IF NOT EXISTS pg_temp.smt_met (meter integer, day date, direction smallint, had smallint,
  kind text, PRIMARY KEY (meter, day, direction)) ON COMMIT DELETE ROWS`

/** The merge of staged days: I6 for each quarter hour, most of it decided day by day. */
async function mergeDays(sql: Sql, { schema: s, isSmall, sha256 }: MergeContext, staging: string): Promise<RowsStored> {
  await sql.run(metSql(s, staging), [sha256])
  if (!isSmall) await sql.run('ANALYZE pg_temp.smt_met')
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
    INSERT INTO pg_temp.smt_met SELECT d.meter, d.day, d.direction, d.filled,
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
    FROM ${staging} n JOIN pg_temp.smt_meters USING (esiid) JOIN ${s}.meter_days d USING (meter, day, direction)
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
    FROM ${staging} n JOIN pg_temp.smt_meters USING (esiid) LEFT JOIN pg_temp.smt_met m USING (meter, day, direction)`)
  const [fresh, newer, adopted, mixed] = ['fresh', 'newer', 'adopted', 'mixed'].map(kind =>
    Number(row![`days_${kind}`])
  )
  return { stored: storedOf(row), days: { fresh: fresh!, newer: newer!, adopted: adopted!, mixed: mixed! } }
}

const values = 'readings, estimated, revisions, entries, lines'

function insertSql(s: string, staging: string): string {
  return `
    INSERT INTO ${s}.meter_days (meter, day, direction, start, filled, ${values})
    SELECT meter, day, direction, start, filled, ${values} FROM ${staging} JOIN pg_temp.smt_meters USING (esiid)
    WHERE (meter, day, direction) NOT IN (SELECT meter, day, direction FROM pg_temp.smt_met)
    ORDER BY meter, day, direction`
}

function replaceSql(s: string, staging: string): string {
  return `
    UPDATE ${s}.meter_days d SET (filled, ${values}) = (n.filled, n.readings, n.estimated, n.revisions, n.entries, n.lines)
    FROM pg_temp.smt_met m JOIN pg_temp.smt_meters USING (meter) JOIN ${staging} n USING (esiid, day, direction)
    WHERE m.kind = 'newer' AND (d.meter, d.day, d.direction) = (m.meter, m.day, m.direction)`
}

/** The same readings of a greater file: any order of files must give the same store. */
function adoptSql(s: string, staging: string): string {
  return `
    UPDATE ${s}.meter_days d SET entries = n.entries, lines = n.lines
    FROM pg_temp.smt_met m JOIN pg_temp.smt_meters USING (meter) JOIN ${staging} n USING (esiid, day, direction)
    WHERE m.kind = 'same, and greater' AND (d.meter, d.day, d.direction) = (m.meter, m.day, m.direction)`
}
