import { describe, expect, test } from 'vitest'
import { SourceError } from '../../src/errors.ts'
import { explain } from '../../src/ledger/explain.ts'
import type { LedgerRecord } from '../../src/ledger/ledger.ts'
import { failed } from '../../src/ledger/receipt.ts'
import { type EntryAccount, noQuality, noRows } from '../../src/parse/file-account.ts'
import { corrupt, file, taken } from './support.ts'

const now = Date.UTC(2025, 6, 15, 14, 12)
const a = file('a.asc')
const record = (state: LedgerRecord['state'], more: Partial<LedgerRecord> = {}): LedgerRecord => ({
  fingerprint: 'x',
  file: a,
  state,
  epoch: 1,
  attempts: 0,
  leaseUntil: null,
  nextAttemptAt: null,
  isReplayDue: false,
  updatedAt: now,
  receipt: null,
  ...more
})
const dropped = failed(a, 0, 'seen', new SourceError('SFTP_DISCONNECTED', 'the connection broke', { file: 'a.asc' }))

const entry = {
  index: 0,
  bytes: 1,
  crc32: null,
  layout: null,
  header: '',
  rows: noRows,
  rejects: [],
  quality: noQuality
}
const left: EntryAccount[] = (
  [
    ['DailyMeterUsage.CSV', 'daily-reads'],
    ['i.csv', 'meter-info'],
    ['notes.txt', 'unknown'],
    ['x.bin', 'unknown']
  ] as const
).map(([name, kind]) => ({ ...entry, name, kind, outcome: 'unhandled' }))
const counts = {
  ...noRows,
  inserted: 0,
  replaced: 0,
  unchanged: 0,
  superseded: 0,
  conflicts: 0,
  dates: null,
  undeliverable: 0
}
const reports = {
  'daily-reads': { ...counts, read: 3, accepted: 2, rejected: 1, inserted: 2 },
  'monthly-bills': { ...counts, read: 1, accepted: 1, inserted: 1 }
}

describe('every state has its sentence:', () => {
  test.each<[LedgerRecord, string]>([
    [
      record('claimed', { leaseUntil: now + 60_000 }),
      'A worker has it at the moment; should it be gone, others take the file after 2025-07-15 14:13:00 UTC.'
    ],
    [
      record('staged', { leaseUntil: now }),
      'A worker had it and is gone; nothing of it was stored. The next run takes it.'
    ],
    [record('committed', { receipt: taken(a, 'x') }), 'Taken, last on 2025-07-15 14:12:00 UTC: 0 intervals.'],
    [
      record('committed', { receipt: taken(a, 'x'), isReplayDue: true }),
      'Taken, last on 2025-07-15 14:12:00 UTC: 0 intervals. It is read anew by the next run.'
    ],
    [
      record('committed', { receipt: { ...taken(a, 'x'), entries: left } }),
      'Taken, last on 2025-07-15 14:12:00 UTC: 0 intervals, DailyMeterUsage.CSV (daily reads) is not read, i.csv (meter information) is not read, notes.txt, x.bin is no interval report.'
    ],
    [
      record('committed', { receipt: { ...taken(a, 'x'), reports } }),
      'Taken, last on 2025-07-15 14:12:00 UTC: 0 intervals, 2 daily reads, 1 monthly bill, 1 row rejected ().'
    ],
    [
      record('duplicate', { receipt: { ...taken(a, 'x'), state: 'duplicate', duplicateOf: 'b.asc' } }),
      'Not stored again: it has the same content as b.asc.'
    ],
    [
      record('quarantined', { receipt: failed(a, 0, 'quarantined', corrupt) }),
      `Set aside: altered (DECRYPT_CORRUPT). ${corrupt.advice} It is left alone until it is retried.`
    ],
    [record('seen'), 'Seen, and not taken yet; the next run takes it.'],
    [
      record('seen', { receipt: dropped }),
      'Not taken so far: the connection broke: a.asc (SFTP_DISCONNECTED). The connection broke; run again. The next attempt is made by the next run.'
    ],
    [
      record('seen', { receipt: dropped, attempts: 2, nextAttemptAt: now + 1000 }),
      'Failed 2 times, last: the connection broke: a.asc (SFTP_DISCONNECTED). The connection broke; run again. The next attempt is due at 2025-07-15 14:12:01 UTC.'
    ]
  ])('%o', (record, sentence) => {
    expect(explain(record, now)).toBe(sentence)
  })
})
