import type { Attributes } from 'ssh2'
import { SourceError } from '../../errors.ts'
import type { Sight } from '../listed-file.ts'
import type { SftpChannel } from './channel.ts'
import { Pace, type PaceSettings } from './pace.ts'
import type { SftpSession } from './session.ts'

export interface WindowSettings extends PaceSettings {
  /** Requests in flight on a channel, at most. */
  readonly requests: number
  /** Bytes per request, at most. By default as many as the server announces. */
  readonly requestBytes?: number | undefined
  /** Channels over which a file is read, at most. */
  readonly channels: number
}

/** How far a file was read. */
export interface Place {
  readonly path: string
  /** As listed. */
  readonly size: number
  /** The next byte to read. */
  position: number
  /** The last bytes before it. */
  tail: Buffer
}

export interface ReadingOptions {
  /** Hears what the open handle shows, before and after. */
  readonly saw: (sight: Sight) => void
  readonly signal: AbortSignal
  /** One request at a time: what was tried before failed. */
  readonly isCareful: boolean
}

/** ssh2 keeps so many bytes of a channel on their way, and no more. */
const CHANNEL_WINDOW = 2 * 1024 * 1024

/** Bytes of the first requests, and of all of them where nothing is announced: what every server must be able to send. */
const PLAIN_REQUEST = 31_744

/** The first requests in flight; each that is answered whole lets one more go. */
const FIRST_REQUESTS = 4

/** Requests in flight where the server does not say what it stands. */
const UNANNOUNCED_REQUESTS = 16

/** Answers that are shorter than what was asked for make later requests shorter, down to this. */
const LEAST_REQUEST = 4096

/** An answer that took longer is no reason to ask for more at a time. */
const QUICK_MS = 1_000

/** Beyond the listed end a little is asked for, to see that nothing is there. */
const BEYOND = 512

/** A round trip that a channel's window lasts for, in milliseconds, and the bytes below which one channel will do. */
const ROUND_TRIP_PER_CHANNEL = 4
const WORTH_CHANNELS = 4 * CHANNEL_WINDOW

/** The file, open on one channel. */
interface Lane {
  readonly channel: SftpChannel
  readonly handle: Buffer
  inFlight: number
}

interface Span {
  readonly length: number
  readonly bytes: Promise<Buffer>
}

/** One reading of a file, or of the rest of it, over one session. */
export class WindowedReading {
  readonly #session: SftpSession
  readonly #place: Place
  readonly #settings: WindowSettings
  readonly #options: ReadingOptions
  readonly #pace: Pace
  readonly #together = { lastAnswer: performance.now() }
  readonly #lanes: Lane[] = []
  /** What was asked for, in file order. */
  readonly #spans: Span[] = []
  /** Bytes of those. */
  #waiting = 0
  /** Where the next request begins; behind the listed end when all is asked for. */
  #next: number
  #requestBytes = PLAIN_REQUEST
  #mostBytes = PLAIN_REQUEST
  #requests = FIRST_REQUESTS
  #mostRequests: number
  #hasEnded = false

  constructor(session: SftpSession, place: Place, settings: WindowSettings, options: ReadingOptions) {
    this.#session = session
    this.#place = place
    this.#settings = settings
    this.#options = options
    this.#pace = new Pace(settings, place.path)
    this.#next = place.position
    this.#mostRequests = settings.requests
  }

