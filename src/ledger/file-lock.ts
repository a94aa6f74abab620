import { type FileHandle, mkdir, open, readFile, rm, rmdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { SinkError } from '../errors.ts'

/** How long a lock without a name in it may be one that is just being made, in milliseconds. */
const NAMELESS_MS = 2_000

/** Locks of this process. The first process of every container has the same number as the one that died before it. */
const held = new Set<string>()

/** The right to one file for as long as this process lives: `<path>.lock`, which names it. */
export class FileLock {
  readonly #path: string
  readonly #file: FileHandle

  private constructor(path: string, file: FileHandle) {
    this.#path = path
    this.#file = file
  }

  /** Takes the lock of the ledger at `path`. One whose holder is gone is taken over; others get `STORE_BUSY`. */
  static async take(path: string): Promise<FileLock> {
    const lock = `${path}.lock`
    // This process's own come first and go last: to the file system its holders look like one.
    if (held.has(lock)) throw busy(lock)
    held.add(lock)
    try {
      return await FileLock.#take(path, lock)
    } catch (error) {
      held.delete(lock)
      throw error
    }
  }

  static async #take(path: string, lock: string): Promise<FileLock> {
    try {
      await mkdir(dirname(lock), { recursive: true })
      for (let attempt = 0; attempt < 2; attempt++) {
        const file = await open(lock, 'wx').catch(undefinedIfThere)
        if (file) return await FileLock.#name(lock, file)
        if (await isHeld(lock)) break
        if (!(await takeAway(lock))) break
      }
    } catch (cause) {
      throw new SinkError('STORE_OPEN', 'the ledger cannot be locked', { file: path, cause })
    }
    throw busy(lock)
  }

  static async #name(path: string, file: FileHandle): Promise<FileLock> {
    const lock = new FileLock(path, file)
    try {
      await file.writeFile(String(process.pid))
    } catch (error) {
      await lock.release()
      throw error
    }
    // Whoever was taking a lock away has done it, or has died over it.
    await rmdir(guardOf(path)).catch(() => {})
    return lock
  }

  async release(): Promise<void> {
    // One that cannot be removed names a process that is gone, or will be.
    await rm(this.#path, { force: true }).catch(() => {})
    await this.#file.close()
    held.delete(this.#path)
  }
}

/** Its name is told: after a restart of the machine the number in it may be a stranger's. */
function busy(lock: string): SinkError {
  return new SinkError('STORE_BUSY', 'another process holds the ledger', { file: lock })
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

/** Whether another process that a lock names is there. This one's number in a lock it does not hold is a dead one's. */
async function isHeld(lock: string): Promise<boolean> {
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
