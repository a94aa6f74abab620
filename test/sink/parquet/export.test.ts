import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  writeFileSync
} from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { DuckDBInstance } from '@duckdb/node-api'
import pg from 'pg'
import { describe, expect, onTestFinished, test } from 'vitest'
import { DuckDbSink } from '../../../src/sink/duckdb.ts'
import type { ParquetManifest } from '../../../src/sink/parquet/manifest.ts'
import { PostgresSink } from '../../../src/sink/postgres.ts'
import { makeEsiid, makeIntervalReport, makeMeterDay, reissueMeterDay } from '../../../src/testing/index.ts'
import { csv, deliver, fileOf } from '../../conformance/sink.ts'
import { failureOf } from '../../support/failure.ts'
import { queryPostgres, schemaFor, usePostgres } from '../../support/postgres.ts'
import { findReal, requireReal } from '../../support/real.ts'
import { scratchFolder } from '../../support/scratch.ts'
import { Child, compile } from '../child.ts'

const postgres = usePostgres()

/** A sink, and what the view of its store has: one line of text for each interval, in order. */
interface Stand {
  readonly sink: DuckDbSink | PostgresSink
  view(): Promise<string[]>
}

const inText = `esiid || ' ' || extract(epoch FROM start)::bigint || ' ' || direction || ' ' || kwh || ' ' || estimated || ' ' ||
  coalesce(extract(epoch FROM revision)::bigint::text, 'none') || ' ' || entry_id || ' ' || line AS text`

const linesOf = (rows: readonly Record<string, unknown>[]) => rows.map(({ text }) => text as string).sort()

function openDuckDb(): Stand {
  const path = join(scratchFolder(), 'smt.duckdb')
  const sink = new DuckDbSink({ path })
  return {
    sink,
    async view() {
      await sink.close()
      return linesOf(await ask(`SELECT ${inText} FROM intervals`, path))
    }
  }
}

function openPostgres(layout: 'days' | 'rows'): Stand {
  const schema = schemaFor(scratchFolder())
  const { connectionString } = postgres
  const sink = new PostgresSink({ connectionString, schema, layout })
  onTestFinished(() => sink.close())
  return {
    sink,
    view: async () => linesOf(await queryPostgres(connectionString, `SELECT ${inText} FROM "${schema}".intervals`))
  }
}

