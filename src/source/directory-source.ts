import { constants, type Stats } from 'node:fs'
import { copyFile, link, lstat, mkdir, open, readdir, unlink } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import * as z from 'zod'
import { AbortError, type ErrorCode, SourceError } from '../errors.ts'
import { settle } from '../options.ts'
import { type DisposeOption, type Disposer, dispose, disposeOption, elsewhere, movedTo } from './disposal.ts'
import { ListedFile, type Observer, type Sight } from './listed-file.ts'
import { type Listed, type Lister, type ListingRules, standingFiles } from './listing.ts'
import { defaultIgnore, type NamePattern, nameFilter, namePatterns } from './name-filter.ts'
import type { FilesOptions, IngestFile, Source } from './source.ts'

export interface DirectorySourceOptions {
  /** Local directories, read with all below them; symbolic links are not followed. */
  readonly directories: readonly string[]
  /**
   * Pause between the two looks that a file must survive unchanged, in milliseconds.
   * @default 2000
   */
  readonly settleMs?: number | undefined
  /**
   * Names to leave out, files and directories. Replaces the default.
   * @default ['.*', 'pgp_tmp.*', '*.part*', '*.tmp', '*.filepart']
   */
  readonly ignore?: readonly NamePattern[] | undefined
  /** Names of files to take; without it all that are not ignored. */
  readonly include?: readonly NamePattern[] | undefined
  /**
   * What becomes of a file once the store has it. A directory that files are moved to is made when missing.
   * @default 'keep'
   */
  readonly dispose?: DisposeOption | undefined
}

const schema = z
  .strictObject({
    directories: z
      .array(
        z
          .string()
          .min(1)
          .transform(path => resolve(path))
      )
      .min(1),
    settleMs: z.number().int().nonnegative().default(2_000),
    ignore: namePatterns.default([...defaultIgnore]),
    include: namePatterns.optional(),
    dispose: disposeOption
      .transform(how => (typeof how === 'string' ? how : { moveTo: resolve(how.moveTo) }))
      .default('keep')
  })
  .refine(...elsewhere)

/** Large enough that system calls do not count. */
const readBytes = 256 * 1024

/**
 * Files of local directories.
 *
 * In: directories. Out: files that stood still between two looks, oldest first.
 * Memory: two listings, and 256 KiB per open stream.
 */
export class DirectorySource implements Source {
  readonly #lister: Lister
  readonly #rules: ListingRules

  constructor(options: DirectorySourceOptions) {
    const { directories, settleMs, ignore, include, dispose: how } = settle('DirectorySource', schema, options)
    const origin = {
      read,
      look,
      dispose: how === 'keep' ? undefined : (entry: Listed) => dispose(entry, how, disposer)
    }
    this.#lister = { directories, list, offer: entry => new ListedFile(entry, origin) }
    this.#rules = { filter: nameFilter(ignore, include), settleMs, movedTo: movedTo(how) }
  }

  async *files(options: FilesOptions = {}): AsyncGenerator<IngestFile, void> {
    yield* standingFiles(this.#lister, this.#rules, options)
  }

  /** Nothing is held between loops. */
  async close(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {}
}

async function list(directory: string, root: string): Promise<Listed[]> {
  const what = 'the directory cannot be listed'
  // A directory that went away below the given one is a fault of the moment, not of the configuration.
  const missing: ErrorCode = directory === root ? 'DIRECTORY_NOT_FOUND' : 'DIRECTORY_LIST'
  const names = await readdir(directory).catch(named(directory, what, [missing, 'DIRECTORY_LIST', 'DIRECTORY_LIST']))
  const source = pathToFileURL(root).href
  const listed: Listed[] = []
  for (const name of names) {
    const path = join(directory, name)
    const stats = await lstatIfThere(path)
    if (stats !== undefined) listed.push({ source, path, name, ...sightOf(stats), kind: kindOf(stats) })
  }
  return listed
}

async function* read(
  { path, size }: Listed,
  observer: Pick<Observer, 'saw'>,
  signal: AbortSignal
): AsyncGenerator<Uint8Array, void> {
  const fail = named(path, 'the file cannot be read')
  const handle = await open(path, 'r').catch(named(path, 'the file cannot be opened'))
  try {
    observer.saw(sightOf(await handle.stat().catch(fail)))
    for (;;) {
      if (signal.aborted) throw new AbortError({ file: path, cause: signal.reason })
      const buffer = Buffer.allocUnsafeSlow(Math.min(readBytes, size + 1))
      const { bytesRead } = await handle.read(buffer, 0, buffer.length).catch(fail)
      if (bytesRead === 0) break
      yield buffer.subarray(0, bytesRead)
    }
    observer.saw(sightOf(await handle.stat().catch(fail)))
  } finally {
    await handle.close()
  }
}

async function look({ path }: Listed): Promise<Sight | undefined> {
  const stats = await lstatIfThere(path)
  return stats && sightOf(stats)
}

const disposer: Disposer = {
  join,
  async makeDirectory(path) {
    await mkdir(path, { recursive: true }).catch(named(path, 'the directory cannot be made', disposing))
  },
  async move(from, to) {
    // Renaming would write over what stands there; linking and copying refuse to.
    await link(from, to)
      .catch(error => (errnoOf(error) === 'EEXIST' ? Promise.reject(error) : copyUnchanged(from, to)))
      .catch(named(from, `the file cannot be moved to ${to}`, disposing))
    await this.remove(from)
  },
  async remove(path) {
    await unlink(path).catch(named(path, 'the file cannot be deleted', disposing))
  }
}

/** Copies to another file system. That takes a while, and what came under the name meanwhile must not be deleted. */
async function copyUnchanged(from: string, to: string): Promise<void> {
  const before = await lstat(from)
  await copyFile(from, to, constants.COPYFILE_EXCL)
  const { ino, size, mtimeMs } = await lstat(from)
  if (ino === before.ino && size === before.size && mtimeMs === before.mtimeMs) return
  await unlink(to)
  throw new SourceError('TRANSFER_CHANGED', 'the file changed while it was moved', { file: from })
}

async function lstatIfThere(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    return named(path, 'the file cannot be looked at')(error)
  }
}

function sightOf({ size, mtimeMs }: Stats): Sight {
  return { size, modifiedAt: Math.floor(mtimeMs) }
}

function kindOf(stats: Stats): Listed['kind'] {
  if (stats.isFile()) return 'file'
  if (stats.isDirectory()) return 'directory'
  return stats.isSymbolicLink() ? 'link' : 'other'
}

const disposing = ['FILE_DISPOSE', 'FILE_DISPOSE', 'FILE_DISPOSE'] as const

type Codes = readonly [missing: ErrorCode, denied: ErrorCode, failed: ErrorCode]

/** Throws the system's error under our name. */
function named(path: string, what: string, codes: Codes = ['FILE_NOT_FOUND', 'FILE_PERMISSION', 'FILE_READ']) {
  return (cause: unknown): never => {
    if (cause instanceof SourceError) throw cause
    const [missing, denied, failed] = codes
    const place = { file: path, cause }
    const errno = errnoOf(cause)
    if (errno === 'ENOENT') throw new SourceError(missing, `${what}, there is none`, place)
    if (errno === 'EACCES' || errno === 'EPERM') throw new SourceError(denied, `${what}, permission denied`, place)
    throw new SourceError(failed, what, place)
  }
}

function errnoOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException | undefined)?.code
}
