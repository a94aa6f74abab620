import { lostOf, type Merged } from '../sql-columns.ts'
import type { Sql } from './store.ts'

/**
 * Takes out what an earlier reading of the file gave and this one does not give just so. Gives the span, in UTC epoch
 * milliseconds, of what it does not give at all, or in a lesser version.
 *
 * `said` is a query of what the file gives now: meter, start, direction, kwh, estimated, revision (`-infinity` where
 * blank), entry_id, line.
 */
export async function takeOutBefore(sql: Sql, said: string, before: readonly bigint[]): Promise<Merged['lost']> {
  await sql.run(`CREATE TEMP TABLE said AS ${said}`)
  await sql.run(`
    CREATE TEMP TABLE gone AS
    WITH ours AS (
      SELECT rowid AS old, * REPLACE (coalesce(revision, '-infinity') AS revision)
      FROM interval_rows WHERE entry_id IN (${before.join(', ')})
    )
    FROM ours ANTI JOIN said USING (meter, start, direction, kwh, estimated, revision, entry_id, line)`)
  const [row] = await sql.rows(`
    SELECT epoch_ms(min(start)) AS first, epoch_ms(max(start)) AS last
    FROM gone g WHERE NOT EXISTS (
      FROM said s WHERE s.meter = g.meter AND s.direction = g.direction AND s.start = g.start
        AND row(s.revision, NOT s.estimated) >= row(g.revision, NOT g.estimated)
    )`)
  await sql.run('DELETE FROM interval_rows WHERE rowid IN (SELECT old FROM gone)')
  for (const table of ['said', 'gone']) await sql.run(`DROP TABLE ${table}`)
  return lostOf(row)
}
