import { SourceError } from '../../errors.ts'

/** What a server may not fall below. */
export interface PaceSettings {
  /** Over each period of waiting; 0 for any. */
  readonly minBytesPerSecond: number
  readonly operationTimeoutMs: number
}

/**
 * Notices a server that answers, but too little to come to an end. Only the time in which somebody waits for it counts:
 * that a slow reader fetches little is no fault of the server.
 */
export class Pace {
  readonly #settings: PaceSettings
  readonly #file: string
  #bytes = 0
  /** Milliseconds waited in this period, before the present wait. */
  #waited = 0
  #since: number | undefined

  constructor(settings: PaceSettings, file: string) {
    this.#settings = settings
    this.#file = file
  }

  /** Somebody waits from now on. */
  wait(): void {
    this.#since = performance.now()
  }

  /** Nobody waits any more. */
  rest(): void {
    this.#waited = this.#elapsed()
    this.#since = undefined
  }

  /** Takes note of an answer. Throws when a period is over in which too little came. */
  received(bytes: number): void {
    const { minBytesPerSecond, operationTimeoutMs } = this.#settings
    this.#bytes += bytes
    const elapsed = this.#elapsed()
    if (elapsed < operationTimeoutMs) return
    const rate = (this.#bytes * 1000) / elapsed
    if (rate < minBytesPerSecond) {
      const what = `the server gave ${Math.round(rate)} bytes a second, less than ${minBytesPerSecond}`
      throw new SourceError('SFTP_TOO_SLOW', what, { file: this.#file })
    }
    this.#bytes = 0
    this.#waited = 0
    if (this.#since !== undefined) this.#since = performance.now()
  }

  #elapsed(): number {
    return this.#waited + (this.#since === undefined ? 0 : performance.now() - this.#since)
  }
}
