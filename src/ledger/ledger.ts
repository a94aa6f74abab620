import { createHash } from 'node:crypto'
import type { IngestError } from '../errors.ts'
import type { PassedOver } from '../source/source.ts'
import type { LedgerFile, Receipt } from './receipt.ts'

/** The right to bring one file in. A commit with an old epoch is refused. */
export interface Claim {
  readonly fingerprint: string
  /** Grows with each claim of the file. */
  readonly epoch: number
}

/** The answer to a claim: the right itself, or what became of the file before. */
export type ClaimAnswer =
  | { readonly claim: Claim; readonly known?: undefined }
  | { readonly claim?: undefined; readonly known: Receipt }

/** What a claim may ask for. */
export interface ClaimOptions {
  /** Take files again that stand in quarantine. */
  readonly retryQuarantined?: boolean | undefined
}

/** The durable table of files. A sink with transactions keeps it beside its rows. */
export interface Ledger {
  claim(file: LedgerFile, options?: ClaimOptions): Promise<ClaimAnswer>
  /** The committed file whose opened payload has this hash. */
  findPayload(sha256: string): Promise<LedgerFile | undefined>
  /** Writes what became of a claimed file. Rejects with `STORE_FENCED` when another holds it now. */
  settle(claim: Claim, receipt: Receipt): Promise<void>
  /** Writes why a listed file was not offered; tells whether it stands there already. */
  passOver(file: PassedOver, receipt: Receipt): Promise<{ readonly known: boolean }>
  close(): Promise<void>
}

/** What the ledger keeps of one file. */
export interface LedgerRecord {
  readonly file: LedgerFile
  readonly state: 'claimed' | Receipt['state']
  readonly epoch: number
  readonly receipt: Receipt | null
}

/** Tells files apart: source, path, size and time. Anything that could be mistaken for another separator is hashed away. */
export function fingerprintOf({ source, path, size, modifiedAt }: LedgerFile): string {
  return createHash('sha256')
    .update(JSON.stringify([source, path, size, modifiedAt]))
    .digest('hex')
}

/** Whether a file may be claimed, from what the ledger has of it. */
export function mayClaim(record: LedgerRecord | undefined, options: ClaimOptions = {}): 'yes' | 'held' | 'known' {
  switch (record?.state) {
    case undefined:
    case 'seen':
    case 'ignored':
      return 'yes'
    case 'claimed':
      return 'held'
    case 'quarantined':
      return options.retryQuarantined ? 'yes' : 'known'
    default:
      return 'known'
  }
}

/** What an error makes of its file: set aside for somebody to look at, or tried again by the next run. */
export function stateAfter(error: IngestError | undefined): 'quarantined' | 'seen' {
  return error === undefined || error.retryable || error.stopsRun ? 'seen' : 'quarantined'
}
