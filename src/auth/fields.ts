import * as z from 'zod'
import { instantIn } from '../parse/central-time.ts'
import { isCode, readDay, readRevision } from '../parse/row-reader.ts'

/** What a call is asked with. */

/** A meter: 17 or 22 digits, always text. */
export const esiid = z.string().regex(/^10(\d{15}|\d{20})$/, 'must be an ESIID, 17 or 22 digits, as text')

export const esiids = z
  .array(esiid)
  .min(1)
  .refine(list => new Set(list).size === list.length, 'names a meter twice')

/** A local day, `2025-07-14`. */
const localDay = z.iso.date('must be a day, such as 2025-07-14')

/** First and last day, both of them included. */
export const span = { from: localDay, to: localDay }

export const versions = z.enum(['all', 'latest']).default('all')
export const versionLetters = { all: 'A', latest: 'L' } as const

export const signal = z.instanceof(AbortSignal).optional()

/** Days in their order; a rule for schemas that have a span. */
export const inOrder: [
  (span: { readonly from: string; readonly to: string }) => boolean,
  { path: string[]; message: string }
] = [({ from, to }) => from <= to, { path: ['to'], message: 'is before `from`' }]

/** `2025-07-14` as SMT writes it: `07/14/2025`. */
export function usDate(date: string): string {
  return `${date.slice(5, 7)}/${date.slice(8, 10)}/${date.slice(0, 4)}`
}

/** What an answer says. SMT writes most numbers as text. */

/** `07/14/2025` as `2025-07-14`. */
export const answeredDay = z
  .string()
  .trim()
  .refine(text => !isCode(readDay(text)))
  .transform(text => {
    const [month, day, year] = text.split('/') as [string, string, string]
    return `${year}-${month.padStart(2, '0')}-${day.padStart(2, '0')}`
  })

/** `07/15/2025 06:41:12` of the local clock as UTC epoch milliseconds; null when blank. */
export const answeredStamp = z
  .string()
  .trim()
  .refine(text => !isCode(readRevision(text)))
  .transform(text => {
    const revision = readRevision(text)
    return revision === null || isCode(revision) ? null : instantIn(revision.day, revision.second)
  })
  .nullish()
  .transform(instant => instant ?? null)

/** A decimal, with its own digits. */
export const answeredDecimal = z
  .union([z.string().trim(), z.number().transform(String)])
  .refine(text => /^\d*\.?\d+$|^\d+\.$/.test(text))

export const answeredText = z.union([z.string(), z.number().transform(String)])
