import type { Dispatcher } from 'undici'
import * as z from 'zod'
import { AbortError } from '../errors.ts'
import { type Credential, credential, milliseconds, settle } from '../options.ts'
import { type ApiAnswer, beginStream, isSuccess, readAnswer, readRefusal, type Streamed } from './answer-body.ts'
import { AuthorizedCall } from './authorized-call.ts'
import { BaseUrl, faultOfBaseUrl } from './base-url.ts'
import { bearerInterceptor } from './bearer-interceptor.ts'
import { CallLimit } from './call-limit.ts'
import { Http } from './http.ts'
import { refuseWrongPlace } from './place.ts'
import type { AccessToken } from './token.ts'
import { TokenKeeper } from './token-keeper.ts'

export interface SmtAuthOptions {
  /**
   * Where SMT is. http:// is taken for this machine alone.
   * @default 'https://services.smartmetertexas.net'
   */
  readonly baseUrl?: string | undefined
  /** User name of the API service account. */
  readonly username: string
  /** Its password, or a function that fetches it; asked for at each login. */
  readonly password: Credential<string | Uint8Array>
  /**
   * The service id that some calls name beside the user name.
   * @default the user name
   */
  readonly serviceId?: string | undefined
  /**
   * How long before its end a token is renewed, in milliseconds; half of its life at most.
   * @default 60000
   */
  readonly renewBeforeMs?: number | undefined
  /**
   * Greatest time to find, reach and trust the server, in milliseconds. A `dispatcher` of your own has its own.
   * @default 10000
   */
  readonly connectTimeoutMs?: number | undefined
  /**
   * Greatest time from a call to the head of its answer, in milliseconds.
   * @default 60000
   */
  readonly headersTimeoutMs?: number | undefined
  /**
   * Greatest time between two pieces of an answer, in milliseconds.
   * @default 60000
   */
  readonly bodyTimeoutMs?: number | undefined
  /**
   * Bytes per second that an answer must give while it is waited for, over each `bodyTimeoutMs`; 0 for any.
   * @default 100
   */
  readonly minBytesPerSecond?: number | undefined
  /**
   * Greatest time for a call with all its attempts, up to the first bytes of an answer that is streamed, in milliseconds.
   * @default 300000
   */
  readonly deadlineMs?: number | undefined
  /**
   * How often a call that may be repeated is made again.
   * @default 3
   */
  readonly retries?: number | undefined
  /**
   * First pause before a call is made again, in milliseconds: twice as long each time, up to ten seconds, and up to twice of
   * that by chance.
   * @default 500
   */
  readonly retryPauseMs?: number | undefined
  /**
   * The longest wait that a Retry-After may ask for, in milliseconds. A call that would have to wait longer fails at once
   * and says how long in `retryAfterMs`.
   * @default 60000
   */
  readonly maxRetryAfterMs?: number | undefined
  /**
   * Longest answer that is read whole, in bytes. Longer ones are for `stream`.
   * @default 16777216
   */
  readonly maxAnswerBytes?: number | undefined
  /** A dispatcher of undici's to send everything through, such as a proxy's. It stays yours to close. */
  readonly dispatcher?: Dispatcher | undefined
  /** The clock, in epoch milliseconds. @default Date.now */
  readonly now?: (() => number) | undefined
}

/** How a call is made. */
export interface CallOptions {
  readonly signal?: AbortSignal | undefined
  /**
   * `safe`: the call may be made again when it fails by the way. `never`: only while it is certain that SMT has not seen it.
   * @default 'never'
   */
  readonly retry?: 'safe' | 'never' | undefined
  /** Headers besides those that every call has. */
  readonly headers?: Readonly<Record<string, string>> | undefined
}

const isFunction = (value: unknown) => typeof value === 'function'

const schema = z.strictObject({
  baseUrl: z
    .string()
    .default('https://services.smartmetertexas.net')
    .superRefine((text, { addIssue }) => {
      const message = faultOfBaseUrl(text)
      if (message !== undefined) addIssue({ code: 'custom', message })
    }),
  username: z.string().min(1),
  password: credential,
  serviceId: z.string().min(1).optional(),
  renewBeforeMs: z.number().int().nonnegative().default(60_000),
  connectTimeoutMs: milliseconds.default(10_000),
  headersTimeoutMs: milliseconds.default(60_000),
  bodyTimeoutMs: milliseconds.default(60_000),
  minBytesPerSecond: z.number().nonnegative().default(100),
  deadlineMs: milliseconds.max(2 ** 31 - 1).default(300_000),
  retries: z.number().int().nonnegative().default(3),
  retryPauseMs: milliseconds.default(500),
  maxRetryAfterMs: z.number().int().nonnegative().default(60_000),
  maxAnswerBytes: z
    .number()
    .int()
    .positive()
    .default(16 * 1024 * 1024),
  dispatcher: z
    .custom<Dispatcher>(value => isFunction((value as Dispatcher)?.dispatch), 'must be a dispatcher')
    .optional(),
  now: z.custom<() => number>(isFunction, 'must be a function').default(() => Date.now)
})

