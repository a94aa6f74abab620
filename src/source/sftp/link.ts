import { SourceError } from '../../errors.ts'
import type { SftpChannel } from './channel.ts'
import { Retries } from './retries.ts'
import { type SessionSettings, SftpSession } from './session.ts'
import { type Slot, type SlotSettings, takeSlot } from './slots.ts'

interface LinkSettings extends SlotSettings {
  /** How often in a row a broken connection is made anew where nothing is gained in between. */
  readonly reconnects: number
}

/**
 * The way to a server for as long as a `files()` loop lives: one session at a time, made anew when it broke.
 */
export class SftpLink {
  /** Ends it, and all that goes over it. */
  readonly signal: AbortSignal
  readonly #reconnects: number
  readonly #sessionSettings: () => Promise<SessionSettings>
  readonly #slot: Slot
  #session: Promise<SftpSession> | undefined
  #isClosed = false

  /** Connects. `sessionSettings` are asked for at each connection: credentials and pins may have changed. */
  static async open(
    settings: LinkSettings,
    sessionSettings: () => Promise<SessionSettings>,
    signal: AbortSignal
  ): Promise<SftpLink> {
    const slot = await takeSlot(settings, signal)
    const link = new SftpLink(settings, sessionSettings, signal, slot)
    try {
      await link.session()
      return link
    } catch (error) {
      await link.close()
      throw error
    }
  }

  private constructor(
    { reconnects }: LinkSettings,
    sessionSettings: () => Promise<SessionSettings>,
    signal: AbortSignal,
    slot: Slot
  ) {
    this.#reconnects = reconnects
    this.#sessionSettings = sessionSettings
    this.signal = signal
    this.#slot = slot
  }

  /** The session that lives, or a new one. `file` is whose errors it would be. */
  async session(file?: string): Promise<SftpSession> {
    for (;;) {
      if (this.#isClosed) {
        throw new SourceError('SFTP_SESSION_CLOSED', 'the session of the files() loop has ended', { file })
      }
      this.#session ??= this.#connect()
      const opening = this.#session
      const session = await opening
      if (!session.hasEnded || this.#isClosed) return session
      session.drop()
      if (this.#session === opening) this.#session = undefined
    }
  }

  /** Asks what may be asked again: on a new session, when the connection breaks, or is silent, before the answer. */
  async ask<T>(file: string, question: (channel: SftpChannel) => Promise<T>): Promise<T> {
    const retries = new Retries(this.#reconnects, this.signal)
    for (;;) {
      let session: SftpSession | undefined
      try {
        session = await this.session(file)
        return await question(session.channel)
      } catch (error) {
        await retries.after(error, ['SFTP_CONNECT', 'SFTP_DISCONNECTED', 'SFTP_DEADLINE'])
        session?.drop()
      }
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    const session = await this.#session?.catch(() => undefined)
    await session?.close()
    this.#slot.release()
  }

  #connect(): Promise<SftpSession> {
    const opening = this.#sessionSettings().then(settings => SftpSession.open(settings, this.signal))
    opening.catch(() => {
      if (this.#session === opening) this.#session = undefined
    })
    return opening
  }
}
