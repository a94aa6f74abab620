import type { IntervalBatch } from '../../batch.ts'
import type { RowsStored } from '../../ledger/receipt.ts'
import { AscendingKeys } from '../ascending-keys.ts'
import { countSql, storedOf } from '../sql-columns.ts'
import { BinaryCopy } from './copy.ts'
import { type LayoutStaging, lockMeters, type MergeContext } from './layout.ts'
import type { Sql } from './store.ts'

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
      copy.row()
      copy.int4(this.#numbered + meter[i]!)
      copy.timestamp(start[i]!)
      copy.int2(direction[i]!)
      copy.int8(Math.round(kwh[i]! * 100_000))
      copy.bool(estimated[i] === 1)
      copy.timestamp(revision[i]!)
      copy.int8(entryId)
      copy.int8(line[i]!)
    }
    this.#numbered += esiids.length
    this.#keys.take(batch)
  }

  end(): void {}

  async merge(sql: Sql, { schema: s, staging, sha256 }: MergeContext): Promise<RowsStored> {
    await lockMeters(sql, s, staging('meters'))
    await sql.run(`CREATE TEMP TABLE smt_winners ON COMMIT DROP AS ${winnersSql(staging, this.#keys.mayRepeat)}`)
    await sql.run(`CREATE TEMP TABLE smt_met (meter integer, start timestamptz, direction smallint, wins boolean,
      outcome text, conflict boolean) ON COMMIT DROP`)
    await sql.run(metSql(s), [sha256])
    await sql.run('ANALYZE smt_winners, smt_met')
    const [row] = await sql.rows(countSql('smt_winners', 'smt_met'))
    await sql.run(replaceSql(s))
    await sql.run(insertSql(s))
    return storedOf(row)
  }
}

/** The file's own winners: of rows with one key the one with the greatest (revision, actual over estimated, place). */
function winnersSql(staging: MergeContext['staging'], mayRepeat: boolean): string {
  const rows = `SELECT meter, start, direction, reading, estimated, revision, entry_id, line
    FROM ${staging('rows')} JOIN ${staging('meters')} USING (number) JOIN smt_meters USING (esiid)`
  if (!mayRepeat) return `SELECT r.*, 0 AS rivals, false AS conflict FROM (${rows}) r`
  return `
    SELECT meter, start, direction, reading, estimated, revision, entry_id, line, rivals, conflict FROM (
      SELECT r.*, count(*) OVER same_key - 1 AS rivals,
        min(reading) OVER same_version <> max(reading) OVER same_version AS conflict,
        row_number() OVER (same_key ORDER BY revision DESC NULLS LAST, estimated, entry_id DESC, line DESC) AS place
      FROM (${rows}) r
      WINDOW same_key AS (PARTITION BY meter, start, direction),
        same_version AS (PARTITION BY meter, start, direction, revision, estimated)
    ) ranked WHERE place = 1`
}

/** The winners whose key the store has already, and what becomes of it: I6, from either side. */
function metSql(s: string): string {
  return `
    INSERT INTO smt_met
    SELECT meter, start, direction, wins,
      CASE WHEN same_version AND same_reading THEN 'unchanged' WHEN wins THEN 'replaced' ELSE 'superseded' END,
      same_version AND NOT same_reading AND NOT within
    FROM (
      SELECT w.meter, w.start, w.direction, w.conflict AS within, r.reading = w.reading AS same_reading,
        r.revision IS NOT DISTINCT FROM w.revision AND r.estimated = w.estimated AS same_version,
        row(coalesce(w.revision, '-infinity'), NOT w.estimated, $1::text)
          > row(coalesce(r.revision, '-infinity'), NOT r.estimated, coalesce(f.payload_sha256, '')) AS wins
      FROM smt_winners w JOIN ${s}.interval_rows r USING (meter, start, direction)
        LEFT JOIN ${s}.entries e ON e.entry_id = r.entry_id LEFT JOIN ${s}.files f USING (file_id)
      WHERE r.start BETWEEN (SELECT min(start) FROM smt_winners) AND (SELECT max(start) FROM smt_winners)
    ) judged`
}

/** A winner with the same reading takes over its provenance too: any order of files gives the same store. */
function replaceSql(s: string): string {
  return `
    UPDATE ${s}.interval_rows r SET (reading, estimated, revision, entry_id, line)
      = (w.reading, w.estimated, w.revision, w.entry_id, w.line)
    FROM smt_met m JOIN smt_winners w USING (meter, start, direction)
    WHERE m.wins AND (r.meter, r.start, r.direction) = (m.meter, m.start, m.direction)`
}

function insertSql(s: string): string {
  return `
    INSERT INTO ${s}.interval_rows (meter, start, direction, reading, estimated, revision, entry_id, line)
    SELECT meter, start, direction, reading, estimated, revision, entry_id, line FROM smt_winners w
    WHERE NOT EXISTS (SELECT FROM smt_met m WHERE (m.meter, m.start, m.direction) = (w.meter, w.start, w.direction))`
}
