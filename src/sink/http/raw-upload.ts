import { createHash } from 'node:crypto'
import type { IntervalBatch } from '../../batch.ts'
import { SinkError } from '../../errors.ts'
import type { RowsStored } from '../../ledger/receipt.ts'
import type { FileAccount } from '../../parse/file-account.ts'
import type { IngestFile } from '../../source/source.ts'
import type { SinkTransaction } from '../sink.ts'
import { type HttpAnswer, objectIn } from './answers.ts'
import type { Poster } from './post.ts'
import { judgeRawAnswer, type RawOutcome } from './raw-answer.ts'
import { chunksOf, csvOf, winnersOf } from './raw-chunks.ts'
import { Spool, type SpooledRow } from './spool.ts'

/** What raw uploads need of their sink. */
export interface RawUploadSettings {
  readonly maxBytes: number
  readonly maxRows: number
  readonly source: string
  readonly meter: string
  readonly token: string
  /** Says that the work goes on; rejects when another worker has the file. */
  renew(): Promise<void>
  /** Where rows wait. */
  readonly folder: string
}

/** Room for the other keys of a body. */
const BODY_BYTES = 2048

/** Position of `consumption` in the codes of directions. */
const CONSUMPTION = 0

/**
 * One file for the route `raw-upload` of today’s system. Nothing is sent before the whole file is proven: there is no
 * taking back. Then meter after meter goes out, as CSV in SMT’s form.
 *
 * Memory: what its spool has, and the rows of one part in 256 of the meters.
 */
export class RawUploadTransaction implements SinkTransaction {
  readonly #file: IngestFile
  readonly #poster: Poster
  readonly #settings: RawUploadSettings
  readonly #spool: Spool
  readonly #meters = new Map<string, number>()
  #undeliverable = 0

  constructor(file: IngestFile, poster: Poster, settings: RawUploadSettings) {
    this.#file = file
    this.#poster = poster
    this.#settings = settings
    this.#spool = new Spool(settings.folder)
  }

  async write(batch: IntervalBatch): Promise<void> {
    const meters = batch.esiids.map(esiid => this.#numberOf(esiid))
    for (let i = 0; i < batch.length; i++) {
      if (batch.direction[i] !== CONSUMPTION) {
        this.#undeliverable++
        continue
      }
      const writing = this.#spool.push({
        meter: meters[batch.meter[i]!]!,
        start: batch.start[i]!,
        kwh: batch.kwh[i]!,
        revision: batch.revision[i]!,
        entry: batch.entry.index,
        line: batch.line[i]!,
        estimated: batch.estimated[i] === 1
      })
      if (writing) await writing
    }
  }

  async commit(account: FileAccount): Promise<RowsStored> {
    const esiids = [...this.#meters.keys()]
    const name = account.entries.find(({ outcome }) => outcome === 'used')?.name ?? this.#file.name
    const sum = { inserted: 0, unchanged: 0, unconfirmed: 0, superseded: 0, conflicts: 0 }
    for await (const bucket of this.#spool.buckets()) {
      for (const [meter, rows] of byMeter(bucket)) {
        const winners = winnersOf(rows)
        sum.superseded += winners.superseded
        sum.conflicts += winners.conflicts
        for await (const outcome of this.#series(esiids[meter]!, winners.rows, lastPart(name))) {
          sum.inserted += outcome.inserted
          sum.unchanged += outcome.unchanged
          sum.unconfirmed += outcome.unconfirmed
        }
      }
    }
    if (sum.unconfirmed > 0 && sum.inserted + sum.unchanged === 0) {
      const what = `the receiver stored none of ${sum.unconfirmed} intervals`
      throw new SinkError('HTTP_NOT_STORED', what, { file: this.#file.path })
    }
    await this.#spool.close()
    return { ...sum, replaced: 0, undeliverable: this.#undeliverable }
  }

  /** What waited goes. What was sent stays there: sent again, it is the same. */
  async rollback(): Promise<void> {
    await this.#spool.close()
  }

  /** The requests of one meter. */
  async *#series(esiid: string, rows: readonly SpooledRow[], name: string): AsyncGenerator<RawOutcome> {
    const { maxBytes, maxRows } = this.#settings
    // Base64 makes four bytes of three.
    const chunks = chunksOf(rows, { maxRows, maxText: Math.floor(((maxBytes - BODY_BYTES) * 3) / 4) })
    for (const [i, chunk] of chunks.entries()) {
      await this.#settings.renew()
      const filename = chunks.length === 1 ? name : `${name}.part${i + 1}-of-${chunks.length}`
      const isLast = i === chunks.length - 1
      const answer = await this.#post(this.#body(esiid, chunk, filename, isLast))
      const outcome = judgeRawAnswer(answer, chunk.length)
      if (!outcome) throw this.#refused(answer)
      yield outcome
    }
  }

  #body(esiid: string, rows: readonly SpooledRow[], filename: string, isLast: boolean): string {
    const { source, meter } = this.#settings
    const csv = Buffer.from(csvOf(esiid, rows))
    return JSON.stringify({
      filename,
      sizeBytes: csv.length,
      sha256: createHash('sha256').update(csv).digest('hex'),
      contentBase64: csv.toString('base64'),
      contentType: 'text/csv',
      source,
      receivedAt: new Date().toISOString(),
      esiid,
      meter,
      postIngest: isLast
    })
  }

  #post(body: string): Promise<HttpAnswer> {
    return this.#poster.send({
      body,
      headers: async () => ({ 'content-type': 'application/json', 'x-admin-token': this.#settings.token })
    })
  }

  #refused(answer: HttpAnswer): SinkError {
    const isOurs = objectIn(answer)?.ok === false
    const what = isOurs ? 'the receiver answered that it is not ok' : 'the answer is not that of the raw-upload route'
    return new SinkError(isOurs ? 'HTTP_REFUSED' : 'HTTP_ANSWER', what, { file: this.#poster.address })
  }

  #numberOf(esiid: string): number {
    let number = this.#meters.get(esiid)
    if (number === undefined) {
      number = this.#meters.size
      this.#meters.set(esiid, number)
    }
    return number
  }
}

function byMeter(rows: readonly SpooledRow[]): Map<number, SpooledRow[]> {
  const meters = new Map<number, SpooledRow[]>()
  for (const row of rows) {
    const found = meters.get(row.meter)
    if (found) found.push(row)
    else meters.set(row.meter, [row])
  }
  return meters
}

/** A name without the folders that an archive may give it. */
function lastPart(name: string): string {
  return name.slice(Math.max(name.lastIndexOf('/'), name.lastIndexOf('\\')) + 1)
}
