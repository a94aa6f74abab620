// Yardsticks for many files: on two threads, nothing but the private-key operations that open the messages.
import { readdir, readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'

const worker = fileURLToPath(new URL('session-keys-worker.js', import.meta.url))
const threads = 2

/** `how` names one of the ways that the worker knows. */
export async function openSessionKeys({ asc, privateKey }, how) {
  const names = await readdir(asc)
  const messages = await Promise.all(names.map(name => readFile(`${asc}/${name}`, 'latin1')))
  const shares = Array.from({ length: threads }, (_, n) => messages.filter((_, i) => i % threads === n))
  const workers = shares.map(share => new Worker(worker, { workerData: { how, privateKey, messages: share } }))
  await Promise.all(workers.map(answerOf))
  return {
    async load() {
      const answers = workers.map(answerOf)
      for (const each of workers) each.postMessage('open')
      const opened = await Promise.all(answers)
      return { opened: opened.reduce((sum, count) => sum + count, 0) }
    },
    close: () => Promise.all(workers.map(each => each.terminate()))
  }
}

function answerOf(worker) {
  return new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
}
