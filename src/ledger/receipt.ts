import { isDeepStrictEqual } from 'node:util'
import type { MessageSignature, Opened } from '../decrypt/opened.ts'
import { adviceFor, type ErrorCode, IngestError, maskEsiids } from '../errors.ts'
import type { EntryAccount, FileAccount, Quality, ReportCounts, RowCounts } from '../parse/file-account.ts'
import { type ReportKind, reportKinds } from '../report-batch.ts'
import type { Disposal, PassedOver, Transfer } from '../source/source.ts'

/** A file as the ledger knows it: the same path with another size or time is another file. */
export interface LedgerFile {
  readonly source: string
  readonly path: string
  readonly name: string
  readonly size: number
  readonly modifiedAt: number
}

/** What the store did with the accepted rows; all but `conflicts` add up to them. */
export interface RowsStored {
  /** No reading stood there before. */
  readonly inserted: number
  /** An older version stood there. */
  readonly replaced: number
  /** The same reading stood there. */
  readonly unchanged: number
  /** A newer version stands there, or stands in this very file. */
  readonly superseded: number
  /** Same revision and flag, other kWh: counted beside the others, as a thing to look at. */
  readonly conflicts: number
  /** The receiver has no place for them, so they were not sent. Left out by sinks that take every row. */
  readonly undeliverable?: number
  /** Sent to a receiver that did not say that it stored them. Left out by sinks that know. */
  readonly unconfirmed?: number
}

/** How many rows a store accounts for. */
export function rowsAccounted(stored: RowsStored): number {
  const { inserted, replaced, unchanged, superseded, undeliverable = 0, unconfirmed = 0 } = stored
  return inserted + replaced + unchanged + superseded + undeliverable + unconfirmed
}

/** What the store did with the accepted rows of other reports, by their kind. */
export type ReportsStored = Readonly<Partial<Record<ReportKind, RowsStored>>>

/** What the store did with a file: with its intervals, and with the reports that it takes beside them. */
export interface Stored extends RowsStored {
  readonly reports?: ReportsStored
}

/** What became of one kind of report in a file. */
export interface ReportReceipt extends ReportCounts, RowsStored {
  /** Accepted rows that the sink does not take. They are in no store. */
  readonly undeliverable: number
}

/** Why a file is not in. */
export interface Reason {
  readonly code: ErrorCode | 'FILTERED' | 'CHANGING' | 'HELD' | 'WAITING' | 'PARTLY' | 'POSTED'
  readonly message: string
  /** What to do, in one sentence. */
  readonly advice: string
}

/** What became of one file. */
export interface Receipt extends LedgerFile {
  /**
   * `committed`: its rows are visible. `duplicate`: its content was in already. `quarantined`: it cannot be taken, see
   * `reason`. `ignored`: a filter leaves it out. `seen`: not taken this time; the next run tries again.
   */
  readonly state: 'committed' | 'duplicate' | 'quarantined' | 'ignored' | 'seen'
  /** True when an earlier run settled it and this one changed nothing. */
  readonly known: boolean
  readonly reason: Reason | null
  /** For a duplicate: the path whose content it repeats. */
  readonly duplicateOf: string | null
  /** The bytes as fetched. */
  readonly fetched: Transfer | null
  /** The bytes as opened, before unzipping. The hash recognises the same report encrypted anew. */
  readonly payload: { readonly bytes: number; readonly sha256: string; readonly encrypted: boolean } | null
  /** The signature inside the encrypted message; left out when there is none. */
  readonly signature?: MessageSignature
  readonly entries: readonly EntryAccount[]
  /** Rows of intervals. */
  readonly rows: (RowCounts & RowsStored) | null
  readonly quality: Quality | null
  /** Rows of the reports beside intervals, by their kind; left out where there are none. */
  readonly reports?: Readonly<Partial<Record<ReportKind, ReportReceipt>>>
  /** What became of the file at its source, where that was to be touched. The ledger does not keep it. */
  readonly disposal?: Disposal
  /** UTC epoch milliseconds. */
  readonly startedAt: number
  readonly elapsedMs: number
}

/** What a finished file is receipted from. */
export interface Evidence {
  readonly account: FileAccount
  readonly fetched: Transfer
  readonly opened: Opened | undefined
  readonly stored: Stored
}

/** The part of a listed file that is kept. */
export function labelOf({ source, path, name, size, modifiedAt }: LedgerFile): LedgerFile {
  return { source, path, name, size, modifiedAt }
}

/** The part of every receipt that the file itself gives. */
function blank(file: LedgerFile, startedAt: number) {
  return {
    ...labelOf(file),
    known: false,
    reason: null,
    duplicateOf: null,
    fetched: null,
    payload: null,
    entries: [],
    rows: null,
    quality: null,
    startedAt,
    elapsedMs: Date.now() - startedAt
  }
}

/** The hash of what was opened. What is not encrypted is opened as it was fetched. */
export function payloadOf(fetched: Transfer, opened: Opened | undefined): NonNullable<Receipt['payload']> {
  const { bytes, sha256 } = opened?.encrypted ? opened : fetched
  return { bytes, sha256, encrypted: opened?.encrypted ?? false }
}

/** The signature that the message carried, if it did. */
function signatureOf(opened: Opened | undefined): Pick<Receipt, 'signature'> {
  return opened?.encrypted && opened.signature ? { signature: opened.signature } : {}
}

