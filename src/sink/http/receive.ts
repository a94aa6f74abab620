import * as z from 'zod'
import type { RowsStored } from '../../ledger/receipt.ts'
import { settle } from '../../options.ts'
import type { CommitPart, Part, RowsPart } from './message.ts'
import { ReceiveError } from './receive-error.ts'
import { checkContent, checkParts, committedBy, type FileRecord, isIn, isStaged, recordFor, withPart } from './rules.ts'
import { type HeadersLike, Verifier, type VerifierOptions } from './verifier.ts'

export type {
  BeginPart,
  CommitPart,
  IntervalRow,
  ListedPart,
  Part,
  PartHead,
  RollbackPart,
  RowsPart
} from './message.ts'
export { type ReceiveCode, ReceiveError } from './receive-error.ts'
export type { CommittedFile, FileRecord, StagedPart } from './rules.ts'
export { type HeadersLike, Verifier, type VerifierOptions, type WebhookSecrets } from './verifier.ts'

/** Where received files go: a database, most likely. */
export interface ReceivingStore {
  /**
   * Runs `work` while nobody else works on the same file. All that `work` did counts together when it resolves, and nothing
   * of it when it rejects: one transaction, with the file’s record locked.
   *
   * @param file The 64 hex digits of the file: the key of its record.
   */
  transaction<T>(file: string, work: (stored: StoredFile) => Promise<T>): Promise<T>
}

/** One file within a transaction of its store. */
export interface StoredFile {
  /** What `remember` kept last; undefined for a file never heard of. */
  readonly record: FileRecord | undefined
  /** Keeps the record: any place for one JSON value does. */
  remember(record: FileRecord): Promise<void>
  /** The record whose `committed.payload` is this hash. No two may have the same. */
  findPayload(sha256: string): Promise<FileRecord | undefined>
  /** Keeps the rows of a part where no reader sees them, instead of those that had its `index`. */
  stage(part: RowsPart): Promise<void>
  /**
   * Makes the parts 0 to `commit.parts.length - 1` visible and empties the staging of the file. With `commit.isReplay`,
   * what the file gave before goes at the same time.
   */
  commit(commit: CommitPart): Promise<RowsStored>
  /** Empties the staging of the file. */
  rollback(): Promise<void>
}

/** Who receives, and where it goes. */
export interface ReceiverOptions extends VerifierOptions {
  readonly store: ReceivingStore
  /** Hears of what the store threw. The sender gets a 500 without details. */
  readonly onError?: (error: unknown) => void
}

/** What is answered: JSON, always. */
export interface ReceiverAnswer {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
}

const schema = z.looseObject({
  store: z.custom<ReceivingStore>(
    value => typeof (value as ReceivingStore)?.transaction === 'function',
    'must have a function `transaction`'
  ),
  onError: z.custom<(error: unknown) => void>(value => typeof value === 'function', 'must be a function').optional()
})

/**
 * The other side of `HttpSink`: verifies each message and keeps its promises over a store of yours. Nothing is visible
 * before the commit, whatever comes twice changes nothing, and a worker whose claim passed to another is refused.
 *
 * In: requests. Out: answers, and rows in a store.
 * Memory: one message.
 */
export class Receiver {
  readonly #verifier: Verifier
  readonly #store: ReceivingStore
  readonly #onError: (error: unknown) => void

  constructor(options: ReceiverOptions) {
    const { store, onError, ...rest } = settle('Receiver', schema, options)
    this.#verifier = new Verifier(rest as unknown as VerifierOptions)
    this.#store = store
    this.#onError = onError ?? (() => {})
  }

  /** Answers a Web `Request`: the whole of a route. Never rejects. */
  async handle(request: Request): Promise<Response> {
    const { status, body } = await this.#answer(() => this.#verifier.request(request))
    return Response.json(body, { status })
  }

  /** Answers headers and a raw body, for other frameworks. The body must not have been parsed. Never rejects. */
  receive(headers: HeadersLike, body: Uint8Array | string): Promise<ReceiverAnswer> {
    return this.#answer(() => this.#verifier.message(headers, body))
  }

  async #answer(verified: () => Promise<Part>): Promise<ReceiverAnswer> {
    try {
      return { status: 200, body: { ok: true, ...(await this.#take(await verified())) } }
    } catch (error) {
      if (error instanceof ReceiveError) return refusal(error)
      this.#onError(error)
      return { status: 500, body: { ok: false, error: 'FAILED', message: 'the receiver failed' } }
    }
  }

  /** What a part does to the store, and what is answered to it. */
  #take(part: Part): Promise<Record<string, unknown>> {
    return this.#store.transaction(part.file, async stored => {
      const record = { ...recordFor(part, stored.record) }
      const current = { ...record, epoch: Math.max(part.epoch, record.epoch) }
      switch (part.kind) {
        case 'begin': {
          if (isIn(part, record)) return { state: 'committed' }
          await stored.remember(current)
          return { state: 'open', parts: record.staged.map(({ index, sha256 }) => ({ index, sha256 })) }
        }
        case 'rows': {
          if (isIn(part, record) || isStaged(part, record)) return {}
          await stored.stage(part)
          await stored.remember(withPart(part, current))
          return {}
        }
        case 'commit':
          return commitTo(stored, part, record)
        case 'rollback': {
          if (isIn(part, record)) return {}
          await stored.rollback()
          await stored.remember({ ...current, staged: [] })
          return {}
        }
      }
    })
  }
}

async function commitTo(stored: StoredFile, part: CommitPart, record: FileRecord): Promise<Record<string, unknown>> {
  checkContent(part, record)
  if (isIn(part, record)) return { stored: record.committed!.stored }
  const first = record.committed ? undefined : await stored.findPayload(part.payload.sha256)
  if (first?.committed) {
    await stored.rollback()
    await stored.remember({ ...record, epoch: part.epoch, staged: [] })
    return { duplicateOf: first.committed.label }
  }
  checkParts(part, record)
  const rows = await stored.commit(part)
  await stored.remember(committedBy(part, rows))
  return { stored: rows }
}

function refusal({ status, code, message, missing }: ReceiveError): ReceiverAnswer {
  return { status, body: { ok: false, error: code, message, ...(missing && { missing }) } }
}
