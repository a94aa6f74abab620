import { ApiError } from '../errors.ts'
import { type Credential, resolveCredential } from '../options.ts'
import { isSuccess, readAnswer, without } from './answer-body.ts'
import { CallLimit } from './call-limit.ts'
import { refusal } from './failures.ts'
import type { Http } from './http.ts'
import { type RetrySettings, withRetries } from './retry.ts'
import { SharedFlight } from './shared-flight.ts'
import { type AccessToken, claimedStatus, isFresh, readToken } from './token.ts'

interface LoginSettings extends RetrySettings {
  readonly address: string
  readonly http: Http
  readonly username: string
  readonly password: Credential<string | Uint8Array>
  readonly renewBeforeMs: number
  readonly deadlineMs: number
  readonly now: () => number
}

/** The longest answer to a login. */
const MOST_BYTES = 64 * 1024
/** How long a password that was refused is not sent again: whoever asks every minute must not lock the account. */
const REFUSED_FOR_MS = 5 * 60_000

/** Keeps one token, and fetches the next one once for all who wait for it. */
export class TokenKeeper {
  readonly #settings: LoginSettings
  readonly #flight = new SharedFlight(signal => this.#logIn(signal))
  #token: AccessToken | undefined
  #refused: { readonly password: string; readonly until: number; readonly error: ApiError } | undefined

  constructor(settings: LoginSettings) {
    this.#settings = settings
  }

  async fresh(signal: AbortSignal): Promise<AccessToken> {
    signal.throwIfAborted()
    const { now, renewBeforeMs } = this.#settings
    if (this.#token !== undefined && isFresh(this.#token, now(), renewBeforeMs)) return this.#token
    return this.#flight.join(signal)
  }

  /** SMT does not take this token any more. One that came later is none of its business. */
  discard(token: AccessToken): void {
    if (this.#token === token) this.#token = undefined
  }

  forget(): void {
    this.#token = undefined
  }

  async #logIn(signal: AbortSignal): Promise<AccessToken> {
    const { address, deadlineMs, now } = this.#settings
    const password = await this.#password()
    const limit = new CallLimit({ signals: [signal], deadlineMs, address })
    try {
      if (this.#refused?.password === password && now() < this.#refused.until) throw this.#refused.error
      this.#refused = undefined
      const login = () => this.#askOnce(password, limit.signal)
      this.#token = await withRetries(login, this.#settings, { signal: limit.signal, mayRetry: () => true })
      return this.#token
    } catch (error) {
      if (isRefusal(error)) this.#refused ??= { password, until: now() + REFUSED_FOR_MS, error }
      throw error
    } finally {
      limit.release()
    }
  }

  async #askOnce(password: string, signal: AbortSignal): Promise<AccessToken> {
    const { address, http, username, now } = this.#settings
    const answer = await http.post(address, { headers: {}, body: JSON.stringify({ username, password }), signal })
    const receivedAt = now()
    const secrets = [password, JSON.stringify(password).slice(1, -1)]
    const login = await readAnswer(answer, { maxBytes: MOST_BYTES, isLogin: true, secrets })
    // An answer may say 200 in its head and something else below.
    const status = claimedStatus(login.body) ?? login.status
    if (!isSuccess({ status })) {
      throw refusal({ ...answer, status, body: without(secrets, login.body), isLogin: true })
    }
    return readToken(login, receivedAt, address)
  }

  async #password(): Promise<string> {
    const { address, password } = this.#settings
    let bytes: string | Uint8Array
    try {
      bytes = await resolveCredential(password)
    } catch (cause) {
      throw new ApiError('API_CREDENTIALS', 'the function given as `password` failed', { file: address, cause })
    }
    const text = Buffer.from(bytes).toString('utf8')
    if (text === '')
      throw new ApiError('API_CREDENTIALS', 'the password is empty, so nothing was sent', { file: address })
    return text
  }
}

/** SMT knows the account or the password otherwise; not that the password could not be fetched. */
function isRefusal(error: unknown): error is ApiError {
  return error instanceof ApiError && error.code === 'API_CREDENTIALS' && error.status !== undefined
}