export function committed(file: LedgerFile, startedAt: number, evidence: Evidence): Receipt {
  const { account, fetched, opened, stored } = evidence
  const { reports: _, ...intervals } = stored
  return {
    ...blank(file, startedAt),
    state: 'committed',
    fetched,
    payload: payloadOf(fetched, opened),
    ...signatureOf(opened),
    entries: account.entries,
    rows: { ...account.rows, ...intervals },
    quality: account.quality,
    ...reportsOf(account, stored)
  }
}

function reportsOf({ reports: read }: FileAccount, { reports: stored = {} }: Stored): Pick<Receipt, 'reports'> {
  const reports: Partial<Record<ReportKind, ReportReceipt>> = {}
  for (const kind of reportKinds) {
    const counts = read[kind]
    if (!counts) continue
    const became = stored[kind] ?? nothingStored
    const notTaken = counts.accepted - rowsAccounted(became)
    reports[kind] = { ...counts, ...became, undeliverable: (became.undeliverable ?? 0) + notTaken }
  }
  return Object.keys(reports).length > 0 ? { reports } : {}
}

/** Counts of nothing. */
export const nothingStored: RowsStored = { inserted: 0, replaced: 0, unchanged: 0, superseded: 0, conflicts: 0 }

export function duplicate(
  file: LedgerFile,
  startedAt: number,
  evidence: Omit<Evidence, 'stored'>,
  first: string
): Receipt {
  const { account, fetched, opened } = evidence
  return {
    ...blank(file, startedAt),
    state: 'duplicate',
    duplicateOf: first,
    fetched,
    payload: payloadOf(fetched, opened),
    ...signatureOf(opened),
    entries: account.entries
  }
}

/** A file that was not taken, because of an error. */
export function failed(file: LedgerFile, startedAt: number, state: 'quarantined' | 'seen', error: unknown): Receipt {
  return { ...blank(file, startedAt), state, reason: reasonOf(error) }
}

/** A listed file that its source did not offer. */
export function passedOver(file: PassedOver): Receipt {
  const { state, reason } = file
  const why: Reason =
    state === 'ignored'
      ? { code: 'FILTERED', message: `left out: ${reason}`, advice: 'Change the filter if the file is wanted.' }
      : { code: 'CHANGING', message: `still changing: ${reason}`, advice: 'Nothing to do; the next run looks again.' }
  return { ...blank(file, Date.now()), state: state === 'ignored' ? 'ignored' : 'seen', reason: why }
}

/** A file that another worker has at the moment. */
export function held(file: LedgerFile, until: number): Receipt {
  const reason: Reason = {
    code: 'HELD',
    message: `another worker has the file, until ${new Date(until).toISOString()} if it says nothing more`,
    advice: 'Nothing to do; if that worker is gone, the file is taken when its time is over.'
  }
  return { ...blank(file, Date.now()), state: 'seen', reason }
}

/** A file that failed and whose next attempt is not due yet. */
export function waiting(
  file: LedgerFile,
  { next, attempts, receipt }: { next: number; attempts: number; receipt: Receipt | null }
): Receipt {
  const times = attempts === 1 ? 'once' : `${attempts} times`
  const last = receipt?.reason ? `, last with ${receipt.reason.code}` : ''
  const reason: Reason = {
    code: 'WAITING',
    message: `failed ${times}${last}; tried again from ${new Date(next).toISOString()} on`,
    advice: 'Nothing to do; ask for a retry to have it sooner.'
  }
  return { ...blank(file, Date.now()), state: 'seen', reason }
}

/** A file that an earlier run settled. What it committed then is a duplicate now. */
export function known(receipt: Receipt): Receipt {
  const settled = receipt.state === 'committed'
  return {
    ...receipt,
    known: true,
    state: settled ? 'duplicate' : receipt.state,
    duplicateOf: settled ? receipt.path : receipt.duplicateOf
  }
}

/** Whether everything that stands in the file is in the store. */
export function isWhole({ entries, rows, reports = {} }: Receipt): boolean {
  const isTaken = ({ outcome, rows }: EntryAccount) => outcome !== 'unhandled' && rows.rejected === 0
  const isStored = ({ undeliverable = 0, unconfirmed = 0 }: Partial<RowsStored>) => undeliverable + unconfirmed === 0
  return entries.length > 0 && entries.every(isTaken) && [rows ?? {}, ...Object.values(reports)].every(isStored)
}

/** Whether two readings of a file found the same in it. */
export function saysTheSame(before: Receipt, now: Receipt): boolean {
  const found = ({ payload, entries, quality, reports = {} }: Receipt) => {
    const notTaken = Object.values(reports).map(({ undeliverable }) => undeliverable)
    return JSON.parse(JSON.stringify([payload, entries, quality, notTaken]))
  }
  return isDeepStrictEqual(found(before), found(now))
}

/** Why a file stays at its source although the store has what was read of it. */
export const partly: Reason = {
  code: 'PARTLY',
  message: 'something in the file was not taken',
  advice: 'Look at its entries and rejects; delete or move the file by hand when nothing of it is wanted.'
}

/** An error as the ledger keeps it. */
export function reasonOf(error: unknown): Reason | null {
  if (error instanceof IngestError) return { code: error.code, message: error.message, advice: error.advice }
  if (error === undefined || error === null) return null
  const message = maskEsiids(error instanceof Error ? error.message : String(error))
  return { code: 'UNEXPECTED', message, advice: adviceFor('UNEXPECTED') }
}
