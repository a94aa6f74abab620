import { SinkError } from '../errors.ts'
import type { PassedOver } from '../source/source.ts'
import {
  type Claim,
  type ClaimAnswer,
  type ClaimOptions,
  fingerprintOf,
  type Ledger,
  type LedgerRecord,
  mayClaim
} from './ledger.ts'
import { known, type LedgerFile, labelOf, type Receipt } from './receipt.ts'

/**
 * A ledger for as long as the process lives: what a sink gets that brings none of its own.
 *
 * Memory: one record for each file listed.
 */
export class MemoryLedger implements Ledger {
  readonly #records = new Map<string, LedgerRecord>()
  readonly #payloads = new Map<string, LedgerFile>()
  #turn: Promise<unknown> = Promise.resolve()

  claim(file: LedgerFile, options?: ClaimOptions): Promise<ClaimAnswer> {
    return this.#oneAtATime(() => this.#claim(file, options))
  }

  async #claim(file: LedgerFile, options: ClaimOptions | undefined): Promise<ClaimAnswer> {
    const fingerprint = fingerprintOf(file)
    const record = this.#records.get(fingerprint)
    switch (mayClaim(record, options)) {
      case 'known':
        return { known: known(record!.receipt!) }
      case 'held':
        throw new SinkError('STORE_FENCED', 'the file is being taken already', { file: file.path })
      case 'yes': {
        const epoch = (record?.epoch ?? 0) + 1
        await this.keep(fingerprint, { file, state: 'claimed', epoch, receipt: record?.receipt ?? null })
        return { claim: { fingerprint, epoch } }
      }
    }
  }

  async findPayload(sha256: string): Promise<LedgerFile | undefined> {
    return this.#payloads.get(sha256)
  }

  settle(claim: Claim, receipt: Receipt): Promise<void> {
    return this.#oneAtATime(() => this.#settle(claim, receipt))
  }

  async #settle(claim: Claim, receipt: Receipt): Promise<void> {
    const record = this.#records.get(claim.fingerprint)
    if (record?.state !== 'claimed' || record.epoch !== claim.epoch) {
      throw new SinkError('STORE_FENCED', 'another worker took the file over', { file: receipt.path })
    }
    await this.keep(claim.fingerprint, { ...record, state: receipt.state, receipt })
  }

  passOver(file: PassedOver, receipt: Receipt): Promise<{ known: boolean }> {
    return this.#oneAtATime(() => this.#passOver(file, receipt))
  }

  async #passOver(file: PassedOver, receipt: Receipt): Promise<{ known: boolean }> {
    const fingerprint = fingerprintOf(file)
    const record = this.#records.get(fingerprint)
    if (record) return { known: true }
    await this.keep(fingerprint, { file: labelOf(file), state: receipt.state, epoch: 0, receipt })
    return { known: false }
  }

  async close(): Promise<void> {
    await this.#turn
  }

  /** Two claims of one file must not both see the state before. */
  #oneAtATime<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work)
    this.#turn = turn.catch(() => {})
    return turn
  }

  /** Takes a record as the newest of its file. */
  protected async keep(fingerprint: string, record: LedgerRecord): Promise<void> {
    this.remember(fingerprint, record)
  }

  protected remember(fingerprint: string, record: LedgerRecord): void {
    this.#records.set(fingerprint, record)
    const { file, receipt } = record
    if (receipt?.state === 'committed' && receipt.payload && !this.#payloads.has(receipt.payload.sha256)) {
      this.#payloads.set(receipt.payload.sha256, file)
    }
  }

  /** The newest record of every file. */
  protected records(): ReadonlyMap<string, LedgerRecord> {
    return this.#records
  }
}
