import { Writable } from 'node:stream'
import { IntervalBatch } from '../batch.ts'
import { openedOf } from '../decrypt/opened.ts'
import { AbortError, findIngestError, SinkError, SourceError } from '../errors.ts'
import { type Claim, fenced, fingerprintOf, type Ledger, stateAfter } from '../ledger/ledger.ts'
import {
  committed,
  duplicate,
  type Evidence,
  failed,
  type LedgerFile,
  nothingStored,
  payloadOf,
  type Receipt,
  rowsAccounted,
  type Stored
} from '../ledger/receipt.ts'
import { FileAccount, rowsAddUp } from '../parse/file-account.ts'
import { type ReportBatch, ReportBatchOf, type ReportKind, reportKinds } from '../report-batch.ts'
import type { IngestFile } from '../source/source.ts'
import type { SinkTransaction } from './sink.ts'

/**
 * What a stream needs of its sink.
 * @internal
 */
export interface SinkHooks {
  claim(): Promise<Awaited<ReturnType<Ledger['claim']>>>
  begin(claim: Claim): Promise<SinkTransaction>
  ledger(): Promise<Ledger>
  readonly takesAnyLength: boolean
  inTurn<T>(work: () => Promise<T>): Promise<T>
}

/**
 * The way of one file into a sink. Takes {@link IntervalBatch}es, {@link ReportBatch}es and one {@link FileAccount}, which
 * comes last.
 */
export class SinkStream extends Writable {
  readonly #file: IngestFile
  readonly #hooks: SinkHooks
  readonly #startedAt = Date.now()
  #claim: Claim | undefined
  #transaction: SinkTransaction | undefined
  #account: FileAccount | undefined
  #accepted = 0
  readonly #reports: Partial<Record<ReportKind, number>> = {}
  #receipt: Receipt | undefined
  /** The write or the commit under way. */
  #working: Promise<unknown> = Promise.resolve()
  /** Renews the claim while work goes on. */
  #heartbeat: NodeJS.Timeout | undefined
  #renewing: Promise<void> = Promise.resolve()

  /** @internal Made by {@link Sink.stream}. */
  constructor(file: IngestFile, hooks: SinkHooks) {
    super({ objectMode: true, highWaterMark: 1 })
    this.#file = file
    this.#hooks = hooks
  }

  /** What became of the file; undefined until that is known. Also there after an error: then it tells the reason. */
  get receipt(): Receipt | undefined {
    return this.#receipt
  }

  /** Waits for the claim. True: the file's bytes are wanted. False: it is known, and `receipt` tells since when. */
  async wanted(): Promise<boolean> {
    if (this.errored) throw this.errored
    if (!this.#claim && !this.#receipt) {
      await new Promise<void>((resolve, reject) => {
        this.once('claimed', resolve).once('error', reject)
      })
    }
    return this.#claim !== undefined
  }

