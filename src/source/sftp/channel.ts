import type { Attributes, FileEntry, SFTPWrapper } from 'ssh2'
import { AbortError, type ErrorCode, type IngestError, SourceError } from '../../errors.ts'

/** What a call is about; it decides which code an error gets. */
interface CallPlace {
  /** The path that errors name. */
  readonly file: string
  /** What could not be done: the beginning of the error's message. */
  readonly what: string
  /** The codes for "no such", "permission denied" and any other failure. */
  readonly codes: readonly [missing: ErrorCode, denied: ErrorCode, failed: ErrorCode]
  readonly options?: CallOptions | undefined
}

/** How a call ends before its answer. */
export interface CallOptions {
  /** Ends this call alone. */
  readonly signal?: AbortSignal | undefined
  /**
   * Of many calls that wait for each other on a slow line: the deadline of each counts from the last answer that any of
   * them had.
   */
  readonly together?: { lastAnswer: number } | undefined
}

const reading = ['SFTP_NO_SUCH_FILE', 'SFTP_PERMISSION', 'SFTP_READ'] as const
const disposing = ['SFTP_DISPOSE', 'SFTP_DISPOSE', 'SFTP_DISPOSE'] as const

// Status codes of SFTP version 3.
const endOfFile = 1
const noSuchFile = 2
const permissionDenied = 3

type Answer<T> = (error: Error | null | undefined, value: T) => void

/**
 * One SFTP channel of a connection. Every call ends: by its answer, by its deadline, by the end of the channel, by a
 * signal. ssh2 alone would wait for ever on a request that was sent after the connection broke.
 */
export class SftpChannel {
  readonly #sftp: SFTPWrapper
  readonly #address: string
  readonly #timeoutMs: number
  /** Ends a call that waits for its answer. */
  readonly #waiting = new Set<() => void>()
  #ended: ((file: string) => IngestError) | undefined

  constructor(sftp: SFTPWrapper, address: string, operationTimeoutMs: number) {
    this.#sftp = sftp
    this.#address = address
    this.#timeoutMs = operationTimeoutMs
    const broke = (cause?: unknown) => {
      this.end(file => new SourceError('SFTP_DISCONNECTED', 'the connection broke', { file, cause }))
    }
    sftp.on('error', broke)
    sftp.on('end', () => broke())
    sftp.on('close', () => broke())
  }

  /**
   * Bytes that one answer to a read may have, where the server says so (`limits@openssh.com`) or is an OpenSSH. ssh2
   * splits what is asked for above that into requests one after the other.
   */
  get announcedBytes(): number | undefined {
    const { _maxReadLen: most } = this.#sftp as unknown as { _maxReadLen?: unknown }
    return typeof most === 'number' && most > UNANNOUNCED ? most : undefined
  }

  get hasEnded(): boolean {
    return this.#ended !== undefined
  }

