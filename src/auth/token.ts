import { type InspectOptions, inspect } from 'node:util'
import * as z from 'zod'
import { ApiError } from '../errors.ts'
import type { ApiAnswer } from './answer-body.ts'

interface Received {
  readonly value: string
  readonly status: number
  readonly receivedAt: number
  readonly lifetimeMs: number
}

/** A token as SMT gave it. What it is worth to others is kept out of whatever is printed. */
export class AccessToken {
  readonly #value: string
  /** The HTTP status that it came with. */
  readonly status: number
  /** How it is presented: always `Bearer`. */
  readonly type: 'Bearer'
  /** When it arrived, by the clock of this machine, in epoch milliseconds. */
  readonly receivedAt: number
  /** When it ends: the time of arrival and the lifetime that came with it, in epoch milliseconds. */
  readonly expiresAt: number

  constructor({ value, status, receivedAt, lifetimeMs }: Received) {
    this.#value = value
    this.status = status
    this.type = 'Bearer'
    this.receivedAt = receivedAt
    this.expiresAt = receivedAt + lifetimeMs
  }

  /** The token itself: a secret. */
  get value(): string {
    return this.#value
  }

  /** What is printed, also by those who ask for hidden properties and getters. */
  [inspect.custom](_depth: number, options: InspectOptions): string {
    const { status, type, receivedAt, expiresAt } = this
    return `AccessToken ${inspect({ status, type, receivedAt, expiresAt }, options)}`
  }
}

/** SMT writes numbers as numbers or as text, as it pleases. */
const numeric = z.union([
  z.number(),
  z
    .string()
    .regex(/^\s*\d+(\.\d+)?\s*$/)
    .transform(Number)
])

// issuedAt and expiresAt are left alone: two formats were seen, and no zone.
const schema = z.object({
  // It becomes a header: nothing in it may end one.
  accessToken: z.string().regex(/^[\x21-\x7e]+$/),
  tokenType: z
    .string()
    .regex(/^bearer$/i)
    .optional(),
  expiresIn: numeric.refine(seconds => Number.isFinite(seconds) && seconds > 0)
})

/** The status that the answer to a login claims for itself, when it does. */
export function claimedStatus(body: unknown): number | undefined {
  return z.object({ statusCode: numeric }).safeParse(body).data?.statusCode
}

/** Reads the answer to a login. Throws an error that names the field which is not as it should be, and quotes nothing. */
export function readToken({ status, body }: ApiAnswer, receivedAt: number, address: string): AccessToken {
  const { success, data, error } = schema.safeParse(body)
  if (!success) {
    const field = error.issues[0]?.path.join('.') || 'the answer'
    throw new ApiError('API_ANSWER', `the answer to the login is not as it should be (${field})`, { file: address })
  }
  return new AccessToken({ value: data.accessToken, status, receivedAt, lifetimeMs: data.expiresIn * 1000 })
}

/** Whether a token may still be used: it is renewed a while before its end, at the latest when half of its life is over. */
export function isFresh({ receivedAt, expiresAt }: AccessToken, now: number, renewBeforeMs: number): boolean {
  return now < expiresAt - Math.min(renewBeforeMs, (expiresAt - receivedAt) / 2)
}
