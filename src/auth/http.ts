import type { IncomingHttpHeaders } from 'node:http'
import type { Agent, Dispatcher } from 'undici'
import { connectionError, tooSlow } from './failures.ts'

export interface HttpSettings {
  readonly connectTimeoutMs: number
  readonly headersTimeoutMs: number
  readonly bodyTimeoutMs: number
  readonly minBytesPerSecond: number
  readonly dispatcher: Dispatcher | undefined
}

/** One call, as it goes out. */
interface Outgoing {
  /** By names in small letters. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  readonly signal: AbortSignal
}

/** An answer whose body is still on its way. Read it to its end, or stop reading: either frees the connection. */
export interface Answer {
  readonly address: string
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: AsyncIterable<Uint8Array>
}

/** Sends one POST at a time over connections that are kept for a while. Follows no redirect and tries nothing again. */
export class Http {
  readonly #settings: HttpSettings
  #agent: Promise<Agent> | undefined

  constructor(settings: HttpSettings) {
    this.#settings = settings
  }

  async post(address: string, { headers, body, signal }: Outgoing): Promise<Answer> {
    // Loaded late: whoever reads files alone never needs it.
    const { request } = await import('undici')
    const { headersTimeoutMs, bodyTimeoutMs } = this.#settings
    try {
      const answer = await request(address, {
        method: 'POST',
        headers: { ...headers, accept: 'application/json', 'content-type': 'application/json' },
        body,
        signal,
        headersTimeout: headersTimeoutMs,
        bodyTimeout: bodyTimeoutMs,
        dispatcher: this.#settings.dispatcher ?? (await this.#ownAgent())
      })
      return {
        address,
        status: answer.statusCode,
        headers: answer.headers,
        body: this.#read(answer.body, address, signal)
      }
    } catch (cause) {
      signal.throwIfAborted()
      throw connectionError(cause, address, this.#settings)
    }
  }

  /** Cuts the connections that are open. A dispatcher that was given is left as it is. */
  async close(): Promise<void> {
    const agent = await this.#agent
    await agent?.destroy()
  }

  #ownAgent(): Promise<Agent> {
    this.#agent ??= import('undici').then(
      ({ Agent }) => new Agent({ connect: { timeout: this.#settings.connectTimeoutMs } })
    )
    return this.#agent
  }

  /** The bytes of an answer, with errors of ours; and one more for a server that answers too little to come to an end. */
  async *#read(body: AsyncIterable<Uint8Array>, address: string, signal: AbortSignal) {
    const { bodyTimeoutMs, minBytesPerSecond } = this.#settings
    let bytes = 0
    // What a slow reader takes to come back is no fault of the server.
    let waitedMs = 0
    let since = performance.now()
    try {
      for await (const chunk of body) {
        bytes += chunk.byteLength
        waitedMs += performance.now() - since
        if (waitedMs >= bodyTimeoutMs) {
          if (bytes * 1000 < minBytesPerSecond * waitedMs) throw tooSlow(address, minBytesPerSecond)
          bytes = waitedMs = 0
        }
        yield chunk
        since = performance.now()
      }
    } catch (cause) {
      signal.throwIfAborted()
      throw connectionError(cause, address, this.#settings)
    }
  }
}
