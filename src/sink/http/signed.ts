import { createHash } from 'node:crypto'
import { Webhook } from 'standardwebhooks'
import type * as z from 'zod'
import type { IntervalBatch } from '../../batch.ts'
import { SinkError } from '../../errors.ts'
import type { Claim } from '../../ledger/ledger.ts'
import { labelOf, payloadOf } from '../../ledger/receipt.ts'
import type { FileAccount } from '../../parse/file-account.ts'
import type { IngestFile } from '../../source/source.ts'
import type { Closing, Committed, SinkTransaction } from '../sink.ts'
import { objectIn } from './answers.ts'
import { beginAnswer, commitAnswer, type ListedPart, PROTOCOL } from './message.ts'
import { halves, PartCutter, type PartOptions, partText, type RowLines, type WrittenBody, written } from './parts.ts'
import type { Outgoing, Poster } from './post.ts'

/** What signed messages need of their sink. */
export interface SignedOptions extends PartOptions {
  readonly secret: string
  readonly now: () => number
}

/**
 * One file on its way to a receiver: its parts are sent while it is read, and stay unseen until the commit lists them.
 *
 * Memory: the text of two parts, one under way and one being gathered; a hash for each part.
 */
export class SignedTransaction implements SinkTransaction {
  readonly #file: IngestFile
  readonly #claim: Claim
  readonly #poster: Poster
  readonly #options: SignedOptions
  readonly #webhook: Webhook
  readonly #cutter: PartCutter
  readonly #parts: ListedPart[] = []
  /** Hashes of the parts that the receiver has, by position; undefined when the file is in. */
  readonly #there: ReadonlyMap<number, string> | undefined
  /** The part under way. */
  #sending: Promise<void> = Promise.resolve()

  private constructor(
    file: IngestFile,
    claim: Claim,
    poster: Poster,
    options: SignedOptions,
    webhook: Webhook,
    there: ReadonlyMap<number, string> | undefined
  ) {
    this.#file = file
    this.#claim = claim
    this.#poster = poster
    this.#options = options
    this.#webhook = webhook
    this.#there = there
    this.#cutter = new PartCutter(options)
  }

  /** Says that the file is claimed, and hears what the receiver has of it: a run that died left parts. */
  static async begin(
    file: IngestFile,
    claim: Claim,
    poster: Poster,
    options: SignedOptions
  ): Promise<SignedTransaction> {
    const webhook = new Webhook(options.secret)
    const text = JSON.stringify(headOf(claim, 'begin'))
    const message = signed(webhook, options.now, idOf(claim, 'begin', claim.epoch), { text, body: text }, 'json')
    const answer = checked(beginAnswer, await poster.send(message), poster)
    const parts = answer.state === 'open' ? answer.parts.map(part => [part.index, part.sha256] as const) : undefined
    return new SignedTransaction(file, claim, poster, options, webhook, parts && new Map(parts))
  }

  async write(batch: IntervalBatch): Promise<void> {
    for (const rows of this.#cutter.push(batch)) await this.#add(rows)
  }

  async commit(account: FileAccount, { evidence }: Closing): Promise<Committed> {
    for (const rows of this.#cutter.end()) await this.#add(rows)
    await this.#sending
    const { fetched, opened } = evidence
    const { entries, rows, quality } = account
    const text = JSON.stringify({
      ...headOf(this.#claim, 'commit'),
      parts: this.#parts,
      rows: rows.accepted,
      label: labelOf(this.#file),
      fetched: { bytes: fetched.bytes, sha256: fetched.sha256 },
      payload: payloadOf(fetched, opened),
      account: { entries, rows, quality }
    })
    const what = [payloadOf(fetched, opened).sha256, this.#parts, this.#claim.isReplay && this.#claim.epoch]
    const body = await written(text, this.#options.compression)
    const answer = await this.#poster.send(this.#signed('commit', what, body, 'json'), { mustEnd: true })
    const outcome = checked(commitAnswer, answer, this.#poster)
    return 'stored' in outcome ? outcome.stored : outcome
  }

  /** What is staged goes. A receiver that does not hear of it shows nothing either. */
  async rollback(): Promise<void> {
    await this.#sending.catch(() => {})
    const text = JSON.stringify(headOf(this.#claim, 'rollback'))
    await this.#poster.tell(this.#signed('rollback', this.#claim.epoch, { text, body: text }, 'json'))
  }

  /** Sends a part while the next one is gathered, or its halves, when it is too large. */
  async #add(rows: RowLines): Promise<void> {
    const index = this.#parts.length
    const listed = { rows: rows.lines.length, sha256: rows.sha256 }
    if (this.#isThere(index, rows)) {
      this.#parts.push(listed)
      return
    }
    const head = { ...headOf(this.#claim, 'rows'), index, ...listed }
    const { format, compression } = this.#options
    const body = await written(partText(head, rows, format), compression)
    if (body.body.length > this.#options.maxBytes) {
      for (const half of halves(rows)) await this.#add(half)
      return
    }
    await this.#sending
    this.#parts.push(listed)
    const message = this.#signed('rows', [index, rows.sha256], body, format)
    this.#sending = this.#poster.send(message).then(answer => {
      if (objectIn(answer)?.ok !== true) throw notOurs(this.#poster)
    })
    // Whoever sends the next part hears of it.
    this.#sending.catch(() => {})
  }

  #isThere(index: number, { sha256 }: RowLines): boolean {
    return this.#there === undefined || this.#there.get(index) === sha256
  }

  #signed(kind: string, what: unknown, body: WrittenBody, format: PartOptions['format']) {
    return signed(this.#webhook, this.#options.now, idOf(this.#claim, kind, what), body, format)
  }
}

/** What every message begins with. */
function headOf({ fingerprint, epoch, isReplay }: Claim, kind: string) {
  return { smt: PROTOCOL, kind, file: fingerprint, epoch, isReplay }
}

/** The id of a message: the same for the same content of the same file, in every attempt and every run. */
function idOf({ fingerprint }: Claim, kind: string, what: unknown): string {
  const hash = createHash('sha256').update(JSON.stringify([fingerprint, kind, what]))
  return `smt_${hash.digest('hex').slice(0, 40)}`
}

/** A message whose signature is of the text, packed or not; each attempt is signed with its own time. */
function signed(
  webhook: Webhook,
  now: () => number,
  id: string,
  { text, body }: WrittenBody,
  format: PartOptions['format']
): Outgoing {
  return {
    body,
    headers: async () => {
      const time = new Date(now())
      return {
        'content-type': format === 'ndjson' ? 'application/x-ndjson' : 'application/json',
        ...(typeof body !== 'string' && { 'content-encoding': 'gzip' }),
        'webhook-id': id,
        'webhook-timestamp': String(Math.floor(time.getTime() / 1000)),
        'webhook-signature': webhook.sign(id, time, text)
      }
    }
  }
}

/** An answer of the shape that it must have. What says yes in other words is not believed. */
function checked<Schema extends z.ZodType>(
  schema: Schema,
  answer: Parameters<typeof objectIn>[0],
  poster: Poster
): z.output<Schema> {
  const result = schema.safeParse(objectIn(answer))
  if (result.success) return result.data
  throw notOurs(poster)
}

function notOurs({ address }: Poster): SinkError {
  return new SinkError('HTTP_ANSWER', 'the answer is not that of a receiver', { file: address })
}
