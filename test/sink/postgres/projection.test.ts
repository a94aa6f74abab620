import pg from 'pg'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Projection } from '../../../src/sink/postgres/projection.ts'
import { PostgresSink, type PostgresSinkOptions } from '../../../src/sink/postgres.ts'
import { csv, deliver, failing, fileOf, type Row, readParts } from '../../conformance/sink.ts'
import { schemaFor, usePostgres } from '../../support/postgres.ts'
import { scratchFolder } from '../../support/scratch.ts'

const postgres = usePostgres()

/** The table that IntelliWatt's application reads, as its schema makes it. */
const smtInterval = `
  CREATE TABLE "SmtInterval" (
    id text PRIMARY KEY,
    esiid text NOT NULL,
    meter text NOT NULL,
    ts timestamp(3) NOT NULL,
    kwh decimal(10,5) NOT NULL,
    filled boolean NOT NULL DEFAULT false,
    source text,
    "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" timestamp(3) NOT NULL
  );
  CREATE UNIQUE INDEX "SmtInterval_esiid_meter_ts_key" ON "SmtInterval" (esiid, meter, ts);
  CREATE UNIQUE INDEX "SmtInterval_esiid_meter_ts_idx" ON "SmtInterval" (esiid, meter, ts);`

const project: Projection = {
  table: 'SmtInterval',
  columns: { esiid: 'esiid', start: 'ts', kwh: 'kwh' },
  constants: {
    id: { sql: 'gen_random_uuid()::text' },
    meter: 'unknown',
    source: `it's "smt" \\ here`,
    filled: false,
    updatedAt: { sql: 'clock_timestamp()' }
  },
  direction: 'consumption'
}

let pool: pg.Pool
let user: string

beforeEach(async () => {
  user = schemaFor(scratchFolder())
  const own = new pg.Client(postgres.connectionString)
  await own.connect()
  await own.query(`CREATE SCHEMA "${user}"`)
  await own.end()
  // The worst that a session may say of time, and the user's tables on the search path.
  const options = `-c TimeZone=America/Chicago -c search_path=${user}`
  pool = new pg.Pool({ connectionString: postgres.connectionString, options, max: 2 })
})

afterEach(async () => {
  await pool.end()
})

const sinkInto = (projection: unknown, layout: PostgresSinkOptions['layout'] = 'days') =>
  new PostgresSink({ pool, schema: `${user}_store`, layout: layout!, project: projection as Projection })

