import { createHash } from 'node:crypto'
import { type IngestError, SinkError } from '../errors.ts'
import { pauseAfter } from '../pause-after.ts'
import type { PassedOver } from '../source/source.ts'
import { held, known, type LedgerFile, type Receipt, saysTheSame, waiting } from './receipt.ts'

/** How long a claim holds without being renewed. */
export const LEASE_MS = 10 * 60_000

/** The right to bring one file in, for as long as its lease lasts. A commit with an old epoch is refused. */
export interface Claim {
  readonly fingerprint: string
  /** Grows with each claim of the file, also over its being forgotten. */
  readonly epoch: number
  /** Milliseconds of the lease, from the claim or its last renewal on, by the clock of the store. */
  readonly leaseMs: number
  /** The file is in, and is read anew: what the store has of it is replaced, or stays when that fails. */
  readonly isReplay: boolean
}

/** The answer to a claim: the right itself, or why it is not given. */
export type ClaimAnswer =
  | { readonly claim: Claim; readonly known?: undefined }
  | { readonly claim?: undefined; readonly known: Receipt }

/** What a claim may ask for. */
export interface ClaimOptions {
  /** Take files again that stand in quarantine. */
  readonly retryQuarantined?: boolean | undefined
  /** Take files whose next attempt is not due yet. */
  readonly retryNow?: boolean | undefined
  /** Milliseconds until others may take the file over. Renewed while work goes on; 10 minutes by default. */
  readonly leaseMs?: number | undefined
}

/** The durable table of files. A sink with transactions keeps it beside its rows. */
export interface Ledger {
  /** Takes a file, if nobody has it, or whoever had it let the lease run out. */
  claim(file: LedgerFile, options?: ClaimOptions): Promise<ClaimAnswer>
  /** Begins the lease anew; `staged` says that only the commit is left. Rejects with `STORE_FENCED` when it was lost. */
  renew(claim: Claim, state: 'claimed' | 'staged'): Promise<void>
  /** The committed file whose opened payload has this hash. */
  findPayload(sha256: string): Promise<LedgerFile | undefined>
  /**
   * Writes what became of a claimed file. Rejects with `STORE_FENCED` when another holds it now. One that is `seen` is
   * tried again: after a pause when the failure `costsAttempt`.
   */
  settle(claim: Claim, receipt: Receipt, costsAttempt?: boolean): Promise<void>
  /** Writes why a listed file was not offered; tells whether it stands there already. */
  passOver(file: PassedOver, receipt: Receipt): Promise<{ readonly known: boolean }>
  /** What it has of files, the one changed last first. */
  records(query?: RecordQuery): Promise<readonly LedgerRecord[]>
  /**
   * Has the next run take a file: one that is set aside, ignored, a duplicate or waiting as if it were new, one that is
   * in to be read anew. False when the ledger does not know it, or somebody has it.
   */
  retry(fingerprint: string): Promise<boolean>
  /**
   * Forgets a file of which nothing is stored. False when something is, when the ledger does not know it, or when somebody
   * has it or had it when he was heard of last: the next run takes it over.
   */
  forget(fingerprint: string): Promise<boolean>
  close(): Promise<void>
}

/** Which records are asked for: those for which everything holds that is given. */
export interface RecordQuery {
  readonly fingerprint?: string | undefined
  /** The whole path, its end behind a slash, or the name. */
  readonly path?: string | undefined
  readonly states?: readonly LedgerRecord['state'][] | undefined
  /** In, and to be read anew. */
  readonly isReplayDue?: boolean | undefined
  /** Modified at the source in this span of UTC epoch milliseconds, `until` not included. */
  readonly since?: number | undefined
  readonly until?: number | undefined
  /** @default 1000 */
  readonly limit?: number | undefined
}

/** How many records are given unless more are asked for. */
export const MOST_RECORDS = 1000

/** What the ledger keeps of one file. Instants are UTC epoch milliseconds by the clock of the store. */
export interface LedgerRecord {
  readonly fingerprint: string
  readonly file: LedgerFile
  readonly state: 'claimed' | 'staged' | Receipt['state']
  readonly epoch: number
  /** Failed attempts since the file was last taken or set aside. */
  readonly attempts: number
  /** When a claim ends by itself. */
  readonly leaseUntil: number | null
  /** When the next attempt is due. */
  readonly nextAttemptAt: number | null
  /** The file is in, and the next run reads it anew. */
  readonly isReplayDue: boolean
  readonly updatedAt: number
  readonly receipt: Receipt | null
}

