import { ApiError } from '../errors.ts'
import { quoted } from './failures.ts'

/** What SMT says was wrong, in an answer that came all the same. */
interface Fault {
  /** `none`: there is nothing for what was asked. `active`: what was to be made is there already. */
  readonly kind: 'none' | 'active' | 'other'
  /** Its words, as an error may repeat them. */
  readonly text: string
}

/** Statuses that say that all is well, or still under way. Any other number says that it is not. */
const fine = new Set(['0', '00', '200'])
const failing = new Set(['ERR', 'ERROR', 'FAIL', 'FAILED', 'FAILURE', 'REJ', 'REJECTED'])

/**
 * What is wrong with an answer, whatever its HTTP status: `{ error }` of the gateway, `{ errorCode, errorMessage }` of what is
 * behind it, a list of faults, or a status that is a number other than zero.
 */
export function faultOf(body: unknown): Fault | undefined {
  if (typeof body !== 'object' || body === null) return undefined
  const words = [...faultWords(body as Record<string, unknown>)]
  if (words.length === 0) return undefined
  const { statusReason } = body as Record<string, unknown>
  const said = [...new Set(words), ...(typeof statusReason === 'string' ? [statusReason] : [])].join('; ')
  return { kind: kindOf(said), text: quoted(said) }
}

/** The error of a fault. */
export function faultError({ kind, text }: Fault, address: string, status: number, body: unknown): ApiError {
  const place = { file: address, status, body }
  if (kind === 'none') return new ApiError('API_NO_DATA', `SMT has no data for this (${text})`, place)
  return new ApiError('API_FAULT', `SMT did not do it (${text})`, place)
}

function* faultWords(body: Record<string, unknown>): Generator<string, void> {
  const { error, errorCode, errorMessage, statusCode } = body
  if (typeof error === 'string' && error !== '') yield error
  const message = typeof errorMessage === 'string' ? errorMessage.trim() : ''
  if (isCode(errorCode) || message !== '') yield [isCode(errorCode) ? errorCode : '', message].join(' ').trim()
  if (isCode(statusCode) && (/^-?\d+$/.test(String(statusCode)) || failing.has(String(statusCode).toUpperCase()))) {
    yield `status ${statusCode}`
  }
  for (const [key, list] of Object.entries(body)) {
    if (!/faultlist$/i.test(key) || !Array.isArray(list)) continue
    for (const item of list) yield wordsOf(item)
  }
}

function wordsOf(item: unknown): string {
  if (typeof item !== 'object' || item === null) return String(item)
  const { reasonCode, reasonMessage, statusReason, errorMessage } = item as Record<string, unknown>
  const words = [reasonCode, reasonMessage, statusReason, errorMessage].filter(
    word => typeof word === 'string' && word !== ''
  )
  return words.length === 0 ? 'a fault without words' : words.join(' ')
}

/** Whether a code is there, and is not one of those that say that all is well. */
function isCode(code: unknown): code is string | number {
  return (
    (typeof code === 'string' && code.trim() !== '' && !fine.has(code.trim())) ||
    (typeof code === 'number' && !fine.has(String(code)))
  )
}

function kindOf(text: string): Fault['kind'] {
  if (/\bno (energy )?data received\b/i.test(text)) return 'none'
  // SMT's own spelling, and the right one.
  return /\bsubs?cription is already active\b/i.test(text) ? 'active' : 'other'
}
