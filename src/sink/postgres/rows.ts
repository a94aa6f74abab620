import type { IntervalBatch } from '../../batch.ts'
import { AscendingKeys } from '../ascending-keys.ts'
import { lostOf, type Merged, storedOf } from '../sql-columns.ts'
import type { Sql } from './connection.ts'
import { BinaryCopy } from './copy.ts'
import { entryArray, type LayoutStaging, lockMeters, type MergeContext, metersTable } from './layout.ts'

/**
 * Staging of the layout `rows`: each interval as it comes, and which meter each batch's number means.
 *
 * Memory: the bytes for one COPY.
 */
export class RowStaging implements LayoutStaging {
  readonly #rows = new BinaryCopy(8)
  readonly #meters = new BinaryCopy(2)
  readonly #keys = new AscendingKeys()
  /** Meters staged so far: each batch numbers its own from here. */
  #numbered = 0
  #staged = 0
  /** UTC epoch milliseconds of the first and the last interval. */
  #first = Number.POSITIVE_INFINITY
  #last = Number.NEGATIVE_INFINITY

  readonly tables = [
    {
      suffix: 'rows',
      columns: `number integer, start timestamptz, direction smallint, reading bigint, estimated boolean,
        revision timestamptz, entry_id bigint, line bigint`,
      copy: this.#rows
    },
    { suffix: 'meters', columns: 'number integer, esiid text', copy: this.#meters }
  ]

  add(batch: IntervalBatch, entryId: number): void {
    const { length, start, kwh, estimated, direction, revision, line, meter, esiids } = batch
    for (const [i, esiid] of esiids.entries()) {
      this.#meters.row()
      this.#meters.int4(this.#numbered + i)
      this.#meters.text(esiid)
    }
    const copy = this.#rows
    for (let i = 0; i < length; i++) {
      const at = start[i]!
      if (at < this.#first) this.#first = at
      if (at > this.#last) this.#last = at
      copy.row()
      copy.int4(this.#numbered + meter[i]!)
      copy.timestamp(at)
      copy.int2(direction[i]!)
      copy.int8(Math.round(kwh[i]! * 100_000))
      copy.bool(estimated[i] === 1)
      copy.timestamp(revision[i]!)
      copy.int8(entryId)
      copy.int8(line[i]!)
    }
    this.#numbered += esiids.length
    this.#staged += length
    this.#keys.take(batch)
  }

  end(): void {}

  opening(): readonly string[] {
    return [metersTable]
  }

  async merge(sql: Sql, context: MergeContext): Promise<Merged> {
    const { schema: s, staging, sha256, before } = context
    const theirs = `SELECT meter FROM ${s}.interval_rows WHERE entry_id = ANY (${entryArray(before)})`
    await lockMeters(sql, context, staging('meters'), before.length > 0 ? theirs : 'NULL')
    await sql.run(`CREATE TEMP TABLE pg_temp.smt_numbers ON COMMIT DROP AS
      SELECT number, meter FROM ${staging('meters')} JOIN pg_temp.smt_meters USING (esiid)`)
    await sql.run(`ANALYZE pg_temp.smt_numbers, ${staging('rows')} (number, start, direction)`)
    const { winners, own } = await this.#winners(sql, staging('rows'))
    const span = this.#span()
    const lost = before.length > 0 ? lostOf((await sql.rows(takeOutSql(s, winners, before)))[0]) : undefined
    const [row] = await sql.rows(metSql(s, { winners, own, span }), [sha256])
    const { met, inserted, replaced, adopted } = row as Record<string, string>
    if (met === '0') await sql.run(insertSql(s, winners))
    else if (Number(inserted) + Number(replaced) + Number(adopted) > 0) {
      await sql.run(mergeSql(s, winners, span), [row!.lesser])
    }
    await analyzeGrown(sql, `${s}.interval_rows`, Number(inserted))
    return { stored: storedOf(row), lost }
  }

  winnersSql({ schema: s }: MergeContext): string {
    return `SELECT esiid, start, direction, reading * 0.00001 AS kwh, estimated, revision
      FROM ${s}.interval_rows r JOIN pg_temp.smt_meters USING (meter) WHERE ${this.#span()} AND entry_id = ANY ($1::bigint[])`
  }

  /** The part of the store that can have rows of this file. */
  #span(): string {
    const [first, last] = this.#staged > 0 ? [this.#first, this.#last] : [0, 0]
    return `start BETWEEN to_timestamp(${first / 1000}) AND to_timestamp(${last / 1000})`
  }

  /** The file's rows with their meters' numbers, of several with one key the best; and the query that counts them. */
  async #winners(sql: Sql, rows: string): Promise<{ readonly winners: string; readonly own: string }> {
    const all = `SELECT meter, start, direction, reading, estimated, revision, entry_id, line
      FROM ${rows} JOIN pg_temp.smt_numbers USING (number)`
    if (!this.#keys.mayRepeat) {
      const own = `SELECT ${this.#staged} AS winners, 0 AS beaten, 0 AS conflicts`
      return { winners: `(SELECT a.*, false AS conflict FROM (${all}) a)`, own }
    }
    await sql.run(`CREATE TEMP TABLE pg_temp.smt_winners ON COMMIT DROP AS ${bestSql(all)}`)
    await sql.run('ANALYZE pg_temp.smt_winners')
    const own = `SELECT count(*) AS winners, coalesce(sum(rivals), 0) AS beaten,
      count(*) FILTER (WHERE conflict) AS conflicts FROM pg_temp.smt_winners`
    return { winners: 'pg_temp.smt_winners', own }
  }
}

/** Takes out what an earlier reading of the file gave and this one does not give just so. */
function takeOutSql(s: string, winners: string, before: readonly number[]): string {
  const same = ['meter', 'direction', 'start', 'reading', 'entry_id', 'line']
  const row = (of: string) => `(${same.map(name => `${of}.${name}`).join(', ')})`
  return `
    WITH gone AS (
      DELETE FROM ${s}.interval_rows r WHERE entry_id = ANY (${entryArray(before)}) AND NOT EXISTS (
        SELECT FROM ${winners} w WHERE ${row('w')} = ${row('r')} AND ${version('w')} = ${version('r')}
      ) RETURNING *
    )
    SELECT (extract(epoch FROM min(start)) * 1000)::bigint AS first, (extract(epoch FROM max(start)) * 1000)::bigint AS last
    FROM gone g WHERE NOT EXISTS (
      SELECT FROM ${winners} w
      WHERE (w.meter, w.direction, w.start) = (g.meter, g.direction, g.start) AND ${version('w')} >= ${version('g')}
    )`
}

/** What the planner knows of a table is out of date once it has doubled, long before a vacuum comes by. */
async function analyzeGrown(sql: Sql, table: string, inserted: number): Promise<void> {
  const [row] = await sql.rows('SELECT reltuples FROM pg_class WHERE oid = $1::regclass', [table])
  if (inserted > Number(row!.reltuples)) await sql.run(`ANALYZE ${table}`)
}

/** Of rows with one key the one with the greatest (revision, actual over estimated, place). */
function bestSql(rows: string): string {
  return `
    SELECT ${columns}, rivals, conflict FROM (
      SELECT r.*, count(*) OVER same_key - 1 AS rivals,
        min(reading) OVER same_version <> max(reading) OVER same_version AS conflict,
        row_number() OVER (same_key ORDER BY revision DESC NULLS LAST, estimated, entry_id DESC, line DESC) AS place
      FROM (${rows}) r
      WINDOW same_key AS (PARTITION BY meter, direction, start),
        same_version AS (PARTITION BY meter, direction, start, revision, estimated)
    ) ranked WHERE place = 1`
}

/**
 * What becomes of the winners: I6, from either side, counted for each entry whose rows they meet, since only its payload
 * decides between equal versions. `adopted` are unchanged ones whose provenance becomes ours, so that any order of
 * files gives the same store; `lesser` the entries that ours beat.
 */
function metSql(s: string, { winners, own, span }: { winners: string; own: string; span: string }): string {
  return `
    WITH met AS (
      SELECT r.entry_id, count(*) AS total,
        count(*) FILTER (WHERE ${version('w')} > ${version('r')}) AS newer,
        count(*) FILTER (WHERE ${version('w')} = ${version('r')} AND w.reading = r.reading) AS same,
        count(*) FILTER (WHERE ${version('w')} = ${version('r')} AND w.reading <> r.reading) AS other,
        count(*) FILTER (WHERE ${version('w')} = ${version('r')} AND w.reading <> r.reading AND NOT w.conflict)
          AS conflicts
      FROM ${winners} w JOIN ${s}.interval_rows r USING (meter, direction, start) WHERE r.${span}
      GROUP BY r.entry_id
    ), judged AS (
      SELECT met.*, $1::text > coalesce(f.payload_sha256, '') AS greater
      FROM met LEFT JOIN ${s}.entries USING (entry_id) LEFT JOIN ${s}.files f USING (file_id)
    ), theirs AS (
      SELECT coalesce(sum(total), 0) AS total, coalesce(sum(same), 0) AS unchanged,
        coalesce(sum(newer), 0) + coalesce(sum(other) FILTER (WHERE greater), 0) AS replaced,
        coalesce(sum(same) FILTER (WHERE greater), 0) AS adopted, coalesce(sum(conflicts), 0) AS conflicts,
        coalesce(array_agg(entry_id) FILTER (WHERE greater), '{}') AS lesser
      FROM judged
    ), own AS (${own})
    SELECT total AS met, winners - total AS inserted, replaced, unchanged, total - replaced - unchanged + beaten AS superseded,
      own.conflicts + theirs.conflicts AS conflicts, adopted, lesser
    FROM own, theirs`
}

function mergeSql(s: string, winners: string, span: string): string {
  const set = ['reading', 'estimated', 'revision', 'entry_id', 'line']
  return `
    MERGE INTO ${s}.interval_rows r USING ${winners} w
    ON (r.meter, r.direction, r.start) = (w.meter, w.direction, w.start) AND r.${span}
    WHEN MATCHED AND (${version('w')} > ${version('r')}
        OR ${version('w')} = ${version('r')} AND r.entry_id = ANY ($1::bigint[]))
      THEN UPDATE SET ${set.map(name => `${name} = w.${name}`).join(', ')}
    WHEN NOT MATCHED THEN INSERT (${columns}) VALUES (${columns.replaceAll(/\w+/g, 'w.$&')})`
}

function insertSql(s: string, winners: string): string {
  return `INSERT INTO ${s}.interval_rows (${columns}) SELECT ${columns} FROM ${winners} w`
}

const columns = 'meter, start, direction, reading, estimated, revision, entry_id, line'

/** Of two versions the later revision is greater, then the actual reading. A blank revision is the oldest. */
const version = (of: string) => `row(coalesce(${of}.revision, '-infinity'), NOT ${of}.estimated)`
