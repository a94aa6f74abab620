import type { Attributes, FileEntry, SFTPWrapper } from 'ssh2'
import { AbortError, type ErrorCode, type IngestError, SourceError } from '../../errors.ts'
import { type Connection, type ConnectionSettings, clientOf, connect } from './connection.ts'

/** How to connect, and how long each later answer may take. */
export interface SessionSettings extends ConnectionSettings {
  readonly operationTimeoutMs: number
}

/** What a call is about; it decides which code an error gets. */
export interface CallPlace {
  /** The path that errors name. */
  readonly file: string
  /** What could not be done: the beginning of the error's message. */
  readonly what: string
  /** The codes for "no such", "permission denied" and any other failure. */
  readonly codes: readonly [missing: ErrorCode, denied: ErrorCode, failed: ErrorCode]
  /** Ends this call alone. */
  readonly signal?: AbortSignal | undefined
}

const reading = ['SFTP_NO_SUCH_FILE', 'SFTP_PERMISSION', 'SFTP_READ'] as const
const disposing = ['SFTP_DISPOSE', 'SFTP_DISPOSE', 'SFTP_DISPOSE'] as const

// Status codes of SFTP version 3.
const endOfFile = 1
const noSuchFile = 2
const permissionDenied = 3

/** How long a closing connection may take to say good-bye before it is cut. */
const goodbyeMs = 1_000

type Answer<T> = (error: Error | null | undefined, value: T) => void

/**
 * One SFTP connection. Every call ends: by its answer, by its deadline, by the end of the connection, by a signal.
 * ssh2 alone would wait for ever on a request that was sent after the connection broke.
 */
export class SftpSession {
  readonly #connection: Connection
  readonly #settings: SessionSettings
  readonly #signal: AbortSignal
  /** Ends a call that waits for its answer. */
  readonly #waiting = new Set<() => void>()
  #ended: ((file: string) => IngestError) | undefined
  readonly #stop = () => this.#end(file => new AbortError({ file, cause: this.#signal.reason }))

  static async open(settings: SessionSettings, signal: AbortSignal): Promise<SftpSession> {
    return new SftpSession(await connect(settings, signal), settings, signal)
  }

  private constructor(connection: Connection, settings: SessionSettings, signal: AbortSignal) {
    this.#connection = connection
    this.#settings = settings
    this.#signal = signal
    const broke = (cause?: unknown) => {
      this.#end(file => new SourceError('SFTP_DISCONNECTED', 'the connection broke', { file, cause }))
    }
    const { client, sftp, socket } = connection
    client.on('error', broke)
    client.on('end', () => broke())
    client.on('close', () => broke())
    sftp.on('error', broke)
    sftp.on('end', () => broke())
    sftp.on('close', () => broke())
    signal.addEventListener('abort', this.#stop, { once: true })
    if (signal.aborted) this.#stop()
    else if (socket.destroyed) broke()
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

  open(file: string, signal?: AbortSignal): Promise<Buffer> {
    const place = { file, what: 'the file cannot be opened', codes: reading, signal }
    return this.#call<Buffer>(place, (sftp, done) => sftp.open(file, 'r', done))
  }

  fstat(file: string, handle: Buffer, signal?: AbortSignal): Promise<Attributes> {
    const place = { file, what: 'the file cannot be looked at', codes: reading, signal }
    return this.#call<Attributes>(place, (sftp, done) => sftp.fstat(handle, done))
  }

  /** Reads into `buffer` what stands at `position`; gives the number of bytes, 0 at the end of the file. */
  read(file: string, handle: Buffer, buffer: Buffer, position: number, signal?: AbortSignal): Promise<number> {
    const place = { file, what: 'the file cannot be read', codes: reading, signal }
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
    if (this.#ended === undefined) this.#connection.sftp.close(handle, () => {})
  }

  /** Ends the session; calls that still wait, and later ones, reject. */
  async close(): Promise<void> {
    this.#end(file => new SourceError('SFTP_SESSION_CLOSED', 'the session of the files() loop has ended', { file }))
    const { client, socket } = this.#connection
    if (socket.destroyed) return
    await new Promise<void>(resolve => {
      const timer = setTimeout(() => socket.destroy(), goodbyeMs)
      socket.once('close', () => {
        clearTimeout(timer)
        resolve()
      })
      clientOf(client).end()
    })
  }

  #end(error: (file: string) => IngestError): void {
    this.#ended ??= error
    this.#signal.removeEventListener('abort', this.#stop)
    for (const drop of [...this.#waiting]) drop()
    if (this.#signal.aborted) this.#connection.socket.destroy()
  }

  #call<T>(place: CallPlace, send: (sftp: SFTPWrapper, done: Answer<T>) => void): Promise<T> {
    const { file, signal } = place
    const { address, operationTimeoutMs } = this.#settings
    return new Promise<T>((resolve, reject) => {
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
        const what = `no answer within ${operationTimeoutMs} ms from ${address}, ${place.what}`
        fail(new SourceError('SFTP_DEADLINE', what, { file }))
      }
      const timer = setTimeout(late, operationTimeoutMs)
      this.#waiting.add(drop)
      if (this.#ended !== undefined) return drop()
      if (signal?.aborted) return stop()
      signal?.addEventListener('abort', stop, { once: true })
      send(this.#connection.sftp, (error, value) => {
        if (error) fail(errorOf(error, place))
        else settle(() => resolve(value))
      })
    })
  }
}

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
