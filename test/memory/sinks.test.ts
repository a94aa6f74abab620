import { closeSync, openSync, rmSync, writeSync } from 'node:fs'
import { basename, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { addDays, FakeSftpServer, intervalReportChunks, makeEsiid, makeMeterDay } from '../../src/testing/index.ts'
import { Child, compile, type Program } from '../sink/child.ts'
import { queryPostgres, usePostgres } from '../support/postgres.ts'
import { scratchFolder } from '../support/scratch.ts'

const postgres = usePostgres()

/** By hand: 200 MB and 2 GB, which takes ten minutes. */
const isLarge = process.env.SMT_MEMORY_LARGE === '1'

let program: Program
beforeAll(async () => {
  // What is held is to be measured, not how long the collector lets short-lived buffers lie, or what malloc keeps for
  // each thread.
  if (!isLarge) Object.assign(process.env, { NODE_OPTIONS: '--max-semi-space-size=4', MALLOC_ARENA_MAX: '1' })
  program = await compile(new URL('./child.ts', import.meta.url))
})
afterAll(() => program.remove())

const meterDays = Array.from({ length: 1200 }, (_, i) => makeMeterDay({ esiid: makeEsiid(i), date: '2025-07-14' }))
const [header, ...rows] = [...intervalReportChunks(meterDays)]
const block = Buffer.concat(rows).toString('latin1')

/** A folder with one report: the header, and the same rows day after day, so that no interval comes twice. */
function inboxOf(blocks: number): string {
  const inbox = scratchFolder()
  const file = openSync(join(inbox, 'IntervalMeterUsage.CSV'), 'w')
  writeSync(file, header!)
  for (let i = 0; i < blocks; i++) {
    // April on: no day of these has a clock change. Every block begins with a line's end; the last one ends with it too.
    const [year, month, day] = addDays('2025-04-01', i).split('-')
    const rows = block.replaceAll(',07/14/2025,', `,${month}/${day}/${year},`)
    writeSync(file, i < blocks - 1 ? rows.slice(0, -1) : rows)
  }
  closeSync(file)
  return inbox
}

/** Runs of which the median counts. DuckDB's peaks differ by twenty megabytes from run to run. */
const runsOf = (kind: string) => (kind === 'duckdb' ? 5 : 3)

/** The memory that a run over one report of about this many megabytes takes at most. */
async function measure(kind: string, megabytes: number): Promise<number> {
  const blocks = Math.round((megabytes * 1e6) / block.length)
  const inbox = inboxOf(blocks)
  await using server = await FakeSftpServer.start({ directory: inbox, ident: 'OpenSSH_9.6' })
  const { host, port, login, fingerprint: hostKey } = server
  const reach = JSON.stringify({ host, port, ...login, hostKey })
  const peaks: number[] = []
  for (let run = 0; run < runsOf(kind); run++) {
    const out = scratchFolder()
    const child = new Child(program, kind, inbox, out, postgres.connectionString, reach)
    const { maxRSS, inserted } = JSON.parse((await child.says())!)
    expect(await child.ends()).toBe(0)
    expect(inserted).toBe(blocks * 1200 * 96)
    peaks.push(maxRSS / 1024)
    rmSync(out, { recursive: true })
    const schema = basename(out).toLowerCase()
    await queryPostgres(postgres.connectionString, `DROP SCHEMA IF EXISTS "${schema}" CASCADE`)
  }
  rmSync(inbox, { recursive: true })
  return peaks.sort((a, b) => a - b)[Math.floor(peaks.length / 2)]!
}

// A short run is over before the collector has found its pace; the longer, the flatter.
test.each([
  ['discarding', 300, 600],
  ['ndjson', 240, 480],
  // From about 300 MB on, what waits is as much as the limit lets it be.
  ['duckdb', 360, 720],
  // PostgreSQL in either layout.
  ['days', 240, 480],
  ['rows', 60, 120],
  ['http', 90, 180],
  ['raw-upload', 60, 120]
])('I8: into a %s sink, a larger file goes in the same memory', compare, isLarge ? 900_000 : 240_000)

test('I8: from an SFTP server, a larger file comes in the same memory', () => compare('sftp', 240, 480), 240_000)

async function compare(kind: string, ...sizes: readonly [number, number]): Promise<void> {
  const [few, many] = isLarge ? ([200, 2000] as const) : sizes
  const small = await measure(kind, few)
  const big = await measure(kind, many)
  console.info(`${kind}: ${small.toFixed(0)} MB of memory for ${few} MB, ${big.toFixed(0)} MB for ${many} MB`)
  expect(big - small).toBeLessThan(Math.max(0.1 * small, 15))
}
