/**
 * Work that is done once for all who ask while it is under way. Each waits by a signal of their own; when nobody waits any
 * more, the work is stopped.
 */
export class SharedFlight<T> {
  readonly #work: (signal: AbortSignal) => Promise<T>
  #flight: { readonly result: Promise<T>; readonly stop: AbortController; waiting: number } | undefined

  constructor(work: (signal: AbortSignal) => Promise<T>) {
    this.#work = work
  }

  /** Rejects with the reason of `signal` when that aborts first; the others go on waiting. */
  async join(signal: AbortSignal): Promise<T> {
    signal.throwIfAborted()
    const flight = (this.#flight ??= this.#start())
    flight.waiting++
    let leave = () => {}
    const left = new Promise<never>((_, reject) => {
      leave = () => reject(signal.reason)
      signal.addEventListener('abort', leave, { once: true })
    })
    try {
      return await Promise.race([flight.result, left])
    } finally {
      signal.removeEventListener('abort', leave)
      if (--flight.waiting === 0) {
        if (this.#flight === flight) this.#flight = undefined
        flight.stop.abort()
      }
    }
  }

  #start() {
    const stop = new AbortController()
    const result = this.#work(stop.signal)
    const flight = { result, stop, waiting: 0 }
    const land = () => {
      if (this.#flight === flight) this.#flight = undefined
    }
    result.then(land, land)
    return flight
  }
}
