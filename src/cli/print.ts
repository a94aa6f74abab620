import type { MessageSignature } from '../decrypt/opened.ts'
import { IngestError, maskEsiids } from '../errors.ts'
import type { Receipt, ReportReceipt } from '../ledger/receipt.ts'
import { leftWords, type ReportKind, reportWords } from '../report-batch.ts'

/** A reader that has seen enough (`| head`) is no error: the work goes on without it. */
export function outliveReader(): void {
  process.stdout.on('error', error => {
    if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error
  })
}

/** Prints one line for people. A file's name may hold an ESIID too. */
export function say(line = ''): void {
  process.stdout.write(`${maskEsiids(line)}\n`)
}

/** Prints one JSON object for programs. */
export function sayJson(value: object): void {
  process.stdout.write(`${JSON.stringify(value)}\n`)
}

/** An error as something to act on: what happened, on what, its code, and what to do. */
export function printError(error: unknown): void {
  process.stderr.write(`${describeError(error)}\n`)
}

function describeError(error: unknown): string {
  if (error instanceof IngestError) return inFlags(`✗ ${error.message}\n  ${error.code}  ${error.advice}`)
  return `✗ ${maskEsiids(error instanceof Error ? (error.stack ?? error.message) : String(error))}`
}

/** An error as a JSON line. */
export function errorJson(error: unknown): object {
  if (error instanceof IngestError) {
    const { code, message, advice, retryable, file, entry, line } = error
    return { type: 'error', code, message: inFlags(message), advice: inFlags(advice), retryable, file, entry, line }
  }
  const message = maskEsiids(error instanceof Error ? error.message : String(error))
  return { type: 'error', code: 'UNEXPECTED', message }
}

/** What the library calls an option, as the command line calls it. */
const flags: Readonly<Record<string, string>> = {
  hostKey: '--host-key',
  knownHosts: '--known-hosts',
  privateKey: '--identity',
  baseUrl: '--base-url',
  since: '--since',
  until: '--until'
}

function inFlags(text: string): string {
  return text
    .replace(/hostKey: '(SHA256:[^']+)'/g, '--host-key $1')
    .replace('pass it as hostKey', 'pass it as --host-key')
    .replace(/(?:SftpSource|exportParquet|SmtAuth) option `(\w+)`/g, (whole, option) => flags[option] ?? whole)
}

/** One file's outcome, in a line or two. */
export function receiptLines(receipt: Receipt): string[] {
  return [...outcomeLines(receipt), ...disposalLines(receipt)]
}

/** What became of the file at its source. */
function disposalLines({ disposal }: Receipt): string[] {
  if (!disposal) return []
  if (disposal.action !== 'kept') return [`    ${disposal.action}${disposal.to ? ` to ${disposal.to}` : ''}`]
  return [`    kept: ${disposal.reason?.message}`, `    ${disposal.reason?.code}  ${disposal.reason?.advice}`]
}

function outcomeLines(receipt: Receipt): string[] {
  const { state, path, reason, rows, duplicateOf } = receipt
  switch (state) {
    case 'committed': {
      const reports = Object.entries(receipt.reports ?? {}) as [ReportKind, ReportReceipt][]
      const counts = rows && [
        many(rows.accepted, 'interval'),
        ...reports.flatMap(reportParts),
        rows.replaced > 0 && `${number(rows.replaced)} replaced an older version`,
        rows.superseded > 0 && `${number(rows.superseded)} older than what is stored`,
        (rows.undeliverable ?? 0) > 0 && `${number(rows.undeliverable!)} not deliverable`,
        (rows.unconfirmed ?? 0) > 0 && `${number(rows.unconfirmed!)} that the receiver did not confirm`,
        rows.conflicts > 0 && `${number(rows.conflicts)} conflicts`,
        rows.missing > 0 && `${number(rows.missing)} missing`,
        rows.rejected > 0 && `${number(rows.rejected)} rejected`
      ]
      const rejects = receipt.entries.flatMap(entry =>
        entry.rejects.slice(0, 5).map(({ line, code }) => `    ${entry.name} line ${line}: ${code}`)
      )
      if (rows?.read === 0 && reports.length === 0 && !receipt.known)
        return [`○ ${path}  no intervals: ${unhandled(receipt)}`]
      return [`✓ ${path}  ${(counts || []).filter(Boolean).join(', ')}`, ...rejects, ...leftLines(receipt)]
    }
    case 'duplicate':
      return [`= ${path}  same content as ${duplicateOf}`]
    case 'ignored':
      return [`- ${path}  ${reason?.message}`]
    case 'seen':
    case 'quarantined':
      if (isPending(receipt)) return [`- ${path}  ${reason?.message}`]
      return [`✗ ${reason?.message ?? path}`, `    ${reason?.code}  ${reason?.advice}`]
  }
}

/** Rows of one kind of report, in a few words. */
function reportParts([kind, counts]: [ReportKind, ReportReceipt]): string[] {
  const { accepted, rejected, conflicts, undeliverable } = counts
  return [
    many(accepted, ...reportWords[kind]),
    ...(rejected > 0 ? [`${number(rejected)} of them rejected`] : []),
    ...(conflicts > 0 ? [`${number(conflicts)} of them in conflict`] : []),
    ...(undeliverable > 0 ? [`${number(undeliverable)} of them in no store`] : [])
  ]
}

/** Entries beside intervals that are known by name or header and that nobody read. */
function leftLines({ entries, known }: Receipt): string[] {
  if (known) return []
  return entries.flatMap(({ outcome, kind, name, header }) =>
    outcome === 'unhandled' && kind in leftWords
      ? [`    ${name}: ${leftWords[kind as keyof typeof leftWords]}, not read, header ${header}`]
      : []
  )
}

/** Whether a receipt makes the run's exit code 1. */
export function isFailure(receipt: Receipt): boolean {
  const { known, state, rows, entries, reason, disposal } = receipt
  if (disposal?.action === 'kept' && disposal.reason?.code !== 'PARTLY') return true
  if (known) return false
  const failed = state === 'seen' && reason?.code !== 'CHANGING' && !isPending(receipt)
  const unsure = (rows?.unconfirmed ?? 0) > 0
  return state === 'quarantined' || failed || unsure || entries.some(({ rows }) => rows.rejected > 0)
}

/** Another worker has the file, or it failed in an earlier run and its next attempt is not due: nothing failed now. */
function isPending({ reason }: Receipt): boolean {
  return reason?.code === 'HELD' || reason?.code === 'WAITING'
}

/** What a file holds that nobody here reads, by name. */
function unhandled({ entries }: Receipt): string {
  const names = entries.map(({ name, header }) => (header ? `${name} (header ${header})` : name))
  return `${names.join(', ')} is not an interval report`
}

/** Who signed, and what that is worth. */
export function signatureText({ state, keyId, createdAt }: MessageSignature): string {
  if (state === 'valid') return `by key 0x${keyId} on ${new Date(createdAt!).toISOString().slice(0, 10)}, valid`
  const why = state === 'unverified' ? 'no signers are given' : 'who is not among the signers'
  return `by key 0x${keyId}, not verified: ${why}`
}

/** 1 as `1 meter`, 1234 as `1,234 meters`. */
export function many(value: number, one: string, several = `${one}s`): string {
  return `${number(value)} ${value === 1 ? one : several}`
}

/** 1234567 as 1,234,567. */
export function number(value: number): string {
  return value.toLocaleString('en-US')
}
