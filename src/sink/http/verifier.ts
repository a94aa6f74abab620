import { Webhook } from 'standardwebhooks'
import * as z from 'zod'
import { milliseconds, settle } from '../../options.ts'
import { bytesOf, textOf } from './body.ts'
import type { Part } from './message.ts'
import { type BodyFormat, parsePart } from './parse-part.ts'
import { ReceiveError } from './receive-error.ts'
import { webhookSecret } from './secret.ts'

/** What a receiver believes, and how much it takes. */
export interface VerifierOptions {
  /**
   * `whsec_…`, as at the sender. Several while one is replaced by another: a message that any of them has signed holds. A
   * function is asked at each message, so that a module may be loaded where the secret is not yet there.
   */
  readonly secrets: string | readonly string[] | (() => WebhookSecrets | Promise<WebhookSecrets>)
  /**
   * Bytes of a body as sent. Vercel takes none above 4.5 MB.
   * @default 4500000
   */
  readonly maxBytes?: number
  /**
   * Bytes of a body once unpacked.
   * @default 33554432
   */
  readonly maxTextBytes?: number
  /**
   * How far the signed time may be from now, in milliseconds, either way. Five minutes, those of Standard Webhooks, are the
   * most.
   * @default 300000
   */
  readonly toleranceMs?: number
  /**
   * Milliseconds in which a body must have arrived.
   * @default 30000
   */
  readonly bodyTimeoutMs?: number
}

/** Secrets as a function gives them; undefined is an error of the settings, not of the message. */
export type WebhookSecrets = string | readonly string[] | undefined

/** Headers as the Web has them, or as Node has them. */
export type HeadersLike = Headers | Readonly<Record<string, string | readonly string[] | undefined>>

const someSecrets = z.union(
  [webhookSecret, z.array(webhookSecret).min(1)],
  'must be whsec_ and base64, 24 bytes or more'
)

const schema = z.strictObject({
  secrets: z.union(
    [someSecrets, z.custom<() => WebhookSecrets | Promise<WebhookSecrets>>(value => typeof value === 'function')],
    'must be whsec_ and base64, 24 bytes or more'
  ),
  maxBytes: z.number().int().positive().default(4_500_000),
  maxTextBytes: z
    .number()
    .int()
    .positive()
    .default(32 * 1024 * 1024),
  toleranceMs: milliseconds.max(300_000).default(300_000),
  bodyTimeoutMs: milliseconds.default(30_000)
})

/**
 * Tells the messages of an `HttpSink` from all others: signature, time, size and shape.
 *
 * In: a request. Out: a typed part, or a {@link ReceiveError} with the status to answer.
 * Memory: the body as sent, its text, and its rows.
 */
export class Verifier {
  readonly #options: z.output<typeof schema>

  constructor(options: VerifierOptions) {
    this.#options = settle('Verifier', schema, options)
  }

  /** The part that a Web `Request` brings. Reads its body. */
  async request(request: Request): Promise<Part> {
    const signed = this.#signedHeaders(request.headers)
    return this.#part(signed, await bytesOf(request, this.#options))
  }

  /** The part that headers and a raw body bring. The body must be as it was sent, or unpacked; never parsed. */
  async message(headers: HeadersLike, body: Uint8Array | string): Promise<Part> {
    return this.#part(this.#signedHeaders(headers), body)
  }

  /** What can be told without the body comes first: strangers cost nothing then. */
  #signedHeaders(headers: HeadersLike): SignedHeaders {
    const [id, timestamp, signature] = ['webhook-id', 'webhook-timestamp', 'webhook-signature'].map(name =>
      headerOf(headers, name)
    )
    if (!id || !timestamp || !signature) throw new ReceiveError('RECEIVE_SIGNATURE', 'the message is not signed')
    const away = Math.abs(Date.now() - Number(/^\d{1,12}$/.test(timestamp) ? timestamp : Number.NaN) * 1000)
    // A second for the digits that the header does not have.
    if (!(away <= this.#options.toleranceMs + 1000)) {
      throw new ReceiveError('RECEIVE_TIMESTAMP', 'the message is too old, or of the future')
    }
    const format = formatOf(headerOf(headers, 'content-type'), headerOf(headers, 'content-encoding'))
    return { id, timestamp, signature, format }
  }

  async #part({ id, timestamp, signature, format }: SignedHeaders, body: Uint8Array | string): Promise<Part> {
    const secrets = await this.#secrets()
    const text = await textOf(body, this.#options)
    const headers = { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signature }
    if (!secrets.some(secret => holds(secret, text, headers))) {
      throw new ReceiveError('RECEIVE_SIGNATURE', 'the signature does not hold')
    }
    return parsePart(id, text, format)
  }

  async #secrets(): Promise<readonly string[]> {
    const { secrets } = this.#options
    const given = typeof secrets === 'function' ? await secrets() : secrets
    const settled = settle('Verifier', z.object({ secrets: someSecrets }), { secrets: given }).secrets
    return typeof settled === 'string' ? [settled] : settled
  }
}

interface SignedHeaders {
  readonly id: string
  readonly timestamp: string
  readonly signature: string
  readonly format: BodyFormat
}

function holds(secret: string, text: string, headers: Record<string, string>): boolean {
  try {
    new Webhook(secret).verify(text, headers, { jsonParse: false })
    return true
  } catch {
    return false
  }
}

function formatOf(type: string | undefined, encoding: string | undefined): BodyFormat {
  const [essence] = (type ?? '').toLowerCase().split(';')
  const format = essence?.trim() === 'application/x-ndjson' ? 'ndjson' : 'json'
  if (format === 'json' && essence?.trim() !== 'application/json') {
    throw new ReceiveError('RECEIVE_BODY', 'the content type is neither JSON nor NDJSON', { status: 415 })
  }
  if (!['', 'identity', 'gzip'].includes((encoding ?? '').toLowerCase())) {
    throw new ReceiveError('RECEIVE_BODY', 'the content encoding is not gzip', { status: 415 })
  }
  return format
}

function headerOf(headers: HeadersLike, name: string): string | undefined {
  if (headers instanceof Headers) return headers.get(name) ?? undefined
  const found = Object.entries(headers).find(([key]) => key.toLowerCase() === name)?.[1]
  return typeof found === 'string' ? found : found?.join(',')
}
