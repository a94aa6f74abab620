import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import pg from 'pg'
import { describe, expect, test } from 'vitest'
import { findIngestError } from '../../src/errors.ts'
import { ingest } from '../../src/ingest.ts'
import type { Receipt } from '../../src/ledger/receipt.ts'
import { IntervalParser } from '../../src/parse/interval-parser.ts'
import { PostgresSink } from '../../src/sink/postgres.ts'
import { DirectorySource } from '../../src/source/directory-source.ts'
import { makeEsiid, makeIntervalReport, makeMeterDay } from '../../src/testing/index.ts'
import { csv, days, deliver, fileOf, readParts } from '../conformance/sink.ts'
import { queryPostgres, schemaFor, usePostgres } from '../support/postgres.ts'
import { scratchFolder } from '../support/scratch.ts'

const postgres = usePostgres()
const layouts = ['days', 'rows'] as const

const ask = (text: string) => queryPostgres(postgres.connectionString, text)
const count = async (schema: string) => Number((await ask(`SELECT count(*) AS n FROM "${schema}".intervals`))[0]!.n)
const staging = (schema: string) =>
  ask(`SELECT relname FROM pg_class WHERE relnamespace = '"${schema}"'::regnamespace AND relname LIKE 'staging%'`)

/** A report of so many rows that it is copied in several pieces. */
const large = makeIntervalReport(
  Array.from({ length: 1200 }, (_, i) =>
    makeMeterDay({ esiid: makeEsiid(i % 300), date: `2025-07-${10 + Math.floor(i / 300)}` })
  )
)

