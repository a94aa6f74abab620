import * as z from 'zod'
import type { EntryLabel } from '../batch.ts'
import { findIngestError, ParseError } from '../errors.ts'
import type { FileLabel } from '../source/source.ts'
import type { OtherKind } from './reports/recognise.ts'

/**
 * An entry that is handed over: its bytes, as an iterable that can be read once. Copy what is kept of a chunk: its memory
 * is used again when the next one is asked for.
 */
export interface OtherEntry extends EntryLabel, AsyncIterable<Uint8Array> {
  readonly kind: OtherKind
  /** Its first line or the header that stands below it, cut short, long numbers masked. */
  readonly header: string
  /** The file in which it stands, if one was named. */
  readonly file: FileLabel | undefined
  /** Aborted when the file is given up. */
  readonly signal: AbortSignal
}

/**
 * Takes an entry of a kind that is not read here. What it does is no part of the file's commit: the bytes are proven only
 * when the file is committed, and a file that fails is read again later. So it must bear to be called again.
 */
export type EntryHandler = (entry: OtherEntry) => void | Promise<void>

/** Who takes entries that hold no intervals, by what they are. */
export interface EntryHandlers {
  /** Daily register reads, instead of the reader that is built in. */
  readonly 'daily-reads'?: EntryHandler | undefined
  /** Monthly bills, instead of the reader that is built in. */
  readonly 'monthly-bills'?: EntryHandler | undefined
  readonly 'meter-info'?: EntryHandler | undefined
  readonly enrolment?: EntryHandler | undefined
  /** Everything else that neither looks nor is named like intervals. */
  readonly unknown?: EntryHandler | undefined
}

const handler = z.custom<EntryHandler>(value => typeof value === 'function', 'must be a function').optional()

export const handlersSchema = z.strictObject({
  'daily-reads': handler,
  'monthly-bills': handler,
  'meter-info': handler,
  enrolment: handler,
  unknown: handler
})

/** Hands an entry over, and reads what is left of it. Gives its size in bytes. */
export async function handOver(
  handle: EntryHandler,
  about: Omit<OtherEntry, typeof Symbol.asyncIterator>,
  first: Uint8Array,
  rest: AsyncIterator<Uint8Array>
): Promise<number> {
  let size = first.length
  let broken: { readonly error: unknown } | undefined
  async function next(): Promise<Uint8Array | undefined> {
    try {
      const { done, value } = await rest.next()
      if (done) return undefined
      size += value.length
      return value
    } catch (error) {
      // Nobody may swallow it: what was handed over was not the entry.
      broken = { error }
      throw error
    }
  }
  async function* bytes(): AsyncGenerator<Uint8Array, void> {
    if (first.length > 0) yield first
    for (let chunk = await next(); chunk; chunk = await next()) yield chunk
  }
  const reading = bytes()
  try {
    await handle({ ...about, [Symbol.asyncIterator]: () => reading })
  } catch (cause) {
    const { file, name: entry } = about
    const what = 'the handler of the entry failed'
    throw findIngestError(cause) ?? new ParseError('PARSE_HANDLER', what, { file: file?.path, entry, cause })
  }
  while (!broken && (await next())) {}
  if (broken) throw broken.error
  return size
}
