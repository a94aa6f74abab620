import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  FakeSftpServer,
  makeEsiid,
  makeIntervalReport,
  makeMeterDay,
  makePgpKey,
  type PgpKey,
  wrapAsSmt
} from '@intelliwatt/smt-ingest/testing'
import { onTestFinished } from 'vitest'

/** The daemon as systemd starts it; `npm test` builds it first. */
const main = fileURLToPath(new URL('../dist/main.js', import.meta.url))

export const secret = 'planted-webhook-secret-1b8f'
export const otherSecret = 'planted-droplet-secret-93ac'

/** What the daemon answered. */
export interface Answered {
  readonly status: number
  readonly type: string | null
  readonly text: string
  // biome-ignore lint/suspicious/noExplicitAny: what a program reads that knows no types
  readonly json: any
}

/** A daemon under test, and everything that it has written. */
export interface Daemon {
  readonly url: string
  readonly port: number
  readonly folder: string
  /** All of standard output and standard error so far. */
  said(): string
  ask(path: string, options?: RequestInit): Promise<Answered>
  /** Triggers with the secret. */
  trigger(body: unknown): Promise<Answered>
  /** Asks about a run until it has ended. */
  ended(runId: string): Promise<Answered>
  /** Resolves once what it has written matches. */
  heard(pattern: RegExp): Promise<string>
  /** Resolves with the exit code; null when a signal ended it. */
  readonly exit: Promise<number | null>
  signal(name: NodeJS.Signals): void
}

/** A server of SMT’s kind, a key, and the environment that names both as `/etc/default/intelliwatt-smt` does. */
export interface Surroundings {
  readonly folder: string
  readonly server: FakeSftpServer
  readonly pgp: PgpKey
  readonly env: Record<string, string>
  /** Puts the report of one meter and one day onto the server, encrypted. Gives its path. */
  deliver(meter: number, date?: string, name?: string): Promise<string>
  /** Puts a file there as it is. */
  put(path: string, content: Uint8Array | string): void
}

/** A folder that is gone when the test ends. */
export function scratchFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'smt-droplet-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }))
  return folder
}

export async function surroundings(store = 'duckdb'): Promise<Surroundings> {
  const folder = scratchFolder()
  for (const name of ['keys', 'served/adhocusage', 'served/EnrollmentReports']) {
    mkdirSync(join(folder, name), { recursive: true })
  }
  const server = await FakeSftpServer.start({ directory: join(folder, 'served') })
  const pgp = await makePgpKey()
  onTestFinished(() => server.close())
  writeFileSync(join(folder, 'keys/id_ed25519'), server.login.privateKey, { mode: 0o600 })
  writeFileSync(join(folder, 'keys/pgp.asc'), pgp.privateKey, { mode: 0o600 })
  let seconds = 1_752_580_000
  const put = (path: string, content: Uint8Array | string) => {
    const target = join(folder, 'served', path)
    writeFileSync(target, content)
    utimesSync(target, seconds, seconds++)
  }
  return {
    folder,
    server,
    pgp,
    env: {
      INTELLIWATT_WEBHOOK_SECRET: secret,
      DROPLET_WEBHOOK_SECRET: otherSecret,
      PORT: '0',
      SMT_WATCH_SECONDS: '0',
      SMT_HOST: server.host,
      SMT_SFTP_PORT: String(server.port),
      SMT_USER: server.login.username,
      SMT_KEY: join(folder, 'keys/id_ed25519'),
      SMT_HOST_KEY: server.fingerprint,
      SMT_REMOTE_DIR: '/adhocusage,/EnrollmentReports',
      SMT_PGP_KEY: join(folder, 'keys/pgp.asc'),
      SMT_STORE: store === 'duckdb' ? `duckdb:${join(folder, 'smt.duckdb')}` : store
    },
    deliver: async (meter, date = '2025-07-14', name = `IntervalMeterUsage${meter}`) => {
      const { bytes } = makeIntervalReport([makeMeterDay({ esiid: makeEsiid(meter), date })])
      const content = await wrapAsSmt([{ name: `${name}.CSV`, bytes }], pgp.publicKey)
      const path = `/adhocusage/${name}.CSV.123456789.asc`
      put(path, content)
      return path
    },
    put
  }
}

/** Starts the built daemon and waits until it listens. */
export async function startDaemon(env: Record<string, string>, folder: string): Promise<Daemon> {
  const child = runDaemon(env, folder)
  const port = await Promise.race([
    child.heard(/listening at http:\/\/[^"]*:(\d+)/).then(Number),
    child.exit.then(code => Promise.reject(new Error(`ended with code ${code}: ${child.said()}`)))
  ])
  const url = `http://127.0.0.1:${port}`
  const ask = (path: string, options?: RequestInit) => answerOf(fetch(url + path, options))
  const headers = { 'x-intelliwatt-secret': secret, 'content-type': 'application/json' }
  const ended = async (runId: string): Promise<Answered> => {
    for (;;) {
      const answered = await ask(`/runs/${runId}`, { headers })
      if (answered.json.run?.endedAt !== null) return answered
      await new Promise(resolve => setTimeout(resolve, 300))
    }
  }
  const trigger = (body: unknown) =>
    ask('/trigger/smt-now', { method: 'POST', headers, body: typeof body === 'string' ? body : JSON.stringify(body) })
  return { ...child, url, port, folder, ask, trigger, ended }
}

/** Starts the built daemon, whatever becomes of it. */
export function runDaemon(env: Record<string, string>, folder: string) {
  const child = spawn(process.execPath, [main], {
    cwd: folder,
    // Nothing of this machine’s settings leaks in.
    env: { PATH: process.env.PATH ?? '', HOME: folder, ...env },
    stdio: ['ignore', 'pipe', 'pipe']
  })
  let said = ''
  const listeners = new Set<() => void>()
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      said += text
      for (const listener of listeners) listener()
    })
  }
  const exit = once(child, 'close').then(([code]) => code as number | null)
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await exit
  })
  const heard = (pattern: RegExp) =>
    new Promise<string>(resolve => {
      const look = () => {
        const found = pattern.exec(said)
        if (found) resolve(found[1] ?? found[0])
      }
      listeners.add(look)
      look()
    })
  return { said: () => said, heard, exit, signal: (name: NodeJS.Signals) => void child.kill(name) }
}

export async function answerOf(response: Promise<Response>): Promise<Answered> {
  const { status, headers, text } = await response.then(async it => ({ ...pick(it), text: await it.text() }))
  const type = headers.get('content-type')
  return { status, type, text, json: type?.startsWith('application/json') ? JSON.parse(text) : undefined }
}

function pick({ status, headers }: Response) {
  return { status, headers }
}
