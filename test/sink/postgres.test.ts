import { readFileSync } from 'node:fs'
import pg from 'pg'
import { describe, expect, test } from 'vitest'
import { fingerprintOf, type Ledger } from '../../src/ledger/ledger.ts'
import { PostgresLedger } from '../../src/sink/postgres/ledger.ts'
import {
  hasReadings,
  layoutSql,
  migrations,
  readingSpan,
  schemaText,
  storeSql
} from '../../src/sink/postgres/schema.ts'
import { PostgresStore } from '../../src/sink/postgres/store.ts'
import { PostgresSink } from '../../src/sink/postgres.ts'
import { makeDailyReport, makeEsiid, makeMeterDay, makeZip } from '../../src/testing/index.ts'
import { testMergingSink } from '../conformance/merging-sink.ts'
import { type Other, overtaken } from '../conformance/overtaken.ts'
import { testReplayingSink } from '../conformance/replaying-sink.ts'
import { reportsSql, testMergingReportSink, testReportSink } from '../conformance/reports.ts'
import { csv, deliver, failing, fileOf, readParts, rowText, testDurableSink, testSink } from '../conformance/sink.ts'
import { testLedger } from '../ledger/support.ts'
import { queryPostgres, schemaFor, usePostgres } from '../support/postgres.ts'
import { scratchFolder } from '../support/scratch.ts'

const postgres = usePostgres()

describe.each(['days', 'rows'] as const)('layout %s', layout => {
  const open = (folder: string) => {
    const schema = schemaFor(folder + layout)
    const sink = new PostgresSink({ connectionString: postgres.connectionString, schema, layout })
    return {
      sink,
      rows: () => storedRows(schema),
      provenance: () => provenance(schema),
      reports: () => reportsIn(schema, false),
      reportProvenance: async () => (await reportsIn(schema, true)).sort()
    }
  }
  testSink('PostgresSink', open)
  testDurableSink('PostgresSink', open)
  testMergingSink('PostgresSink', open)
  testReplayingSink('PostgresSink', open)
  testReportSink('PostgresSink', open)
  testMergingReportSink('PostgresSink', open)

  test('I6: entries have numbers in their order, also one without rows before one that has some', async () => {
    const schema = schemaFor(`${scratchFolder()}o'brien`)
    const sink = new PostgresSink({ connectionString: postgres.connectionString, schema, layout })
    const zip = makeZip([
      { name: 'notes.txt', bytes: Buffer.from('nothing to see\n') },
      { name: 'a.csv', bytes: Buffer.from(csv([{}])) }
    ])
    expect(await deliver(sink, fileOf('a.zip', zip))).toMatchObject({ state: 'committed' })
    await sink.close()
    const query = `SELECT ordinal FROM "${schema}".entries ORDER BY entry_id`
    expect(await queryPostgres(postgres.connectionString, query)).toEqual([{ ordinal: 0 }, { ordinal: 1 }])
  })

  test('the schema as text makes a store like one that was opened', async () => {
    const { connectionString } = postgres
    const schemas = [schemaFor(`${scratchFolder()}told`), schemaFor(`${scratchFolder()}opened`)]
    await queryPostgres(connectionString, schemaText(schemas[0]!, layout))
    const tables = []
    for (const schema of schemas) {
      const sink = new PostgresSink({ connectionString, schema, layout })
      expect(await deliver(sink, fileOf('a.csv', csv([{}])))).toMatchObject({ state: 'committed' })
      await sink.close()
      const query = `SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns
        WHERE table_schema = $1 ORDER BY 1, 2`
      tables.push(await queryPostgres(connectionString, query, [schema]))
    }
    expect(tables[0]).toEqual(tables[1])
  })

  test('I6: joins days whose rows come far apart in one file, and counts what was beaten', async () => {
    const schema = schemaFor(scratchFolder())
    const sink = new PostgresSink({ connectionString: postgres.connectionString, schema, layout })
    const meters = Array.from({ length: 600 }, (_, i) => makeEsiid(i))
    const part = (from: number, to: number, over: object) =>
      meters.flatMap(esiid =>
        Array.from({ length: to - from }, (_, i) => ({ esiid, date: '07/14/2025', quarter: from + i, ...over }))
      )
    const [first, second] = [part(0, 6, { kwh: '0.25' }), part(4, 10, { kwh: '0.5' })]
    const older = part(4, 5, { kwh: '9', revision: '07/01/2025 06:00:00' })
    const receipt = await deliver(sink, fileOf('a.csv', csv([...first, ...second, ...older])))
    await sink.close()
    // Of one version: quarters 4 and 5 differ, and the later line wins. The older version of quarter 4 is beaten too.
    expect(receipt.rows).toMatchObject({
      accepted: 13 * 600,
      inserted: 10 * 600,
      superseded: 3 * 600,
      conflicts: 2 * 600
    })
    const sums = `SELECT count(*)::int AS rows, count(DISTINCT (esiid, start))::int AS keys, sum(kwh)::text AS kwh
      FROM "${schema}".intervals`
    expect(await queryPostgres(postgres.connectionString, sums)).toEqual([
      { rows: 6000, keys: 6000, kwh: '2400.00000' }
    ])
  })

  describe('I5: a worker whose claim passed to another', () => {
    test.each<Other>(['holds', 'has finished'])('cannot commit while the other one %s the file', async other => {
      class OvertakenSink extends PostgresSink {
        protected override async openLedger(): Promise<Ledger> {
          return overtaken(await super.openLedger(), other)
        }
      }
      const { connectionString } = postgres
      const schema = schemaFor(scratchFolder())
      const sink = new OvertakenSink({ connectionString, schema, layout })
      const file = fileOf('a.csv', csv([{}]))
      const { error, receipt } = await failing(sink, file, await readParts(file))
      expect(error).toMatchObject({ code: 'STORE_FENCED', file: 'a.csv' })
      expect(receipt).toMatchObject({ state: 'seen', reason: { code: 'STORE_FENCED' } })
      await sink.close()
      expect(await storedRows(schema)).toEqual([])
      const ask = (query: string) => queryPostgres(connectionString, query)
      expect(await ask(`SELECT * FROM "${schema}".entries`)).toEqual([])
      const state = other === 'holds' ? 'claimed' : 'quarantined'
      expect(await ask(`SELECT state, epoch, payload_sha256 FROM "${schema}".files`)).toEqual([
        { state, epoch: 2, payload_sha256: null }
      ])
      expect(await stagingOf(schema)).toEqual([])
    })
  })
})