describe.each(['days', 'rows'] as const)('layout %s', layout => {
  const stand = async () => {
    await pool.query(smtInterval)
    return sinkInto(project, layout)
  }
  const table = async () =>
    (
      await pool.query(`SELECT id, esiid, meter, ts::text, kwh::text, filled, source, "updatedAt" = "createdAt" AS fresh,
      "updatedAt"::text AS touched FROM "SmtInterval" ORDER BY esiid, meter, ts`)
    ).rows
  const day = (over: Partial<Row> = {}) =>
    csv([...Array(96).keys()].map(quarter => ({ quarter, kwh: '0.25', ...over })))

  test('copies a commit’s winners of one series, at their start in UTC', async () => {
    const sink = await stand()
    const surplus = { direction: 'Surplus Generation', kwh: '3' }
    await deliver(sink, fileOf('a.csv', csv([{ quarter: 0, kwh: '.145' }, { quarter: 1, kwh: '0.1' }, { ...surplus }])))
    const { rows } = await pool.query(`SELECT esiid FROM "${user}_store".meters`)
    expect(await table()).toMatchObject([
      { esiid: rows[0].esiid, ts: '2025-07-14 05:00:00', kwh: '0.14500' },
      { meter: 'unknown', filled: false, source: `it's "smt" \\ here`, ts: '2025-07-14 05:15:00', kwh: '0.10000' }
    ])
    await sink.close()
  })

  test('updates what changed and nothing else, and keeps what identifies a row', async () => {
    const sink = await stand()
    await deliver(sink, fileOf('first.csv', day()))
    const before = await table()
    const other = { quarter: 7, kwh: '0.5' }
    await deliver(sink, fileOf('newer.csv', csv([{ ...other, revision: '07/20/2025 06:00:00' }])))
    await deliver(sink, fileOf('older.csv', day({ revision: '', kwh: '9' })))
    await deliver(sink, fileOf('again.csv', `${day()}\n`))
    const after = await table()
    expect(after).toHaveLength(96)
    expect(after[7]).toMatchObject({ id: before[7].id, kwh: '0.50000', fresh: false })
    expect(after.toSpliced(7, 1)).toEqual(before.toSpliced(7, 1))
    await sink.close()
  })

  test('has what the view has after any files, and leaves rows alone that are not its own', async () => {
    const sink = await stand()
    await pool.query(`INSERT INTO "SmtInterval" (id, esiid, meter, ts, kwh, "updatedAt")
      VALUES ('x', '10443720000000001', 'M1', '2025-07-14 05:00', 7, now())`)
    const files = [
      day({ revision: '07/15/2025 06:00:00' }),
      csv([...Array(20).keys()].map(i => ({ quarter: i * 3, kwh: `${i}.5`, revision: '07/16/2025 06:00:00' }))),
      csv([
        { quarter: 3, kwh: '1' },
        { quarter: 3, kwh: '2' },
        { date: '07/15/2025', quarter: 90 }
      ]),
      day({ date: '11/02/2025' }),
      day({ esiid: '1044372000000000200001', flag: 'E' }),
      day({ esiid: '1044372000000000200001', kwh: '0.75' })
    ]
    for (const [i, text] of files.entries()) await deliver(sink, fileOf(`${i}.csv`, text))
    const view = await pool.query(`SELECT esiid, (start AT TIME ZONE 'UTC')::text AS ts, kwh::text
      FROM "${user}_store".intervals WHERE direction = 'consumption' ORDER BY 1, 2`)
    const own = (await table()).filter(({ meter }) => meter === 'unknown')
    expect(own.map(({ esiid, ts, kwh }) => ({ esiid, ts, kwh }))).toEqual(view.rows)
    expect((await table()).filter(({ meter }) => meter === 'M1')).toMatchObject([{ kwh: '7.00000', id: 'x' }])
    await sink.close()
  })

  test('I1: what the table refuses, the store does not have either', async () => {
    const sink = await stand()
    const file = fileOf('a.csv', csv([{ kwh: '0.1' }, { quarter: 5, kwh: '100000' }]))
    const { error, receipt } = await failing(sink, file, await readParts(file))
    expect(error).toMatchObject({ code: 'STORE_WRITE', retryable: true })
    expect((error as Error).message).toContain('numeric field overflow')
    expect(receipt).toMatchObject({ state: 'seen', reason: { code: 'STORE_WRITE' } })
    expect(await table()).toEqual([])
    expect((await pool.query(`SELECT FROM "${user}_store".intervals`)).rowCount).toBe(0)
    await pool.query('ALTER TABLE "SmtInterval" ALTER kwh TYPE decimal(12,5)')
    expect(await deliver(sink, file)).toMatchObject({ state: 'committed' })
    expect(await table()).toHaveLength(2)
    await sink.close()
  })

  test('fills a table that tells the series, the flag and the revision', async () => {
    await pool.query(`CREATE TABLE readings (meter text, at timestamptz, way text, value numeric, guess boolean,
      version timestamptz, PRIMARY KEY (meter, at, way))`)
    const columns = {
      ...{ esiid: 'meter', start: 'at', direction: 'way' },
      ...{ kwh: 'value', estimated: 'guess', revision: 'version' }
    }
    const sink = sinkInto({ table: `${user}.readings`, columns }, layout)
    const surplus = { direction: 'Surplus Generation', kwh: '3', flag: 'E', revision: '' }
    await deliver(sink, fileOf('a.csv', csv([{ kwh: '1.5', revision: '07/15/2025 06:00:00' }, surplus])))
    const { rows } = await pool.query('SELECT at, way, value::text, guess, version FROM readings ORDER BY way')
    const at = new Date('2025-07-14T05:00:00Z')
    expect(rows).toEqual([
      { at, way: 'consumption', value: '1.50000', guess: false, version: new Date('2025-07-15T11:00:00Z') },
      { at, way: 'surplus-generation', value: '3.00000', guess: true, version: null }
    ])
    await sink.close()
  })
})

describe('a projection that cannot work is refused when the store is opened', () => {
  const { id: _, ...withoutId } = project.constants!
  const { meter: __, ...withoutMeter } = project.constants!
  test.each([
    ['a table that is not there', { ...project, table: 'SmtIntervals' }, 'the table is not there'],
    ['a column that is not there', { ...project, columns: { ...project.columns, kwh: 'kWh' } }, 'no column kWh'],
    ['a column that must have a value', { ...project, constants: withoutId }, 'its column id needs a value'],
    ['no key', { ...project, constants: { ...withoutMeter, meter: { sql: `'m'` } } }, 'no unique index'],
    ['a type that does not fit', { ...project, columns: { ...project.columns, kwh: 'filled' } }, 'does not fit']
  ])('%s', async (_name, projection, message) => {
    await pool.query(smtInterval)
    const constants = { ...projection.constants }
    if (projection.columns.kwh === 'filled') {
      Object.assign(constants, { kwh: 0 })
      delete constants.filled
    }
    const sink = sinkInto({ ...projection, constants })
    const file = fileOf('a.csv', csv([{}]))
    const { error } = await failing(sink, file, await readParts(file))
    expect(error).toMatchObject({ code: 'STORE_OPEN', retryable: false })
    expect((error as Error).message).toContain(message)
    await sink.close()
  })

  test('and two series for one row are refused before that', () => {
    const { direction: _, ...both } = project
    expect(() => sinkInto(both)).toThrow(/project\.direction.*must name a series/)
  })
})