/** Asks DuckDB, which reads Parquet too. */
async function ask(sql: string, path = ':memory:'): Promise<Record<string, unknown>[]> {
  const instance = await DuckDBInstance.create(path, { threads: '1' })
  const connection = await instance.connect()
  try {
    return (await connection.runAndReadAll(sql)).getRowObjectsJS()
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
}

const exported = async (directory: string) =>
  linesOf(await ask(`SELECT ${inText} FROM read_parquet('${directory}/*/*.parquet')`))

const readManifest = (directory: string): ParquetManifest =>
  JSON.parse(readFileSync(join(directory, 'manifest.json'), 'utf8'))

/** Every file below a folder. */
const filesIn = (directory: string) =>
  readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .sort()

/** The manifest, once everything that it says was found to be so, and nothing else to be there. */
async function verified(directory: string): Promise<ParquetManifest> {
  const manifest = readManifest(directory)
  expect(filesIn(directory)).toEqual(['manifest.json', ...manifest.files.map(({ path }) => path)])
  for (const { path, exportedAt, ...said } of manifest.files) {
    const bytes = readFileSync(join(directory, path))
    const [found] = await ask(`SELECT count(*)::INTEGER AS rows, min(start) AS first, max(start) AS last,
      coalesce(sum(kwh) FILTER (direction = 'consumption'), 0.00000)::VARCHAR AS consumption,
      coalesce(sum(kwh) FILTER (direction = 'surplus-generation'), 0.00000)::VARCHAR AS surplus
      FROM read_parquet('${join(directory, path)}')`)
    const { rows, first, last, consumption, surplus } = found as { rows: number; first: Date; last: Date } & Record<
      string,
      string
    >
    expect(said).toEqual({
      rows,
      bytes: bytes.length,
      sha256: createHash('sha256').update(bytes).digest('hex'),
      kwh: { consumption, 'surplus-generation': surplus },
      first: first.toISOString(),
      last: last.toISOString()
    })
    expect(exportedAt).toMatch(/^\d{4}-\d\d-\d\dT/)
  }
  return manifest
}

const monthsIn = ({ files }: ParquetManifest) =>
  files.map(({ path }) => path.slice('month='.length, -'/intervals.parquet'.length))

const short = makeEsiid(1)
const long = makeEsiid(2, 22)

/** A meter with one series and one with two, on both days of the clock change, and on either side of a month's end. */
const days = ['2025-03-09', '2025-07-31', '2025-08-01', '2025-11-02'].flatMap(date => [
  makeMeterDay({ esiid: short, date, revision: date.startsWith('2025-07') ? null : undefined }),
  makeMeterDay({ esiid: long, date, solar: true, estimated: true })
])

const fill = async ({ sink }: Stand) => {
  await deliver(sink, fileOf('a.csv', makeIntervalReport(days).bytes))
  const decimals = ['.00001', '9999999.99999', '1234567.00003', '4.00007']
  const rows = decimals.map((kwh, quarter) => ({ esiid: makeEsiid(3), date: '07/15/2025', quarter, kwh }))
  await deliver(sink, fileOf('b.csv', csv(rows)))
}

/** What the second of two months has, and the first, when everything is issued again. */
const reissued = () => makeIntervalReport(days.map(day => reissueMeterDay(day, '2025-12-24 06:00:00'))).bytes

/** A store with the days above, and a directory that is not there yet. */
async function filled<T extends Stand>(stand: T): Promise<T & { readonly directory: string }> {
  await fill(stand)
  return { ...stand, directory: join(scratchFolder(), 'to', 'export') }
}

describe.each<[name: string, open: () => Stand, kind: string]>([
  ['DuckDbSink', openDuckDb, 'duckdb'],
  ['PostgresSink, layout days', () => openPostgres('days'), 'postgres'],
  ['PostgresSink, layout rows', () => openPostgres('rows'), 'postgres']
])('exportParquet of %s', (_, open, kind) => {
  test('writes just what the view has, with its decimals, in files that are as the manifest says', async () => {
    const { sink, view, directory } = await filled(open())
    const given = await sink.exportParquet({ directory })
    const manifest = await verified(directory)
    expect(given).toEqual(manifest)
    expect(manifest).toMatchObject({
      store: { kind, schemaVersion: expect.any(Number) },
      version: JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')).version,
      since: null,
      until: null
    })
    expect(monthsIn(manifest)).toEqual(['2025-03', '2025-07', '2025-08', '2025-11'])
    // 92 and 100 quarter hours, of three series.
    expect(manifest.files.map(({ rows }) => rows)).toEqual([3 * 92, 3 * 96 + 4, 3 * 96, 3 * 100])
    const lines = await exported(directory)
    expect(lines).toEqual(await view())
    expect(lines.filter(line => line.includes(' none ')).length).toBe(96)
    expect(lines.some(line => line.includes(' 9999999.99999 '))).toBe(true)
    await sink.close()
  })

  test('has the columns and the types that are promised, in the order that is promised', async () => {
    const { sink, directory } = await filled(open())
    await sink.exportParquet({ directory })
    const path = join(directory, 'month=2025-11/intervals.parquet')
    const columns = await ask(`DESCRIBE FROM read_parquet('${path}', hive_partitioning = false)`)
    expect(columns.map(({ column_name, column_type }) => `${column_name} ${column_type}`)).toEqual([
      'esiid VARCHAR',
      'start TIMESTAMP WITH TIME ZONE',
      'direction VARCHAR',
      'kwh DECIMAL(12,5)',
      'estimated BOOLEAN',
      'revision TIMESTAMP WITH TIME ZONE',
      'entry_id BIGINT',
      'line BIGINT'
    ])
    const packed = await ask(`SELECT DISTINCT compression FROM parquet_metadata('${path}')`)
    expect(packed).toEqual([{ compression: 'ZSTD' }])
    const keys = await ask(`SELECT esiid || direction || epoch_ms(start) AS key FROM read_parquet('${path}')`)
    expect(keys).toEqual(keys.toSorted((a, b) => (a.key! < b.key! ? -1 : 1)))
    await sink.close()
  })

  test('puts an interval into the month of its local time', async () => {
    const { sink, directory } = await filled(open())
    const { files } = await sink.exportParquet({ directory })
    const july = files.find(({ path }) => path.includes('2025-07'))
    const august = files.find(({ path }) => path.includes('2025-08'))
    // 23:45 on the 31st is an instant of August in UTC.
    expect(july!.last).toBe('2025-08-01T04:45:00.000Z')
    expect(august!.first).toBe('2025-08-01T05:00:00.000Z')
    await sink.close()
  })

  test('writes the same bytes again', async () => {
    const { sink, directory } = await filled(open())
    const first = await sink.exportParquet({ directory })
    const second = await sink.exportParquet({ directory })
    const hashes = ({ files }: ParquetManifest) => files.map(({ path, sha256 }) => [path, sha256])
    expect(hashes(second)).toEqual(hashes(first))
    expect(second.exportedAt > first.exportedAt).toBe(true)
    await sink.close()
  })

  test('is of one moment: a commit while it goes on is in none of its months', async () => {
    const { sink, view, directory } = await filled(open())
    const stored = await view()
    let written = 0
    await sink.exportParquet({
      directory,
      async onFile() {
        if (++written > 1) return
        expect((await deliver(sink, fileOf('c.csv', reissued()))).rows?.replaced).toBeGreaterThan(500)
      }
    })
    expect(written).toBe(4)
    expect(await exported(directory)).toEqual(stored)
    await sink.exportParquet({ directory })
    expect(await exported(directory)).toEqual(await view())
    expect(await exported(directory)).not.toEqual(stored)
    await sink.close()
  })

  test('replaces the months that are asked for, and keeps the others in the manifest', async () => {
    const { sink, directory } = await filled(open())
    const before = await sink.exportParquet({ directory })
    await deliver(sink, fileOf('c.csv', reissued()))
    await sink.exportParquet({ directory, since: '2025-07', until: '2025-08' })
    const after = await verified(directory)
    expect(after).toMatchObject({ since: '2025-07', until: '2025-08' })
    const isSame = after.files.map((file, i) => file.sha256 === before.files[i]!.sha256)
    expect(isSame).toEqual([true, false, false, true])
    const isOld = after.files.map(({ exportedAt }) => exportedAt === before.exportedAt)
    expect(isOld).toEqual([true, false, false, true])
    await sink.close()
  })

  test('writes a manifest without files for a store without intervals', async () => {
    const { sink } = open()
    const directory = scratchFolder()
    await sink.exportParquet({ directory })
    expect((await verified(directory)).files).toEqual([])
    await sink.close()
  })

  test('stops by its signal, in the middle too, and leaves the directory as it was', async () => {
    const { sink, directory } = await filled(open())
    const before = await sink.exportParquet({ directory })
    const stop = new AbortController()
    const { signal } = stop
    for (const onFile of [() => stop.abort(), undefined]) {
      expect(await failureOf(sink.exportParquet({ directory, signal, onFile }))).toMatchObject({ code: 'ABORTED' })
      expect(await verified(directory)).toEqual(before)
    }
    // The store goes on.
    expect(await deliver(sink, fileOf('c.csv', reissued()))).toMatchObject({ state: 'committed' })
    await sink.close()
  })

  test.skipIf(!canMount())('a full disk ends it, and leaves the earlier export as it was', async () => {
    const { sink, view } = await filled(open())
    const directory = smallDisk()
    const before = await sink.exportParquet({ directory })
    await deliver(sink, fileOf('c.csv', reissued()))
    const { bavail, bsize } = statfsSync(directory)
    writeFileSync(join(directory, 'filler'), Buffer.alloc(bavail * bsize - 4 * bsize))
    const failure = await failureOf(sink.exportParquet({ directory }))
    expect(failure).toMatchObject({ code: 'STORE_EXPORT', message: expect.stringMatching(/no space left/i) })
    rmSync(join(directory, 'filler'))
    expect(await verified(directory)).toEqual(before)
    await sink.exportParquet({ directory })
    await verified(directory)
    expect(await exported(directory)).toEqual(await view())
    await sink.close()
  })
})

describe('the directory of an export', () => {
  test('says nothing of a kept file that is not as it was', async () => {
    const { sink, directory } = await filled(openDuckDb())
    await sink.exportParquet({ directory })
    rmSync(join(directory, 'month=2025-03'), { recursive: true })
    await sink.exportParquet({ directory, since: '2025-07' })
    expect(monthsIn(await verified(directory))).toEqual(['2025-07', '2025-08', '2025-11'])
    await sink.close()
  })

  test('takes a month away of which the store has nothing', async () => {
    const [full, empty] = [await filled(openDuckDb()), openDuckDb()]
    const { directory } = full
    await full.sink.exportParquet({ directory })
    await deliver(empty.sink, fileOf('a.csv', csv([{}])))
    await empty.sink.exportParquet({ directory, until: '2025-08' })
    expect(monthsIn(await verified(directory))).toEqual(['2025-07', '2025-11'])
    expect(existsSync(join(directory, 'month=2025-03'))).toBe(false)
    for (const { sink } of [full, empty]) await sink.close()
  })

  test('passes on what onFile throws, and leaves the directory as it was', async () => {
    const { sink, directory } = await filled(openDuckDb())
    const mine = new Error('mine')
    const onFile = () => Promise.reject(mine)
    await expect(sink.exportParquet({ directory, onFile })).rejects.toBe(mine)
    expect(filesIn(directory)).toEqual([])
    await sink.close()
  })

  test('goes into a directory whose name has quotation marks and what stands for other names', async () => {
    const { sink, view } = await filled(openDuckDb())
    const directory = join(scratchFolder(), "it's [a] *folder?")
    await sink.exportParquet({ directory })
    const plain = join(scratchFolder(), 'plain')
    renameSync(directory, plain)
    await verified(plain)
    expect(await exported(plain)).toEqual(await view())
    await sink.close()
  })

  test('says where it cannot write', async () => {
    const { sink } = await filled(openDuckDb())
    const file = join(scratchFolder(), 'file')
    writeFileSync(file, 'x')
    const failure = await failureOf(sink.exportParquet({ directory: join(file, 'export') }))
    expect(failure).toMatchObject({
      code: 'STORE_EXPORT',
      retryable: true,
      message: expect.stringContaining('ENOTDIR')
    })
    await sink.close()
  })

  test('writes over no manifest that is somebody else’s', async () => {
    const { sink } = await filled(openDuckDb())
    const directory = scratchFolder()
    writeFileSync(join(directory, 'manifest.json'), '{"name":"an app"}')
    const failure = await failureOf(sink.exportParquet({ directory }))
    expect(failure).toMatchObject({ code: 'STORE_EXPORT', file: join(directory, 'manifest.json') })
    expect(filesIn(directory)).toEqual(['manifest.json'])
    await sink.close()
  })

  test.each([
    [{ since: '2025-7' }, '`since` must be a month such as 2025-07'],
    [{ until: '2025-13' }, '`until` must be a month such as 2025-07'],
    [{ since: '2025-08', until: '2025-07' }, '`until` is before the first month']
  ])('refuses %o', async (months, says) => {
    const { sink } = openDuckDb()
    const directory = join(scratchFolder(), 'export')
    const failure = await failureOf(sink.exportParquet({ directory, ...months }))
    expect(failure).toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringContaining(says) })
    expect(existsSync(directory)).toBe(false)
    await sink.close()
  })

  describe('files that are put in place', () => {
    /** The steps from the last written file to the manifest, each as it leaves the directory. */
    test.each([0, 1, 2, 3])('are so by the next run, where one died after %i of them', async done => {
      const { sink, directory } = await filled(openDuckDb())
      const before = await sink.exportParquet({ directory })
      const old = join(scratchFolder(), 'old')
      renameSync(directory, old)
      await deliver(sink, fileOf('c.csv', reissued()))
      const next = await sink.exportParquet({ directory, since: '2025-07' })
      expect(next.files).toHaveLength(3)

      // Back to where all that is new stands aside, and the old files in their places.
      const staging = join(directory, '.export-abc123')
      mkdirSync(staging)
      renameSync(join(directory, 'manifest.json'), join(staging, 'manifest.json'))
      for (const path of monthsIn(next).slice(done)) {
        const file = join(directory, `month=${path}/intervals.parquet`)
        renameSync(file, join(staging, `${path}.tmp`))
        renameSync(join(old, `month=${path}/intervals.parquet`), file)
      }
      // A run that is about another month finishes it, and is refused nothing.
      await sink.exportParquet({ directory, since: '2025-03', until: '2025-03' })
      const { files } = await verified(directory)
      expect(files.slice(1)).toEqual(next.files)
      expect(files.map(({ sha256 }) => sha256)).not.toContain(before.files[1]!.sha256)
      await sink.close()
    })

    test('are not trusted by anybody while one of them cannot be, and are there when it can', async () => {
      const { sink, view, directory } = await filled(openDuckDb())
      await sink.exportParquet({ directory })
      await deliver(sink, fileOf('c.csv', reissued()))
      // A folder that is not empty, in the place of August's file.
      const obstacle = join(directory, 'month=2025-08/intervals.parquet')
      rmSync(obstacle)
      mkdirSync(join(obstacle, 'x'), { recursive: true })
      expect(await failureOf(sink.exportParquet({ directory }))).toMatchObject({ code: 'STORE_EXPORT' })
      expect(existsSync(join(directory, 'manifest.json'))).toBe(false)
      rmSync(obstacle, { recursive: true })
      await sink.exportParquet({ directory, since: '2030-01' })
      expect(monthsIn(await verified(directory))).toHaveLength(4)
      expect(await exported(directory)).toEqual(await view())
      await sink.close()
    })
  })
})

