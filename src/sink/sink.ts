import type { IntervalBatch } from '../batch.ts'
import type { Claim, ClaimOptions, Ledger } from '../ledger/ledger.ts'
import { MemoryLedger } from '../ledger/memory-ledger.ts'
import { type Evidence, type LedgerFile, labelOf, passedOver, type Receipt, type Stored } from '../ledger/receipt.ts'
import type { FileAccount } from '../parse/file-account.ts'
import type { ReportBatch } from '../report-batch.ts'
import type { IngestFile, PassedOver } from '../source/source.ts'
import { OpenedOnce } from './opened-once.ts'
import { SinkStream } from './sink-stream.ts'
import type { StoredDay, StoredDaysQuery } from './stored-days.ts'

/** What a commit knows beside the account. */
export interface Closing {
  readonly claim: Claim
  readonly evidence: Omit<Evidence, 'stored'>
  /** The receipt that the commit will have, for sinks that write their ledger in the same transaction as the rows. */
  receipt(stored: Stored): Receipt
}

/** What a commit did: stored the rows, or found that another worker has just committed the same content. */
export type Committed = Stored | { readonly duplicateOf: LedgerFile }

/** One file on its way into a store: staged batch by batch, visible all together or not at all. */
export interface SinkTransaction {
  /** Stages a batch; resolves when the next may come. */
  write(batch: IntervalBatch): void | Promise<void>
  /**
   * Stages rows of a report beside intervals. A sink that brings it tells in `reports` of what it committed what became of
   * them; without it they are in no store, and the receipt counts them as `undeliverable`.
   */
  writeReports?(batch: ReportBatch): void | Promise<void>
  /** Makes everything staged visible, once, and tells what became of the accepted rows. */
  commit(account: FileAccount, closing: Closing): Promise<Committed>
  /** Forgets everything staged. Called at most once, never during a write, and never after a commit that succeeded. */
  rollback(): Promise<void>
  /** True when `commit` writes the ledger too, in one transaction with the rows. */
  readonly recordsCommit?: boolean
}

/**
 * Where intervals go. Owns a file's whole way in: claim, staging, proof, commit, receipt.
 *
 * In: the batches of one file and its {@link FileAccount}. Out: rows in a store, and a receipt.
 * Memory: one batch, beside what the store keeps for itself.
 */
export abstract class Sink implements AsyncDisposable {
  readonly #ledger = new OpenedOnce(() => this.openLedger())
  /** The commit under way. */
  #committing: Promise<unknown> = Promise.resolve()
  readonly #streams = new Set<SinkStream>()

  /** Whether intervals of other lengths than 15 minutes may come: true where the store says how long each one is. */
  protected readonly takesAnyLength: boolean = false

  /**
   * Whether commits come one after the other: of two files with the same content, the second must see the first. A store
   * whose commits see to that themselves says no.
   */
  protected readonly commitsInTurn: boolean = true

  /** Begins the staging of one file. The only thing a sink must bring. */
  protected abstract begin(file: IngestFile, claim: Claim): Promise<SinkTransaction>

  /** The durable table of files. Without one of its own, a sink knows its files for as long as it lives. */
  protected async openLedger(): Promise<Ledger> {
    return new MemoryLedger()
  }

  /** One Node stream for one file. Ends in a receipt, see {@link SinkStream.receipt}. */
  stream(file: IngestFile, options: ClaimOptions = {}): SinkStream {
    const stream = new SinkStream(file, {
      claim: async () => (await this.ledger()).claim(labelOf(file), options),
      begin: claim => this.begin(file, claim),
      ledger: () => this.ledger(),
      takesAnyLength: this.takesAnyLength,
      inTurn: work => (this.commitsInTurn ? this.#oneAtATime(work) : work())
    })
    this.#streams.add(stream)
    stream.once('close', () => this.#streams.delete(stream))
    return stream
  }

  /** Writes down why a listed file was not offered. */
  async passOver(file: PassedOver): Promise<Receipt> {
    const receipt = passedOver(file)
    const { known } = await (await this.ledger()).passOver(file, receipt)
    return { ...receipt, known }
  }

  /**
   * How many intervals the store has of each meter, direction and local day; those of which it has none are left out. Undefined
   * where a sink cannot say: it need not be able to.
   */
  async storedDays(_query: StoredDaysQuery): Promise<readonly StoredDay[] | undefined> {
    return undefined
  }

  /** Ends what is under way, whose files go back, and closes what is open. The next use opens it anew. */
  async close(): Promise<void> {
    await Promise.all(Array.from(this.#streams, stream => stream.endWithSink()))
    await this.#ledger.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** The ledger, opened at first use: what became of each file. One that could not be opened is tried again. */
  ledger(): Promise<Ledger> {
    return this.#ledger.get()
  }

  #oneAtATime<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#committing.then(work, work)
    this.#committing = turn.catch(() => {})
    return turn
  }
}
