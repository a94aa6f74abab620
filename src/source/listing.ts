import { setTimeout as pause } from 'node:timers/promises'
import { AbortError, IngestError, SourceError } from '../errors.ts'
import type { ListedKind, NameFilter } from './name-filter.ts'
import type { FilesOptions, IngestFile, PassedOver } from './source.ts'

/** One name in a directory, as a source sees it. */
export interface Listed {
  readonly source: string
  readonly path: string
  readonly name: string
  readonly size: number
  readonly modifiedAt: number
  readonly kind: ListedKind
}

/** The part of a source that this file needs. */
export interface Lister {
  readonly directories: readonly string[]
  /** Everything in a directory; rejects when it cannot be listed. `root` is the given directory it lies in. */
  list(directory: string, root: string): Promise<Listed[]>
  /** The file to offer for an entry. */
  offer(entry: Listed): IngestFile
}

export interface ListingRules {
  readonly filter: NameFilter
  readonly settleMs: number
  /** Where files are moved to once they are in the store: not a place to look. */
  readonly movedTo?: string | undefined
}

/** One look at every directory. */
export interface Look {
  readonly files: ReadonlyMap<string, Listed>
  readonly ignored: readonly PassedOver[]
  /** By directory: why it could not be listed. */
  readonly failures: ReadonlyMap<string, IngestError>
}

/**
 * The files of a source that stood still between two looks, oldest first.
 *
 * In: directories. Out: files; at the end the directories that could not be listed, as an error.
 * Memory: two listings.
 */
export async function* standingFiles(
  lister: Lister,
  { settleMs, ...rules }: ListingRules,
  { signal, onPassedOver, untilDone }: FilesOptions
): AsyncGenerator<IngestFile, void> {
  const first = await lookAround(lister, rules, signal)
  if (first.files.size > 0) await settle(settleMs, signal)
  const second = await lookAround(lister, rules, signal)
  const { standing, passedOver } = compareLooks(first, second)
  for (const entry of passedOver) onPassedOver?.(entry)
  for (const entry of standing) {
    throwIfAborted(signal)
    yield lister.offer(entry)
  }
  await untilDone?.()
  throwFailures([...new Map([...first.failures, ...second.failures]).values()])
}

/** Sorts what two looks saw into files that stood still, oldest first, and those to pass over this time. */
export function compareLooks(first: Look, second: Look): { standing: Listed[]; passedOver: PassedOver[] } {
  const paths = new Set([...first.files.keys(), ...second.files.keys()])
  const standing: Listed[] = []
  const changing: PassedOver[] = []
  for (const path of paths) {
    const before = first.files.get(path)
    const now = second.files.get(path)
    const reason = whatChanged(before, now)
    if (reason === undefined) standing.push(now!)
    else changing.push(passOver((now ?? before)!, 'changing', reason))
  }
  return { standing: standing.sort(oldestFirst), passedOver: [...second.ignored, ...changing] }
}

function whatChanged(before: Listed | undefined, now: Listed | undefined): string | undefined {
  if (before === undefined) return 'it appeared between the two looks'
  if (now === undefined) return 'it was not there at the second look'
  if (before.size !== now.size) return `its size went from ${before.size} to ${now.size} bytes`
  if (before.modifiedAt !== now.modifiedAt) return 'it was written to between the two looks'
  return undefined
}

/** Walks every directory, deep; a directory that fails is remembered and the others are still walked. */
async function lookAround(
  lister: Lister,
  { filter, movedTo }: Omit<ListingRules, 'settleMs'>,
  signal?: AbortSignal
): Promise<Look> {
  const files = new Map<string, Listed>()
  const ignored = new Map<string, PassedOver>()
  const failures = new Map<string, IngestError>()
  const walked = new Set<string>()
  for (const root of lister.directories) {
    const todo = [root]
    for (let directory = todo.pop(); directory !== undefined; directory = todo.pop()) {
      throwIfAborted(signal)
      if (walked.has(directory)) continue
      walked.add(directory)
      let entries: Listed[] = []
      try {
        entries = await lister.list(directory, root)
      } catch (error) {
        if (!(error instanceof IngestError) || endsSession(error)) throw error
        failures.set(directory, error)
      }
      for (const entry of entries) {
        const reason = entry.path === movedTo ? 'taken files are moved there' : filter(entry)
        if (reason !== undefined) ignored.set(entry.path, passOver(entry, 'ignored', reason))
        else if (entry.kind === 'directory') todo.push(entry.path)
        else files.set(entry.path, entry)
      }
    }
  }
  return { files, ignored: [...ignored.values()], failures }
}

/** Errors after which no other directory can be listed either. */
function endsSession({ code }: IngestError): boolean {
  return code === 'ABORTED' || code === 'SFTP_DISCONNECTED' || code === 'SFTP_SESSION_CLOSED'
}

/** Throws what kept directories from being listed: the one error, or the first with all of them below it. */
function throwFailures(failures: readonly IngestError[]): void {
  const [first, ...others] = failures
  if (first === undefined) return
  if (others.length === 0) throw first
  const messages = failures.map(({ message }) => message).join('; ')
  throw new SourceError(first.code, messages, { cause: new AggregateError(failures, messages) })
}

async function settle(settleMs: number, signal?: AbortSignal): Promise<void> {
  // The rejection is Node's own AbortError; the check that follows throws ours.
  await pause(settleMs, undefined, signal && { signal }).catch(() => {})
  throwIfAborted(signal)
}

function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new AbortError({ cause: signal.reason })
}

function passOver({ kind: _, ...entry }: Listed, state: PassedOver['state'], reason: string): PassedOver {
  return { ...entry, state, reason }
}

function oldestFirst(a: Listed, b: Listed): number {
  return a.modifiedAt - b.modifiedAt || (a.path < b.path ? -1 : 1)
}
