import type { ServerResponse } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'

/** What a call meets instead of, or on the way to, its answer. */
export type SmtFault =
  /** The answer comes after so long. */
  | { readonly kind: 'slow'; readonly ms: number }
  /** No answer ever comes, and the connection stands. */
  | { readonly kind: 'silent' }
  /** Another answer comes: any status, a text as it is, anything else as JSON. */
  | {
      readonly kind: 'answer'
      readonly status: number
      readonly body?: unknown
      readonly headers?: Readonly<Record<string, string>> | undefined
      /** Whether the work is done all the same, and only the answer is lost. @default false */
      readonly isDone?: boolean | undefined
    }
  /** The connection is reset before the answer. */
  | { readonly kind: 'reset'; readonly isDone?: boolean | undefined }
  /** The answer begins, and after so many bytes of it the connection is cut. */
  | { readonly kind: 'cut'; readonly afterBytes: number }
  /** The answer begins, and after so many bytes of it nothing follows. */
  | { readonly kind: 'stall'; readonly afterBytes: number }
  /** The bytes of the answer come one by one, with pauses. */
  | { readonly kind: 'drip'; readonly everyMs: number }

/** What goes wrong, by path: each call takes the first fault of its path away with it. */
export class SmtFaults {
  readonly #scripts = new Map<string, SmtFault[]>()
  readonly #always = new Map<string, SmtFault>()

  /** The next calls of a path meet these, one each. */
  next(path: string, ...faults: readonly SmtFault[]): void {
    this.#scripts.set(path, [...(this.#scripts.get(path) ?? []), ...faults])
  }

  /** Every call of a path meets this, until told otherwise; `undefined` ends it. */
  always(path: string, fault: SmtFault | undefined): void {
    if (fault === undefined) this.#always.delete(path)
    else this.#always.set(path, fault)
  }

  clear(): void {
    this.#scripts.clear()
    this.#always.clear()
  }

  /** @internal */
  take(path: string): SmtFault | undefined {
    return this.#scripts.get(path)?.shift() ?? this.#always.get(path)
  }
}

/** Too many calls: come back in so many seconds. */
export function tooManyRequests(retryAfterSeconds?: number): SmtFault {
  const headers = retryAfterSeconds === undefined ? undefined : { 'retry-after': String(retryAfterSeconds) }
  return { kind: 'answer', status: 429, body: { error: 'Too many requests.' }, headers }
}

/** Not available: come back in so many seconds. */
export function unavailable(retryAfterSeconds?: number): SmtFault {
  const headers = retryAfterSeconds === undefined ? undefined : { 'retry-after': String(retryAfterSeconds) }
  return { kind: 'answer', status: 503, body: { error: 'Service unavailable.' }, headers }
}

/** The page that a gateway shows when what is behind it does not answer. */
export function htmlPage(status = 502): SmtFault {
  const body = `<!DOCTYPE html>\n<html><head><title>${status} Bad Gateway</title></head><body><h1>Bad Gateway</h1></body></html>\n`
  return { kind: 'answer', status, body, headers: { 'content-type': 'text/html' } }
}

/** Bytes of an answer, or what gives them. */
export type AnswerBytes = string | Uint8Array | AsyncIterable<string | Uint8Array>

/** Sends a body as a fault has it. */
export async function sendBody(
  response: ServerResponse,
  body: AnswerBytes,
  fault: SmtFault | undefined
): Promise<void> {
  let left = fault?.kind === 'cut' || fault?.kind === 'stall' ? fault.afterBytes : Number.POSITIVE_INFINITY
  for await (const piece of typeof body === 'string' || body instanceof Uint8Array ? [body] : body) {
    const bytes = Buffer.from(piece as Uint8Array).subarray(0, left)
    left -= bytes.length
    for (const part of fault?.kind === 'drip' ? Array.from(bytes, byte => Buffer.of(byte)) : [bytes]) {
      if (response.destroyed) return
      // A connection that is cut before the bytes have left takes them along.
      await new Promise(resolve => response.write(part, resolve))
      if (fault?.kind === 'drip') await pause(fault.everyMs, undefined, { ref: false })
    }
    if (left > 0) continue
    if (fault?.kind === 'cut') response.destroy()
    return
  }
  response.end()
}