/**
 * Logs in to SMT's REST side, and makes calls with the token.
 *
 * In: user name and password. Out: a token, kept until shortly before its end, and asked for once however many wait for it.
 * Memory: one token; of a call its answer, up to `maxAnswerBytes`; of a stream one piece.
 */
export class SmtAuth {
  readonly username: string
  readonly serviceId: string
  readonly baseUrl: string
  readonly #settings: z.output<typeof schema>
  readonly #base: BaseUrl
  readonly #http: Http
  readonly #tokens: TokenKeeper
  readonly #stop = new AbortController()

  constructor(options: SmtAuthOptions) {
    const settings = settle('SmtAuth', schema, options)
    this.#settings = settings
    this.#base = new BaseUrl(settings.baseUrl)
    this.#http = new Http({ ...settings, dispatcher: settings.dispatcher })
    this.#tokens = new TokenKeeper({ ...settings, address: this.#base.login, http: this.#http })
    this.username = settings.username
    this.serviceId = settings.serviceId ?? settings.username
    this.baseUrl = this.#base.href
  }

  /** A token that is good for a while yet. All who ask while one is fetched get the same. */
  async token({ signal }: { readonly signal?: AbortSignal | undefined } = {}): Promise<AccessToken> {
    const limit = this.#limit(this.#base.login, signal)
    try {
      return await this.#tokens.fresh(limit.signal)
    } finally {
      limit.release()
    }
  }

  /** POSTs JSON to a path such as `/v2/15minintervalreads/`, and reads the JSON of the answer. */
  async request(path: string, body: unknown, options: CallOptions = {}): Promise<ApiAnswer> {
    const call = this.#call(path, body, options)
    try {
      return await call.attempt((answer, reading) => readAnswer(answer, reading))
    } finally {
      call.limit.release()
    }
  }

  /** The same, for answers of any length: gives the bytes of the answer as they come. Leaving the loop ends the call. */
  async *stream(path: string, body: unknown, options: CallOptions = {}): AsyncGenerator<Uint8Array, void, undefined> {
    const call = this.#call(path, body, options)
    let streamed: Streamed | undefined
    try {
      streamed = await call.attempt(async (answer, reading) => {
        if (!isSuccess(answer)) throw await readRefusal(answer, reading)
        return beginStream(answer)
      })
      call.limit.lift()
      yield streamed.first
      for (let next = await streamed.rest.next(); !next.done; next = await streamed.rest.next()) yield next.value
    } finally {
      await streamed?.rest.return?.()
      call.limit.release()
    }
  }

  /**
   * For clients of your own: `new Agent().compose(auth.interceptor())` sends the token with calls of SMT's origin, and with no
   * others. A first 401 is answered with a new token and the same call again, unless its body was a stream. Redirects and
   * repetitions are the client's own affair.
   */
  interceptor(): Dispatcher.DispatcherComposeInterceptor {
    const { origin, login } = this.#base
    return bearerInterceptor({ origin, tokens: this.#tokens, limit: signal => this.#limit(login, signal) })
  }

  /** Ends every call that is under way, and all connections. */
  async close(): Promise<void> {
    this.#stop.abort(new AbortError({ file: this.#base.href }))
    this.#tokens.forget()
    await this.#http.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #call(path: string, body: unknown, { signal, retry = 'never', headers = {} }: CallOptions): AuthorizedCall {
    const address = this.#base.address(path)
    return new AuthorizedCall({
      ...this.#settings,
      address,
      body: JSON.stringify(body),
      headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value])),
      retry,
      http: this.#http,
      tokens: this.#tokens,
      limit: this.#limit(address, signal)
    })
  }

  /** Also where every way into this class learns that it must not be used here. */
  #limit(address: string, signal: AbortSignal | undefined): CallLimit {
    refuseWrongPlace(address)
    return new CallLimit({ signals: [signal, this.#stop.signal], deadlineMs: this.#settings.deadlineMs, address })
  }
}
