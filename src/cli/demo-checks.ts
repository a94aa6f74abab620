import { basename } from 'node:path'
import type { Receipt } from '../ledger/receipt.ts'
import type { DeliveryManifest } from '../testing/manifest.ts'

/** One planted fact and what was found in its place. */
export interface Check {
  readonly what: string
  readonly expected: string | number
  readonly found: string | number
}

/** Every file's outcome and rows against the manifest. */
export function compareFiles({ files }: DeliveryManifest, receipts: readonly Receipt[]): Check[] {
  const found = new Map(receipts.map(receipt => [basename(receipt.path), receipt]))
  const outcomes = files.map(({ path, expect }) => {
    return { what: path, expected: expect, found: found.get(basename(path))?.state ?? 'not there' }
  })
  const rows = files.flatMap(({ path, rows }) => {
    if (!rows) return []
    const stored = found.get(basename(path))?.rows
    return Object.entries(rows).map(([outcome, expected]) => {
      return { what: `${path} rows ${outcome}`, expected, found: stored?.[outcome as 'read'] ?? 'not there' }
    })
  })
  return [...outcomes, ...rows, { what: 'receipts', expected: files.length, found: receipts.length }]
}

/** What the store holds, asked by SQL, against the manifest. */
export async function compareStore({ store }: DeliveryManifest, path: string): Promise<Check[]> {
  return ask(path, async query => {
    const checks: Check[] = []
    const check = (what: string, expected: number, found: unknown) => {
      checks.push({ what, expected, found: Number(found) })
    }
    for (const direction of ['consumption', 'surplus-generation'] as const) {
      const [row] = await query(
        `SELECT count(*) AS intervals, coalesce(sum(kwh) * 1000, 0)::BIGINT AS milli FROM intervals WHERE direction = '${direction}'`
      )
      check(`intervals of ${direction}`, store.intervals[direction], row?.intervals)
      check(`thousandths of a kWh of ${direction}`, store.milliKwh[direction], row?.milli)
    }
    const [row] = await query(
      `SELECT count(*) FILTER (estimated) AS estimated, count(*) FILTER (kwh = 0) AS zeros, count(DISTINCT esiid) AS meters FROM intervals`
    )
    check('estimated intervals', store.estimated, row?.estimated)
    check('readings of zero', store.zeros, row?.zeros)
    check('meters', store.meters, row?.meters)
    // Meter by meter: a count of distinct keys over everything would need more memory than the whole run.
    const [doubled] = await query(
      `SELECT coalesce(sum(rows - keys), 0) AS intervals FROM (
         SELECT count(*) AS rows, count(DISTINCT start) AS keys FROM intervals GROUP BY esiid, direction)`
    )
    check('intervals under a key that is taken', 0, doubled?.intervals)
    for (const { date, instants } of store.watched.days) {
      const [day] = await query(
        `SELECT count(DISTINCT start) AS instants FROM intervals WHERE esiid = '${store.watched.esiid}'
           AND direction = 'consumption' AND (start AT TIME ZONE 'America/Chicago')::DATE = DATE '${date}'`
      )
      check(`instants of one meter on ${date}`, instants, day?.instants)
    }
    return checks
  })
}

/** Average power of a meter's consumption by hour of the local day, in kW. */
export async function readAverageDay(path: string): Promise<(readonly [hour: number, kilowatts: number])[]> {
  return ask(path, async query => {
    const rows = await query(
      `SELECT hour(start AT TIME ZONE 'America/Chicago') AS hour, 4 * avg(kwh) AS kilowatts
       FROM intervals WHERE direction = 'consumption' GROUP BY 1 ORDER BY 1`
    )
    return rows.map(({ hour, kilowatts }) => [Number(hour), Number(kilowatts)] as const)
  })
}

type Query = (sql: string) => Promise<Record<string, unknown>[]>

async function ask<T>(path: string, work: (query: Query) => Promise<T>): Promise<T> {
  // Where the package is missing, the sink has said so before.
  const { DuckDBInstance } = await import('@duckdb/node-api')
  const instance = await DuckDBInstance.create(path, {
    access_mode: 'READ_ONLY',
    threads: '1',
    memory_limit: '64MB',
    temp_directory: `${path}.tmp`
  })
  const connection = await instance.connect()
  try {
    return await work(async sql => (await connection.runAndReadAll(sql)).getRowObjectsJson())
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
}
