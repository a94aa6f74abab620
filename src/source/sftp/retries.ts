import { setTimeout as pause } from 'node:timers/promises'
import { AbortError, type ErrorCode, IngestError } from '../../errors.ts'
import { pauseAfter } from '../../pause-after.ts'

const pauses = { firstMs: 500, longestMs: 10_000 }

/** Counts failures in a row, and rests after each: twice as long each time, half of it by chance. */
export class Retries {
  readonly #most: number
  readonly #signal: AbortSignal
  #failures = 0

  constructor(most: number, signal: AbortSignal) {
    this.#most = most
    this.#signal = signal
  }

  /** Something was gained: what comes is a first failure again. */
  reset(): void {
    this.#failures = 0
  }

  /** Resolves when the work may be tried again; rejects with an error that is none of those, or one too many. */
  async after(error: unknown, codes: readonly ErrorCode[]): Promise<void> {
    const mayPass = error instanceof IngestError && codes.includes(error.code) && !this.#signal.aborted
    if (!mayPass || this.#failures >= this.#most) throw error
    try {
      await pause(pauseAfter(++this.#failures, pauses), undefined, { signal: this.#signal })
    } catch (cause) {
      throw new AbortError({ file: error.file, cause })
    }
  }
}
