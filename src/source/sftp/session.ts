import type { SFTPWrapper } from 'ssh2'
import { AbortError, type IngestError, SourceError } from '../../errors.ts'
import { SftpChannel } from './channel.ts'
import { type Connection, type ConnectionSettings, clientOf, connect } from './connection.ts'

/** How to connect, and how long each later answer may take. */
export interface SessionSettings extends ConnectionSettings {
  readonly operationTimeoutMs: number
}

/** How long a closing connection may take to say good-bye before it is cut. */
const goodbyeMs = 1_000

/** One connection, with one SFTP channel for all that is asked, and more of them for what must be fetched from afar. */
export class SftpSession {
  /** The channel that every session has. */
  readonly channel: SftpChannel
  readonly #connection: Connection
  readonly #settings: SessionSettings
  readonly #signal: AbortSignal
  /** Those beside the first. None where the server gives no more. */
  readonly #more: Promise<SftpChannel | undefined>[] = []
  readonly #channels: SftpChannel[]
  readonly #stop = () => this.#end(file => new AbortError({ file, cause: this.#signal.reason }))

  static async open(settings: SessionSettings, signal: AbortSignal): Promise<SftpSession> {
    return new SftpSession(await connect(settings, signal), settings, signal)
  }

  private constructor(connection: Connection, settings: SessionSettings, signal: AbortSignal) {
    this.#connection = connection
    this.#settings = settings
    this.#signal = signal
    const { client, sftp, socket } = connection
    this.channel = this.#channelOf(sftp)
    this.#channels = [this.channel]
    const broke = (cause?: unknown) => {
      this.#end(file => new SourceError('SFTP_DISCONNECTED', 'the connection broke', { file, cause }))
    }
    client.on('error', broke)
    client.on('end', () => broke())
    client.on('close', () => broke())
    signal.addEventListener('abort', this.#stop, { once: true })
    if (signal.aborted) this.#stop()
    else if (socket.destroyed) broke()
  }

  get hasEnded(): boolean {
    return this.channel.hasEnded
  }

  /**
   * So many channels beside the first, as far as the server gives them. Each has a window of its own for what is on its
   * way: ssh2's holds 2 MiB, so that a single one gives no more than that in a round trip.
   */
  more(count: number): readonly Promise<SftpChannel | undefined>[] {
    while (this.#more.length < count) this.#more.push(this.#openChannel())
    return this.#more.slice(0, count)
  }

  /** Cuts the connection: a server that does not answer will not say good-bye. */
  drop(): void {
    this.#end(file => new SourceError('SFTP_DISCONNECTED', 'the connection was given up', { file }))
    this.#connection.socket.destroy()
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
    this.#signal.removeEventListener('abort', this.#stop)
    for (const channel of this.#channels) channel.end(error)
    if (this.#signal.aborted) this.#connection.socket.destroy()
  }

  #channelOf(sftp: SFTPWrapper): SftpChannel {
    return new SftpChannel(sftp, this.#settings.address, this.#settings.operationTimeoutMs)
  }

  /** A server may refuse it, or be silent: then the session goes on with those it has. */
  #openChannel(): Promise<SftpChannel | undefined> {
    return new Promise(resolve => {
      const timer = setTimeout(() => resolve(undefined), this.#settings.operationTimeoutMs).unref()
      const opened = (sftp: SFTPWrapper) => {
        const channel = this.#channelOf(sftp)
        this.#channels.push(channel)
        if (this.hasEnded) channel.end(file => new SourceError('SFTP_DISCONNECTED', 'the connection broke', { file }))
        resolve(channel)
      }
      try {
        clientOf(this.#connection.client).sftp((error, sftp) => {
          clearTimeout(timer)
          if (error) resolve(undefined)
          else opened(sftp)
        })
      } catch {
        // ssh2 throws where the connection has ended.
        clearTimeout(timer)
        resolve(undefined)
      }
    })
  }
}
