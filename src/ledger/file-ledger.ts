import { type FileHandle, mkdir, open, readFile, rename, rm, rmdir, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { SinkError } from '../errors.ts'
import type { LedgerRecord } from './ledger.ts'
import { MemoryLedger } from './memory-ledger.ts'

/** Lines in the journal for each file, above which opening rewrites it. */
const COMPACT_ABOVE = 4

/** How long a lock without a name in it may be one that is just being made, in milliseconds. */
const NAMELESS_MS = 2_000

/** Locks of this process. The first process of every container has the same number as the one that died before it. */
const held = new Set<string>()

/**
 * A ledger in one file: a journal of JSON lines, each made durable before it counts; the last line of a file is the
 * truth. For sinks whose store has no transactions.
 *
 * Memory: one record for each file ever listed.
 */
export class FileLedger extends MemoryLedger {
  readonly #path: string
  #journal: FileHandle | undefined
  #lock: FileHandle | undefined
  /** Bytes of the journal that count. */
  #size = 0
  #torn: boolean | undefined = false

  private constructor(path: string) {
    super()
    this.#path = path
  }

  /** Opens the journal at `path`, or begins one. One process at a time: others get `STORE_BUSY`. */
  static async open(path: string): Promise<FileLedger> {
    const ledger = new FileLedger(resolve(path))
    try {
      await ledger.#takeLock()
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
    if (this.#lock) {
      // One that cannot be removed names a process that is gone, or will be.
      await rm(this.#lockPath, { force: true }).catch(() => {})
      await this.#lock.close()
      this.#lock = undefined
      held.delete(this.#lockPath)
    }
  }

  /** On the disk first: what the disk refused, nobody may remember. */
  protected override async keep(fingerprint: string, record: LedgerRecord | undefined): Promise<void> {
    const line = Buffer.from(`${JSON.stringify([fingerprint, record ?? null])}\n`)
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
    this.#size += line.length
    this.remember(fingerprint, record)
  }

  async #load(): Promise<void> {
    const text = await readFile(this.#path, 'utf8').catch(error => {
      if (error.code === 'ENOENT') return ''
      throw new SinkError('STORE_OPEN', 'the ledger cannot be read', { file: this.#path, cause: error })
    })
    const lines = text.split('\n')
    // A line without its end was being written when the process died: it never counted.
    const torn = lines.pop() !== ''
    for (const line of lines) {
      const [fingerprint, record] = parseLine(line, this.#path)
      // Whoever held a claim is gone: the lock was free.
      this.remember(fingerprint, record && released(record))
    }
    if (torn || lines.length > COMPACT_ABOVE * this.all().size) await this.#compact()
    this.#journal = await open(this.#path, 'a')
    this.#size = (await this.#journal.stat()).size
  }

  /** Rewrites the journal with one line for each file: beside it, made durable, then put in its place. */
  async #compact(): Promise<void> {
    const next = `${this.#path}.next`
    const file = await open(next, 'w')
    try {
      for (const record of this.all()) await file.appendFile(`${JSON.stringify(record)}\n`)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(next, this.#path)
    await syncDirectory(dirname(this.#path))
  }

  get #lockPath(): string {
    return `${this.#path}.lock`
  }

  /** The lock file names its holder; one whose process is gone is taken over. */
  async #takeLock(): Promise<void> {
    const path = this.#lockPath
    try {
      await mkdir(dirname(path), { recursive: true })
      for (let attempt = 0; attempt < 2; attempt++) {
        this.#lock = await open(path, 'wx').catch(undefinedIfThere)
        if (this.#lock) {
          held.add(path)
          await this.#lock.writeFile(String(process.pid))
          // Whoever was taking a lock away has done it, or has died over it.
          await rmdir(guardOf(path)).catch(() => {})
          return
        }
        if (await isHeld(path)) break
        if (!(await takeAway(path))) break
      }
    } catch (cause) {
      throw new SinkError('STORE_OPEN', 'the ledger cannot be locked', { file: this.#path, cause })
    }
    // Its name is told: after a restart of the machine the number in it may be a stranger's.
    throw new SinkError('STORE_BUSY', 'another process holds the ledger', { file: this.#lockPath })
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

/** A line of the journal: a file's record, or nothing where it was forgotten. */
function parseLine(line: string, path: string): [string, LedgerRecord | undefined] {
  try {
    const [fingerprint, record] = JSON.parse(line)
    if (typeof fingerprint === 'string' && record === null) return [fingerprint, undefined]
    // Journals of before have no word of the last two.
    const complete = { fingerprint, isReplayDue: false, updatedAt: record?.receipt?.startedAt ?? 0, ...record }
    if (typeof fingerprint === 'string' && typeof record?.state === 'string') return [fingerprint, complete]
  } catch (cause) {
    throw new SinkError('STORE_OPEN', 'the ledger is damaged', { file: path, cause })
  }
  throw new SinkError('STORE_OPEN', 'the ledger is damaged', { file: path })
}

function undefinedIfThere(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'EEXIST') throw error
}

const guardOf = (lock: string) => `${lock}.takeover`

/**
 * Takes a dead process's lock away; false where another is about to. Only one can make the folder, and what it guards is
 * looked at again inside: the lock may be a living one's by now.
 */
async function takeAway(lock: string): Promise<boolean> {
  const guard = guardOf(lock)
  try {
    await mkdir(guard)
  } catch {
    const { mtimeMs } = await stat(guard).catch(() => ({ mtimeMs: Date.now() }))
    if (Date.now() - mtimeMs > NAMELESS_MS) await rmdir(guard).catch(() => {})
    return false
  }
  try {
    const wasThere = await stat(lock).then(
      () => true,
      () => false
    )
    if (await isHeld(lock)) return false
    // Gone already: whoever took it away is about to make his own, which must not be taken away with it.
    if (wasThere) await rm(lock, { force: true })
    return true
  } finally {
    await rmdir(guard).catch(() => {})
  }
}

/** Whether the process that a lock names is there. Its own number in a lock it does not hold is a dead one's. */
async function isHeld(lock: string): Promise<boolean> {
  if (held.has(lock)) return true
  const holder = await readFile(lock, 'utf8').catch(() => '')
  if (holder !== '') return Number(holder) !== process.pid && isAlive(Number(holder))
  const { mtimeMs } = await stat(lock).catch(() => ({ mtimeMs: 0 }))
  return Date.now() - mtimeMs < NAMELESS_MS
}

function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
