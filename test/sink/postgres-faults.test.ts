import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, statfsSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import pg from 'pg'
import { describe, expect, onTestFinished, test } from 'vitest'
import { findIngestError } from '../../src/errors.ts'
import { IntervalParser } from '../../src/parse/interval-parser.ts'
import { PostgresSink } from '../../src/sink/postgres.ts'
import { makeEsiid, makeIntervalReport, makeMeterDay } from '../../src/testing/index.ts'
import { csv, days, deliver, fileOf } from '../conformance/sink.ts'
import { breakingPool } from '../support/breaking-pool.ts'
import { failureOf } from '../support/failure.ts'
import { queryPostgres, schemaFor, usePostgres } from '../support/postgres.ts'
import { findReal, requireReal } from '../support/real.ts'
import { scratchFolder } from '../support/scratch.ts'

const postgres = usePostgres()
const layouts = ['days', 'rows'] as const

const ask = (text: string) => queryPostgres(postgres.connectionString, text)
const count = async (schema: string) => Number((await ask(`SELECT count(*) AS n FROM "${schema}".intervals`))[0]!.n)
const staging = (schema: string) =>
  ask(`SELECT relname FROM pg_class WHERE relnamespace = '"${schema}"'::regnamespace AND relname LIKE 'staging%'`)

/** The disk that will be full. */
const DISK_MB = 64

/** Four days of some meters. */
const fourDays = (meters: number) =>
  makeIntervalReport(
    Array.from({ length: 4 * meters }, (_, i) =>
      makeMeterDay({ esiid: makeEsiid(i % meters), date: `2025-07-${10 + Math.floor(i / meters)}` })
    )
  )

/** A report of so many rows that it is staged, and as rows copied in several pieces. */
const large = fourDays(300)

