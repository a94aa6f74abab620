import { createHash } from 'node:crypto'
import type { Readable } from 'node:stream'
import * as z from 'zod'
import { AbortError, ApiError, SourceError } from '../errors.ts'
import { settle } from '../options.ts'
import { FileStream } from '../source/file-stream.ts'
import type { FilesOptions, IngestFile, Source, Transfer } from '../source/source.ts'
import { faultError, faultOf } from './business-errors.ts'
import type { Caller } from './caller.ts'
import { type DaySpan, splitDays } from './day-spans.ts'
import * as f from './fields.ts'
import { readingType, readingTypes } from './reports.ts'
import type { SmtAuth } from './smt-auth.ts'

/** Which interval reads are asked for. */
export interface IntervalAnswersQuery {
  /** Meters, 17 or 22 digits each. */
  readonly esiids: readonly string[]
  /** First local day, `2025-07-14`. */
  readonly from: string
  /** Last local day, included. */
  readonly to: string
  /** Which of the two series. @default 'both' */
  readonly readingType?: 'consumption' | 'surplus-generation' | 'both' | undefined
  /** All versions of a day, or the latest. @default 'all' */
  readonly version?: 'all' | 'latest' | undefined
  /** Days that one answer has at most. @default 365 */
  readonly daysPerAnswer?: number | undefined
}

const schema = z
  .strictObject({
    esiids: f.esiids,
    ...f.span,
    readingType,
    version: f.versions,
    daysPerAnswer: z.number().int().positive().default(365)
  })
  .refine(...f.inOrder)

/** Bytes of an answer within which it may turn out to be no reads, but the words why not. */
const MOST_OF_A_FAULT = 64 * 1024

/**
 * SMT's JSON answers as files: one for each meter and span of days. Each is asked for when it is read, and read as it comes.
 *
 * In: a question. Out: answers, that {@link IntervalParser} reads.
 * Memory: 64 KiB, and a piece of the answer.
 */
export class IntervalAnswers implements Source {
  readonly #caller: Caller
  readonly #auth: SmtAuth
  readonly #query: z.output<typeof schema>
  readonly #now: () => number

  constructor(caller: Caller, auth: SmtAuth, query: IntervalAnswersQuery, now: () => number) {
    this.#caller = caller
    this.#auth = auth
    this.#query = settle('intervalAnswers', schema, query)
    this.#now = now
  }

  async *files({ signal }: FilesOptions = {}): AsyncGenerator<IngestFile, void> {
    const { esiids, from, to, daysPerAnswer } = this.#query
    for (const span of splitDays({ from, to }, daysPerAnswer)) {
      for (const esiid of esiids) {
        if (signal?.aborted) throw new AbortError({ file: this.#caller.address('intervalReads') })
        yield new IntervalAnswer({
          caller: this.#caller,
          ask: this.#ask(esiid, span),
          esiid,
          span,
          askedAt: this.#now()
        })
      }
    }
  }

  /** Nothing is held between loops. */
  async close(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {}

  #ask(esiid: string, span: DaySpan): (signal: AbortSignal) => AsyncIterable<Uint8Array> {
    const { version, readingType } = this.#query
    const fields = {
      startDate: f.usDate(span.from),
      endDate: f.usDate(span.to),
      deliveryMode: 'API',
      reportFormat: 'JSON',
      version: f.versionLetters[version],
      readingType: readingTypes[readingType],
      esiid: [esiid]
    }
    const body = this.#caller.body('intervalReads', fields)
    return signal => this.#auth.stream(this.#caller.path('intervalReads'), body, { signal, retry: 'safe' })
  }
}

/** What an answer is made of. */
interface AnswerPlan {
  readonly caller: Caller
  readonly ask: (signal: AbortSignal) => AsyncIterable<Uint8Array>
  readonly esiid: string
  readonly span: DaySpan
  readonly askedAt: number
}

/** One answer. How long it is shows only when it was read, so its size is 0. */
class IntervalAnswer implements IngestFile {
  readonly source: string
  readonly path: string
  readonly name: string
  readonly size = 0
  readonly modifiedAt: number
  readonly #ask: AnswerPlan['ask']
  readonly #address: string
  #transfer: Transfer | undefined

  constructor({ caller, ask, esiid, span, askedAt }: AnswerPlan) {
    this.#ask = ask
    this.#address = caller.address('intervalReads')
    this.source = caller.baseUrl
    this.name = `IntervalReads.${esiid}.${span.from}.${span.to}.json`
    this.path = `${caller.path('intervalReads')}${this.name}`
    this.modifiedAt = askedAt
  }

  stream({ signal }: { readonly signal?: AbortSignal | undefined } = {}): Readable {
    this.#transfer = undefined
    return new FileStream(abort => this.#read(abort), { signal, file: this.path })
  }

  /** HTTP says where an answer ends; one that was cut off never comes to its end. */
  async verify(): Promise<Transfer> {
    if (this.#transfer) return this.#transfer
    throw new SourceError('TRANSFER_UNREAD', 'the answer was not read to its end', { file: this.path })
  }

  async *#read(signal: AbortSignal): AsyncGenerator<Uint8Array, void> {
    const hash = createHash('sha256')
    let bytes = 0
    for await (const piece of this.#judged(signal)) {
      hash.update(piece)
      bytes += piece.length
      yield piece
    }
    this.#transfer = { bytes, sha256: hash.digest('hex'), vanished: false }
  }

  /** The answer, unless it is short and says why there are no reads. */
  async *#judged(signal: AbortSignal): AsyncGenerator<Uint8Array, void> {
    let head: Uint8Array[] | undefined = []
    let held = 0
    try {
      for await (const piece of this.#ask(signal)) {
        held += piece.length
        head?.push(piece)
        if (head && held <= MOST_OF_A_FAULT) continue
        if (head) yield* head
        else yield piece
        head = undefined
      }
    } catch (error) {
      throw this.#ofOneMeter(error)
    }
    if (!head) return
    const fault = faultOf(parsed(Buffer.concat(head)))
    if (fault) throw faultError(fault, this.#address, 200, undefined)
    yield* head
  }

  /** That SMT refuses one meter says nothing of the others. */
  #ofOneMeter(error: unknown): unknown {
    if (!(error instanceof ApiError)) return error
    if (error.code !== 'API_UNAUTHORIZED' && error.code !== 'API_REFUSED') return error
    const fault = faultOf(error.body)
    if (fault?.kind === 'none') return faultError(fault, this.#address, error.status ?? 200, error.body)
    const what = `SMT gives no reads of this meter; is an agreement for it active? (${fault?.text ?? `HTTP ${error.status}`})`
    return new ApiError('API_FAULT', what, { file: this.path, status: error.status, body: error.body })
  }
}

function parsed(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch {
    // Whatever it is, the parser says so.
    return undefined
  }
}
