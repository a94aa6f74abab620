import { readFile } from 'node:fs/promises'
import { ConfigError } from '../errors.ts'
import { explain } from '../ledger/explain.ts'
import { fingerprintOf, type Ledger, type LedgerRecord, type RecordQuery } from '../ledger/ledger.ts'
import { takeOverPosted } from '../ledger/posted.ts'
import { hasTakeable } from '../ledger/replay-unhandled.ts'
import type { FilesOptions, IngestFile, Source } from '../source/source.ts'
import { many, number, say, sayJson, signatureText } from './print.ts'
import { type TakeFlags, takeFrom } from './pull.ts'
import { buildDecryptor, buildParser, buildSink, buildSources, schemaOf, storeOf } from './settings.ts'
import type { ExitCode, Surroundings } from './surroundings.ts'
import { Tally } from './tally.ts'

/** Flags of every `ledger` command. */
export interface LedgerFlags {
  readonly to?: string
  readonly json?: boolean
}

/** Flags of `ledger list`. */
export interface ListFlags extends LedgerFlags {
  readonly state?: readonly LedgerRecord['state'][]
  readonly since?: number
  readonly until?: number
  readonly limit: number
}

/** Every record, for commands that go through all of them. */
const ALL = 100_000_000

/** Files and their states, the one changed last first. */
export function list({ state: states, since, until, limit, ...flags }: ListFlags, around: Surroundings) {
  return withLedger(flags, around, async ledger => {
    const records = await ledger.records({ states, since, until, limit })
    for (const record of records) {
      if (flags.json) sayJson(plain(record))
      else say(`${record.state.padEnd(11)} ${instant(record.updatedAt)}  ${record.file.path}`)
    }
    if (!flags.json && records.length === limit) say(`the first ${number(limit)}; --limit shows more`)
    return 0
  })
}

/** Everything that is known of a file, each version of it. */
export function show(path: string, flags: LedgerFlags, around: Surroundings) {
  return withRecords(path, flags, around, record => {
    const { file, state, epoch, attempts, receipt } = record
    say(`${file.path}`)
    say(`  source    ${file.source}`)
    say(`  listed    ${number(file.size)} bytes, modified ${instant(file.modifiedAt)}`)
    say(
      `  state     ${state}, changed ${instant(record.updatedAt)}, claimed ${many(epoch, 'time')}, ${many(attempts, 'failed attempt')}`
    )
    if (receipt?.fetched) say(`  fetched   ${number(receipt.fetched.bytes)} bytes, sha256 ${receipt.fetched.sha256}`)
    if (receipt?.payload) say(`  opened    ${number(receipt.payload.bytes)} bytes, sha256 ${receipt.payload.sha256}`)
    if (receipt?.signature) say(`  signed    ${signatureText(receipt.signature)}`)
    for (const { name, kind, outcome, rows, rejects } of receipt?.entries ?? []) {
      const what = kind === 'intervals' ? outcome : `${kind} ${outcome}`
      say(`  entry     ${name}: ${what}, ${many(rows.read, 'row')}, ${number(rows.accepted)} accepted`)
      for (const { line, code, reason } of rejects.slice(0, 20)) say(`            line ${line}: ${code}, ${reason}`)
      if (rejects.length > 20)
        say(`            and ${number(rejects.length - 20)} more, see the table rejects or --json`)
    }
    say(`  ${explain(record)}`)
  })
}

/** Why a file was taken, or not, in a sentence. */
export function explainFile(path: string, flags: LedgerFlags, around: Surroundings) {
  return withRecords(path, flags, around, record => say(`${record.file.path}: ${explain(record)}`))
}

/** Has the next run take files that are set aside, wait, or are duplicates. */
export function retry(
  paths: readonly string[],
  { all, ...flags }: LedgerFlags & { all?: boolean },
  around: Surroundings
) {
  const isNamed = paths.length > 0
  if (isNamed === Boolean(all)) throw new ConfigError('CONFIG_INVALID', 'give the files to retry, or --all')
  return withLedger(flags, around, async ledger => {
    const chosen = all
      ? (await ledger.records({ states: ['quarantined', 'seen'], limit: ALL })).filter(({ receipt }) => receipt?.reason)
      : (await recordsOf(ledger, paths)).filter(({ state }) => state !== 'committed')
    return change(chosen, 'to be retried by the next run', record => ledger.retry(record.fingerprint), flags)
  })
}

/** Forgets files that are not in, so that they count as never seen. */
export function forget(paths: readonly string[], flags: LedgerFlags, around: Surroundings) {
  return withLedger(flags, around, async ledger =>
    change(await recordsOf(ledger, paths), 'forgotten', record => ledger.forget(record.fingerprint), flags)
  )
}

/** Flags of `ledger replay`. */
export interface ReplayFlags extends TakeFlags {
  readonly unhandled?: boolean
  readonly since?: number
  readonly until?: number
}