/** One that is copied in several pieces as days too. */
const copiedTwice = fourDays(1_100)

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

  describe('in the middle of the work', () => {
    const half = (rows: Buffer) => rows.subarray(0, rows.length >> 1)
    const points = {
      'of a COPY': /^COPY .*(days|rows)"/,
      'of the merge': /^\s*INSERT INTO \S*smt_meters\b/
    }

    /** One day of four is refused, so that all before it were taken. */
    const lastDay = layout === 'days' ? "day <> '2025-07-13'" : "start < '2025-07-13 12:00Z'"

    /** A sink on a pool of one connection, with one file in it. */
    const breaking = async (connectionString = postgres.connectionString) => {
      const { pool, breakAt } = breakingPool(connectionString)
      const { schema, sink } = stand({ connectionString: undefined, pool })
      await deliver(sink, fileOf('before.csv', csv([{}])))
      return { pool, breakAt, schema, sink }
    }

    /** Nothing of the file is there, nobody holds a connection, and the next attempt takes it. */
    const comesThrough = async ({ pool, schema, sink }: Awaited<ReturnType<typeof breaking>>) => {
      expect(await count(schema)).toBe(1)
      expect([pool.totalCount - pool.idleCount, pool.waitingCount]).toEqual([0, 0])
      expect(await deliver(sink, fileOf('a.csv', large.bytes))).toMatchObject({
        state: 'committed',
        rows: { inserted: 1200 * 96 }
      })
      expect(await count(schema)).toBe(1 + 1200 * 96)
      expect(await staging(schema)).toEqual([])
      await sink.close()
      await pool.end()
    }

    test.each(Object.entries(points))('%s, the connection is cut', async (_, at) => {
      const stand = await breaking()
      stand.breakAt({
        at,
        act: (wire, rows) => {
          wire.send(half(rows))
          wire.cut()
        }
      })
      const error = await failureOf(deliver(stand.sink, fileOf('a.csv', large.bytes)).catch(rethrowOurs))
      expect(error).toMatchObject({ code: 'STORE_UNREACHABLE', retryable: true })
      await comesThrough(stand)
    })

    test
      .skipIf(process.env.DATABASE_URL)
      .each(
        Object.entries(points).flatMap(([where, at]) => [
          [where, 'ended at once', 'SIGQUIT', at] as const,
          [where, 'killed', 'SIGKILL', at] as const
        ])
      )('%s, the server is %s, and comes back', async (_, __, signal, at) => {
      const stand = await breaking()
      let stopped: Promise<void> | undefined
      stand.breakAt({
        at,
        act: (wire, rows) => {
          wire.send(half(rows))
          wire.hush()
          stopped = postgres.stop(signal)
        }
      })
      const error = await failureOf(deliver(stand.sink, fileOf('a.csv', large.bytes)).catch(rethrowOurs))
      expect(error).toMatchObject({ code: 'STORE_UNREACHABLE', retryable: true })
      await stopped
      await expect(deliver(stand.sink, fileOf('b.csv', csv([{ quarter: 1 }])))).rejects.toMatchObject({
        code: 'STORE_UNREACHABLE'
      })
      await postgres.start()
      // Nobody could give the claim back: its lease must pass, or be over.
      await ask(`UPDATE "${stand.schema}".files SET lease_until = now() WHERE state IN ('claimed', 'staged')`)
      await comesThrough(stand)
    })

    test('of a COPY, bytes are not what PostgreSQL can read', async () => {
      const stand = await breaking()
      stand.breakAt({ at: points['of a COPY'], act: (wire, rows) => wire.send(Buffer.alloc(rows.length, 'x')) })
      const error = await failureOf(deliver(stand.sink, fileOf('a.csv', large.bytes)))
      expect(error).toMatchObject({ code: 'STORE_WRITE', message: expect.stringContaining('COPY file signature') })
      await comesThrough(stand)
    })

    test('of a COPY, a constraint is broken', async () => {
      const stand = await breaking()
      const file = fileOf('a.csv', copiedTwice.bytes)
      let isRefused = false
      /** Once the first rows stand in a staging table, it refuses those of the last day. */
      async function* refusing(batches: AsyncIterable<unknown>) {
        for await (const batch of batches) {
          yield batch
          const own = isRefused
            ? undefined
            : (await staging(stand.schema)).find(({ relname }) => (relname as string).endsWith(layout))
          if (!own) continue
          isRefused = true
          await ask(
            `ALTER TABLE "${stand.schema}"."${own.relname}" ADD CONSTRAINT refused CHECK (${lastDay}) NOT VALID`
          )
        }
      }
      const stream = stand.sink.stream(file)
      const error = await failureOf(pipeline(file.stream(), new IntervalParser().stream(file), refusing, stream))
      expect(error).toMatchObject({ code: 'STORE_WRITE', message: expect.stringContaining('refused') })
      await comesThrough(stand)
    })

    test.each([
      ['', large.bytes],
      [' of a file that the commit copies itself', makeIntervalReport(days(3, '2025-07-13')).bytes]
    ])('of the merge%s, a constraint is broken', async (_, bytes) => {
      const stand = await breaking()
      const table = `"${stand.schema}".${layout === 'days' ? 'meter_days' : 'interval_rows'}`
      await ask(`ALTER TABLE ${table} ADD CONSTRAINT refused CHECK (${lastDay}) NOT VALID`)
      const error = await failureOf(deliver(stand.sink, fileOf('a.csv', bytes)))
      expect(error).toMatchObject({ code: 'STORE_WRITE', message: expect.stringContaining('refused') })
      await ask(`ALTER TABLE ${table} DROP CONSTRAINT refused`)
      await comesThrough(stand)
    })

    test('of a COPY that is part of the commit, the connection is cut', async () => {
      const stand = await breaking()
      stand.breakAt({
        at: /^COPY \S*smt_staged/,
        act: (wire, rows) => {
          wire.send(half(rows))
          wire.cut()
        }
      })
      const small = makeIntervalReport(days(3))
      const error = await failureOf(deliver(stand.sink, fileOf('b.csv', small.bytes)).catch(rethrowOurs))
      expect(error).toMatchObject({ code: 'STORE_UNREACHABLE', retryable: true })
      await comesThrough(stand)
    })

    test.skipIf(!canMount()).each([
      ['of a COPY', 1],
      ['of the merge', layout === 'days' ? 2 : 14]
    ])('%s, the disk is full', async (where, leftMb) => {
      const { url, fill } = await smallDisk()
      const stand = await breaking(url)
      onTestFinished(async () => void (await ask(`DROP SCHEMA "${stand.schema}" CASCADE`)))
      const empty = fill(leftMb)
      const file = fileOf('a.csv', large.bytes)
      const error = await failureOf(deliver(stand.sink, file).catch(rethrowOurs))
      expect(error).toMatchObject({ code: 'STORE_WRITE', message: expect.stringContaining('No space left on device') })
      const { where: place = '' } = error.cause as { where?: string }
      expect(place.startsWith('COPY')).toBe(where === 'of a COPY')
      empty()
      // Where the ledger itself had no room left, the claim stays until its lease is over.
      await ask(`UPDATE "${stand.schema}".files SET lease_until = now() WHERE state IN ('claimed', 'staged')`)
      await comesThrough(stand)
    })
  })
})

