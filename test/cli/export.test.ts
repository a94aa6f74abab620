import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { schemaFor, usePostgres } from '../support/postgres.ts'
import { ask, csvOf, fill, folderMaker, jsonLines, smtIngest } from './support.ts'

const newFolder = folderMaker()
const postgres = usePostgres()

/** A folder with two months of two meters in `smt.duckdb`. */
async function stored(): Promise<string> {
  const cwd = fill(newFolder(), { 'in/a.csv': csvOf(1), 'in/b.csv': csvOf(2, '2025-08-01') })
  expect(await smtIngest(['pull', '--from', 'in', '--to', 'duckdb:smt.duckdb'], { cwd })).toMatchObject({ code: 0 })
  return cwd
}

const count = async (cwd: string) => {
  const sql = `SELECT count(*)::INTEGER AS rows FROM read_parquet('${cwd}/out/*/*.parquet')`
  return (await ask(join(cwd, 'smt.duckdb'), sql))[0]!.rows
}

test('writes a line for each month, and what was written in all', async () => {
  const cwd = await stored()
  const args = ['export', '--from', 'duckdb:smt.duckdb', '--to', 'out']
  const { code, stdout, stderr } = await smtIngest(args, { cwd })
  expect([code, stderr]).toEqual([0, ''])
  const [july, august, ...rest] = stdout.split('\n')
  expect(july).toMatch(/^✓ month=2025-07\/intervals\.parquet {2}96 intervals, \d+\.\d{5} kWh consumption, \d+ KiB$/)
  expect(august).toMatch(/^✓ month=2025-08\/intervals\.parquet {2}96 intervals, /)
  expect(rest).toEqual(['2 months, 192 intervals written in out', ''])
  expect(await count(cwd)).toBe(192)

  const again = await smtIngest(['export', '--to', 'out', '--since', '2025-08', '--until', '2025-08'], {
    cwd,
    env: { SMT_STORE: 'duckdb:smt.duckdb' }
  })
  expect(again).toMatchObject({ code: 0, stderr: '' })
  expect(again.stdout).toMatch(/\n1 month, 96 intervals written, 1 kept of an earlier export in out\n$/)
})

test('prints JSON lines that say what the manifest says', async () => {
  const cwd = await stored()
  const args = ['export', '--from', 'duckdb:smt.duckdb', '--to', 'out', '--json']
  const { code, stdout, stderr } = await smtIngest(args, { cwd })
  expect([code, stderr]).toEqual([0, ''])
  const manifest = JSON.parse(readFileSync(join(cwd, 'out/manifest.json'), 'utf8'))
  expect(jsonLines(stdout)).toEqual([
    ...manifest.files.map((file: object) => ({ type: 'file', ...file })),
    { type: 'summary', files: 2, kept: 0, intervals: 192, exportedAt: manifest.exportedAt }
  ])
})

test.each(['days', 'rows'])('takes them out of PostgreSQL, layout %s', async layout => {
  const cwd = await stored()
  const url = `${postgres.connectionString}?schema=${schemaFor(cwd)}&layout=${layout}`
  const env = { SMT_STORE: url }
  expect(await smtIngest(['pull', '--from', 'in'], { cwd, env })).toMatchObject({ code: 0 })
  const { code, stdout, stderr } = await smtIngest(['export', '--to', 'out'], { cwd, env })
  expect([code, stderr]).toEqual([0, ''])
  expect(stdout).toMatch(/2 months, 192 intervals written in out\n$/)
  expect(await count(cwd)).toBe(192)
})

test.each<[what: string, args: readonly string[], says: readonly string[]]>([
  ['no directory', ['--from', 'duckdb:smt.duckdb'], ["'--to <dir>' not specified"]],
  ['no store', ['--to', 'out'], ['--from', 'SMT_STORE']],
  ['a store that is not there', ['--from', 'duckdb:typo.duckdb', '--to', 'out'], ['--from', 'typo.duckdb']],
  ['a store that is no database', ['--from', 'ndjson:in', '--to', 'out'], ['--from is duckdb:FILE or', 'got ndjson:']],
  ['a password', ['--from', 'postgres://smt:sesame@db/smt', '--to', 'out'], ['no password in --from', 'PGPASSWORD']],
  ['no month', ['--from', 'duckdb:smt.duckdb', '--to', 'out', '--since', '7/2025'], ['--since must be a month']],
  [
    'months in the wrong order',
    ['--from', 'duckdb:smt.duckdb', '--to', 'out', '--since', '2025-08', '--until', '2025-07'],
    ['--until is before the first month']
  ]
])('refuses %s', async (_, args, says) => {
  const cwd = await stored()
  const before = readdirSync(cwd)
  const outcome = await smtIngest(['export', ...args], { cwd })
  expect(outcome).toMatchObject({ code: 2, stdout: '' })
  for (const part of says) expect(outcome.stderr).toContain(part)
  expect(outcome.said).not.toContain('sesame')
  expect(readdirSync(cwd)).toEqual(before)
})

test('says why it failed, with exit code 1', async () => {
  const cwd = await stored()
  writeFileSync(join(cwd, 'out'), 'a file')
  const args = ['export', '--from', 'duckdb:smt.duckdb', '--to', 'out']
  const plain = await smtIngest(args, { cwd })
  expect(plain).toMatchObject({ code: 1, stdout: '', stderr: expect.stringMatching(/✗ .*EEXIST[\s\S]*STORE_EXPORT/) })
  const { code, stdout } = await smtIngest([...args, '--json'], { cwd })
  expect(code).toBe(1)
  expect(jsonLines(stdout)).toMatchObject([{ type: 'error', code: 'STORE_EXPORT', retryable: true }])
})
