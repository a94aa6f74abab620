// Loaded before the command (`node --import`): wraps public functions of the libraries below it, and kills its own
// process (or stops it, with SIGSTOP) at the n-th call that is the wanted point. The command knows nothing of it.
import { writeFileSync } from 'node:fs'
import fs from 'node:fs/promises'
import { createRequire, syncBuiltinESMExports } from 'node:module'
import timers from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { points } from './points.js'

const { sink, point, nth, lingerMs, signal = 'SIGKILL', report } = JSON.parse(process.env.SMT_KILL)
const counts = Object.fromEntries(Object.keys(points[sink]).map(name => [name, 0]))

/** Tells of a call; a kill does not come back from the point. */
function happened(event) {
  for (const [name, matches] of Object.entries(points[sink])) {
    if (!matches(event)) continue
    counts[name]++
    if (name === point && counts[name] === nth) end(event)
  }
}

function end({ moment, unsent }) {
  // What was sent goes on meanwhile, in another thread or in the server; its answer is never seen.
  if (lingerMs > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, lingerMs)
  writeFileSync(report, moment === 'sent' && unsent?.() > 0 ? `${point}, but it was not sent` : point)
  process.kill(process.pid, signal)
}

if (point === undefined && report !== undefined) process.on('exit', () => writeFileSync(report, JSON.stringify(counts)))

/** Replaces a function by one that tells before the call, after it, and when its promise has an answer. */
function wrap(holder, name, describe) {
  const original = holder[name]
  holder[name] = function (...args) {
    const event = describe.call(this, ...args)
    if (event === undefined) return original.apply(this, args)
    happened({ ...event, moment: 'before' })
    const result = original.apply(this, args)
    happened({ ...event, moment: 'sent' })
    const answer = value => {
      event.answered?.(value)
      happened({ ...event, moment: 'answered' })
      return value
    }
    if (typeof result?.then === 'function') return result.then(answer)
    // A stream of pg-copy-streams.
    if (event.text !== undefined && typeof result?.once === 'function') return result.once('finish', () => answer())
    return answer(result)
  }
}

/** Statements since BEGIN on each connection. */
const open = new WeakMap()
let isStaged = false

function statement(connection, text, values) {
  const word = text.trimStart().toUpperCase()
  if (word.startsWith('BEGIN')) open.set(connection, [])
  const since = open.get(connection)
  since?.push({ text: text.trimStart(), values })
  if (word === 'COMMIT' || word === 'ROLLBACK') open.delete(connection)
  return { call: 'query', text: text.trimStart(), values, since }
}

// The two looks at a directory need not lie two seconds apart.
const { setTimeout: pause } = timers
timers.setTimeout = (ms, ...rest) => pause(ms === 2000 ? 1 : ms, ...rest)
const { write } = process.stdout
process.stdout.write = function (text, ...rest) {
  happened({ call: 'print', text: String(text) })
  return write.call(this, text, ...rest)
}

const wrappers = {
  async postgres() {
    const { default: pg } = await import('pg')
    wrap(pg.Client.prototype, 'query', function (query, values) {
      const event = statement(this, typeof query === 'string' ? query : query.text, values)
      if (values?.includes?.('staged')) isStaged = true
      if (event.text === 'COMMIT') isStaged = false
      return { ...event, isStaged, unsent: () => this._queryQueue.length + this.connection.stream.writableLength }
    })
    wrap(pg.Client.prototype, 'end', () => ({ call: 'end' }))
  },
  async duckdb() {
    const { DuckDBConnection, DuckDBInstance, DuckDBAppender } = await import('@duckdb/node-api')
    const staging = new WeakSet()
    const run = function (text, values) {
      if (/CREATE TEMP TABLE staged_meters/.test(text)) staging.add(this)
      return { ...statement(this, text, values), isStaging: staging.has(this) }
    }
    for (const name of ['run', 'runAndReadAll']) wrap(DuckDBConnection.prototype, name, run)
    wrap(DuckDBConnection.prototype, 'closeSync', function () {
      return { call: 'close', isStaging: staging.has(this) }
    })
    wrap(DuckDBInstance.prototype, 'closeSync', () => ({ call: 'end' }))
    wrap(DuckDBAppender.prototype, 'appendDataChunk', () => ({ call: 'append' }))
    wrap(DuckDBAppender.prototype, 'closeSync', () => ({ call: 'flush' }))
    wrap(DuckDBAppender.prototype, 'clear', () => ({ call: 'clear' }))
  },
  async ndjson() {
    wrap(fs, 'rename', path => ({ call: 'rename', path }))
    wrap(fs, 'rm', path => ({ call: 'rm', path }))
  }
}

// Files: which handle is whose, and which state was last written to the ledger's journal.
const paths = new WeakMap()
let state
wrap(fs, 'open', path => ({ call: 'open', path, answered: handle => paths.set(handle, path) }))
const handle = await fs.open(fileURLToPath(import.meta.url))
const { prototype } = handle.constructor
await handle.close()
wrap(prototype, 'read', () => ({ call: 'read' }))
for (const [name, call] of Object.entries({
  appendFile: 'append',
  writeFile: 'write',
  sync: 'sync',
  datasync: 'sync'
})) {
  wrap(prototype, name, function (text) {
    const path = paths.get(this)
    if (call === 'append' && path?.endsWith('/.ledger.ndjson')) state = JSON.parse(text)[1].state
    return { call, path, state }
  })
}
wrap(createRequire(import.meta.url)('ssh2/lib/protocol/SFTP.js').SFTP.prototype, 'read', () => ({ call: 'read' }))
await wrappers[sink.replace(/-.*/, '')]()
syncBuiltinESMExports()
