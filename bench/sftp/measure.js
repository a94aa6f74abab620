// Lets contenders fetch the same file over the same line, each pass in a process of its own.
import { spawn, spawnSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startOpenSshServer } from '../../dist/testing/index.js'
import { ask } from '../shared/ask.js'
import { say } from '../shared/command.js'
import { addPass, differences, emptyRun, lastPassText, takeTurns } from '../shared/contest.js'
import { median } from '../shared/figures.js'

const runOne = fileURLToPath(new URL('run-one.js', import.meta.url))
const delayProxy = fileURLToPath(new URL('delay-proxy.js', import.meta.url))

/**
 * `slow`: keeps one request in flight. It gets one pass over a part of the file, since all of it would take minutes; its
 * time is that for the whole file, at the same rate.
 */
export const contenders = [
  { name: 'smt-ingest', own: true },
  { name: 'smt-ingest-one-channel', own: true },
  { name: 'openssh', rival: true },
  { name: 'openssh-long-requests', rival: true },
  { name: 'sftp-client-fast-get', rival: true },
  { name: 'sftp-client-get', rival: true, slow: true },
  { name: 'ssh2-read-stream', rival: true, slow: true }
]

/** As much as it takes to have the code compiled; for the slow ones, a part of it. */
const WARM_UP = 32_000_000
const PART = 4_000_000

/** The line has to be so many times as fast as whoever is fastest on it. */
export const LINE_MARGIN = 3

/** A real sshd of this machine, and the files it serves. */
export async function serverOf(megabytes) {
  const folder = mkdtempSync(join(tmpdir(), 'smt-bench-sftp-'))
  const server = await startOpenSshServer({ directory: join(folder, 'sshd') })
  if ('unavailable' in server) throw new Error(`no sshd: ${server.unavailable}`)
  const file = (name, size) => {
    mkdirSync(join(folder, name))
    const content = randomBytes(size)
    writeFileSync(join(folder, name, 'report.asc'), content)
    const sha256 = createHash('sha256').update(content).digest('hex')
    return { folder: join(folder, name), path: join(folder, name, 'report.asc'), size, sha256 }
  }
  const files = { warmUp: file('warm-up', WARM_UP), part: file('part', PART), whole: file('whole', megabytes * 1e6) }
  const keyPath = join(folder, 'key')
  writeFileSync(keyPath, `${server.privateKey}\n`, { mode: 0o600 })
  const { host, username, fingerprint, privateKey } = server
  return {
    version: spawnSync('ssh', ['-V'], { encoding: 'utf8' }).stderr.trim(),
    port: server.port,
    files,
    login: { host, username, fingerprint, privateKey, keyPath, scratch: folder },
    async stop() {
      await server.close()
      rmSync(folder, { recursive: true, force: true })
    }
  }
}

/** Lets contenders fetch the file over a line with this round trip, in milliseconds. */
export async function race(entrants, server, trip, { rounds, deadline }) {
  const line = await lineTo(server.port, trip)
  try {
    const title = trip === 0 ? 'on this machine' : `at ${trip} ms`
    const runs = entrants.map(emptyRun)
    const turns = entrants.map(entrant => (entrant.slow ? { ...entrant, rounds: 1 } : entrant))
    await takeTurns(turns, { rounds, deadline }, async (entrant, round) => {
      const run = runs[turns.indexOf(entrant)]
      const { warmUp, whole, part } = server.files
      const [before, file] = entrant.slow ? [part, part] : [warmUp, whole]
      await addPass(run, async () => {
        const places = [before, file].map(each => JSON.stringify({ ...server.login, ...each, port: line.port }))
        const { found, seconds, rssMb } = await ask(runOne, 'load', entrant.name, ...places)
        const wrong = differences(found, { bytes: file.size, sha256: file.sha256 })
        return { wrong, seconds: (seconds * whole.size) / file.size, rssMb }
      })
      say(`${title}, round ${round}: ${entrant.name} ${lastPassText(run)}`)
    })
    const copySeconds = trip === 0 ? undefined : await plainCopy(trip, server.files.whole.size)
    return { title, trip, bytes: server.files.whole.size, copySeconds, runs }
  } finally {
    line.stop()
  }
}

/** What nothing but a copy takes over such a line. */
async function plainCopy(trip, bytes) {
  const seconds = []
  for (let round = 0; round < 3; round++) {
    const found = await ask(runOne, 'copy', String(trip), String(bytes))
    seconds.push(found.seconds)
  }
  say(`at ${trip} ms: a plain copy ${median(seconds).toFixed(3)} s`)
  return median(seconds)
}

export async function lineTo(port, trip) {
  if (trip === 0) return { port, stop() {} }
  const child = spawn(process.execPath, [delayProxy, port, trip], { stdio: ['pipe', 'pipe', 'inherit'] })
  const [text] = await once(child.stdout, 'data')
  return { port: Number(String(text)), stop: () => child.kill() }
}