test('a killed run leaves the earlier export as it was, and the next one leaves nothing of it', async () => {
  const program = await compile(new URL('child-program.ts', import.meta.url))
  onTestFinished(() => program.remove())
  const path = join(scratchFolder(), 'smt.duckdb')
  const directory = join(scratchFolder(), 'export')
  const sink = new DuckDbSink({ path })
  await fill({ sink, view: async () => [] })
  const before = await sink.exportParquet({ directory })
  await deliver(sink, fileOf('c.csv', reissued()))
  await sink.close()
  const child = new Child(program, path, directory)
  expect(await child.says()).toBe('written')
  expect(await child.kill()).toBe('SIGKILL')
  expect(filesIn(directory).filter(name => name.startsWith('.export-'))).toHaveLength(1)
  expect(readManifest(directory)).toEqual(before)
  for (const { path, sha256 } of before.files) {
    expect(
      createHash('sha256')
        .update(readFileSync(join(directory, path)))
        .digest('hex')
    ).toBe(sha256)
  }
  const after = await sink.exportParquet({ directory })
  expect(await verified(directory)).toEqual(after)
  expect(after.files[0]!.sha256).not.toBe(before.files[0]!.sha256)
  await sink.close()
})

test('of two exports into one directory the later one stands, and the earlier one says so', async () => {
  const [first, second] = [openDuckDb(), openDuckDb()]
  for (const stand of [first, second]) await fill(stand)
  await deliver(second.sink, fileOf('c.csv', reissued()))
  const directory = scratchFolder()
  let later: ParquetManifest | undefined
  const earlier = first.sink.exportParquet({
    directory,
    async onFile() {
      later ??= await second.sink.exportParquet({ directory })
    }
  })
  expect(await failureOf(earlier)).toMatchObject({ code: 'STORE_EXPORT' })
  expect(await verified(directory)).toEqual(later)
  for (const { sink } of [first, second]) await sink.close()
})

