import { fork } from 'node:child_process'
import { mkdir, readdir, rm } from 'node:fs/promises'
import { join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { AbortError, ConfigError } from '../errors.ts'
import { type DemoRun, startDemoSmt } from './demo-smt.ts'
import { number, say } from './print.ts'
import type { ExitCode, Surroundings } from './surroundings.ts'

/** Flags of `demo`. */
export interface DemoFlags {
  readonly meters: number
  readonly days: number
  readonly directory: string
}

/** What a demonstration writes, and the next one takes away. */
const own = ['smt.duckdb', 'smt.duckdb.wal', 'smt.duckdb.tmp', 'remote', 'server']

/**
 * The whole promise on one machine. This process plays SMT: it makes encrypted files and serves them. A second one
 * plays the user: it takes them into DuckDB and compares the store with what was planted.
 */
export async function demo({ meters, days, directory }: DemoFlags, { signal }: Surroundings): Promise<ExitCode> {
  const home = resolve(directory)
  const strange = (await readdir(home).catch(() => [])).find(name => !name.startsWith('.') && !own.includes(name))
  if (strange !== undefined) {
    throw new ConfigError('CONFIG_INVALID', `--directory must be empty or an earlier demo’s, it holds ${strange}`)
  }
  for (const name of own) await rm(join(home, name), { recursive: true, force: true })
  await mkdir(home, { recursive: true })
  say(`Making the files of ${number(meters)} meters for ${days} days around each clock change of 2025 …`)
  const smt = await startDemoSmt({ directory: home, meters, days })
  try {
    const { server, offer } = smt
    const { host, port } = offer.sftp
    say(`${number(offer.manifest.files.length)} files are served by ${server} on ${host}:${port}, host key pinned.\n`)
    return await playUser({ offer, store: relative(process.cwd(), join(home, 'smt.duckdb')) }, signal)
  } finally {
    await smt.close()
  }
}

/** Runs the user's side; its exit code is the demonstration's. */
function playUser(run: DemoRun, signal: AbortSignal): Promise<ExitCode> {
  // A small young generation and one arena: the run makes short-lived buffers only, which would be let pile up.
  const child = fork(fileURLToPath(new URL('./demo-run.js', import.meta.url)), {
    execArgv: ['--max-semi-space-size=2'],
    env: { ...process.env, MALLOC_ARENA_MAX: '1' },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc']
  })
  child.send(run)
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => child.kill('SIGTERM'), { once: true })
    child.once('error', reject).once('exit', code => {
      if (signal.aborted) reject(new AbortError())
      else resolve(code === 0 ? 0 : 1)
    })
  })
}
