import { setTimeout as pause } from 'node:timers/promises'
import pRetry from 'p-retry'
import { Agent, type Dispatcher, request } from 'undici'
import { AbortError, SinkError } from '../../errors.ts'
import { failureOf, type HttpAnswer, HttpFailure, refusalOf, TooLong } from './answers.ts'

/** How long the phases of a request may take, and how often it is sent. */
export interface PostLimits {
  readonly connectTimeoutMs: number
  readonly answerTimeoutMs: number
  readonly attemptTimeoutMs: number
  readonly giveUpAfterMs: number
  readonly retries: number
  readonly retryPauseMs: number
}

/** One message: its body stays the same in all attempts, its headers are made anew for each. */
export interface Outgoing {
  readonly body: Uint8Array | string
  headers(): Promise<Record<string, string>>
}

/** An answer is a line or two; what is longer is somebody’s web page. */
const LONGEST_ANSWER = 1024 * 1024

/** Nobody waits longer for one that rolls back: what is staged is not to be seen anyway. */
const LONGEST_ROLLBACK_MS = 10_000

/** Sends messages to one address. Each ends by an answer, an error or a deadline; all are safe to be sent again. */
export class Poster {
  readonly #url: URL
  readonly #limits: PostLimits
  readonly #dispatcher: Dispatcher
  readonly #isOwn: boolean
  readonly #stop: () => AbortSignal

  /** `stop` ends what is being sent, and the pauses between attempts. */
  constructor(url: URL, limits: PostLimits, dispatcher: Dispatcher | undefined, stop: () => AbortSignal) {
    this.#stop = stop
    this.#url = url
    this.#limits = limits
    this.#isOwn = dispatcher === undefined
    this.#dispatcher =
      dispatcher ?? new Agent({ connect: { timeout: limits.connectTimeoutMs }, keepAliveTimeout: 1000 })
  }

  /** The address as errors show it: a query may hold a secret. */
  get address(): string {
    return `${this.#url.origin}${this.#url.pathname}`
  }

  /** Sends until it is taken, for as long and as often as may be. One that must have an answer is not stopped. */
  async send(message: Outgoing, { mustEnd = false } = {}): Promise<HttpAnswer> {
    const { retries, giveUpAfterMs, retryPauseMs } = this.#limits
    const signal = mustEnd ? undefined : this.#stop()
    const end = Date.now() + giveUpAfterMs
    try {
      return await pRetry(() => this.#attempt(message, signal, end - Date.now()), {
        retries,
        minTimeout: retryPauseMs,
        maxTimeout: 30_000,
        randomize: true,
        maxRetryTime: giveUpAfterMs,
        ...(signal && { signal }),
        shouldRetry: ({ error }) => error instanceof HttpFailure && error.mayRepeat,
        onFailedAttempt: ({ error, retriesLeft }) => this.#rest(error, { retriesLeft, end, signal })
      })
    } catch (error) {
      if (signal?.aborted) throw new AbortError({ file: this.address })
      throw error instanceof HttpFailure ? error.error : error
    }
  }

  /** Sends once, and does not care: for what changes nothing that anybody can see. */
  async tell(message: Outgoing): Promise<void> {
    await this.#attempt(message, undefined, LONGEST_ROLLBACK_MS).catch(() => {})
  }

  async close(): Promise<void> {
    if (this.#isOwn) await this.#dispatcher.destroy()
  }

  async #attempt({ body, headers }: Outgoing, stop: AbortSignal | undefined, leftMs: number): Promise<HttpAnswer> {
    const { answerTimeoutMs, attemptTimeoutMs } = this.#limits
    const made = await headers()
    const deadline = AbortSignal.timeout(Math.max(1, Math.min(attemptTimeoutMs, leftMs)))
    let answer: HttpAnswer
    try {
      const response = await request(this.#url, {
        method: 'POST',
        body,
        headers: { accept: 'application/json', 'user-agent': '@intelliwatt/smt-ingest', ...made },
        headersTimeout: answerTimeoutMs,
        bodyTimeout: answerTimeoutMs,
        signal: stop ? AbortSignal.any([deadline, stop]) : deadline,
        dispatcher: this.#dispatcher
      })
      answer = { status: response.statusCode, headers: response.headers, text: await read(response.body) }
    } catch (cause) {
      throw failureOf(cause, this.address)
    }
    const refusal = refusalOf(answer, this.address, Date.now())
    if (refusal) throw refusal
    return answer
  }

  /** Waits for as long as the receiver asked, if there is time for it. */
  async #rest(
    failure: unknown,
    { retriesLeft, end, signal }: { retriesLeft: number; end: number; signal: AbortSignal | undefined }
  ): Promise<void> {
    if (!(failure instanceof HttpFailure) || failure.waitMs === undefined || retriesLeft === 0) return
    const until = Date.now() + failure.waitMs
    if (until > end) {
      const what = `the receiver asks to be left alone until ${new Date(until).toISOString()}`
      throw new SinkError('HTTP_BUSY', what, { file: this.address })
    }
    await pause(failure.waitMs, undefined, signal && { signal })
  }
}

async function read(body: Dispatcher.ResponseData['body']): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of body) {
    length += chunk.length
    if (length > LONGEST_ANSWER) throw new TooLong('the answer is too long')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}
