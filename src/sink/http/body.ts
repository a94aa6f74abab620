import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import { ReceiveError } from './receive-error.ts'

const unzip = promisify(gunzip)

/** How much of a body is read, and for how long. */
export interface BodyLimits {
  readonly maxBytes: number
  readonly maxTextBytes: number
  readonly bodyTimeoutMs: number
}

/** The bytes of a request as they were sent. Ends by deadline: a sender may drip. */
export async function bytesOf(request: Request, { maxBytes, bodyTimeoutMs }: BodyLimits): Promise<Uint8Array> {
  if (Number(request.headers.get('content-length') ?? 0) > maxBytes) throw tooLarge(maxBytes)
  if (request.body === null) return new Uint8Array()
  const reader = request.body.getReader()
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new ReceiveError('RECEIVE_TIMEOUT', `the body did not come within ${bodyTimeoutMs} ms`))
    }, bodyTimeoutMs)
  })
  const chunks: Uint8Array[] = []
  let length = 0
  try {
    for (;;) {
      const { done, value } = await Promise.race([reader.read(), late])
      if (done) return Buffer.concat(chunks)
      length += value.byteLength
      if (length > maxBytes) throw tooLarge(maxBytes)
      chunks.push(value)
    }
  } catch (cause) {
    // Nobody waits for what a cancelled sender says to it.
    reader.cancel().catch(() => {})
    if (cause instanceof ReceiveError) throw cause
    throw new ReceiveError('RECEIVE_TIMEOUT', 'the body broke off', { cause })
  } finally {
    clearTimeout(timer)
  }
}

/**
 * The text of a body: unpacked, as far as it may be. Some frameworks unpack before anybody is asked and leave the header
 * as it was, so the bytes themselves say whether they are packed: no JSON begins with 0x1f.
 */
export async function textOf(body: Uint8Array | string, { maxBytes, maxTextBytes }: BodyLimits): Promise<string> {
  const bytes = typeof body === 'string' ? Buffer.from(body) : body
  const packed = bytes[0] === 0x1f && bytes[1] === 0x8b
  if (bytes.byteLength > (packed ? maxBytes : maxTextBytes)) throw tooLarge(packed ? maxBytes : maxTextBytes)
  const text = packed ? await unpacked(bytes, maxTextBytes) : bytes
  try {
    // What is not UTF-8 would become another text, with a signature that holds for both.
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(text)
  } catch (cause) {
    throw new ReceiveError('RECEIVE_BODY', 'the body is not UTF-8', { cause })
  }
}

async function unpacked(bytes: Uint8Array, maxTextBytes: number): Promise<Uint8Array> {
  try {
    return await unzip(bytes, { maxOutputLength: maxTextBytes })
  } catch (cause) {
    if ((cause as { code?: string }).code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(maxTextBytes)
    throw new ReceiveError('RECEIVE_BODY', 'the body is not gzip, or is damaged', { cause })
  }
}

function tooLarge(limit: number): ReceiveError {
  return new ReceiveError('RECEIVE_TOO_LARGE', `the body is larger than ${limit} bytes`)
}
