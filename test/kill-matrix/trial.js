// One trial: a run is killed, looked at, and begun again, until one comes to its end.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { randomFrom } from '@intelliwatt/smt-ingest/testing'
import { wrong } from './check.js'
import { ORDERS } from './delivery.js'
import { largePoints, points } from './points.js'

const bin = fileURLToPath(new URL('../../dist/cli/bin.js', import.meta.url))
const preload = new URL('./preload.js', import.meta.url).href

/** Far above what any run takes. */
const DEADLINE_MS = 60_000
/** How long a lock without a name in it keeps others out. */
const NAMELESS_LOCK_MS = 2_100

/** Where the files come from: a folder, or the same folder served over SFTP. */
const sourceArgs = ({ delivery, sftp }, { order, overSftp }) =>
  overSftp ? sftp.argsFor(`/${order}`) : ['--from', join(delivery.folder, order)]

/**
 * Starts the command, to be killed as `kill` says, or not; `ended` tells how it ended.
 * @param {any} matrix
 * @param {{ sink: string, stand: { to: string }, order: string, overSftp: boolean }} work
 * @param {{ at?: number, point?: string, nth?: number, lingerMs?: number, signal?: NodeJS.Signals }} [kill]
 */
export function start(matrix, { sink, stand, ...source }, kill = {}) {
  const report = join(matrix.folder, `report-${matrix.nextReport++}`)
  const args = ['pull', '--json', '--key', matrix.delivery.keyFile, ...sourceArgs(matrix, source)]
  const { at, ...wanted } = kill
  const child = spawn(process.execPath, ['--import', preload, bin, ...args], {
    env: { PATH: process.env.PATH, SMT_STORE: stand.to, SMT_KILL: JSON.stringify({ sink, report, ...wanted }) },
    stdio: ['ignore', 'pipe', 'pipe']
  })
  return { child, report, ended: endOf(child, report, at) }
}

async function endOf(child, report, at) {
  const startedAt = performance.now()
  const deadline = setTimeout(() => child.kill('SIGABRT'), DEADLINE_MS)
  const moment = at === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), at)
  const said = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr']) child[name].setEncoding('utf8').on('data', text => (said[name] += text))
  const [code, signal] = await once(child, 'close')
  clearTimeout(deadline)
  clearTimeout(moment)
  const reported = existsSync(report) ? readFileSync(report, 'utf8') : undefined
  rmSync(report, { force: true })
  return { code, signal, reported, ...said, elapsedMs: performance.now() - startedAt }
}

/** Runs the command to its end. */
const pull = (...what) => start(...what).ended

/** What a whole run of one kind is like, without a kill: how often each point comes, and how long it takes. */
export async function measure(matrix, sink, kind) {
  const stand = await matrix.stand(sink, `measured_${kind.order}_${kind.overSftp}`)
  const run = await pull(matrix, { sink, stand, ...kind })
  const problem = ended(run) ?? wrong(await stand.look(), filesOf(matrix, kind), true)
  if (problem) throw new Error(`${sink}, without a kill: ${problem}`)
  await stand.remove()
  return { counts: JSON.parse(run.reported), elapsedMs: run.elapsedMs }
}

/**
 * @param {any} matrix
 * @param {{ order: string }} kind
 */
export const filesOf = ({ delivery }, { order }) => (order === 'large' ? delivery.files : delivery.small)

/**
 * What is killed, and when, in one trial; all of it follows from the seed and the number. `measured` gives what a whole
 * run of a kind is like.
 */
export async function planTrial(measured, sink, seed, number) {
  const random = randomFrom(seed, sink, number)
  const below = n => Math.floor(random() * n)
  const names = Object.keys(points[sink])
  const first = names[number % names.length]
  const [order, overSftp] = [String(below(ORDERS)), below(4) === 0]
  const kind = largePoints.has(first) ? { order: 'large', overSftp: false } : { order, overSftp }
  const { counts, elapsedMs } = await measured(kind)
  const atPoint = point => ({ point, nth: 1 + below(counts[point] || 1), lingerMs: below(3) })
  const atMoment = () => ({ at: Math.round(elapsedMs * (0.2 + 0.9 * random())) })
  const kills = [atPoint(first)]
  while (kills.length < 5 && below(2) === 0) kills.push(below(3) > 0 ? atPoint(names[below(names.length)]) : atMoment())
  return { kind, kills }
}

/** Does it; gives what was done, and `problem` when something was wrong. */
export async function runTrial(matrix, sink, number, { kind, kills }) {
  const stand = await matrix.stand(sink, number)
  const files = filesOf(matrix, kind)
  const done = { runs: 0, killedAt: [], atMoments: 0, retried: 0, problem: undefined }
  for (const kill of [...kills, undefined]) {
    const run = await pull(matrix, { sink, stand, ...kind }, kill)
    done.runs++
    if (run.signal === null) {
      // The point does not come any more: the run came to its end.
      done.problem = kill === kills[0] ? `never came to ${kill.point}` : await end(run)
      break
    }
    if (run.signal !== 'SIGKILL') done.problem = `ended by ${run.signal}: ${run.stderr}`
    else if (kill.point !== undefined && run.reported !== kill.point) done.problem = `killed at: ${run.reported}`
    else done.problem = wrong(await stand.look(), files, false)
    if (done.problem) break
    if (kill.point === undefined) done.atMoments++
    else done.killedAt.push(kill.point)
    await stand.waitForLease()
  }
  if (done.problem === undefined) await stand.remove()
  return done

  async function end(run) {
    let last = run
    // A lock that was just being made has no name in it, and is a living one's for a moment: told, and tried again.
    for (let i = 0; i < 3 && last.stdout.includes('"STORE_BUSY"') && sink === 'ndjson'; i++) {
      await pause(NAMELESS_LOCK_MS)
      last = await pull(matrix, { sink, stand, ...kind })
      done.runs++
      done.retried++
    }
    return ended(last) ?? wrong(await stand.look(), files, true)
  }
}

/** A run that came to its end says so: a damaged file is its only failure. */
export function ended({ code, signal, stdout, stderr }) {
  const lines = stdout.trim().split('\n')
  const failures = lines.filter(line => line.startsWith('{"type":"error"'))
  const isSummed = lines.at(-1).startsWith('{"type":"summary"')
  if (signal !== null || code > 1 || stderr !== '' || failures.length > 0 || !isSummed) {
    return `a run ended with ${signal ?? code}: ${failures.join()}${stderr}`
  }
}
