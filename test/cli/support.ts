import { spawn } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { DuckDBInstance } from '@duckdb/node-api'
import { afterAll } from 'vitest'
import type { ErrorCode } from '../../src/errors.ts'
import {
  FakeSftpServer,
  type FakeSftpServerOptions,
  makeEsiid,
  makeIntervalReport,
  makeMeterDay,
  type ServedFile
} from '../../src/testing/index.ts'

/** The command as users get it. `npm test` builds it first. */
export const bin = fileURLToPath(new URL('../../dist/cli/bin.js', import.meta.url))
if (!existsSync(bin)) throw new Error('dist/cli/bin.js is not there: npm run build')

/** How one call of the command ended. */
export interface Outcome {
  /** Null when a signal ended it, the time limit's for one. */
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
  /** Both, for what must stand in neither. */
  readonly said: string
  readonly elapsedMs: number
}

export interface Surroundings {
  /** The whole environment, beside PATH. Nothing of this machine's settings leaks in. */
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  /** Ends the command with this signal. */
  readonly stop?: Promise<NodeJS.Signals>
  /** Is told what it has printed so far. */
  readonly hears?: (stdout: string) => void
}

/** Far above what any call takes; a process that does not end by itself is killed, and its code is null. */
const limitMs = 50_000

/** Runs the command to its end. */
export function smtIngest(args: readonly string[], surroundings: Surroundings = {}): Promise<Outcome> {
  return run(process.execPath, [bin, ...args], surroundings)
}

export async function run(program: string, args: readonly string[], surroundings: Surroundings): Promise<Outcome> {
  const { env = {}, cwd = tmpdir(), stop, hears } = surroundings
  const startedAt = performance.now()
  const child = spawn(program, args, {
    cwd,
    env: { PATH: [dirname(process.execPath), process.env.PATH].join(delimiter), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: limitMs,
    killSignal: 'SIGKILL'
  })
  stop?.then(signal => child.kill(signal))
  const texts = Promise.all([textOf(child.stdout, hears), textOf(child.stderr)])
  const code = await new Promise<number | null>((resolve, reject) => child.once('error', reject).once('close', resolve))
  const [stdout, stderr] = await texts
  return { code, stdout, stderr, said: `${stdout}${stderr}`, elapsedMs: performance.now() - startedAt }
}

async function textOf(stream: AsyncIterable<Buffer>, hears?: (text: string) => void): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) {
    chunks.push(chunk)
    hears?.(Buffer.concat(chunks).toString('utf8'))
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** The objects of `--json`. */
// biome-ignore lint/suspicious/noExplicitAny: what a program reads that knows no types
export function jsonLines(text: string): any[] {
  return text
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line))
}

/** Makes folders that are gone when the test file has run. Tests run side by side, so each asks for its own. */
export function folderMaker(): () => string {
  const root = mkdtempSync(join(tmpdir(), 'smt-cli-'))
  afterAll(() => rmSync(root, { recursive: true, force: true, maxRetries: 3 }))
  return () => mkdtempSync(join(root, 't-'))
}

/** Starts servers that are closed when the test file has run. */
export function serverMaker(): (options?: FakeSftpServerOptions) => Promise<FakeSftpServer> {
  const servers: FakeSftpServer[] = []
  afterAll(async () => {
    for (const server of servers) await server.close()
  })
  return async options => {
    const server = await FakeSftpServer.start(options)
    servers.push(server)
    return server
  }
}

/** Writes files by path, oldest first; gives the folder. */
export function fill(folder: string, files: Readonly<Record<string, Uint8Array | string>>): string {
  for (const [i, path] of Object.keys(files).entries()) {
    const target = join(folder, path)
    mkdirSync(dirname(target), { recursive: true })
    writeFileSync(target, files[path]!)
    utimesSync(target, 1_752_580_000 + i, 1_752_580_000 + i)
  }
  return folder
}

/** The same on a server of ours. */
export function served(files: Readonly<Record<string, Uint8Array>>): [string, ServedFile][] {
  return Object.keys(files).map((path, i) => [
    path,
    { content: files[path]!, modifiedAt: 1_752_580_000_000 + 1000 * i }
  ])
}

/** Writes one file that a flag can name; gives its path. */
export function keep(folder: string, name: string, content: Uint8Array | string): string {
  const path = join(folder, name)
  writeFileSync(path, content, { mode: 0o600 })
  return path
}

/** The flags that reach a server, and those that open its door with the default user's key. */
export function reach(server: FakeSftpServer, folder: string, directory = '/in'): string[] {
  const identity = keep(folder, 'id_ed25519', server.login.privateKey)
  return ['--from', addressOf(server, directory), '--identity', identity, '--host-key', server.fingerprint]
}

export function addressOf({ port }: FakeSftpServer, directory = '/in', user = 'smt'): string {
  return `sftp://${user}@127.0.0.1:${port}${directory}`
}

/** One day of one meter as SMT writes it: 96 rows on a day like this. */
export function csvOf(meter: number, date = '2025-07-14'): Buffer {
  return makeIntervalReport([makeMeterDay({ esiid: makeEsiid(meter), date })]).bytes
}

/** Asks a DuckDB file. */
export async function ask(path: string, sql: string): Promise<Record<string, unknown>[]> {
  const instance = await DuckDBInstance.create(path, { access_mode: 'READ_ONLY', threads: '1' })
  const connection = await instance.connect()
  try {
    return (await connection.runAndReadAll(sql)).getRowObjectsJS()
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
}

/** Intervals by meter in a DuckDB file; meters by the number they were made of. */
export async function storedMeters(path: string): Promise<Record<number, number>> {
  const rows = await ask(path, 'SELECT esiid, count(*)::INTEGER AS intervals FROM intervals GROUP BY esiid')
  return Object.fromEntries(rows.map(({ esiid, intervals }) => [numberOf(esiid as string), intervals as number]))
}

/** The same in a folder of NDJSON files. */
export function writtenMeters(folder: string): Record<number, number> {
  const count: Record<number, number> = {}
  for (const name of readdirSync(folder).filter(name => name.endsWith('.ndjson') && !name.startsWith('.'))) {
    for (const { esiid } of jsonLines(readFileSync(join(folder, name), 'utf8'))) {
      count[numberOf(esiid)] = (count[numberOf(esiid)] ?? 0) + 1
    }
  }
  return count
}

const esiids = new Map(Array.from({ length: 100 }, (_, number) => [makeEsiid(number), number]))
function numberOf(esiid: string): number {
  return esiids.get(esiid) ?? Number.NaN
}

/** Each file of a DuckDB ledger: its state, and the code of its reason. */
export async function ledgerOf(path: string): Promise<Record<string, [state: string, code: ErrorCode | null]>> {
  const rows = await ask(path, 'SELECT name, state, code FROM files')
  return Object.fromEntries(rows.map(({ name, state, code }) => [name, [state, code]])) as never
}

/** Every ESIID that stands in full in a text. */
export function esiidsIn(text: string): string[] {
  return text.match(/(?<!\d)10(?:\d{20}|\d{15})(?!\d)/g) ?? []
}
