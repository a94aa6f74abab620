import { type FileHandle, open, rename } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { SinkError } from '../errors.ts'
import { FileLock } from './file-lock.ts'
import type { LedgerRecord } from './ledger.ts'
import { MemoryLedger, payloadTaken } from './memory-ledger.ts'
import type { LedgerFile } from './receipt.ts'

/** Lines in the journal for each file, above which opening rewrites it. */
const COMPACT_ABOVE = 4

/** Bytes of the journal that are read at a time. */
const CHUNK = 1024 * 1024

/** Most lines are shorter. */
const LINE = 4096

const NEWLINE = 0x0a

/**
 * A ledger in one file: a journal of JSON lines, each made durable before it counts; the last line of a file is the
 * truth. For sinks whose store has no transactions.
 *
 * Memory: 0.3 KB for each file ever listed. What else there is of a file is read from the journal when it is asked for;
 * opening and `records()` read all of it.
 */
export class FileLedger extends MemoryLedger {
  readonly #path: string
  /** Where the newest line of each file begins. */
  readonly #places = new Map<string, number>()
  /** The file that was taken first of those with a payload. */
  readonly #payloads = new Map<string, string>()
  #journal: FileHandle | undefined
  #lock: FileLock | undefined
  /** Bytes of the journal that count. */
  #size = 0
  /** Lines before this byte are of earlier processes. */
  #opened = 0
  #torn: boolean | undefined = false

  private constructor(path: string) {
    super()
    this.#path = path
  }

  /** Opens the journal at `path`, or begins one. One process at a time: others get `STORE_BUSY`. */
  static async open(path: string): Promise<FileLedger> {
    const ledger = new FileLedger(resolve(path))
    try {
      ledger.#lock = await FileLock.take(ledger.#path)
      await ledger.#load()
    } catch (error) {
      await ledger.close()
      throw error
    }
    return ledger
  }

  override async close(): Promise<void> {
    await super.close()
    await this.#journal?.close()
    this.#journal = undefined
    await this.#lock?.release()
    this.#lock = undefined
  }

