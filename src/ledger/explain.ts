import type { EntryAccount } from '../parse/file-account.ts'
import { leftWords, type ReportKind, reportWords } from '../report-batch.ts'
import type { LedgerRecord } from './ledger.ts'
import type { Receipt, ReportReceipt } from './receipt.ts'

/** What became of a file, and what comes next, in a sentence or two. `now` is in UTC epoch milliseconds. */
export function explain(record: LedgerRecord, now: number = Date.now()): string {
  const { state, receipt, leaseUntil, updatedAt, isReplayDue } = record
  if (leaseUntil !== null && leaseUntil > now) {
    return `A worker has it at the moment; should it be gone, others take the file after ${instant(leaseUntil)}.`
  }
  switch (state) {
    case 'claimed':
    case 'staged':
      return 'A worker had it and is gone; nothing of it was stored. The next run takes it.'
    case 'committed':
      return `${taken(receipt, updatedAt)}${isReplayDue ? ' It is read anew by the next run.' : ''}`
    case 'duplicate':
      return `Not stored again: it has the same content as ${receipt?.duplicateOf}.`
    case 'quarantined':
      return `Set aside: ${reasonOf(receipt)} It is left alone until it is retried.`
    case 'ignored':
      return `Not taken: ${reasonOf(receipt)}`
    case 'seen':
      return waiting(record, now)
  }
}

function taken(receipt: Receipt | null, at: number): string {
  if (receipt?.reason) return `Known since ${instant(at)}: ${receipt.reason.message}.`
  const { accepted = 0, rejected = 0 } = receipt?.rows ?? {}
  const reports = Object.entries(receipt?.reports ?? {}) as [ReportKind, ReportReceipt][]
  const allRejected = reports.reduce((sum, [, counts]) => sum + counts.rejected, rejected)
  const parts = [
    `Taken, last on ${instant(at)}: ${count(accepted, 'interval')}`,
    ...reports.map(([kind, counts]) => count(counts.accepted, ...reportWords[kind])),
    ...(allRejected > 0 ? [`${count(allRejected, 'row')} rejected (${codesOf(receipt!)})`] : []),
    ...reports
      .filter(([, { undeliverable }]) => undeliverable > 0)
      .map(([kind, { undeliverable }]) => `${count(undeliverable, ...reportWords[kind])} of them in no store`),
    ...leftOut(receipt?.entries ?? [])
  ]
  return `${parts.join(', ')}.`
}

/** What a file has that nobody read. */
function leftOut(entries: readonly EntryAccount[]): string[] {
  const left = entries.filter(({ outcome }) => outcome === 'unhandled')
  const named = left.filter(({ kind }) => kind !== 'unknown' && kind !== 'folder')
  const others = left.filter(entry => !named.includes(entry)).map(({ name }) => name)
  return [
    ...named.map(({ name, kind }) => `${name} (${leftWords[kind as keyof typeof leftWords]}) is not read`),
    ...(others.length > 0 ? [`${others.join(', ')} is no interval report`] : [])
  ]
}

function waiting({ receipt, attempts, nextAttemptAt }: LedgerRecord, now: number): string {
  const due =
    nextAttemptAt !== null && nextAttemptAt > now ? `is due at ${instant(nextAttemptAt)}` : 'is made by the next run'
  if (!receipt?.reason) return 'Seen, and not taken yet; the next run takes it.'
  const tried = attempts > 0 ? `Failed ${attempts === 1 ? 'once' : `${attempts} times`}, last` : 'Not taken so far'
  return `${tried}: ${reasonOf(receipt)} The next attempt ${due}.`
}

function reasonOf(receipt: Receipt | null): string {
  const { message, code, advice } = receipt?.reason ?? {
    message: 'nobody wrote down why',
    code: 'UNEXPECTED',
    advice: ''
  }
  return `${message} (${code}). ${advice}`.trim()
}

/** The codes of a file's rejects, the most frequent first. */
function codesOf({ entries }: Receipt): string {
  const counts = new Map<string, number>()
  for (const { code } of entries.flatMap(({ rejects }) => rejects)) counts.set(code, (counts.get(code) ?? 0) + 1)
  return [...counts]
    .sort(([, a], [, b]) => b - a)
    .map(([code, count]) => `${code} ${count}`)
    .join(', ')
}

function count(value: number, one: string, several = `${one}s`): string {
  return `${value.toLocaleString('en-US')} ${value === 1 ? one : several}`
}

/** 2025-07-15 14:12:00 UTC */
function instant(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replace('T', ' ')} UTC`
}