  /** Ends the stream, if nothing has, and waits until it is over. @internal Called by {@link Sink.close}. */
  async endWithSink(): Promise<void> {
    if (this.closed) return
    const closed = new Promise(resolve => this.once('close', resolve))
    // An error that nobody listens for would end the process.
    this.destroy(this.listenerCount('error') > 0 ? new AbortError({ file: this.#file.path }) : undefined)
    await closed
  }

  override _construct(ready: (error?: Error | null) => void): void {
    settle(this.#begin(), ready)
  }

  override _write(chunk: unknown, _encoding: BufferEncoding, written: (error?: Error | null) => void): void {
    this.#working = this.#take(chunk)
    settle(this.#working, written)
  }

  override _final(finished: (error?: Error | null) => void): void {
    this.#working = this.#finish()
    settle(this.#working, finished)
  }

  override _destroy(error: Error | null, destroyed: (error: Error | null) => void): void {
    this.#giveUp(error).then(
      () => destroyed(error),
      failure => destroyed(error ? new AggregateError([error, failure], error.message, { cause: error }) : failure)
    )
  }

  async #begin(): Promise<void> {
    const { claim, known } = await this.#hooks.claim()
    this.#receipt = known
    if (claim) {
      this.#claim = claim
      this.#heartbeat = setInterval(() => {
        this.#renewing = this.#renew(claim)
      }, claim.leaseMs / 3).unref()
      this.#transaction = await this.#hooks.begin(claim)
    }
    this.emit('claimed')
  }

  /** Says that the work goes on. When another worker has the file, this one stops. */
  async #renew(claim: Claim): Promise<void> {
    try {
      await (await this.#hooks.ledger()).renew(claim, 'claimed')
    } catch (error) {
      // A store that cannot be reached may be there again before the lease is over; if not, the commit is refused.
      if (findIngestError(error)?.code === 'STORE_FENCED') this.destroy(error as Error)
    }
  }

  async #take(chunk: unknown): Promise<void> {
    if (!this.#transaction) return
    if (this.#account) throw this.#broken('SINK_NO_ACCOUNT', 'something followed the FileAccount, which comes last')
    if (chunk instanceof FileAccount) {
      this.#account = chunk
    } else if (chunk instanceof IntervalBatch) {
      if (chunk.minutes?.some(minutes => minutes !== 15) && !this.#hooks.takesAnyLength) {
        throw this.#broken('SINK_INTERVAL_LENGTH', 'an interval is not of 15 minutes')
      }
      this.#accepted += chunk.length
      await this.#transaction.write(chunk)
    } else if (chunk instanceof ReportBatchOf) {
      const batch = chunk as ReportBatch
      this.#reports[batch.kind] = (this.#reports[batch.kind] ?? 0) + batch.length
      await this.#transaction.writeReports?.(batch)
    } else {
      throw this.#broken('SINK_NO_ACCOUNT', 'neither a batch of rows nor a FileAccount')
    }
  }

  /** The end of the stream: proofs first, then one commit. */
  async #finish(): Promise<void> {
    const [claim, transaction, account] = [this.#claim, this.#transaction, this.#account]
    if (!claim || !transaction) return
    if (!account) throw this.#broken('SINK_NO_ACCOUNT', 'the stream ended without a FileAccount')
    const came = reportKinds.every(kind => (account.reports[kind]?.accepted ?? 0) === (this.#reports[kind] ?? 0))
    if (!rowsAddUp(account) || !account.entries.every(rowsAddUp) || account.rows.accepted !== this.#accepted || !came) {
      throw this.#broken('SINK_ROW_EQUATION', 'the rows do not add up')
    }
    const fetched = await this.#file.verify()
    const evidence = { account, fetched, opened: openedOf(this.#file) }
    await this.#hooks.inTurn(() => this.#close(claim, transaction, evidence))
  }

  async #close(claim: Claim, transaction: SinkTransaction, evidence: Omit<Evidence, 'stored'>): Promise<void> {
    if (this.destroyed) throw new AbortError({ file: this.#file.path })
    const ledger = await this.#hooks.ledger()
    clearInterval(this.#heartbeat)
    // One that was sent would wait for the commit, and then find the claim settled.
    await this.#renewing
    await ledger.renew(claim, 'staged')
    const payload = payloadOf(evidence.fetched, evidence.opened)
    let first = await ledger.findPayload(payload.sha256)
    // Lists of other systems know messages by what was fetched.
    if (!first && payload.encrypted) first = await ledger.findPayload(evidence.fetched.sha256)
    const isOwn = first !== undefined && fingerprintOf(first) === claim.fingerprint
    // Whoever took the file over has brought it in.
    if (isOwn && !claim.isReplay) throw fenced(this.#file.path)
    if (claim.isReplay && !isOwn) {
      throw new SourceError('TRANSFER_CHANGED', 'the file is not the one that was taken', { file: this.#file.path })
    }
    if (first && !isOwn) return this.#closeDuplicate(claim, ledger, evidence, first)
    // A sink that asks for it within its transaction undoes what does not add up.
    const receipt = (stored: Stored) => {
      const { rows, reports } = evidence.account
      const isEven = (kind: ReportKind) =>
        rowsAccounted(stored.reports?.[kind] ?? nothingStored) ===
        (transaction.writeReports ? (reports[kind]?.accepted ?? 0) : 0)
      if (rowsAccounted(stored) !== rows.accepted || !reportKinds.every(isEven)) {
        throw this.#broken('SINK_ROW_EQUATION', 'the stored rows do not add up to the accepted ones')
      }
      return committed(this.#file, this.#startedAt, { ...evidence, stored })
    }
    const stored = await transaction.commit(evidence.account, { claim, evidence, receipt })
    if ('duplicateOf' in stored) return this.#closeDuplicate(claim, ledger, evidence, stored.duplicateOf)
    this.#transaction = undefined
    const done = receipt(stored)
    if (!transaction.recordsCommit) await ledger.settle(claim, done)
    this.#receipt = done
  }

  /** The same content is in already. */
  async #closeDuplicate(
    claim: Claim,
    ledger: Ledger,
    evidence: Omit<Evidence, 'stored'>,
    first: LedgerFile
  ): Promise<void> {
    await this.#rollback()
    const receipt = duplicate(this.#file, this.#startedAt, evidence, first.path)
    await ledger.settle(claim, receipt)
    this.#receipt = receipt
  }

  /** Whatever ended the stream before its commit: nothing staged stays, and the ledger says why. */
  async #giveUp(error: Error | null): Promise<void> {
    // A stream is destroyed in the middle of a write, too. A commit that was sent has an answer, and until it is here
    // nobody knows what is true; a write would go on in what the rollback gives back.
    await this.#working.catch(() => {})
    clearInterval(this.#heartbeat)
    if (!this.#claim || this.#receipt) return
    const cause = findIngestError(error)
    const reason = cause ?? (error && error.name !== 'AbortError' ? error : new AbortError({ file: this.#file.path }))
    this.#receipt = failed(this.#file, this.#startedAt, stateAfter(cause), reason)
    try {
      await this.#rollback()
    } finally {
      // A run that was stopped, or a store that is gone, is no fault of the file.
      const costsAttempt = cause?.retryable === true && !cause.stopsRun && !(cause instanceof AbortError)
      await this.#giveBack(this.#claim, this.#receipt, costsAttempt)
    }
  }

  async #giveBack(claim: Claim, receipt: Receipt, costsAttempt: boolean): Promise<void> {
    try {
      await (await this.#hooks.ledger()).settle(claim, receipt, costsAttempt)
    } catch (error) {
      // Nothing to give back: another worker holds the file, and its result stands.
      if (findIngestError(error)?.code !== 'STORE_FENCED') throw error
    }
  }

  async #rollback(): Promise<void> {
    const transaction = this.#transaction
    this.#transaction = undefined
    await transaction?.rollback()
  }

  #broken(code: 'SINK_NO_ACCOUNT' | 'SINK_ROW_EQUATION' | 'SINK_INTERVAL_LENGTH', what: string): SinkError {
    return new SinkError(code, what, { file: this.#file.path })
  }
}

function settle(work: Promise<unknown>, callback: (error?: Error | null) => void): void {
  work.then(
    () => callback(),
    error => callback(error)
  )
}
