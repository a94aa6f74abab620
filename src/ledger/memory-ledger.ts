import type { PassedOver } from '../source/source.ts'
import {
  attemptsAfter,
  type Claim,
  type ClaimAnswer,
  type ClaimOptions,
  fenced,
  fingerprintOf,
  isClaimed,
  LEASE_MS,
  type Ledger,
  type LedgerRecord,
  refusalOf
} from './ledger.ts'
import { type LedgerFile, labelOf, type Receipt } from './receipt.ts'

/** What is known of a file that nobody ever claimed. */
const unclaimed = { epoch: 0, attempts: 0, leaseUntil: null, nextAttemptAt: null, receipt: null } as const

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

  async #claim(file: LedgerFile, options: ClaimOptions = {}): Promise<ClaimAnswer> {
    const fingerprint = fingerprintOf(file)
    const record = this.#records.get(fingerprint)
    const refusal = refusalOf(file, record, Date.now(), options)
    if (refusal) return { known: refusal }
    const { leaseMs = LEASE_MS } = options
    const before = record ?? unclaimed
    const epoch = before.epoch + 1
    const leaseUntil = Date.now() + leaseMs
    await this.keep(fingerprint, { ...before, file, state: 'claimed', epoch, leaseUntil, nextAttemptAt: null })
    return { claim: { fingerprint, epoch, leaseMs } }
  }

  renew(claim: Claim, state: 'claimed' | 'staged'): Promise<void> {
    return this.#oneAtATime(async () => {
      const record = this.#held(claim)
      await this.keep(claim.fingerprint, { ...record, state, leaseUntil: Date.now() + claim.leaseMs })
    })
  }

  async findPayload(sha256: string): Promise<LedgerFile | undefined> {
    return this.#payloads.get(sha256)
  }

  settle(claim: Claim, receipt: Receipt, costsAttempt = false): Promise<void> {
    return this.#oneAtATime(async () => {
      const record = this.#held(claim, receipt.path)
      const { attempts, pauseMs } = attemptsAfter(record.attempts, receipt, costsAttempt)
      const nextAttemptAt = pauseMs === null ? null : Date.now() + pauseMs
      const { state } = receipt
      await this.keep(claim.fingerprint, { ...record, state, attempts, leaseUntil: null, nextAttemptAt, receipt })
    })
  }

  /** The record of a claim that still holds. */
  #held(claim: Claim, path?: string): LedgerRecord {
    const record = this.#records.get(claim.fingerprint)
    if (record && isClaimed(record.state) && record.epoch === claim.epoch) return record
    throw fenced(path ?? record?.file.path)
  }

  passOver(file: PassedOver, receipt: Receipt): Promise<{ known: boolean }> {
    return this.#oneAtATime(() => this.#passOver(file, receipt))
  }

  async #passOver(file: PassedOver, receipt: Receipt): Promise<{ known: boolean }> {
    const fingerprint = fingerprintOf(file)
    const record = this.#records.get(fingerprint)
    if (record) return { known: true }
    await this.keep(fingerprint, { ...unclaimed, file: labelOf(file), state: receipt.state, receipt })
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
