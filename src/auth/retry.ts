import { setTimeout as pause } from 'node:timers/promises'
import pRetry from 'p-retry'
import { ApiError } from '../errors.ts'

export interface RetrySettings {
  /** How often a call is made again. */
  readonly retries: number
  /** The pause before the first time. */
  readonly retryPauseMs: number
  /** The longest wait that SMT may ask for; a call that would have to wait longer fails at once. */
  readonly maxRetryAfterMs: number
}

interface Repetition {
  readonly signal: AbortSignal
  /** Whether this failure may be followed by the same call. */
  readonly mayRetry: (error: ApiError) => boolean
}

/** The longest pause, apart from what SMT asks for. */
const LONGEST_PAUSE_MS = 10_000

/** The one layer in which calls are made again. A Retry-After is waited for besides the pause, so that not all return at once. */
export function withRetries<T>(
  work: () => Promise<T>,
  { retries, retryPauseMs, maxRetryAfterMs }: RetrySettings,
  { signal, mayRetry: mayRepeat }: Repetition
): Promise<T> {
  const mayRetry = (error: unknown) =>
    !signal.aborted &&
    error instanceof ApiError &&
    error.retryable &&
    (error.retryAfterMs ?? 0) <= maxRetryAfterMs &&
    mayRepeat(error)
  return pRetry(work, {
    retries,
    minTimeout: retryPauseMs,
    maxTimeout: Math.max(LONGEST_PAUSE_MS, retryPauseMs),
    factor: 2,
    randomize: true,
    signal,
    shouldRetry: ({ error }) => mayRetry(error),
    onFailedAttempt: async ({ error, retriesLeft }) => {
      if (retriesLeft === 0 || !mayRetry(error)) return
      const { retryAfterMs } = error as ApiError
      if (retryAfterMs) await pause(retryAfterMs, undefined, { signal }).catch(() => signal.throwIfAborted())
    }
  })
}
