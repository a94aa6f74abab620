import type { ApiError } from '../errors.ts'
import { type Reading, readRefusal } from './answer-body.ts'
import type { CallLimit } from './call-limit.ts'
import { wasNeverSent } from './failures.ts'
import type { Answer, Http } from './http.ts'
import { type RetrySettings, withRetries } from './retry.ts'
import type { AccessToken } from './token.ts'
import type { TokenKeeper } from './token-keeper.ts'

interface CallSettings extends RetrySettings {
  readonly address: string
  readonly body: string
  readonly headers: Readonly<Record<string, string>>
  readonly retry: 'safe' | 'never'
  readonly maxAnswerBytes: number
  readonly http: Http
  readonly tokens: TokenKeeper
  readonly limit: CallLimit
}

/** One call with the token: made again where that is safe, and once with a new token when SMT does not take the old one. */
export class AuthorizedCall {
  readonly #settings: CallSettings
  #hasRenewed = false
  /** What kept a token from coming. It was tried as often as it may be. */
  #noToken: unknown

  constructor(settings: CallSettings) {
    this.#settings = settings
  }

  get limit(): CallLimit {
    return this.#settings.limit
  }

  /** Makes the call until an answer is one that `read` takes. */
  attempt<T>(read: (answer: Answer, reading: Reading) => Promise<T>): Promise<T> {
    const { retry, limit } = this.#settings
    const mayRetry = (error: ApiError) => error !== this.#noToken && (retry === 'safe' || wasNeverSent(error))
    return withRetries(
      async () => {
        const { answer, token } = await this.#authorized()
        return read(answer, this.#reading(token))
      },
      this.#settings,
      { signal: limit.signal, mayRetry }
    )
  }

  async #authorized(): Promise<{ answer: Answer; token: AccessToken }> {
    const token = await this.#token()
    const answer = await this.#post(token)
    if (answer.status !== 401 || this.#hasRenewed) return { answer, token }
    const refused = await readRefusal(answer, this.#reading(token))
    // This one is about whom the call names, and a new token names the same.
    if (/mismatch/i.test(refused.message)) throw refused
    this.#hasRenewed = true
    this.#settings.tokens.discard(token)
    const renewed = await this.#token()
    return { answer: await this.#post(renewed), token: renewed }
  }

  async #token(): Promise<AccessToken> {
    try {
      return await this.#settings.tokens.fresh(this.limit.signal)
    } catch (error) {
      this.#noToken = error
      throw error
    }
  }

  #post(token: AccessToken): Promise<Answer> {
    const { http, address, headers, body, limit } = this.#settings
    const authorization = `${token.type} ${token.value}`
    return http.post(address, { headers: { ...headers, authorization }, body, signal: limit.signal })
  }

  #reading({ value }: AccessToken): Reading {
    return { maxBytes: this.#settings.maxAnswerBytes, isLogin: false, secrets: [value] }
  }
}
