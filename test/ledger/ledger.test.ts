import { describe, expect, test } from 'vitest'
import { AbortError, DecryptError, errorCodes, IngestError, SinkError, SourceError } from '../../src/errors.ts'
import { fingerprintOf, type LedgerRecord, mayClaim, stateAfter } from '../../src/ledger/ledger.ts'
import type { LedgerFile } from '../../src/ledger/receipt.ts'

const file: LedgerFile = { source: 'sftp://a@b:22', path: '/x/a.asc', name: 'a.asc', size: 1, modifiedAt: 2 }

describe('the fingerprint of a file', () => {
  test('is the same for the same source, path, size and time', () => {
    expect(fingerprintOf({ ...file })).toBe(fingerprintOf(file))
    expect(fingerprintOf(file)).toMatch(/^[0-9a-f]{64}$/)
  })

  test('is another one when any of them is another one', () => {
    const others = [
      { ...file, source: 'sftp://a@c:22' },
      { ...file, path: '/y/a.asc' },
      { ...file, size: 12 },
      { ...file, modifiedAt: 3 }
    ]
    expect(new Set([file, ...others].map(fingerprintOf)).size).toBe(5)
  })

  test('cannot be forged by signs that separate', () => {
    const pairs = [
      [
        { ...file, source: 'a","b', path: 'c' },
        { ...file, source: 'a', path: 'b","c' }
      ],
      [
        { ...file, source: 'a ', path: 'b' },
        { ...file, source: 'a', path: ' b' }
      ],
      [
        { ...file, size: 1, modifiedAt: 23 },
        { ...file, size: 12, modifiedAt: 3 }
      ]
    ] as const
    for (const [one, other] of pairs) expect(fingerprintOf(one)).not.toBe(fingerprintOf(other))
  })
})

test.each<[LedgerRecord['state'] | undefined, string, string]>([
  [undefined, 'yes', 'yes'],
  ['seen', 'yes', 'yes'],
  ['ignored', 'yes', 'yes'],
  ['claimed', 'held', 'held'],
  ['quarantined', 'known', 'yes'],
  ['committed', 'known', 'known'],
  ['duplicate', 'known', 'known']
])('a file that is %s may be claimed: %s, with retryQuarantined: %s', (state, plain, retried) => {
  const record = state && { file, state, epoch: 1, receipt: null }
  expect(mayClaim(record)).toBe(plain)
  expect(mayClaim(record, { retryQuarantined: true })).toBe(retried)
})

test('only what cannot go better by itself puts a file into quarantine', () => {
  expect(stateAfter(new DecryptError('DECRYPT_CORRUPT', 'altered'))).toBe('quarantined')
  expect(stateAfter(new SourceError('SFTP_PERMISSION', 'denied'))).toBe('quarantined')
  expect(stateAfter(new SourceError('SFTP_DISCONNECTED', 'gone'))).toBe('seen')
  expect(stateAfter(new SourceError('TRANSFER_CHANGED', 'changed'))).toBe('seen')
  expect(stateAfter(new SinkError('STORE_OPEN', 'no such store'))).toBe('seen')
  expect(stateAfter(new AbortError())).toBe('seen')
  expect(stateAfter(undefined)).toBe('seen')
})

test('no retryable error, and none that stops the run, ever quarantines', () => {
  const errors = errorCodes.map(code => new IngestError(code, 'x'))
  for (const error of errors) {
    const mayQuarantine = !error.retryable && !error.stopsRun
    expect([error.code, stateAfter(error)]).toEqual([error.code, mayQuarantine ? 'quarantined' : 'seen'])
  }
})