describe('the ledger', () => {
  testLedger('PostgresLedger', async () => {
    const schema = schemaFor(scratchFolder())
    const { connectionString } = postgres
    const options = { pool: undefined, connectionString, schema, layout: 'days', timeoutMs: 10_000 } as const
    const store = await PostgresStore.open(options)
    const ledger = new PostgresLedger(store)
    ledger.close = () => store.close()
    return ledger
  })
})

test('what is asked for every file is found by an index, and so is which files have readings of a span', async () => {
  const { connectionString } = postgres
  const schema = schemaFor(scratchFolder())
  const sink = new PostgresSink({ connectionString, schema })
  await deliver(sink, fileOf('a.csv', csv([{}])))
  await sink.close()
  const plan = async (statement: string) => {
    // So few rows are read through, unless that is forbidden; a table without a fitting index is read through even then.
    const client = new pg.Client({ connectionString })
    await client.connect()
    try {
      await client.query(`SET search_path = "${schema}"; SET enable_seqscan = off; SET enable_bitmapscan = off`)
      const { rows } = await client.query(`EXPLAIN ${statement}`)
      return rows.map(row => row['QUERY PLAN']).join('\n')
    } finally {
      await client.end()
    }
  }
  for (const statement of [
    "SELECT * FROM files WHERE fingerprint = 'x' FOR UPDATE",
    "UPDATE files SET state = 'seen' WHERE fingerprint = 'x' AND epoch = 1 AND lease_until IS NOT NULL",
    "SELECT path FROM files WHERE payload_sha256 = 'x' AND state = 'committed'",
    "SELECT * FROM files WHERE state IN ('quarantined') ORDER BY updated_at DESC LIMIT 5",
    'SELECT * FROM entries WHERE file_id = 1',
    'DELETE FROM rejects WHERE entry_id = ANY (ARRAY[1])',
    `SELECT path FROM files WHERE ${hasReadings} AND ${readingSpan} && int8range(0, 1, '[]')`
  ]) {
    const text = await plan(statement)
    expect(text, statement).toContain('Index')
    expect(text, statement).not.toMatch(/Seq Scan|Disabled: true/)
  }
})

