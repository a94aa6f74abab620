import { ApiError } from '../errors.ts'
import { notJson, refusal } from './failures.ts'
import type { Answer } from './http.ts'

/** What a call of SMT's REST side gave. */
export interface ApiAnswer {
  readonly status: number
  /** The JSON of the answer. A whole number of more digits than a number can hold arrives as text. */
  readonly body: unknown
}

/** How an answer is read. */
export interface Reading {
  readonly maxBytes: number
  /** Whether it answers a login. */
  readonly isLogin: boolean
  /** Texts that are taken out of whatever an error keeps. */
  readonly secrets: readonly string[]
}

/** Reads an answer to its end. Throws unless it is JSON with a status of success. */
export async function readAnswer(answer: Answer, reading: Reading): Promise<ApiAnswer> {
  const { address, status } = answer
  if (!isSuccess(answer)) throw await readRefusal(answer, reading)
  const text = await readText(answer, reading.maxBytes)
  const json = parseJson(text)
  if (json === undefined) throw notJson({ address, status, body: without(reading.secrets, text) })
  return { status, body: json.value }
}

/** Reads what an answer without success says. */
export async function readRefusal(answer: Answer, { maxBytes, isLogin, secrets }: Reading): Promise<ApiError> {
  const { address, status, headers } = answer
  // What a gateway says besides is of no use.
  const text = await readText(answer, maxBytes).catch(() => '')
  const said = without(secrets, parseJson(text)?.value ?? text)
  return refusal({ address, status, headers, body: said, isLogin })
}

export function isSuccess({ status }: Pick<Answer, 'status'>): boolean {
  return status >= 200 && status < 300
}

/** More blank bytes than any JSON begins with. */
const MOST_BLANK = 1024

/** The first bytes of an answer that is streamed, from which it can be told whether it may be JSON, and the rest. */
export interface Streamed {
  readonly first: Uint8Array
  readonly rest: AsyncIterator<Uint8Array>
}

/** Begins to read an answer. Throws when what comes is certainly not JSON. */
export async function beginStream(answer: Answer): Promise<Streamed> {
  const { address, status, body } = answer
  demandPlain(answer)
  const rest = body[Symbol.asyncIterator]()
  let first = Buffer.alloc(0)
  for (let isBlank = true; isBlank; isBlank = /^\s*$/.test(first.toString())) {
    const { value, done } = await rest.next()
    if (done || first.length > MOST_BLANK) break
    first = Buffer.concat([first, value])
  }
  const head = first.toString()
  if (/^\s*[^<\s]/.test(head)) return { first, rest }
  await rest.return?.()
  throw notJson({ address, status, body: head })
}

async function readText(answer: Answer, maxBytes: number): Promise<string> {
  const { address, status, body } = answer
  demandPlain(answer)
  const decoder = new TextDecoder()
  let text = ''
  let bytes = 0
  for await (const chunk of body) {
    bytes += chunk.byteLength
    if (bytes > maxBytes) {
      throw new ApiError('API_ANSWER', `the answer is longer than ${maxBytes} bytes`, { file: address, status })
    }
    text += decoder.decode(chunk, { stream: true })
  }
  return text + decoder.decode()
}

function demandPlain({ address, status, headers }: Answer): void {
  const encoding = headers['content-encoding']
  if (encoding === undefined || encoding === 'identity') return
  throw new ApiError('API_ANSWER', 'the answer is packed, which was not asked for', { file: address, status })
}

/** A string, or a whole number of sixteen digits and more that stands outside of strings. */
const stringOrLongNumber = /"[^"\\]*(?:\\.[^"\\]*)*"|(?<![\d.eE+-])-?\d{16,}(?![\d.eE])/g

/** The value of a JSON text. JSON.parse quotes what it cannot read, so its error goes no further than here. */
function parseJson(text: string): { readonly value: unknown } | undefined {
  // An ESIID written as a number would lose its last digits.
  const exact = /\d{16}/.test(text)
    ? text.replace(stringOrLongNumber, part => (part.startsWith('"') ? part : `"${part}"`))
    : text
  try {
    return { value: JSON.parse(exact) }
  } catch {
    return undefined
  }
}

/** A value without these texts in any text of it. */
export function without(secrets: readonly string[], value: unknown): unknown {
  if (typeof value === 'string') {
    return secrets.reduce((rest, secret) => (secret === '' ? rest : rest.replaceAll(secret, '…')), value)
  }
  if (Array.isArray(value)) return value.map(item => without(secrets, item))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, without(secrets, item)]))
}