  /** On the disk first: what the disk refused, nobody may remember. */
  protected override async keep(fingerprint: string, record: LedgerRecord | undefined): Promise<void> {
    const line = lineOf(fingerprint, record)
    const journal = this.#journal
    try {
      if (journal === undefined || this.#torn)
        throw new Error('the journal ends in a line that could not be taken back')
      await journal.appendFile(line)
      await journal.datasync()
    } catch (cause) {
      // Half a line may stand there; the next one must not be written behind it.
      this.#torn = await journal?.truncate(this.#size).then(
        () => false,
        () => true
      )
      throw new SinkError('STORE_WRITE', 'the ledger cannot be written', { file: this.#path, cause })
    }
    await this.#remember(fingerprint, record, this.#size)
    this.#size += line.length
  }

  protected override async recall(fingerprint: string): Promise<LedgerRecord | undefined> {
    const place = this.#places.get(fingerprint)
    return place === undefined ? undefined : this.#recordAt(place)
  }

  protected override async recallPayload(sha256: string): Promise<LedgerFile | undefined> {
    const fingerprint = this.#payloads.get(sha256)
    return fingerprint === undefined ? undefined : (await this.recall(fingerprint))?.file
  }

  protected override async *recallAll(fingerprint?: string): AsyncGenerator<LedgerRecord> {
    const one = fingerprint === undefined ? undefined : await this.recall(fingerprint)
    if (one) yield one
    if (fingerprint !== undefined) return
    for await (const { line, place } of this.#lines()) {
      const [fingerprint, record] = parseLine(line, this.#path)
      if (record && this.#places.get(fingerprint) === place) yield this.#asOf(place, record)
    }
  }

  async #remember(fingerprint: string, record: LedgerRecord | undefined, place: number): Promise<void> {
    if (!record) {
      const before = await this.recall(fingerprint)
      const sha256 = (before && payloadTaken(before)) ?? ''
      if (this.#payloads.get(sha256) === fingerprint) this.#payloads.delete(sha256)
      this.#places.delete(fingerprint)
      return
    }
    this.#places.set(fingerprint, place)
    const sha256 = payloadTaken(record)
    if (sha256 !== undefined && !this.#payloads.has(sha256)) this.#payloads.set(sha256, fingerprint)
  }

  async #load(): Promise<void> {
    this.#journal = await this.#reading(() => open(this.#path, 'a+'))
    const whole = (await this.#journal.stat()).size
    this.#size = whole
    let lines = 0
    let end = 0
    for await (const { line, place } of this.#lines()) {
      const [fingerprint, record] = parseLine(line, this.#path)
      await this.#remember(fingerprint, record, place)
      end = place + line.length + 1
      lines++
    }
    // A line without its end was being written when the process died: it never counted.
    this.#size = end
    this.#opened = end
    if (end < whole || lines > COMPACT_ABOVE * this.#places.size) await this.#compact()
  }

  /** The whole lines of the journal, and where each begins. */
  async *#lines(): AsyncGenerator<{ readonly line: Buffer; readonly place: number }> {
    let rest = Buffer.alloc(0)
    let at = 0
    while (at < this.#size) {
      const bytes = Buffer.allocUnsafe(Math.min(CHUNK, this.#size - at))
      const { bytesRead } = await this.#reading(() => this.#journal!.read(bytes, 0, bytes.length, at))
      if (bytesRead === 0) return
      const from = at - rest.length
      const piece = Buffer.concat([rest, bytes.subarray(0, bytesRead)])
      at += bytesRead
      let start = 0
      for (let end = piece.indexOf(NEWLINE); end >= 0; end = piece.indexOf(NEWLINE, start)) {
        yield { line: piece.subarray(start, end), place: from + start }
        start = end + 1
      }
      rest = piece.subarray(start)
    }
  }

  async #recordAt(place: number): Promise<LedgerRecord | undefined> {
    for (let length = LINE; ; length *= 4) {
      const bytes = Buffer.allocUnsafe(length)
      const { bytesRead } = await this.#reading(() => this.#journal!.read(bytes, 0, length, place))
      const end = bytes.subarray(0, bytesRead).indexOf(NEWLINE)
      if (end < 0 && bytesRead === length) continue
      const [, record] = parseLine(bytes.subarray(0, Math.max(end, 0)), this.#path)
      return record && this.#asOf(place, record)
    }
  }

  /** Whoever held a claim before this process is gone: the lock was free. */
  #asOf(place: number, record: LedgerRecord): LedgerRecord {
    return place < this.#opened ? released(record) : record
  }

  /** Rewrites the journal with one line for each file: beside it, made durable, then put in its place. */
  async #compact(): Promise<void> {
    const next = `${this.#path}.next`
    const file = await open(next, 'w')
    const places = new Map<string, number>()
    let size = 0
    try {
      for (const fingerprint of this.#places.keys()) {
        const line = lineOf(fingerprint, await this.recall(fingerprint))
        await file.appendFile(line)
        places.set(fingerprint, size)
        size += line.length
      }
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(next, this.#path)
    await syncDirectory(dirname(this.#path))
    await this.#journal?.close()
    this.#journal = await this.#reading(() => open(this.#path, 'a+'))
    for (const [fingerprint, place] of places) this.#places.set(fingerprint, place)
    this.#size = size
    this.#opened = size
  }

  async #reading<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (cause) {
      throw new SinkError('STORE_OPEN', 'the ledger cannot be read', { file: this.#path, cause })
    }
  }
}

/** Makes a new name in a directory durable. Not every platform can: then nothing is lost that could be kept. */
export async function syncDirectory(path: string): Promise<void> {
  if (process.platform === 'win32') return
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

function released(record: LedgerRecord): LedgerRecord {
  const { state } = record
  return { ...record, state: state === 'claimed' || state === 'staged' ? 'seen' : state, leaseUntil: null }
}

function lineOf(fingerprint: string, record: LedgerRecord | undefined): Buffer {
  return Buffer.from(`${JSON.stringify([fingerprint, record ?? null])}\n`)
}

/** A line of the journal: a file's record, or nothing where it was forgotten. */
function parseLine(line: Buffer, path: string): [string, LedgerRecord | undefined] {
  try {
    const [fingerprint, record] = JSON.parse(line.toString())
    if (typeof fingerprint === 'string' && record === null) return [fingerprint, undefined]
    // Journals of before have no word of the last two.
    const complete = { fingerprint, isReplayDue: false, updatedAt: record?.receipt?.startedAt ?? 0, ...record }
    if (typeof fingerprint === 'string' && typeof record?.state === 'string') return [fingerprint, complete]
  } catch (cause) {
    throw new SinkError('STORE_OPEN', 'the ledger is damaged', { file: path, cause })
  }
  throw new SinkError('STORE_OPEN', 'the ledger is damaged', { file: path })
}
