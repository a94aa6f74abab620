import type { IntervalParser } from '../parse/interval-parser.ts'
import type { Ledger } from './ledger.ts'
import type { Receipt } from './receipt.ts'

/** Every record. */
const ALL = 100_000_000

/**
 * Has the next run read files anew that are in, but of which something was left that this parser takes: an entry for which
 * there is a handler now, or a report that an older version did not read. Gives how many files there are.
 */
export async function replayUnhandled(ledger: Ledger, parser: Pick<IntervalParser, 'wouldTake'>): Promise<number> {
  const records = await ledger.records({ states: ['committed'], limit: ALL })
  let marked = 0
  for (const { fingerprint, file, receipt, isReplayDue } of records) {
    if (isReplayDue || !hasTakeable(receipt, parser, file.path)) continue
    if (await ledger.retry(fingerprint)) marked++
  }
  return marked
}

/** Whether something was left of a file, by its path, that a parser takes. */
export function hasTakeable(
  receipt: Pick<Receipt, 'entries'> | null,
  parser: Pick<IntervalParser, 'wouldTake'>,
  file: string
): boolean {
  return receipt?.entries.some(entry => parser.wouldTake(entry, file)) ?? false
}
