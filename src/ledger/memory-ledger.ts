import type { PassedOver } from '../source/source.ts'
import { ForgottenEpochs } from './forgotten-epochs.ts'
import {
  afterSettling,
  type Claim,
  type ClaimAnswer,
  type ClaimOptions,
  fenced,
  fingerprintOf,
  LEASE_MS,
  type Ledger,
  type LedgerRecord,
  MOST_RECORDS,
  mayBeForgotten,
  type RecordQuery,
  refusalOf,
  retried,
  stateWhileClaimed
} from './ledger.ts'
import { type LedgerFile, labelOf, type Receipt } from './receipt.ts'

/** What is known of a file that nobody ever claimed. */
const unclaimed = {
  state: 'seen',
  epoch: 0,
  attempts: 0,
  isReplayDue: false,
  leaseUntil: null,
  nextAttemptAt: null,
  receipt: null
} as const

/**
 * A ledger for as long as the process lives: what a sink gets that brings none of its own.
 *
 * Memory: one record for each file listed.
 */
export class MemoryLedger implements Ledger {
  readonly #records = new Map<string, LedgerRecord>()
  readonly #payloads = new Map<string, LedgerFile>()
  readonly #forgotten = new ForgottenEpochs()
  #turn: Promise<unknown> = Promise.resolve()

  claim(file: LedgerFile, options?: ClaimOptions): Promise<ClaimAnswer> {
    return this.#oneAtATime(() => this.#claim(file, options))
  }

  async #claim(file: LedgerFile, options: ClaimOptions = {}): Promise<ClaimAnswer> {
    const fingerprint = fingerprintOf(file)
    const record = await this.recall(fingerprint)
    const refusal = refusalOf(file, record, Date.now(), options)
    if (refusal) return { known: refusal }
    const { leaseMs = LEASE_MS } = options
    const before = record ?? unclaimed
    const epoch = this.#forgotten.last(fingerprint, before.epoch) + 1
    const state = stateWhileClaimed(before, 'claimed')
    const leaseUntil = Date.now() + leaseMs
    await this.#keep({ ...before, fingerprint, file, state, epoch, leaseUntil, nextAttemptAt: null })
    return { claim: { fingerprint, epoch, leaseMs, isReplay: state === 'committed' } }
  }

  renew(claim: Claim, state: 'claimed' | 'staged'): Promise<void> {
    return this.#oneAtATime(async () => {
      const record = await this.#held(claim)
      const leaseUntil = Date.now() + claim.leaseMs
      await this.#keep({ ...record, state: stateWhileClaimed(record, state), leaseUntil })
    })
  }

  findPayload(sha256: string): Promise<LedgerFile | undefined> {
    return this.#oneAtATime(() => this.recallPayload(sha256))
  }

  settle(claim: Claim, receipt: Receipt, costsAttempt = false): Promise<void> {
    return this.#oneAtATime(async () => {
      const record = await this.#held(claim, receipt.path)
      const { pauseMs, ...settled } = afterSettling(record, claim, receipt, costsAttempt)
      const nextAttemptAt = pauseMs === null ? null : Date.now() + pauseMs
      await this.#keep({ ...record, ...settled, leaseUntil: null, nextAttemptAt })
    })
  }

  records(query: RecordQuery = {}): Promise<readonly LedgerRecord[]> {
    return this.#oneAtATime(async () => {
      const { limit = MOST_RECORDS } = query
      const found: LedgerRecord[] = []
      for await (const record of this.recallAll(query.fingerprint)) if (isAskedFor(record, query)) found.push(record)
      return found.sort((a, b) => b.updatedAt - a.updatedAt).slice(0, limit)
    })
  }

  retry(fingerprint: string): Promise<boolean> {
    return this.#change(fingerprint, record => {
      return this.#keep({ ...record, ...retried(record), attempts: 0, leaseUntil: null, nextAttemptAt: null })
    })
  }

  forget(fingerprint: string): Promise<boolean> {
    return this.#change(fingerprint, record => {
      if (!mayBeForgotten(record)) return undefined
      this.#forgotten.keep(fingerprint, record.epoch)
      return this.keep(fingerprint, undefined)
    })
  }

  /** Changes a record that nobody has; tells whether it did. */
  #change(fingerprint: string, change: (record: LedgerRecord) => Promise<void> | undefined): Promise<boolean> {
    return this.#oneAtATime(async () => {
      const record = await this.recall(fingerprint)
      if (!record || (record.leaseUntil ?? 0) > Date.now()) return false
      const changing = change(record)
      await changing
      return changing !== undefined
    })
  }

  /** The record of a claim that still holds. */
  async #held(claim: Claim, path?: string): Promise<LedgerRecord> {
    const record = await this.recall(claim.fingerprint)
    if (record?.leaseUntil && record.epoch === claim.epoch) return record
    throw fenced(path ?? record?.file.path)
  }

  passOver(file: PassedOver, receipt: Receipt): Promise<{ known: boolean }> {
    return this.#oneAtATime(() => this.#passOver(file, receipt))
  }

  async #passOver(file: PassedOver, receipt: Receipt): Promise<{ known: boolean }> {
    const fingerprint = fingerprintOf(file)
    if (await this.recall(fingerprint)) return { known: true }
    await this.#keep({ ...unclaimed, fingerprint, file: labelOf(file), state: receipt.state, receipt })
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

  #keep(record: Omit<LedgerRecord, 'updatedAt'>): Promise<void> {
    return this.keep(record.fingerprint, { ...record, updatedAt: Date.now() })
  }

  /** Takes a record as the newest of its file, or forgets the file. */
  protected async keep(fingerprint: string, record: LedgerRecord | undefined): Promise<void> {
    if (!record) {
      const sha256 = this.#records.get(fingerprint)?.receipt?.payload?.sha256 ?? ''
      const owner = this.#payloads.get(sha256)
      if (owner && fingerprintOf(owner) === fingerprint) this.#payloads.delete(sha256)
      this.#records.delete(fingerprint)
      return
    }
    this.#records.set(fingerprint, record)
    const sha256 = payloadTaken(record)
    if (sha256 !== undefined && !this.#payloads.has(sha256)) this.#payloads.set(sha256, record.file)
  }

  /** The newest record of a file. */
  protected async recall(fingerprint: string): Promise<LedgerRecord | undefined> {
    return this.#records.get(fingerprint)
  }

  /** The file that was taken first of those with this payload. */
  protected async recallPayload(sha256: string): Promise<LedgerFile | undefined> {
    return this.#payloads.get(sha256)
  }

  /** The newest record of every file, or of one. */
  protected async *recallAll(fingerprint?: string): AsyncGenerator<LedgerRecord> {
    const records = fingerprint === undefined ? this.#records.values() : [this.#records.get(fingerprint)]
    for (const record of records) if (record) yield record
  }
}

/** The hash of the payload by which a record's file is found. */
export function payloadTaken({ receipt }: LedgerRecord): string | undefined {
  return receipt?.state === 'committed' ? receipt.payload?.sha256 : undefined
}

function isAskedFor(record: LedgerRecord, query: RecordQuery): boolean {
  const { fingerprint, path, states, isReplayDue, since = Number.NEGATIVE_INFINITY, until = Infinity } = query
  const { file } = record
  if (fingerprint !== undefined && record.fingerprint !== fingerprint) return false
  if (path !== undefined && file.path !== path && file.name !== path && !file.path.endsWith(`/${path}`)) return false
  if (states && !states.includes(record.state)) return false
  if (isReplayDue !== undefined && record.isReplayDue !== isReplayDue) return false
  return file.modifiedAt >= since && file.modifiedAt < until
}
