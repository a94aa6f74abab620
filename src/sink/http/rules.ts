import type { LedgerFile, RowsStored } from '../../ledger/receipt.ts'
import type { CommitPart, ListedPart, Part, RowsPart } from './message.ts'
import { ReceiveError } from './receive-error.ts'

/** What a receiver knows of one file: one JSON value, kept beside its rows. */
export interface FileRecord {
  /** The greatest epoch that a message of the file had. */
  readonly epoch: number
  /** The parts that are staged. */
  readonly staged: readonly StagedPart[]
  /** The commit that made the file visible; null before it. */
  readonly committed: CommittedFile | null
}

/** A part that is staged, and its position. */
export interface StagedPart extends ListedPart {
  readonly index: number
}

/** What stays known of a commit. */
export interface CommittedFile {
  readonly epoch: number
  /** SHA-256 of what was opened: no two files with the same one are in. */
  readonly payload: string
  readonly label: LedgerFile
  readonly stored: RowsStored
}

/** The record as a message finds it. Refuses one of a worker whose claim passed to another. */
export function recordFor(part: Part, known: FileRecord | undefined): FileRecord {
  const record = known ?? { epoch: 0, staged: [], committed: null }
  // What is in stays in: whoever brings it again, with whatever ledger, is told so and changes nothing.
  if (part.epoch < record.epoch && !isIn(part, record)) {
    throw new ReceiveError('RECEIVE_FENCED', `the file was claimed again: epoch ${record.epoch}, and not ${part.epoch}`)
  }
  return record
}

/** Whether the file is in, and the message is not of a worker that reads it anew. */
export function isIn(part: Part, { committed }: FileRecord): boolean {
  return committed !== null && (!part.isReplay || part.epoch <= committed.epoch)
}

/** Whether the part is staged already, with the same rows. */
export function isStaged({ index, sha256 }: Omit<StagedPart, 'rows'>, { staged }: FileRecord): boolean {
  return staged.some(other => other.index === index && other.sha256 === sha256)
}

/** Refuses a commit of other bytes than those that are in. */
export function checkContent({ payload }: CommitPart, { committed }: FileRecord): void {
  if (committed && committed.payload !== payload.sha256) {
    throw new ReceiveError('RECEIVE_OTHER_CONTENT', 'the file is in with other content')
  }
}

/** Refuses a commit unless exactly what it lists is staged. */
export function checkParts({ parts }: CommitPart, record: FileRecord): void {
  const missing = parts.flatMap(({ sha256 }, index) => (isStaged({ index, sha256 }, record) ? [] : [index]))
  if (missing.length === 0) return
  const what = `${missing.length} of ${parts.length} parts are not staged`
  throw new ReceiveError('RECEIVE_PARTS_MISSING', what, { missing })
}

/** A record with one part more, instead of the one that had its position. */
export function withPart({ index, sha256, rows }: RowsPart, record: FileRecord): FileRecord {
  const others = record.staged.filter(other => other.index !== index)
  return { ...record, staged: [...others, { index, sha256, rows: rows.length }] }
}

/** The record of a file that is in. */
export function committedBy({ epoch, payload, label }: CommitPart, stored: RowsStored): FileRecord {
  return { epoch, staged: [], committed: { epoch, payload: payload.sha256, label, stored } }
}
