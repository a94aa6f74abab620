import { beginsOf, type StoredDay, type StoredDaysQuery, storedDaysOf } from '../stored-days.ts'
import { type DuckDbStore, guarded, Sql } from './store.ts'

/** Counts what is stored by local day: each interval belongs to the last day that began before it. */
const query = `
  WITH days AS (SELECT unnest($begins) AS begins, generate_subscripts($begins, 1) - 1 AS day)
  SELECT esiid, direction::VARCHAR AS direction, days.day, count(*) AS intervals
  FROM (
    SELECT esiid, direction, epoch_ms(start) AS instant FROM intervals
    WHERE list_contains($esiids, esiid) AND epoch_ms(start) >= $from AND epoch_ms(start) < $until
  ) ASOF JOIN days ON instant >= days.begins
  GROUP BY ALL ORDER BY ALL`

export async function storedDays(store: DuckDbStore, asked: StoredDaysQuery): Promise<StoredDay[]> {
  const { listValue } = store.duckdb
  const { dates, begins, end } = beginsOf(asked)
  const connection = await store.connect()
  try {
    const rows = await guarded(store.path, () =>
      new Sql(connection).rows(query, {
        begins: listValue(begins),
        esiids: listValue([...asked.esiids]),
        from: begins[0]!,
        until: end
      })
    )
    return storedDaysOf(rows, dates)
  } finally {
    store.disconnect(connection)
  }
}