test('the queries of docs/sinks/postgres.md answer what they are said to', async () => {
  const { connectionString } = postgres
  const schema = schemaFor(scratchFolder())
  const sink = new PostgresSink({ connectionString, schema })
  const esiid = '10443720009999001'
  const rows = [...Array(96).keys()].map(quarter => ({ esiid, date: '07/14/2025', quarter, kwh: '0.25' }))
  await deliver(sink, fileOf('/adhocusage/report.asc', csv([...rows, { ...rows[3]!, date: '07/15/2025' }])))
  await sink.close()
  const page = readFileSync(new URL('../../docs/sinks/postgres.md', import.meta.url), 'utf8')
  const queries = /```sql\n([\s\S]+?)```/.exec(page)![1]!.split(';').slice(0, -1)
  const answers = []
  for (const text of queries)
    answers.push(await queryPostgres(connectionString, text.replaceAll('smt.', `"${schema}".`)))
  const [month, byDay, gaps, , latest, why] = answers
  expect(month).toHaveLength(97)
  expect(month![0]).toMatchObject({ direction: 'consumption', kwh: '0.25000' })
  expect(byDay!.map(({ kwh }) => Number(kwh))).toEqual([24, 0.25])
  expect(gaps).toMatchObject([{ esiid, missing: 95 }])
  expect(latest).toEqual([{ esiid, direction: 0, filled: 1 }])
  expect(why).toMatchObject([{ state: 'committed', code: null }])
})

/** Staging tables that stand in a schema. */
async function stagingOf(schema: string): Promise<unknown[]> {
  const query = `SELECT relname FROM pg_class WHERE relnamespace = $1::regnamespace AND relname LIKE 'staging%'`
  return queryPostgres(postgres.connectionString, query, [`"${schema}"`])
}

async function storedRows(schema: string): Promise<string[]> {
  const rows = await queryPostgres(
    postgres.connectionString,
    `SELECT esiid, (extract(epoch FROM start) * 1000)::bigint AS start, direction, kwh::text, estimated,
       (extract(epoch FROM revision) * 1000)::bigint AS revision FROM "${schema}".intervals`
  ).catch(error => {
    // Nothing was ever stored: the tables are made at first use.
    if (error.code === '42P01') return []
    throw error
  })
  return rows.map(({ esiid, start, direction, kwh, estimated, revision }) =>
    rowText({
      esiid: esiid as string,
      start: Number(start),
      direction: direction as 'consumption',
      kwh: kwh as string,
      estimated: estimated as boolean,
      revision: revision === null ? null : Number(revision)
    })
  )
}

async function provenance(schema: string): Promise<string[]> {
  const rows = await queryPostgres(
    postgres.connectionString,
    `SELECT concat_ws(' ', esiid, direction, (extract(epoch FROM start) * 1000)::bigint, kwh,
       CASE WHEN estimated THEN 'true' ELSE 'false' END, coalesce((extract(epoch FROM revision) * 1000)::bigint, -1),
       payload_sha256, ordinal, line) AS row
     FROM "${schema}".intervals JOIN "${schema}".entries USING (entry_id) JOIN "${schema}".files USING (file_id)`
  )
  return rows.map(({ row }) => row as string).sort()
}

async function reportsIn(schema: string, withPlace: boolean): Promise<string[]> {
  const ms = (instant: string) => `(extract(epoch FROM ${instant}) * 1000)::bigint`
  const rows = await queryPostgres(postgres.connectionString, reportsSql(`"${schema}".`, { ms, withPlace }))
  return rows.map(({ row }) => row as string)
}

