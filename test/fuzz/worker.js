// Reads one file after another, and tells at the end what became of them, or what was wrong with one.
import { parentPort, workerData } from 'node:worker_threads'
import { check } from './check.js'
import { makeFile } from './files.js'

const { seconds, seed, only, current } = workerData

async function readAll() {
  const sums = { files: 0, bytes: 0, intervals: 0, rejected: 0, kinds: {}, outcomes: {} }
  const until = performance.now() + seconds * 1000
  for (let number = only ?? 0; only === undefined ? performance.now() < until : number === only; number++) {
    Atomics.store(current, 0, number)
    const file = makeFile(seed, number)
    const { outcome, intervals, rejected } = await check(file)
    sums.files++
    sums.bytes += file.bytes.length
    sums.intervals += intervals
    sums.rejected += rejected
    sums.kinds[file.kind] = (sums.kinds[file.kind] ?? 0) + 1
    sums.outcomes[outcome] = (sums.outcomes[outcome] ?? 0) + 1
  }
  return sums
}

parentPort.postMessage(await readAll().catch(error => ({ failure: error.stack })))
