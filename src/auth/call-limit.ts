import { AbortError, ApiError } from '../errors.ts'
import { allowListHint } from './failures.ts'

/** Who may end a call, and when it ends at the latest. */
interface Limits {
  readonly signals: readonly (AbortSignal | undefined)[]
  readonly deadlineMs: number
  readonly address: string
}

/** One signal for a call, whose reason is always an error of ours. Release it when the call is over. */
export class CallLimit {
  readonly #stop = new AbortController()
  /** Of all who may stop the call. Listening to each of theirs would warn whoever makes many calls under one signal. */
  readonly #stopped: AbortSignal
  readonly #timer: NodeJS.Timeout
  readonly #address: string
  readonly #heard = () => this.#end(this.#stopped.reason)

  constructor({ signals, deadlineMs, address }: Limits) {
    this.#address = address
    this.#stopped = AbortSignal.any(signals.filter(signal => signal !== undefined))
    const what = `no answer within ${deadlineMs} ms, all attempts together (${allowListHint})`
    this.#timer = setTimeout(() => this.#stop.abort(new ApiError('API_TIMEOUT', what, { file: address })), deadlineMs)
    if (this.#stopped.aborted) this.#heard()
    else this.#stopped.addEventListener('abort', this.#heard, { once: true })
  }

  get signal(): AbortSignal {
    return this.#stop.signal
  }

  /** The deadline no longer counts. */
  lift(): void {
    clearTimeout(this.#timer)
  }

  release(): void {
    this.lift()
    this.#stopped.removeEventListener('abort', this.#heard)
  }

  #end(reason: unknown): void {
    this.#stop.abort(reason instanceof AbortError ? reason : new AbortError({ file: this.#address, cause: reason }))
  }
}
