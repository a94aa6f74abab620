import { SinkError } from '../../errors.ts'

/** An answer, read to its end. */
export interface HttpAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
}

/** Why an attempt failed, and whether and when the next one may be made. Never leaves this folder: `error` does. */
export class HttpFailure extends Error {
  readonly error: SinkError
  readonly mayRepeat: boolean
  /** How long the receiver asked to be left alone. */
  readonly waitMs: number | undefined

  constructor(error: SinkError, mayRepeat: boolean, waitMs?: number) {
    super(error.message)
    this.error = error
    this.mayRepeat = mayRepeat
    this.waitMs = waitMs
  }
}

/** Statuses that say that another attempt may do better. */
const REPEATABLE = new Set([408, 425, 429, 500, 502, 503, 504])

/** What Node and OpenSSL call a certificate that does not hold. */
const CERTIFICATE =
  /^(CERT_|DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT|UNABLE_TO_|ERR_TLS_|ERR_SSL_|HOSTNAME_MISMATCH|EPROTO)/

/** What an answer that is no success means; undefined for a success. */
export function refusalOf(answer: HttpAnswer, file: string, now: number): HttpFailure | undefined {
  const { status } = answer
  if (status >= 200 && status < 300) return undefined
  const said = saidBy(answer)
  const what = `the receiver answered ${status}${said.text}`
  const fail = (code: SinkError['code'], text = what) =>
    new HttpFailure(new SinkError(code, text, { file }), REPEATABLE.has(status), waitOf(answer, now))
  if (status === 401 || status === 403) return fail('HTTP_UNAUTHORIZED')
  if (status === 408) return fail('HTTP_UNREACHABLE')
  if (status === 413) return fail('HTTP_TOO_LARGE')
  if (status === 429 || status === 503) return fail('HTTP_BUSY')
  if (status >= 500) return fail('HTTP_FAILED')
  if (said.error === 'RECEIVE_FENCED') return fail('STORE_FENCED', 'the receiver knows a later claim of the file')
  if (said.error === 'RECEIVE_PARTS_MISSING') return fail('HTTP_PARTS_MISSING')
  return fail(said.error !== undefined && [400, 409, 415, 422].includes(status) ? 'HTTP_REFUSED' : 'HTTP_ANSWER')
}

/** What an attempt that got no answer means. */
export function failureOf(cause: unknown, file: string): HttpFailure {
  const code = codeOf(cause)
  if (CERTIFICATE.test(code)) {
    const what = `the receiver’s certificate does not hold (${code})`
    return new HttpFailure(new SinkError('HTTP_TLS', what, { file, cause }), false)
  }
  if (cause instanceof TooLong) {
    return new HttpFailure(new SinkError('HTTP_ANSWER', 'the answer has no end', { file }), false)
  }
  const late = /TIMEOUT/.test(code) || (cause as Error).name === 'TimeoutError'
  const what = late ? 'the receiver did not answer in time' : 'the receiver could not be reached'
  return new HttpFailure(new SinkError('HTTP_UNREACHABLE', what, { file, cause }), true)
}

/** An answer that is longer than any of a receiver. */
export class TooLong extends Error {}

/** The JSON object of an answer; undefined where it is something else. */
export function objectIn({ text }: HttpAnswer): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as never) : undefined
  } catch {
    return undefined
  }
}

/** The word by which an answer names its error. Free text of strangers is not quoted: nobody knows what stands in it. */
function saidBy(answer: HttpAnswer): { readonly error?: string; readonly text: string } {
  const said = objectIn(answer)
  const error = typeof said?.error === 'string' ? said.error : undefined
  if (error === undefined) return { text: said ? '' : ' and no JSON' }
  if (!/^[A-Za-z][A-Za-z_ -]{0,40}$/.test(error)) return { error: 'unnamed', text: '' }
  // Our own receiver names fields, never values.
  const more =
    error.startsWith('RECEIVE_') && typeof said?.message === 'string' ? `: ${said.message.slice(0, 200)}` : ''
  return { error, text: ` ${error}${more}` }
}

/** How long an answer asks to wait, in milliseconds: the header, or `resetAt` in its JSON; the later of both. */
function waitOf(answer: HttpAnswer, now: number): number | undefined {
  if (!REPEATABLE.has(answer.status)) return undefined
  const { 'retry-after': header } = answer.headers
  const waits = [
    typeof header === 'string' && /^\s*\d+\s*$/.test(header) ? Number(header) * 1000 : untilInstant(header, now),
    untilInstant(objectIn(answer)?.resetAt, now)
  ].filter(wait => wait !== undefined)
  return waits.length === 0 ? undefined : Math.max(0, ...waits)
}

/** Milliseconds until an instant that is a date, or a number of seconds or milliseconds since 1970. */
function untilInstant(value: unknown, now: number): number | undefined {
  const text = typeof value === 'string' ? value.trim() : value
  const number = typeof text === 'number' || (typeof text === 'string' && /^\d+$/.test(text)) ? Number(text) : undefined
  // Seconds since 1970 have ten digits, milliseconds thirteen.
  const instant = number === undefined ? Date.parse(String(text)) : number < 1e11 ? number * 1000 : number
  return Number.isFinite(instant) ? instant - now : undefined
}

function codeOf(error: unknown): string {
  for (let e = error; e instanceof Error; e = e.cause) {
    const { code } = e as { code?: unknown }
    if (typeof code === 'string') return code
  }
  return ''
}
