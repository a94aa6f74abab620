import { basename } from 'node:path'
import type { LedgerRecord, RecordQuery } from '../ledger/ledger.ts'
import type { LedgerFile, Receipt, RowsStored } from '../ledger/receipt.ts'
import type { EntryAccount } from '../parse/file-account.ts'
import { PARSER_VERSION } from '../parse/interval-parser.ts'

/** What stores over SQL share: what is ours as columns of their tables, and rows of their answers as ours. */

/** A row of an answer. Whole numbers of 64 bits come as text or bigint. */
type Row = Readonly<Record<string, unknown>>

const outcomes = [
  'inserted',
  'replaced',
  'unchanged',
  'superseded',
  'conflicts'
] as const satisfies (keyof RowsStored)[]

/** What became of rows, from the one row of a query that counts them. */
export function storedOf(row: Row | undefined): RowsStored {
  return Object.fromEntries(outcomes.map(name => [name, Number(row![name])])) as unknown as RowsStored
}

/** What a merge did. */
export interface Merged {
  readonly stored: RowsStored
  /**
   * From the first to the last reading, in UTC epoch milliseconds, that the file gave before and does not give any more,
   * or gives in a lesser version: another file's may stand there now.
   */
  readonly lost: readonly [first: number, last: number] | undefined
}

/** What was lost, from the one row of a query that gives its `first` and `last` instant. */
export function lostOf(row: Row | undefined): Merged['lost'] {
  return row?.first == null ? undefined : [Number(row.first), Number(row.last)]
}

/**
 * The query that counts a file's rows by what became of them, where the best row of each key stands in one table
 * (`rivals` that it beat in the file, whether in `conflict` with one), and those that met a stored row in another
 * (`outcome`, `conflict`). Rows beaten within their own file are superseded.
 */
export function countSql(winners: string, met: string): string {
  return `
    SELECT own.winners - met.total AS inserted, met.replaced, met.unchanged, met.superseded + own.beaten AS superseded,
      own.conflicts + met.conflicts AS conflicts
    FROM (
      SELECT count(*) AS winners, coalesce(sum(rivals), 0) AS beaten, count(*) FILTER (WHERE conflict) AS conflicts
      FROM ${winners}
    ) own, (
      SELECT count(*) AS total, count(*) FILTER (WHERE outcome = 'replaced') AS replaced,
        count(*) FILTER (WHERE outcome = 'unchanged') AS unchanged,
        count(*) FILTER (WHERE outcome = 'superseded') AS superseded, count(*) FILTER (WHERE conflict) AS conflicts
      FROM ${met}
    ) met`
}

/** What `entries` keeps of an entry, beside its number and its file's. */
export function entryColumns(entry: EntryAccount) {
  const { index, name, kind, outcome, layout, header, bytes, crc32, rows } = entry
  return {
    ...{ ordinal: index, name, kind, outcome, layout, header, bytes, crc32 },
    rows_read: rows.read,
    rows_accepted: rows.accepted,
    rows_rejected: rows.rejected,
    rows_placeholder: rows.placeholder,
    rows_missing: rows.missing,
    rows_repeated_header: rows.repeatedHeader,
    parser_version: PARSER_VERSION
  }
}

/** What `files` keeps of a receipt. */
export function receiptColumns(receipt: Receipt) {
  return {
    state: receipt.state,
    fetched_sha256: receipt.fetched?.sha256 ?? null,
    payload_sha256: receipt.payload?.sha256 ?? null,
    duplicate_of: receipt.duplicateOf,
    code: receipt.reason?.code ?? null,
    reason: receipt.reason?.message ?? null,
    receipt: JSON.stringify(receipt)
  }
}

/** Whether somebody has a file, or had it when he died. */
export const isClaimedSql = 'lease_until IS NOT NULL'

/** The columns of `files` that {@link recordOf} reads. `ms` makes an instant UTC epoch milliseconds. */
export function recordColumns(ms: (instant: string) => string, now: string): string {
  const instants = ['modified_at', 'lease_until', 'next_attempt_at', 'updated_at']
  const plain = 'fingerprint, source, path, name, size, state, epoch, attempts, replay_due, receipt'
  return `${plain}, ${instants.map(name => `${ms(name)} AS ${name}`).join(', ')}, ${ms(now)} AS now`
}

/** The condition of a query for records. `bind` takes a value and gives what stands for it. */
export function recordCondition(
  { fingerprint, path, states, isReplayDue, since, until }: RecordQuery,
  bind: (value: string | number | boolean) => string
): string {
  const conditions: string[] = []
  if (fingerprint !== undefined) conditions.push(`fingerprint = ${bind(fingerprint)}`)
  if (path !== undefined) {
    // A path that ends so belongs to a file of this name, and names have an index.
    const [whole, name] = [bind(path), bind(basename(path))]
    const end = path.includes('/') ? ` AND right(path, ${[...path].length + 1}) = ${bind(`/${path}`)}` : ''
    conditions.push(`(path = ${whole} OR name = ${name}${end})`)
  }
  if (states) conditions.push(`state IN (${states.map(bind).join(', ') || 'NULL'})`)
  if (isReplayDue !== undefined) conditions.push(`replay_due = ${bind(isReplayDue)}`)
  const instant = (ms: number) => `to_timestamp(CAST(${bind(ms)} AS double precision) / 1000)`
  if (since !== undefined) conditions.push(`modified_at >= ${instant(since)}`)
  if (until !== undefined) conditions.push(`modified_at < ${instant(until)}`)
  return conditions.length > 0 ? conditions.join(' AND ') : 'true'
}

/** A row of `files`, its instants in UTC epoch milliseconds, and the store's clock. */
export function recordOf(row: Row): { readonly record: LedgerRecord; readonly now: number } {
  const instant = (value: unknown) => (value === null ? null : Number(value))
  return {
    record: {
      fingerprint: row.fingerprint as string,
      file: fileOf(row),
      isReplayDue: row.replay_due as boolean,
      updatedAt: Number(row.updated_at),
      state: row.state as LedgerRecord['state'],
      epoch: row.epoch as number,
      attempts: row.attempts as number,
      leaseUntil: instant(row.lease_until),
      nextAttemptAt: instant(row.next_attempt_at),
      receipt: (typeof row.receipt === 'string' ? JSON.parse(row.receipt) : row.receipt) as Receipt | null
    },
    now: Number(row.now)
  }
}

/** The file that a row of `files` names. */
export function fileOf(row: Row): LedgerFile {
  const { source, path, name } = row as { source: string; path: string; name: string }
  return { source, path, name, size: Number(row.size), modifiedAt: Number(row.modified_at) }
}