test('its signal ends it while PostgreSQL does not answer', async () => {
  const { sink } = openPostgres('rows')
  const directory = scratchFolder()
  await fill({ sink, view: async () => [] })
  const locker = new pg.Client({ connectionString: postgres.connectionString })
  await locker.connect()
  onTestFinished(() => locker.end())
  const [row] = (
    await locker.query(`SELECT schemaname AS schema FROM pg_tables WHERE tablename = 'interval_rows'
    ORDER BY to_regclass(format('%I.%I', schemaname, tablename))::oid DESC LIMIT 1`)
  ).rows
  await locker.query(`BEGIN; LOCK TABLE "${row.schema}".interval_rows`)
  const signal = AbortSignal.timeout(300)
  expect(await failureOf(sink.exportParquet({ directory, signal }))).toMatchObject({ code: 'ABORTED' })
  expect(readdirSync(directory)).toEqual([])
  await locker.query('ROLLBACK')
  await sink.exportParquet({ directory })
  await verified(directory)
})

test('a PostgreSQL that goes away ends it, and leaves nothing behind', async () => {
  const { sink } = openPostgres('days')
  await fill({ sink, view: async () => [] })
  const directory = scratchFolder()
  const onFile = async () => {
    const query = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in transaction'`
    await queryPostgres(postgres.connectionString, query)
    await pause(50)
  }
  expect(await failureOf(sink.exportParquet({ directory, onFile }))).toMatchObject({ code: 'STORE_UNREACHABLE' })
  expect(readdirSync(directory)).toEqual([])
  await sink.exportParquet({ directory })
  await verified(directory)
})

