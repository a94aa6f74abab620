import { beginsOf, type StoredDay, type StoredDaysQuery, storedDaysOf } from '../stored-days.ts'
import type { PostgresStore } from './store.ts'

/** Counts what is stored by local day: each interval belongs to the last day that began before it. */
const query = (s: string) => `
  SELECT esiid, direction, width_bucket(start, $2::timestamptz[]) - 1 AS day, count(*)::int AS intervals
  FROM ${s}.intervals
  WHERE esiid = ANY($1::text[]) AND start >= ($2::timestamptz[])[1] AND start < $3::timestamptz
  GROUP BY 1, 2, 3 ORDER BY 1, 2, 3`

export function storedDays(store: PostgresStore, asked: StoredDaysQuery): Promise<StoredDay[]> {
  const { dates, begins, end } = beginsOf(asked)
  const iso = (instant: number) => new Date(instant).toISOString()
  const values = [[...asked.esiids], begins.map(iso), iso(end)]
  return store.session(async sql => storedDaysOf(await sql.rows(query(store.schema), values), dates))
}