  /** Everything in a directory but itself and its parent. */
  async list(directory: string, codes: CallPlace['codes']): Promise<FileEntry[]> {
    const place = { file: directory, what: 'the directory cannot be listed', codes }
    const handle = await this.#call<Buffer>(place, (sftp, done) => sftp.opendir(directory, done))
    const entries: FileEntry[] = []
    try {
      for (;;) {
        // With `full` ssh2 leaves `.` and `..` in, so that an answer without names can be told from the end.
        const names = await this.#call<FileEntry[] | undefined>(place, (sftp, done) =>
          readNames(sftp, handle, (error, list) => (isEnd(error) ? done(null, undefined) : done(error, list)))
        )
        if (names === undefined || names.length === 0) return entries
        for (const entry of names) if (entry.filename !== '.' && entry.filename !== '..') entries.push(entry)
      }
    } finally {
      this.release(handle)
    }
  }

  /** What stands at a path, links not followed; undefined when nothing does. */
  async lstat(file: string): Promise<Attributes | undefined> {
    const place = { file, what: 'the file cannot be looked at', codes: reading }
    return await this.#call<Attributes | undefined>(place, (sftp, done) =>
      sftp.lstat(file, (error, stats) => (statusOf(error) === noSuchFile ? done(null, undefined) : done(error, stats)))
    )
  }

  open(file: string, options?: CallOptions): Promise<Buffer> {
    const place = { file, what: 'the file cannot be opened', codes: reading, options }
    return this.#call<Buffer>(place, (sftp, done) => sftp.open(file, 'r', done))
  }

  fstat(file: string, handle: Buffer, options?: CallOptions): Promise<Attributes> {
    const place = { file, what: 'the file cannot be looked at', codes: reading, options }
    return this.#call<Attributes>(place, (sftp, done) => sftp.fstat(handle, done))
  }

  /** Reads into `buffer` what stands at `position`; gives the number of bytes, 0 at the end of the file. */
  read(file: string, handle: Buffer, buffer: Buffer, position: number, options?: CallOptions): Promise<number> {
    const place = { file, what: 'the file cannot be read', codes: reading, options }
    return this.#call<number>(place, (sftp, done) => sftp.read(handle, buffer, 0, buffer.length, position, done))
  }

  remove(file: string): Promise<void> {
    const place = { file, what: 'the file cannot be deleted', codes: disposing }
    return this.#call<void>(place, (sftp, done) => sftp.unlink(file, error => done(error, undefined)))
  }

  /** Fails when something stands at the new place, as the protocol wants it. */
  rename(file: string, to: string): Promise<void> {
    const place = { file, what: `the file cannot be moved to ${to}`, codes: disposing }
    return this.#call<void>(place, (sftp, done) => sftp.rename(file, to, error => done(error, undefined)))
  }

  makeDirectory(directory: string): Promise<void> {
    const place = { file: directory, what: 'the directory cannot be made', codes: disposing }
    return this.#call<void>(place, (sftp, done) => sftp.mkdir(directory, error => done(error, undefined)))
  }

  /** Gives a handle back; nobody waits for the answer, and nothing depends on it. */
  release(handle: Buffer): void {
    if (this.#ended === undefined) this.#sftp.close(handle, () => {})
  }

  /** Calls that still wait, and later ones, reject. Only the first end counts. */
  end(error: (file: string) => IngestError): void {
    this.#ended ??= error
    for (const drop of [...this.#waiting]) drop()
  }

  #call<T>(place: CallPlace, send: (sftp: SFTPWrapper, done: Answer<T>) => void): Promise<T> {
    const { file, options: { signal, together } = {} } = place
    return new Promise<T>((resolve, reject) => {
      const sentAt = performance.now()
      const settle = (finish: () => void) => {
        clearTimeout(timer)
        this.#waiting.delete(drop)
        signal?.removeEventListener('abort', stop)
        finish()
      }
      const fail = (error: IngestError) => settle(() => reject(error))
      const drop = () => fail(this.#ended!(file))
      const stop = () => fail(new AbortError({ file, cause: signal?.reason }))
      const late = () => {
        const waited = performance.now() - Math.max(sentAt, together?.lastAnswer ?? 0)
        // A timer may be a millisecond early.
        if (waited < this.#timeoutMs - 1) timer = setTimeout(late, this.#timeoutMs - waited)
        else fail(this.#late(place))
      }
      let timer = setTimeout(late, this.#timeoutMs)
      this.#waiting.add(drop)
      if (this.#ended !== undefined) return drop()
      if (signal?.aborted) return stop()
      signal?.addEventListener('abort', stop, { once: true })
      send(this.#sftp, (error, value) => {
        if (together) together.lastAnswer = performance.now()
        if (error) fail(errorOf(error, place))
        else settle(() => resolve(value))
      })
    })
  }

  #late({ file, what }: CallPlace): SourceError {
    const message = `no answer within ${this.#timeoutMs} ms from ${this.#address}, ${what}`
    return new SourceError('SFTP_DEADLINE', message, { file })
  }
}

/** What ssh2 asks of a server that names no limit: what fits into the packets that every server must take. */
const UNANNOUNCED = 31_952

function errorOf(error: Error, { file, what, codes }: CallPlace): SourceError {
  const status = statusOf(error)
  const [missing, denied, failed] = codes
  if (status === noSuchFile) return new SourceError(missing, `${what}, there is none`, { file, cause: error })
  if (status === permissionDenied) return new SourceError(denied, `${what}, permission denied`, { file, cause: error })
  // ssh2 answers what was pending when the channel ended with an error that has no status.
  if (status === undefined && error.message === 'No response from server') {
    return new SourceError('SFTP_DISCONNECTED', 'the connection broke', { file, cause: error })
  }
  return new SourceError(failed, what, { file, cause: error })
}

function statusOf(error: Error | null | undefined): number | undefined {
  const code = (error as { code?: unknown } | null | undefined)?.code
  return typeof code === 'number' ? code : undefined
}

function isEnd(error: Error | null | undefined): boolean {
  return statusOf(error) === endOfFile
}

/** READDIR on a handle; the types know the form with a path and without `full` only. */
function readNames(sftp: SFTPWrapper, handle: Buffer, done: Answer<FileEntry[]>): void {
  const raw = sftp as unknown as {
    readdir(handle: Buffer, options: { full: boolean }, done: Answer<FileEntry[]>): void
  }
  raw.readdir(handle, { full: true }, done)
}