test('the query of docs/export.md reads an export', async () => {
  const stand = openDuckDb()
  await fill(stand)
  const directory = join(scratchFolder(), 'export')
  await stand.sink.exportParquet({ directory })
  await stand.sink.close()
  const page = readFileSync(new URL('../../../docs/export.md', import.meta.url), 'utf8')
  const queries = /```sql\n([\s\S]+?)```/.exec(page)![1]!.split(';').slice(0, -1)
  const [byMonth, ...others] = await Promise.all(
    queries.map(query => ask(query.replaceAll("'export/", `'${dirname(directory)}/export/`)))
  )
  expect([...new Set(byMonth!.map(({ month }) => month))]).toEqual(['2025-03', '2025-07', '2025-08', '2025-11'])
  expect(others.map(answer => answer.length)).toEqual([3 * 24])
})

/** Whether a small disk can be had. With `SMT_TEST_REQUIRE_REAL=1` it must. */
function canMount(): boolean {
  const can = process.platform === 'linux' && process.getuid?.() === 0 && requireReal('mount')
  if (!can && process.env.SMT_TEST_REQUIRE_REAL === '1') throw new Error('a full disk needs root and mount')
  if (!can) console.log('a full disk is not tried: mounting takes root on Linux')
  return can
}

/** A folder on a disk of its own in memory. */
function smallDisk(): string {
  const folder = scratchFolder()
  execFileSync(findReal('mount')!, ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder])
  onTestFinished(() => void execFileSync(findReal('umount')!, ['-l', folder]))
  return folder
}