/** Tells files apart: source, path, size and time. Anything that could be mistaken for another separator is hashed away. */
export function fingerprintOf({ source, path, size, modifiedAt }: LedgerFile): string {
  return createHash('sha256')
    .update(JSON.stringify([source, path, size, modifiedAt]))
    .digest('hex')
}

/** What a claim is answered, from what the ledger has of the file; undefined when it may be taken. */
export function refusalOf(
  file: LedgerFile,
  record: Omit<LedgerRecord, 'file' | 'fingerprint' | 'updatedAt'> | undefined,
  now: number,
  { retryQuarantined, retryNow }: ClaimOptions = {}
): Receipt | undefined {
  if (!record) return undefined
  if (record.leaseUntil !== null && record.leaseUntil > now) return held(file, record.leaseUntil)
  switch (record.state) {
    case 'ignored':
      return undefined
    case 'seen': {
      const { nextAttemptAt: next, attempts, receipt } = record
      return next !== null && next > now && !retryNow ? waiting(file, { next, attempts, receipt }) : undefined
    }
    case 'claimed':
    case 'staged':
      return undefined
    case 'quarantined':
      return retryQuarantined ? undefined : known({ ...record.receipt!, ...file })
    case 'committed':
    case 'duplicate':
      return record.isReplayDue ? undefined : known({ ...record.receipt!, ...file })
  }
}

/** What an error makes of its file: set aside for somebody to look at, or tried again by the next run. */
export function stateAfter(error: IngestError | undefined): 'quarantined' | 'seen' {
  return error === undefined || error.retryable || error.stopsRun ? 'seen' : 'quarantined'
}

/** How often a file has failed after this receipt, and how long it then rests; null when it need not. */
function attemptsAfter(
  before: number,
  { state }: Receipt,
  costsAttempt: boolean
): { readonly attempts: number; readonly pauseMs: number | null } {
  if (state !== 'seen') return { attempts: 0, pauseMs: null }
  if (!costsAttempt) return { attempts: before, pauseMs: null }
  return { attempts: before + 1, pauseMs: pauseAfter(before + 1) }
}

/** The part of a record that settling a claim changes. */
type Settled = Pick<LedgerRecord, 'state' | 'attempts' | 'isReplayDue' | 'receipt'>

/**
 * What a claimed file's record becomes, and how many milliseconds it then rests. What a replay could not do changes
 * nothing, and one that found the same keeps the receipt of the first time.
 */
export function afterSettling(
  before: Settled,
  { isReplay }: Claim,
  receipt: Receipt,
  costsAttempt: boolean
): Settled & { readonly pauseMs: number | null } {
  if (!isReplay) {
    const rest = attemptsAfter(before.attempts, receipt, costsAttempt)
    return { ...rest, state: receipt.state, isReplayDue: false, receipt }
  }
  if (receipt.state !== 'committed') return { ...before, pauseMs: null }
  const kept = before.receipt && saysTheSame(before.receipt, receipt) ? before.receipt : receipt
  return { state: 'committed', attempts: 0, isReplayDue: false, receipt: kept, pauseMs: null }
}

/** What becomes of a record when somebody takes the file. One that is in stays so while it is read anew. */
export function stateWhileClaimed(
  { state }: Pick<LedgerRecord, 'state'>,
  stage: 'claimed' | 'staged'
): LedgerRecord['state'] {
  return state === 'committed' ? 'committed' : stage
}

/** What the next run makes of a record that was asked to be retried. */
export function retried({ state }: Pick<LedgerRecord, 'state'>): Pick<LedgerRecord, 'state' | 'isReplayDue'> {
  return state === 'committed' ? { state, isReplayDue: true } : { state: 'seen', isReplayDue: false }
}

/** Whether something of a file is stored. What another system took over stands in the ledger as if it were in. */
function isStored({ state, receipt }: Pick<LedgerRecord, 'state' | 'receipt'>): boolean {
  return state === 'committed' && receipt?.reason?.code !== 'POSTED'
}

/**
 * Whether a file may be forgotten: nothing of it is stored, and no worker has it or had it when he was heard of last. He
 * may come back, and would find no claim that he could give back.
 */
export function mayBeForgotten(record: LedgerRecord): boolean {
  return !isStored(record) && record.leaseUntil === null
}

/** The error of a worker whose claim passed to another. */
export function fenced(file: string | undefined): SinkError {
  return new SinkError('STORE_FENCED', 'another worker took the file over', { file })
}