/** Reads files anew that are in, and whatever shares their keys. */
export async function replay(paths: readonly string[], flags: ReplayFlags, around: Surroundings): Promise<ExitCode> {
  const { since, until, unhandled } = flags
  if (paths.length === 0 && since === undefined && until === undefined && !unhandled) {
    throw new ConfigError('CONFIG_INVALID', 'give the files to replay, or --since and --until, or --unhandled')
  }
  // Settings are looked at before anything is marked.
  buildSources(flags, around.env)
  const decryptor = buildDecryptor(flags, around.env)
  const parser = buildParser(flags)
  return withLedger(flags, around, async (ledger, sink) => {
    const query: RecordQuery = { states: ['committed'], since, until, limit: ALL }
    const chosen = (paths.length > 0 ? await recordsOf(ledger, paths, query) : await ledger.records(query)).filter(
      // What another system took was never read here.
      ({ file, receipt }) => receipt?.rows && (!unhandled || hasTakeable(receipt, parser, file.path))
    )
    for (const { fingerprint } of chosen) await ledger.retry(fingerprint)
    const tally = new Tally(flags.json === true)
    let due = await ledger.records({ isReplayDue: true, limit: ALL })
    for (let before = Number.POSITIVE_INFINITY; due.length > 0 && due.length < before && !tally.failed; ) {
      before = due.length
      const sources = buildSources(flags, around.env).map(source => new Chosen(source, due))
      await takeFrom(sources, sink, { ...flags, decryptor, signal: around.signal, retryNow: true }, tally)
      due = await ledger.records({ isReplayDue: true, limit: ALL })
    }
    await decryptor.close()
    for (const { file } of due)
      say(`✗ ${file.path}  was to be read anew and was not: ${file.source} did not offer it, or it failed`)
    tally.finish()
    return due.length > 0 || tally.failed ? 1 : 0
  })
}

/** Takes over the hashes of files that another system has posted. */
export function importPosted(path: string, flags: LedgerFlags, around: Surroundings) {
  return withLedger(flags, around, async ledger => {
    const lines = (await readList(path)).split('\n').map(line => line.trim())
    const hashes: string[] = []
    for (const [i, line] of lines.entries()) {
      const [, hash] = /^([0-9a-f]{64})(?:\s|$)/i.exec(line) ?? []
      if (hash) hashes.push(hash)
      else if (line !== '')
        throw new ConfigError('CONFIG_INVALID', `line ${i + 1} begins with no SHA-256`, { file: path })
    }
    const added = await takeOverPosted(ledger, hashes)
    if (flags.json) sayJson({ type: 'imported', read: hashes.length, added })
    else say(`${many(hashes.length, 'hash', 'hashes')} read, ${number(added)} new to the ledger`)
    return 0
  })
}

/** The tables, as SQL. */
export async function schema({ to }: LedgerFlags, { env }: Surroundings): Promise<ExitCode> {
  say(await schemaOf(storeOf('--to', to, env)))
  return 0
}

/** Files of a source, of which only some are offered. */
class Chosen implements Source {
  readonly #source: Source
  readonly #fingerprints: ReadonlySet<string>

  constructor(source: Source, records: readonly LedgerRecord[]) {
    this.#source = source
    this.#fingerprints = new Set(records.map(({ fingerprint }) => fingerprint))
  }

  async *files({ onPassedOver: _, ...options }: FilesOptions = {}): AsyncGenerator<IngestFile, void> {
    for await (const file of this.#source.files(options)) if (this.#fingerprints.has(fingerprintOf(file))) yield file
  }

  close(): Promise<void> {
    return this.#source.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

async function withLedger(
  { to }: LedgerFlags,
  { env }: Surroundings,
  work: (ledger: Ledger, sink: Awaited<ReturnType<typeof buildSink>>) => Promise<ExitCode>
): Promise<ExitCode> {
  const sink = await buildSink(to, env)
  try {
    return await work(await sink.ledger(), sink)
  } finally {
    await sink.close()
  }
}

function withRecords(path: string, flags: LedgerFlags, around: Surroundings, tell: (record: LedgerRecord) => void) {
  return withLedger(flags, around, async ledger => {
    const records = await ledger.records({ path })
    for (const record of records) {
      if (flags.json) sayJson({ ...plain(record), explanation: explain(record) })
      else tell(record)
    }
    if (records.length > 0) return 0
    const never = 'the ledger has never heard of it: no run has listed it, under this path and name'
    if (flags.json) sayJson({ type: 'unknown', path, explanation: never })
    else say(`${path}: ${never}`)
    return 1
  })
}

/** The records that paths or names mean; one that means none is an error. */
async function recordsOf(ledger: Ledger, paths: readonly string[], query: RecordQuery = {}): Promise<LedgerRecord[]> {
  const found: LedgerRecord[] = []
  for (const path of paths) {
    const records = await ledger.records({ ...query, path, limit: ALL })
    if (records.length === 0) throw new ConfigError('CONFIG_INVALID', 'the ledger has no such file', { file: path })
    found.push(...records)
  }
  return found
}

async function change(
  records: readonly LedgerRecord[],
  what: string,
  work: (record: LedgerRecord) => Promise<boolean>,
  { json }: LedgerFlags
): Promise<ExitCode> {
  let changed = 0
  for (const record of records) {
    const isChanged = await work(record)
    if (isChanged) changed++
    if (json) sayJson({ ...plain(record), changed: isChanged })
    else if (!isChanged) say(`- ${record.file.path}  left as it is: ${explain(record)}`)
  }
  if (!json) say(`${many(changed, 'file')} ${what}`)
  return changed === records.length ? 0 : 1
}

function plain({ file, ...record }: LedgerRecord): object {
  return { type: 'file', ...file, ...record }
}

async function readList(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(cause => {
    throw new ConfigError('CONFIG_INVALID', 'the list cannot be read', { file: path, cause })
  })
}

/** 2025-07-15 14:12 in UTC. */
function instant(ms: number): string {
  return new Date(ms).toISOString().slice(0, 16).replace('T', ' ')
}