test.each(['days', 'rows'] as const)(
  'a store of version 3, layout %s, is given the tables of the reports, and goes on',
  async layout => {
    const { connectionString } = postgres
    const schema = schemaFor(`${scratchFolder()}${layout}`)
    const s = `"${schema}"`
    const old = [
      `CREATE SCHEMA ${s}`,
      storeSql(s),
      ...migrations.slice(0, 3).flatMap(step => step(s)),
      ...layoutSql[layout](s)
    ]
    await queryPostgres(connectionString, [...old, `INSERT INTO ${s}.store VALUES (3, '${layout}')`].join(';'))
    const sink = new PostgresSink({ connectionString, schema, layout })
    const zip = makeZip([
      { name: 'a.csv', bytes: Buffer.from(csv([{}])) },
      { name: 'b.csv', bytes: makeDailyReport([makeMeterDay({ esiid: makeEsiid(1), date: '2025-07-14' })]) }
    ])
    const receipt = await deliver(sink, fileOf('a.zip', zip))
    expect(receipt).toMatchObject({ rows: { inserted: 1 }, reports: { 'daily-reads': { inserted: 1 } } })
    await sink.close()
    expect(await queryPostgres(connectionString, `SELECT version FROM ${s}.store`)).toEqual([
      { version: migrations.length }
    ])
    expect(migrations.length).toBeGreaterThan(3)
  }
)

describe('a store of PostgreSQL', () => {
  const openStore = (over: Partial<Parameters<typeof PostgresStore.open>[0]> = {}) =>
    PostgresStore.open({
      pool: undefined,
      connectionString: postgres.connectionString,
      schema: schemaFor(scratchFolder()),
      layout: 'days',
      timeoutMs: 60_000,
      ...over
    })

  test('I6: numbers entries in rising order, however many files ask at once', async () => {
    const store = await openStore()
    await Promise.all(Array.from({ length: 5 }, () => store.newEntryId()))
    const ids: number[] = []
    while (ids.length < 200) ids.push(await store.newEntryId())
    expect(ids).toEqual([...new Set(ids)].sort((a, b) => a - b))
    await store.close()
  })

  test('I6: sees what others committed while it waited, whatever the database has by itself', async () => {
    const url = new URL(postgres.connectionString)
    url.searchParams.set('options', '-c default_transaction_isolation=serializable')
    const store = await openStore({ connectionString: url.href })
    const ask = () => store.transaction(sql => sql.rows('SHOW transaction_isolation'))
    expect(await ask()).toEqual([{ transaction_isolation: 'read committed' }])
    await store.close()
  })

  test('waits for a connection for as long as others use them', async () => {
    const store = await openStore({ timeoutMs: 1000 })
    const sleep = () => store.session(sql => sql.rows('SELECT pg_sleep(0.6)'))
    expect(await Promise.all(Array.from({ length: 16 }, sleep))).toHaveLength(16)
    await store.close()
  })

  test('keeps to its own temporary tables, although a table of a user is found before them', async () => {
    const url = new URL(postgres.connectionString)
    const schema = schemaFor(`${scratchFolder()}user`)
    url.searchParams.set('options', `-c search_path=${schema},pg_temp`)
    const tables = [
      ...['smt_met', 'smt_meters', 'smt_numbers', 'smt_winners', 'smt_staged_days', 'smt_staged_rows'],
      ...['smt_staged_daily_reads', 'smt_report_best', 'smt_report_met', 'smt_report_gone', 'smt_report_again']
    ]
    await queryPostgres(postgres.connectionString, `CREATE SCHEMA "${schema}"`)
    for (const table of tables) {
      await queryPostgres(postgres.connectionString, `CREATE TABLE "${schema}".${table} (mine text)`)
    }
    for (const layout of ['days', 'rows'] as const) {
      const sink = new PostgresSink({ connectionString: url.href, schema: schemaFor(scratchFolder()), layout })
      // The second reading of one interval makes the file choose winners.
      expect(await deliver(sink, fileOf('a.csv', csv([{}, {}])))).toMatchObject({ state: 'committed' })
      const day = { esiid: makeEsiid(1), date: '2025-07-14' }
      const daily = fileOf('b.csv', makeDailyReport([makeMeterDay(day)]))
      expect(await deliver(sink, daily)).toMatchObject({ state: 'committed' })
      await (await sink.ledger()).retry(fingerprintOf(daily))
      expect(await deliver(sink, daily)).toMatchObject({ state: 'committed', known: false })
      await sink.close()
    }
  })
})
