import type { IncomingHttpHeaders } from 'node:http'
import { ApiError, type ErrorCode, IngestError, maskDigits } from '../errors.ts'
import type { HttpSettings } from './http.ts'

/** Whom SMT does not know by address, it leaves without any answer. */
export const allowListHint = 'is the address of this machine on SMT’s allow list?'

/** The longest piece of an answer that is quoted. */
const MOST_QUOTED = 200

/** A call that got no answer, or half of one. */
export function connectionError(cause: unknown, address: string, settings: HttpSettings): IngestError {
  if (cause instanceof IngestError) return cause
  const code = codeOf(cause)
  const fail = (ours: ErrorCode, what: string) => new ApiError(ours, what, { file: address, cause: withoutData(cause) })
  if (code === 'UND_ERR_CONNECT_TIMEOUT') {
    return fail('API_TIMEOUT', `no connection within ${settings.connectTimeoutMs} ms (${allowListHint})`)
  }
  if (code === 'ETIMEDOUT') return fail('API_TIMEOUT', `no connection (${allowListHint})`)
  if (code === 'UND_ERR_HEADERS_TIMEOUT') {
    return fail('API_TIMEOUT', `no answer within ${settings.headersTimeoutMs} ms (${allowListHint})`)
  }
  if (code === 'UND_ERR_BODY_TIMEOUT') {
    return fail('API_TIMEOUT', `the answer stopped for ${settings.bodyTimeoutMs} ms`)
  }
  if (isOfTls(code)) return fail('API_TLS', `the server’s certificate, or its TLS, does not hold (${code})`)
  if (isParserError(cause)) return fail('API_ANSWER', 'the answer is no HTTP')
  if (unreachable.has(code)) return fail('API_CONNECT', `could not connect (${code})`)
  return fail('API_DISCONNECTED', code === '' ? 'the connection broke' : `the connection broke (${code})`)
}

/** An answer that comes, but in no time that anybody has. */
export function tooSlow(address: string, minBytesPerSecond: number): ApiError {
  return new ApiError('API_TIMEOUT', `the answer came slower than ${minBytesPerSecond} bytes a second`, {
    file: address
  })
}

/** Whether SMT cannot have seen anything of the call. */
export function wasNeverSent({ cause }: ApiError): boolean {
  return ['UND_ERR_CONNECT_TIMEOUT', 'ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN'].includes(codeOf(cause))
}

/** What is known of an answer that is none. */
export interface Refusal {
  readonly address: string
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /** JSON as values, anything else as text. */
  readonly body: unknown
  /** Whether it answers a login. */
  readonly isLogin: boolean
}

/** An answer that is not the one asked for, by its status. */
export function refusal({ address, status, headers, body, isLogin }: Refusal): ApiError {
  const text = quotable(body)
  const said = text === undefined ? `HTTP ${status}` : `HTTP ${status}: ${text}`
  const fail = (code: ErrorCode, what: string) =>
    new ApiError(code, what, { file: address, status, body, retryAfterMs: retryAfter(headers) })
  if (status >= 300 && status < 400) {
    return fail('API_REDIRECT', `the answer points elsewhere, which is not followed (${said}${target(headers)})`)
  }
  if (status === 429) return fail('API_RATE_LIMIT', `SMT asks for fewer calls (${said})`)
  if (status >= 500) return fail('API_GATEWAY', `SMT could not answer (${said})`)
  if (status === 403 && typeof body === 'string') {
    return fail('API_NOT_ADMITTED', `a gateway refused the call (${said}; ${allowListHint})`)
  }
  if (isLogin && (status === 401 || status === 403 || (status === 400 && /user ?name|password/i.test(said)))) {
    return fail('API_CREDENTIALS', `SMT refused user name or password (${said})`)
  }
  if (status === 401 || status === 403) return fail('API_UNAUTHORIZED', `SMT refused this identity (${said})`)
  return fail('API_REFUSED', `SMT refused the call (${said})`)
}

/** A web page, or other text, where JSON was due. */
export function notJson({ address, status, body }: Pick<Refusal, 'address' | 'status' | 'body'>): ApiError {
  const place = { file: address, status, body }
  if (isHtml(body)) {
    return new ApiError('API_GATEWAY', `a web page came instead of JSON (HTTP ${status}: ${quotable(body)})`, place)
  }
  return new ApiError('API_ANSWER', `the answer is not JSON (HTTP ${status})`, place)
}

/** Milliseconds that an answer asks to wait: seconds, or until a date, which is compared with the answer's own. */
export function retryAfter({ 'retry-after': header, date = '' }: IncomingHttpHeaders): number | undefined {
  if (typeof header !== 'string' || header.trim() === '') return undefined
  const seconds = Number(header)
  if (Number.isFinite(seconds)) return seconds < 0 ? undefined : Math.ceil(seconds * 1000)
  const [until, now] = [Date.parse(header), Date.parse(date)]
  if (Number.isNaN(until)) return undefined
  return Math.max(0, until - (Number.isNaN(now) ? Date.now() : now))
}

/** The few words of an answer that say why, without what would tell a customer. */
function quotable(body: unknown): string | undefined {
  const said = typeof body === 'string' ? titleOf(body) : fieldOf(body)
  return quoted(said ?? '') || undefined
}

/** Words of SMT's as an error may repeat them: without addresses and long numbers, and not too many. */
export function quoted(text: string): string {
  const plain = text.replace(/\s+/g, ' ').trim()
  return maskDigits(plain.replace(/[^\s@<>"',;]+@[^\s@<>"',;]+/g, '…@…')).slice(0, MOST_QUOTED)
}

function titleOf(text: string): string | undefined {
  if (!isHtml(text)) return undefined
  return /<title[^>]*>([^<]*)/i.exec(text)?.[1] || /<h1[^>]*>([^<]*)/i.exec(text)?.[1] || 'a web page'
}

/** SMT's two envelopes: `{ error }` of the gateway, `{ errorCode, errorMessage }` of what is behind it. */
function fieldOf(body: unknown): string | undefined {
  if (typeof body !== 'object' || body === null) return undefined
  const { error, errorCode, errorMessage, statusReason } = body as Record<string, unknown>
  const parts = [errorCode, error, errorMessage, statusReason].filter(
    part => typeof part === 'string' || typeof part === 'number'
  )
  return parts.length === 0 ? undefined : parts.join(' ')
}

function isHtml(body: unknown): boolean {
  return typeof body === 'string' && /^\s*</.test(body)
}

/** Where an answer points, without what may be secret in an address. */
function target({ location }: IncomingHttpHeaders): string {
  if (location === undefined || !URL.canParse(location)) return ''
  return ` to ${new URL(location).origin}`
}

const unreachable = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EHOSTDOWN',
  'ENETDOWN',
  'EADDRNOTAVAIL'
])

function isOfTls(code: string): boolean {
  return /^(ERR_TLS_|ERR_SSL_|CERT_|CRL_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|HOSTNAME_MISMATCH|INVALID_CA|EPROTO)/.test(
    code
  )
}

function codeOf(error: unknown): string {
  const { code } = (error ?? {}) as { readonly code?: unknown }
  return typeof code === 'string' ? code : ''
}

function isParserError(cause: unknown): cause is Error {
  return cause instanceof Error && cause.name === 'HTTPParserError'
}

/** The parser's error carries the bytes it could not read, and among them may be a token: it is told without them. */
function withoutData(cause: unknown): unknown {
  if (!isParserError(cause)) return cause
  return Object.assign(new Error(cause.message), { name: cause.name, code: codeOf(cause) })
}
