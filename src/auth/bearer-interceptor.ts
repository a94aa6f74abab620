import type { Dispatcher } from 'undici'
import type { CallLimit } from './call-limit.ts'
import type { AccessToken } from './token.ts'
import type { TokenKeeper } from './token-keeper.ts'

interface BearerSettings {
  /** The one origin that the token is for. */
  readonly origin: string
  readonly tokens: Pick<TokenKeeper, 'fresh' | 'discard'>
  /** Begins a call; throws where none may be made. */
  readonly limit: (signal: AbortSignal | undefined) => CallLimit
}

/** Adds the token to calls of one origin. Calls of all others pass as they are. */
export function bearerInterceptor(settings: BearerSettings): Dispatcher.DispatcherComposeInterceptor {
  return dispatch => (options, handler) => {
    if (originOf(options) !== settings.origin) return dispatch(options, handler)
    new BearerCall(settings, { dispatch, options, handler }).send(true)
    return true
  }
}

interface Dispatched {
  readonly dispatch: Dispatcher.Dispatch
  readonly options: Dispatcher.DispatchOptions
  readonly handler: Dispatcher.DispatchHandler
}

/** One call of somebody else's, sent with the token; and once more with a new one when the answer is 401. */
class BearerCall {
  readonly #settings: BearerSettings
  readonly #dispatched: Dispatched

  constructor(settings: BearerSettings, dispatched: Dispatched) {
    this.#settings = settings
    this.#dispatched = dispatched
  }

  async send(mayRenew: boolean): Promise<void> {
    const { dispatch, options, handler } = this.#dispatched
    try {
      const token = await this.#token()
      const headers = withBearer(options.headers, token)
      dispatch({ ...options, headers }, mayRenew ? this.#renewing(token) : handler)
    } catch (error) {
      // There is no controller yet; undici's own interceptors say so in the same way.
      handler.onResponseError?.(null as never, error as Error)
    }
  }

  async #token(): Promise<AccessToken> {
    const { signal } = this.#dispatched.options as { readonly signal?: unknown }
    const limit = this.#settings.limit(signal instanceof AbortSignal ? signal : undefined)
    try {
      return await this.#settings.tokens.fresh(limit.signal)
    } finally {
      limit.release()
    }
  }

  /** Hands everything on but a first 401. */
  #renewing(token: AccessToken): Dispatcher.DispatchHandler {
    const { options, handler } = this.#dispatched
    let isOver = false
    return {
      onRequestStart: (controller, context) => handler.onRequestStart?.(controller, context),
      onRequestUpgrade: (...upgrade) => handler.onRequestUpgrade?.(...upgrade),
      onResponseStart: (controller, status, headers, message) => {
        if (status !== 401) return handler.onResponseStart?.(controller, status, headers, message)
        this.#settings.tokens.discard(token)
        // A body that flows is gone; whoever sent it learns of the 401, and the next call has a new token.
        if (!isReplayable(options.body)) return handler.onResponseStart?.(controller, status, headers, message)
        isOver = true
        controller.abort(new Error('the token is renewed'))
        this.send(false)
      },
      onResponseData: (controller, chunk) => {
        if (!isOver) handler.onResponseData?.(controller, chunk)
      },
      onResponseEnd: (controller, trailers) => {
        if (!isOver) handler.onResponseEnd?.(controller, trailers)
      },
      onResponseError: (controller, error) => {
        if (!isOver) handler.onResponseError?.(controller, error)
      }
    }
  }
}

function originOf({ origin, upgrade, method }: Dispatcher.DispatchOptions): string | undefined {
  if (upgrade || method === 'CONNECT' || origin === undefined) return undefined
  return URL.canParse(String(origin)) ? new URL(origin).origin : undefined
}

function isReplayable(body: unknown): boolean {
  return body === undefined || body === null || typeof body === 'string' || body instanceof Uint8Array
}

/** Headers in every form that undici takes, as a list of names and values with the token for any that was there. */
function withBearer(headers: Dispatcher.DispatchOptions['headers'], { type, value }: AccessToken): string[] {
  const others = pairsOf(headers).filter(([name]) => name.toLowerCase() !== 'authorization')
  return [...others, ['authorization', `${type} ${value}`]].flat(1) as string[]
}

function pairsOf(headers: Dispatcher.DispatchOptions['headers']): [name: string, value: unknown][] {
  if (!headers) return []
  if (Array.isArray(headers)) {
    return Array.from({ length: headers.length / 2 }, (_, i) => [headers[2 * i]!, headers[2 * i + 1]])
  }
  return Symbol.iterator in headers ? [...(headers as Iterable<[string, unknown]>)] : Object.entries(headers)
}
