// Throws nonsense at the parser until the time is up: npm run fuzz -- --seconds 60 [--seed 7] [--only 123]
//
// Every file follows from the seed and its number, so that a failure can be had again. The files are read in a worker:
// one that hangs, in whatever way, is noticed from here.
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import { makeFile } from './files.js'

/** A file of some kilobytes takes milliseconds. */
const DEADLINE_MS = 10_000

const { values } = parseArgs({
  options: { seconds: { type: 'string', default: '60' }, seed: { type: 'string' }, only: { type: 'string' } }
})
const seconds = Number(values.seconds)
const seed = Number(values.seed ?? Math.floor(Math.random() * 1e9))
const only = values.only === undefined ? undefined : Number(values.only)
if (![seconds, seed, only ?? 0].every(Number.isFinite)) throw new Error('--seconds, --seed and --only take numbers')

/** Number of the file that is being read. */
const current = new Int32Array(new SharedArrayBuffer(4))
current[0] = only ?? 0
const worker = new Worker(new URL('./worker.js', import.meta.url), { workerData: { seconds, seed, only, current } })
process.stdout.write(`seed ${seed}, ${only === undefined ? `${seconds} s` : `file ${only}`}\n`)

let seen = -1
let since = performance.now()
const watch = setInterval(() => {
  const number = Atomics.load(current, 0)
  if (number !== seen) {
    seen = number
    since = performance.now()
  } else if (performance.now() - since > DEADLINE_MS) fail(`no end after ${DEADLINE_MS / 1000} s`)
}, 250)

worker.once('message', message => {
  if (message.failure !== undefined) fail(message.failure)
  report(message)
  process.exit(0)
})
worker.once('error', error => fail(`something was thrown that nobody caught: ${error?.stack ?? error}`))
worker.once('exit', code => fail(`the worker ended with code ${code} and said nothing`))

function fail(reason) {
  clearInterval(watch)
  const number = Atomics.load(current, 0)
  const { kind, bytes, options } = makeFile(seed, number)
  const path = join(mkdtempSync(join(tmpdir(), 'smt-ingest-fuzz-')), `${seed}-${number}`)
  writeFileSync(path, bytes)
  process.stderr.write(`${reason}\n\n${kind}, ${bytes.length} bytes, ${JSON.stringify(options)}\n`)
  process.stderr.write(`the file: ${path}\nagain: npm run fuzz -- --seed ${seed} --only ${number}\n`)
  process.exit(1)
}

function report({ files, bytes, intervals, rejected, kinds, outcomes }) {
  const lines = [
    `${files} files, ${(bytes / 1e6).toFixed(1)} MB, each read in one piece and in many: no crash, no hang`,
    `${intervals} intervals, ${rejected} rejected rows, every row accounted for`,
    ...table('by kind', kinds),
    ...table('by outcome', outcomes)
  ]
  process.stdout.write(`${lines.join('\n')}\n`)
}

function table(title, counts) {
  const sorted = Object.entries(counts).sort(([, a], [, b]) => b - a)
  return ['', title, ...sorted.map(([name, count]) => `${String(count).padStart(8)} ${name}`)]
}
