import { execFile } from 'node:child_process'
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { DuckDBInstance } from '@duckdb/node-api'
import ts from 'typescript'
import { describe, expect, test } from 'vitest'
import {
  FakeSftpServer,
  makeEsiid,
  makeIntervalReport,
  makeMeterDay,
  makePgpKey,
  wrapAsSmt
} from '../src/testing/index.ts'
import { scratchFolder } from './support/scratch.ts'

const root = fileURLToPath(new URL('..', import.meta.url))

/** A project in which the built package is installed, and an example as `example.mjs`. */
function projectWith(example: string): string {
  const folder = scratchFolder()
  mkdirSync(join(folder, 'node_modules/@intelliwatt'), { recursive: true })
  symlinkSync(root, join(folder, 'node_modules/@intelliwatt/smt-ingest'), 'junction')
  const compilerOptions = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ES2022 }
  const source = readFileSync(join(root, 'examples', example), 'utf8')
  writeFileSync(join(folder, 'example.mjs'), ts.transpileModule(source, { compilerOptions }).outputText)
  return folder
}

/** Runs the example of a folder; the exit code is null when it does not end by itself. */
function run(cwd: string, env: NodeJS.ProcessEnv = {}) {
  return new Promise<{ exitCode: number | null; stdout: string; stderr: string }>(resolve => {
    const options = { cwd, env: { HOME: cwd, ...env }, timeout: 20_000, killSignal: 'SIGKILL' } as const
    const child = execFile(process.execPath, ['example.mjs'], options, (_, stdout, stderr) => {
      resolve({ exitCode: child.exitCode, stdout, stderr })
    })
  })
}

describe('examples/quick-start.ts', () => {
  test('brings the files of both folders into DuckDB, and ends by itself', async () => {
    const folder = projectWith('quick-start.ts')
    const pgp = await makePgpKey()
    const report = (n: number, solar: boolean) =>
      makeIntervalReport([makeMeterDay({ esiid: makeEsiid(n), date: '2025-11-02', solar })])
    const [plain, solar] = [report(1, false), report(2, true)]
    const wrap = async ({ bytes }: typeof plain) => ({
      content: await wrapAsSmt([{ name: 'IntervalMeterUsage.CSV', bytes }], pgp.publicKey),
      modifiedAt: Date.UTC(2025, 10, 3)
    })
    await using server = await FakeSftpServer.start({
      files: [
        ['/adhocusage/one.CSV.asc', await wrap(plain)],
        ['/EnrollmentReports/two.CSV.asc', await wrap(solar)]
      ]
    })
    writeFileSync(join(folder, 'id_ed25519'), server.login.privateKey)
    writeFileSync(join(folder, 'pgp.asc'), pgp.privateKey)
    const { exitCode, stdout, stderr } = await run(folder, {
      SMT_HOST: server.host,
      SMT_SFTP_PORT: String(server.port),
      SMT_USER: server.login.username,
      SMT_KEY: 'id_ed25519',
      SMT_HOST_KEY: server.fingerprint,
      SMT_PGP_KEY: 'pgp.asc'
    })
    expect([exitCode, stderr]).toEqual([0, ''])
    expect(stdout.trim().split('\n')).toEqual([
      'committed /EnrollmentReports/two.CSV.asc 200',
      'committed /adhocusage/one.CSV.asc 100'
    ])
    expect(await sumOf(join(folder, 'smt.duckdb'))).toEqual({
      intervals: 300,
      milliKwh: [plain, solar].reduce(
        (sum, { totals: { milliKwh } }) => sum + milliKwh.consumption + milliKwh['surplus-generation'],
        0
      )
    })
  })

  test('names the settings that are missing, and nothing else happens', async () => {
    const { exitCode, stdout, stderr } = await run(projectWith('quick-start.ts'), { SMT_HOST: 'sftp.example.com' })
    expect([exitCode, stdout]).toEqual([1, ''])
    expect(stderr).toContain('not set in the environment: SMT_USER, SMT_KEY, SMT_PGP_KEY')
  })
})

async function sumOf(path: string): Promise<Record<string, unknown> | undefined> {
  const instance = await DuckDBInstance.create(path, { access_mode: 'READ_ONLY' })
  const connection = await instance.connect()
  try {
    const query = `SELECT count(*)::INTEGER AS intervals, (sum(kwh) * 1000)::INTEGER AS "milliKwh" FROM intervals`
    return (await connection.runAndReadAll(query)).getRowObjects()[0]
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
}