test('a server that nobody can reach', async () => {
  const sink = new PostgresSink({ connectionString: 'postgres://x@127.0.0.1:9/x', timeoutMs: 2000 })
  await expect(deliver(sink, fileOf('b.csv', csv([{}])))).rejects.toMatchObject({ code: 'STORE_UNREACHABLE' })
  await sink.close()
})

/** The error of ours, where closing failed as well. */
function rethrowOurs(error: unknown): never {
  throw findIngestError(error) ?? (error as AggregateError).errors[0]
}

/** Whether a small disk can be had. With `SMT_TEST_REQUIRE_REAL=1` it must. */
function canMount(): boolean {
  if (process.env.DATABASE_URL) return false
  const folder = mkdtempSync(join(tmpdir(), 'smt-disk-'))
  try {
    if (!requireReal('mount')) throw new Error('there is no mount')
    mount(folder, '')
    execFileSync(findReal('umount')!, [folder])
    return true
  } catch (cause) {
    if (process.env.SMT_TEST_REQUIRE_REAL === '1') throw new Error('a full disk cannot be tried', { cause })
    console.log(`a full disk is not tried: ${cause}`)
    return false
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function mount(folder: string, options: string): void {
  const args = ['-t', 'tmpfs', '-o', `size=${DISK_MB}m${options}`, 'tmpfs', folder]
  execFileSync(findReal('mount')!, args, { stdio: 'pipe' })
}

/** A tablespace on a disk of its own in memory, and the address of connections whose tables go there. */
async function smallDisk() {
  const folder = mkdtempSync(join(tmpdir(), 'smt-disk-'))
  const [{ data_directory: data }] = (await ask('SHOW data_directory')) as [{ data_directory: string }]
  const { uid, gid } = statSync(data)
  chmodSync(folder, 0o755)
  mount(folder, `,uid=${uid},gid=${gid},mode=0700`)
  const space = `s_${basename(folder).replace(/\W/g, '').toLowerCase()}`
  await ask(`CREATE TABLESPACE ${space} LOCATION '${folder}'`)
  const url = new URL(postgres.connectionString)
  url.searchParams.set('options', `-c default_tablespace=${space}`)
  onTestFinished(async () => {
    await ask(`DROP TABLESPACE ${space}`).finally(() => execFileSync(findReal('umount')!, ['-l', folder]))
    rmSync(folder, { recursive: true })
  })
  return {
    url: url.href,
    /** Leaves so many megabytes of room, until what it gives is called. */
    fill(leftMb: number) {
      const { bavail, bsize } = statfsSync(folder)
      const filler = join(folder, 'filler')
      writeFileSync(filler, Buffer.alloc(bavail * bsize - leftMb * 1024 * 1024))
      return () => rmSync(filler)
    }
  }
}