  /** The bytes from where the file was read to, to its end. */
  async *chunks(): AsyncGenerator<Buffer, void> {
    const { path } = this.#place
    const call = { signal: this.#options.signal }
    try {
      const askedAt = performance.now()
      const lane = await this.#open(this.#session.channel)
      this.#lanes.push(lane)
      const openedAt = performance.now()
      this.#options.saw(sightOf(await lane.channel.fstat(path, lane.handle, call)))
      // The shorter of two: a process that is busy hears of an answer late.
      this.#tune(lane.channel, Math.min(openedAt - askedAt, performance.now() - openedAt))
      await this.#checkTail(lane)
      yield* this.#inOrder()
      this.#options.saw(sightOf(await lane.channel.fstat(path, lane.handle, call)))
    } finally {
      this.#hasEnded = true
      for (const { channel, handle } of this.#lanes) channel.release(handle)
    }
  }

  async *#inOrder(): AsyncGenerator<Buffer, void> {
    this.#ask()
    this.#pace.wait()
    for (let span = this.#spans.shift(); span !== undefined; span = this.#spans.shift()) {
      const bytes = await span.bytes
      this.#waiting -= span.length
      this.#ask()
      if (bytes.length > 0) {
        this.#pace.rest()
        yield bytes
        this.#pace.wait()
      }
      if (bytes.length < span.length) return
    }
  }

  async #open(channel: SftpChannel): Promise<Lane> {
    return { channel, handle: await channel.open(this.#place.path, { signal: this.#options.signal }), inFlight: 0 }
  }

  /** Finds out what the server stands, and how far away it is. */
  #tune(channel: SftpChannel, roundTripMs: number): void {
    const { requestBytes, channels } = this.#settings
    const { announcedBytes } = channel
    this.#mostBytes = requestBytes ?? announcedBytes ?? PLAIN_REQUEST
    this.#requestBytes = Math.min(PLAIN_REQUEST, this.#mostBytes)
    if (announcedBytes === undefined) this.#mostRequests = Math.min(this.#mostRequests, UNANNOUNCED_REQUESTS)
    if (this.#options.isCareful) {
      this.#mostRequests = 1
      return
    }
    const { size, position } = this.#place
    if (size - position < WORTH_CHANNELS) return
    const wanted = Math.min(channels, Math.max(1, Math.round(roundTripMs / ROUND_TRIP_PER_CHANNEL)))
    for (const opening of this.#session.more(wanted - 1)) this.#join(opening).catch(() => {})
  }

  /** Reads over another channel too, once it is open and shows the same file. */
  async #join(opening: Promise<SftpChannel | undefined>): Promise<void> {
    const channel = await opening
    if (channel === undefined || this.#hasEnded) return
    const lane = await this.#open(channel)
    try {
      this.#options.saw(sightOf(await channel.fstat(this.#place.path, lane.handle, { signal: this.#options.signal })))
    } catch (error) {
      channel.release(lane.handle)
      throw error
    }
    if (this.#hasEnded) return channel.release(lane.handle)
    this.#lanes.push(lane)
    this.#ask()
  }

  /** Before a reading goes on, it must be the same file: what came last stands there still. */
  async #checkTail({ channel, handle }: Lane): Promise<void> {
    const { path, position, tail } = this.#place
    const found = Buffer.alloc(tail.length)
    for (let filled = 0; filled < tail.length; ) {
      const at = position - tail.length + filled
      const options = { signal: this.#options.signal }
      const bytes = await channel.read(path, handle, found.subarray(filled), at, options)
      if (bytes === 0) break
      filled += bytes
    }
    if (found.equals(tail)) return
    throw new SourceError('TRANSFER_CHANGED', 'the file is another one than before the connection broke', {
      file: path
    })
  }

  /** Sends requests as long as there is room for them. */
  #ask(): void {
    const { size } = this.#place
    while (this.#next <= size && this.#waiting < this.#lanes.length * CHANNEL_WINDOW) {
      const lane = this.#lanes.reduce((least, other) => (other.inFlight < least.inFlight ? other : least))
      if (lane.inFlight >= Math.min(this.#requests, this.#mostRequests)) return
      const position = this.#next
      const length = position === size ? BEYOND : Math.min(this.#requestBytes, size - position)
      const bytes = this.#fill(lane, position, length)
      // Whoever waits for it hears of its failure; nobody may be left to wait.
      bytes.catch(() => {})
      this.#spans.push({ length, bytes })
      this.#waiting += length
      this.#next = position === size ? size + 1 : position + length
    }
  }

  /** Asks until the span is full or the file ends: an answer may be shorter than what was asked for. */
  async #fill(lane: Lane, position: number, length: number): Promise<Buffer> {
    const buffer = Buffer.allocUnsafeSlow(length)
    const options = { signal: this.#options.signal, together: this.#together }
    const askedAt = performance.now()
    lane.inFlight++
    try {
      let filled = 0
      while (filled < length) {
        const rest = buffer.subarray(filled)
        const bytes = await lane.channel.read(this.#place.path, lane.handle, rest, position + filled, options)
        this.#pace.received(bytes)
        if (bytes === 0) return buffer.subarray(0, filled)
        filled += bytes
        if (filled < length) this.#beShorter(bytes)
      }
      this.#askFor(length, performance.now() - askedAt)
      return buffer
    } finally {
      lane.inFlight--
    }
  }

  #beShorter(answered: number): void {
    this.#mostBytes = Math.min(this.#mostBytes, Math.max(answered, LEAST_REQUEST))
    this.#requestBytes = Math.min(this.#requestBytes, this.#mostBytes)
  }

  /** After a whole answer: more requests at a time, and longer ones where they are quick. */
  #askFor(length: number, ms: number): void {
    this.#requests++
    if (length < this.#requestBytes || ms > QUICK_MS) return
    this.#requestBytes = Math.min(this.#requestBytes * 2, this.#mostBytes)
  }
}

/** What a server says of a file; SFTP knows whole seconds, and some servers no time at all. */
export function sightOf({ size, mtime }: Attributes): Sight {
  return { size, modifiedAt: (mtime ?? 0) * 1000 }
}
