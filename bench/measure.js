// Runs contenders against each other: every pass in a process of its own, round by round, so that a machine that slows
// down slows all of them.
import { spawnSync } from 'node:child_process'
import { createReadStream } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { fileOf } from './files.js'

const runOne = fileURLToPath(new URL('run-one.js', import.meta.url))

/**
 * `large`: fast enough for the large files too. `slow`: a pass over 100 MB takes seconds, so it gets three rounds and a
 * short warm-up. `floor`: not a rival, it understands nothing.
 */
export const contenders = [
  { name: 'newlines', large: true, floor: true },
  { name: 'smt-ingest', large: true },
  { name: 'hand-loop', large: true },
  { name: 'duckdb-2', large: true },
  { name: 'duckdb-1', large: true },
  { name: 'udsv', large: true },
  { name: 'papaparse', large: true },
  { name: 'readline' },
  { name: 'csv-parse-arrays', slow: true },
  { name: 'csv-parse-objects', slow: true },
  { name: 'fast-csv', slow: true }
]

/** The one that is ours. */
export const own = 'smt-ingest'

/** Asks a contender in a process of its own. Its error is thrown here, without the stack. */
export function ask(task, name, ...paths) {
  const options = { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'], maxBuffer: 64 * 1024 * 1024 }
  const { status, signal, stdout } = spawnSync(process.execPath, [runOne, task, name, ...paths], options)
  if (status !== 0) throw new Error(`its process ended with ${signal ?? status}`)
  const answer = JSON.parse(stdout)
  if (answer.failed !== undefined) throw new Error(answer.failed)
  return answer
}

/** Memory of a Node process that does nothing. */
export function idleRssMb() {
  const script = 'process.stdout.write(String(process.resourceUsage().maxRSS / 1024))'
  return Number(spawnSync(process.execPath, ['-e', script], { encoding: 'utf8' }).stdout)
}

/**
 * Lets contenders read one file. `rounds` is for the fast ones; after the deadline no further round is begun, but each
 * has one. Gives the seconds and the peak memory of every pass, or what was wrong.
 */
export async function race(entrants, { shape, megabytes, warmUpMegabytes, rounds, deadline, say }) {
  const file = fileOf(shape, megabytes)
  const long = fileOf(shape, warmUpMegabytes)
  const short = fileOf(shape, Math.min(10, warmUpMegabytes))
  await readThrough(file.path)
  const runs = entrants.map(({ name }) => ({ name, wrong: null, seconds: [], rssMb: [] }))
  for (let round = 0; round < rounds; round++) {
    if (round > 0 && Date.now() > deadline) break
    for (const [i, { name, slow, floor }] of entrants.entries()) {
      if (runs[i].wrong || (slow && round >= 3)) continue
      const { wrong, seconds, rssMb } = pass(name, slow ? short : long, file, floor)
      say(`${shape} ${megabytes} MB, round ${round + 1}: ${name} ${wrong ?? `${seconds.toFixed(3)} s`}`)
      runs[i].wrong = wrong
      runs[i].seconds.push(seconds)
      runs[i].rssMb.push(rssMb)
    }
  }
  return { shape, megabytes, bytes: file.bytes, rows: file.truth.rows, runs }
}

/** Files come from the page cache for the first contender too. */
async function readThrough(path) {
  for await (const _ of createReadStream(path, { highWaterMark: 1024 * 1024 }));
}

function pass(name, warmUp, file, floor) {
  try {
    const { found, seconds, rssMb } = ask('pass', name, warmUp.path, file.path)
    return { wrong: differences(found, floor ? { rows: file.truth.rows } : file.truth), seconds, rssMb }
  } catch (error) {
    return { wrong: error.message.split('\n')[0], seconds: 0, rssMb: 0 }
  }
}

/** What a contender counted otherwise than the maker, or null. */
function differences(found, truth) {
  const [first, ...more] = Object.keys(truth).filter(name => found[name] !== truth[name])
  if (first === undefined) return null
  const others = more.length > 0 ? `; differs too: ${more.join(', ')}` : ''
  return `${first} ${found[first]}, not ${truth[first]}${others}`
}
