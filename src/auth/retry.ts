import { setTimeout as pause } from 'node:timers/promises'
import pRetry from 'p-retry'
import { ApiError } from '../errors.ts'

interface RetrySettings {
  /** How often a call is made again. */
  readonly retries: number
  /** The longest wait that SMT may ask for; a call that would have to wait longer fails at once. */
  readonly maxRetryAfterMs: number
  readonly signal: AbortSignal
  /** Whether this failure may be followed by the same call. */
  readonly mayRetry: (error: ApiError) => boolean
}

/** Pauses between attempts: twice as long each time, and up to twice of that by chance. */
const pauses = { minTimeout: 500, maxTimeout: 10_000, factor: 2, randomize: true }

/** The one layer in which calls are made again. A Retry-After is waited for besides the pause, so that not all return at once. */
export function withRetries<T>(work: () => Promise<T>, settings: RetrySettings): Promise<T> {
  const { retries, maxRetryAfterMs, signal } = settings
  const mayRetry = (error: unknown) =>
    !signal.aborted &&
    error instanceof ApiError &&
    error.retryable &&
    (error.retryAfterMs ?? 0) <= maxRetryAfterMs &&
    settings.mayRetry(error)
  return pRetry(work, {
    ...pauses,
    retries,
    signal,
    shouldRetry: ({ error }) => mayRetry(error),
    onFailedAttempt: async ({ error, retriesLeft }) => {
      if (retriesLeft === 0 || !mayRetry(error)) return
      const { retryAfterMs } = error as ApiError
      if (retryAfterMs) await pause(retryAfterMs, undefined, { signal }).catch(() => signal.throwIfAborted())
    }
  })
}
