import { describe, expect, test } from 'vitest'
import { AbortError, DecryptError, errorCodes, IngestError, SinkError, SourceError } from '../../src/errors.ts'
import { type ClaimOptions, fingerprintOf, type LedgerRecord, refusalOf, stateAfter } from '../../src/ledger/ledger.ts'
import { failed, type LedgerFile } from '../../src/ledger/receipt.ts'
import { pauseAfter } from '../../src/pause-after.ts'

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

describe('a claim', () => {
  const now = 1_000_000
  const record = (state: LedgerRecord['state'], more: Partial<LedgerRecord> = {}): LedgerRecord => ({
    fingerprint: 'x',
    file,
    updatedAt: 0,
    isReplayDue: false,
    state,
    epoch: 1,
    attempts: 1,
    leaseUntil: null,
    nextAttemptAt: null,
    receipt: failed(file, 0, 'quarantined', new DecryptError('DECRYPT_CORRUPT', 'altered')),
    ...more
  })
  const refusal = (record: Parameters<typeof refusalOf>[1], options: ClaimOptions = {}) =>
    refusalOf(file, record, now, options)

  test('is given for a file that is new, was left out, or gave up without a pause', () => {
    expect(refusal(undefined)).toBeUndefined()
    expect(refusal(record('ignored'))).toBeUndefined()
    expect(refusal(record('seen'))).toBeUndefined()
  })

  test('is not given while a lease lasts, and given when it is over', () => {
    for (const state of ['claimed', 'staged'] as const) {
      expect(refusal(record(state, { leaseUntil: now + 1 }))).toMatchObject({ state: 'seen', reason: { code: 'HELD' } })
      expect(refusal(record(state, { leaseUntil: now }))).toBeUndefined()
    }
  })

  test('is not given before the next attempt is due, unless asked for', () => {
    const failedOnce = record('seen', { nextAttemptAt: now + 1 })
    expect(refusal(failedOnce)).toMatchObject({
      known: false,
      reason: { code: 'WAITING', message: expect.stringContaining('failed once, last with DECRYPT_CORRUPT') }
    })
    expect(refusal(failedOnce, { retryNow: true })).toBeUndefined()
    expect(refusal(record('seen', { nextAttemptAt: now }))).toBeUndefined()
  })

  test('is given for a file in quarantine only when asked for, and never for one that is in', () => {
    expect(refusal(record('quarantined'))).toMatchObject({ state: 'quarantined', known: true })
    expect(refusal(record('quarantined'), { retryQuarantined: true })).toBeUndefined()
    for (const state of ['committed', 'duplicate'] as const) {
      expect(refusal(record(state), { retryQuarantined: true, retryNow: true })).toMatchObject({ known: true })
      const replay = { isReplayDue: true }
      expect(refusal(record(state, replay))).toBeUndefined()
      expect(refusal(record(state, { ...replay, leaseUntil: now + 1 }))).toMatchObject({ reason: { code: 'HELD' } })
    }
  })
})

describe('the pause after a failed attempt', () => {
  test('doubles from half a minute to an hour, half of it by chance', () => {
    const longest = [1, 2, 3, 7, 8, 100].map(attempts => pauseAfter(attempts, { random: () => 1 }) / 1000)
    expect(longest).toEqual([30, 60, 120, 1920, 3600, 3600])
    expect(pauseAfter(1, { random: () => 0 })).toBe(15_000)
    for (let attempts = 1; attempts < 20; attempts++) {
      const pause = pauseAfter(attempts)
      expect(pause).toBeGreaterThanOrEqual(15_000)
      expect(pause).toBeLessThanOrEqual(3_600_000)
    }
  })
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