describe.each(layouts)('layout %s', layout => {
  const stand = (over: object = {}) => {
    const schema = schemaFor(scratchFolder())
    const sink = new PostgresSink({ connectionString: postgres.connectionString, schema, layout, ...over })
    return { schema, sink }
  }

  test('takes a pool of the user’s with one connection, for several files at a time, and leaves it open', async () => {
    const pool = new pg.Pool({ connectionString: postgres.connectionString, max: 1 })
    const { schema, sink } = stand({ connectionString: undefined, pool })
    const reports = ['2025-07-14', '2025-07-15', '2025-07-16'].map(date => makeIntervalReport(days(3, date)))
    const receipts = await Promise.all(reports.map(({ bytes }, i) => deliver(sink, fileOf(`${i}.csv`, bytes))))
    expect(receipts.map(({ state }) => state)).toEqual(['committed', 'committed', 'committed'])
    await sink.close()
    expect((await pool.query(`SELECT count(*)::int AS n FROM "${schema}".intervals`)).rows[0]).toEqual({
      n: 9 * 96 + 3 * 96
    })
    expect(await staging(schema)).toEqual([])
    await pool.end()
  })

  test('I1: a connection that is cut while rows are copied leaves nothing, and the next run takes the file', async () => {
    const { schema, sink } = stand()
    const file = fileOf('a.csv', large.bytes)
    const parts = (await readParts(file)) as unknown[]
    const stream = sink.stream(file)
    const cut = async function* () {
      for (const [i, part] of parts.entries()) {
        yield part
        if (i === Math.floor(parts.length / 2)) {
          await ask(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE application_name = 'smt-ingest' AND datname = current_database()`)
        }
      }
    }
    const error = await pipeline(cut, stream).then(() => undefined, findIngestError)
    // A connection that lies idle in the pool is simply made anew; one at work is the store's error.
    if (error) expect(error).toMatchObject({ code: 'STORE_UNREACHABLE', retryable: true })
    const receipt = error ? await deliver(sink, file, { retryNow: true }) : stream.receipt!
    expect(receipt).toMatchObject({ state: 'committed', rows: { inserted: 1200 * 96 } })
    expect(await count(schema)).toBe(1200 * 96)
    await sink.close()
    expect(await staging(schema)).toEqual([])
  })

  test('a store of the other layout, or of a newer version, is refused and left as it is', async () => {
    const { schema, sink } = stand()
    await deliver(sink, fileOf('a.csv', csv([{}])))
    await sink.close()
    const other = stand({ schema, layout: layout === 'days' ? 'rows' : 'days' }).sink
    await expect(deliver(other, fileOf('b.csv', csv([{ quarter: 1 }])))).rejects.toMatchObject({ code: 'STORE_OPEN' })
    await other.close()
    await ask(`UPDATE "${schema}".store SET version = 99`)
    await expect(deliver(sink, fileOf('b.csv', csv([{ quarter: 1 }])))).rejects.toMatchObject({
      code: 'STORE_OPEN',
      message: expect.stringContaining('schema 99')
    })
    await sink.close()
    expect(await count(schema)).toBe(1)
  })

  test.each([2, 8])('I2: %i workers on one folder commit each file once', async workers => {
    const { schema } = stand()
    const inbox = scratchFolder()
    const files = 60
    for (let i = 0; i < files; i++) {
      const report = makeIntervalReport([
        makeMeterDay({
          esiid: makeEsiid(i % 7),
          date: `2025-07-${10 + (i % 20)}`,
          revision: `2025-08-01 00:00:${String(i).padStart(2, '0')}`
        })
      ])
      writeFileSync(join(inbox, `${i}.csv`), report.bytes)
    }
    const run = async () => {
      const sink = new PostgresSink({ connectionString: postgres.connectionString, schema, layout })
      const source = new DirectorySource({ directories: [inbox], settleMs: 1 })
      const receipts: Receipt[] = []
      for await (const receipt of ingest({ source, parser: new IntervalParser(), sink })) receipts.push(receipt)
      await sink.close()
      return receipts
    }
    const receipts = (await Promise.all(Array.from({ length: workers }, run))).flat()
    expect(receipts.filter(({ state }) => state === 'committed')).toHaveLength(files)
    expect(receipts.filter(({ state, reason }) => state === 'seen' && reason?.code !== 'HELD')).toEqual([])
    const [row] = await ask(`SELECT count(*) AS files, sum((receipt->'rows'->>'accepted')::int) AS rows,
      (SELECT count(DISTINCT (esiid, start, direction)) FROM "${schema}".intervals) AS intervals
      FROM "${schema}".files WHERE state = 'committed'`)
    expect(row).toMatchObject({ files: String(files), rows: String(files * 96) })
    expect(Number(row!.intervals)).toBe(await count(schema))
    expect(await staging(schema)).toEqual([])
  })
})

test('a server that is killed and comes back: the run ends with STORE_UNREACHABLE, the next one takes the file', async () => {
  const schema = schemaFor(scratchFolder())
  const sink = new PostgresSink({ connectionString: postgres.connectionString, schema })
  await deliver(sink, fileOf('before.csv', csv([{}])))
  const file = fileOf('a.csv', large.bytes)
  const parts = (await readParts(file)) as unknown[]
  const interrupted = async function* () {
    for (const [i, part] of parts.entries()) {
      yield part
      if (i === 3) await postgres.stop()
    }
  }
  const error = await pipeline(interrupted, sink.stream(file)).catch(error => error)
  expect(findIngestError(error) ?? error.errors?.[0]).toMatchObject({ code: 'STORE_UNREACHABLE', retryable: true })
  await expect(deliver(sink, fileOf('b.csv', csv([{ quarter: 1 }])))).rejects.toMatchObject({
    code: 'STORE_UNREACHABLE'
  })
  await postgres.start()
  expect(await count(schema)).toBe(1)
  // The claim of the run that was cut off could not be given back: its lease must run out, or be asked for no longer.
  await ask(`UPDATE "${schema}".files SET lease_until = now() WHERE state IN ('claimed', 'staged')`)
  expect(await deliver(sink, file, { retryNow: true })).toMatchObject({ state: 'committed' })
  expect(await count(schema)).toBe(1 + 1200 * 96)
  await sink.close()
  expect(await staging(schema)).toEqual([])
})

test('a server that nobody can reach', async () => {
  const sink = new PostgresSink({ connectionString: 'postgres://x@127.0.0.1:9/x', timeoutMs: 2000 })
  await expect(deliver(sink, fileOf('b.csv', csv([{}])))).rejects.toMatchObject({ code: 'STORE_UNREACHABLE' })
  await sink.close()
})
