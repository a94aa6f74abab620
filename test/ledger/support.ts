import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { DecryptError, SourceError } from '../../src/errors.ts'
import { fingerprintOf, type Ledger, type RecordQuery } from '../../src/ledger/ledger.ts'
import { takeOverPosted } from '../../src/ledger/posted.ts'
import type { LedgerFile } from '../../src/ledger/receipt.ts'
import { failed, passedOver, type Receipt } from '../../src/ledger/receipt.ts'
import type { PassedOver } from '../../src/source/source.ts'

export function file(path: string, over: Partial<LedgerFile> = {}): LedgerFile {
  return { source: 'test:', path, name: path, size: 1, modifiedAt: 2, ...over }
}

/** A receipt of a file that was taken, with an opened payload of this hash. */
export function taken(file: LedgerFile, sha256: string): Receipt {
  const rows = { read: 0, accepted: 0, rejected: 0, placeholder: 0, missing: 0, repeatedHeader: 0 }
  return {
    ...failed(file, 0, 'seen', undefined),
    state: 'committed',
    elapsedMs: 5,
    payload: { bytes: 1, sha256, encrypted: true },
    rows: { ...rows, inserted: 0, replaced: 0, unchanged: 0, superseded: 0, conflicts: 0 }
  }
}

export const corrupt = new DecryptError('DECRYPT_CORRUPT', 'altered')
export const dropped = new SourceError('SFTP_DISCONNECTED', 'the connection broke')

/** What every ledger promises. */
export function testLedger(name: string, open: () => Promise<Ledger>): void {
  describe(`${name} as a ledger`, () => {
    test('gives a claim once, until it is settled', async () => {
      const ledger = await open()
      const { claim } = await ledger.claim(file('a'))
      expect(claim?.epoch).toBe(1)
      const { known } = await ledger.claim(file('a'))
      expect(known).toMatchObject({ path: 'a', state: 'seen', known: false, reason: { code: 'HELD' } })
      expect((await ledger.claim(file('b'))).claim?.fingerprint).not.toBe(claim?.fingerprint)
      await ledger.close()
    })

    test('gives one claim although two ask at the same time', async () => {
      const ledger = await open()
      const answers = await Promise.all([ledger.claim(file('a')), ledger.claim(file('a'))])
      expect(answers.filter(({ claim }) => claim)).toHaveLength(1)
      await ledger.close()
    })

    test('I5: counts the epoch up with each claim, and refuses the commit of an old one', async () => {
      const ledger = await open()
      const { claim: old } = await ledger.claim(file('a'))
      await ledger.settle(old!, failed(file('a'), 0, 'seen', dropped))
      const { claim: newer } = await ledger.claim(file('a'))
      expect(newer?.epoch).toBe(2)
      await expect(ledger.settle(old!, taken(file('a'), 'x'))).rejects.toMatchObject({ code: 'STORE_FENCED' })
      expect(await ledger.findPayload('x')).toBeUndefined()
      await ledger.settle(newer!, taken(file('a'), 'x'))
      await expect(ledger.settle(newer!, taken(file('a'), 'x'))).rejects.toMatchObject({ code: 'STORE_FENCED' })
      await ledger.close()
    })

    test('I5: gives a file to another when the lease is over, and lets the first neither renew nor settle', async () => {
      const ledger = await open()
      const { claim: old } = await ledger.claim(file('a'), { leaseMs: 20 })
      await pause(40)
      const { claim: newer } = await ledger.claim(file('a'))
      expect(newer?.epoch).toBe(2)
      await expect(ledger.renew(old!, 'staged')).rejects.toMatchObject({ code: 'STORE_FENCED' })
      await expect(ledger.settle(old!, taken(file('a'), 'x'))).rejects.toMatchObject({ code: 'STORE_FENCED' })
      await ledger.settle(newer!, taken(file('a'), 'x'))
      await ledger.close()
    })

    test('keeps a claim that is renewed, staged or not', async () => {
      const ledger = await open()
      const { claim } = await ledger.claim(file('a'), { leaseMs: 200 })
      for (const state of ['claimed', 'claimed', 'staged'] as const) {
        await pause(100)
        await ledger.renew(claim!, state)
      }
      await pause(100)
      expect((await ledger.claim(file('a'))).known?.reason?.code).toBe('HELD')
      await ledger.settle(claim!, taken(file('a'), 'x'))
      await ledger.close()
    })

    test('waits longer after each failed attempt, but not after one that was no fault of the file', async () => {
      const ledger = await open()
      const fail = async (costsAttempt: boolean) => {
        const { claim } = await ledger.claim(file('a'), { retryNow: true })
        await ledger.settle(claim!, failed(file('a'), 0, 'seen', dropped), costsAttempt)
        return (await ledger.claim(file('a'))).known?.reason
      }
      const first = await fail(true)
      expect(first).toMatchObject({ code: 'WAITING', message: expect.stringContaining('failed once') })
      expect(await fail(true)).toMatchObject({ message: expect.stringContaining('failed 2 times') })
      // Claimed at once: nothing to wait for.
      expect(await fail(false)).toBeUndefined()
      await ledger.close()
    })

    test('refuses to settle what nobody claimed', async () => {
      const ledger = await open()
      const claim = { fingerprint: '0'.repeat(64), epoch: 1, leaseMs: 1000, isReplay: false }
      await expect(ledger.settle(claim, taken(file('a'), 'x'))).rejects.toMatchObject({ code: 'STORE_FENCED' })
      await ledger.close()
    })

    test('answers for a settled file with its receipt: what was taken is a duplicate now', async () => {
      const ledger = await open()
      const receipt = taken(file('a'), 'x')
      await ledger.settle((await ledger.claim(file('a'))).claim!, receipt)
      expect((await ledger.claim(file('a'))).known).toEqual({
        ...receipt,
        state: 'duplicate',
        duplicateOf: 'a',
        known: true
      })
      await ledger.close()
    })

    test('keeps a quarantined file until it is asked for', async () => {
      const ledger = await open()
      await ledger.settle((await ledger.claim(file('a'))).claim!, failed(file('a'), 0, 'quarantined', corrupt))
      const { known } = await ledger.claim(file('a'))
      expect(known).toMatchObject({ state: 'quarantined', known: true, reason: { code: 'DECRYPT_CORRUPT' } })
      expect((await ledger.claim(file('a'), { retryQuarantined: true })).claim?.epoch).toBe(2)
      await ledger.close()
    })

    test('finds the file with a payload, and only where it was taken', async () => {
      const ledger = await open()
      expect(await ledger.findPayload('x')).toBeUndefined()
      for (const [path, receipt] of [
        ['dup', { ...taken(file('dup'), 'x'), state: 'duplicate' }],
        ['a', taken(file('a'), 'x')]
      ] as const) {
        await ledger.settle((await ledger.claim(file(path))).claim!, receipt)
      }
      expect(await ledger.findPayload('x')).toEqual(file('a'))
      expect(await ledger.findPayload('y')).toBeUndefined()
      await ledger.close()
    })

    test('has a file tried again that was set aside, that waits, or that is a duplicate', async () => {
      const ledger = await open()
      const settle = async (path: string, receipt: Receipt, costsAttempt = false) => {
        await ledger.settle((await ledger.claim(file(path))).claim!, receipt, costsAttempt)
        return fingerprintOf(file(path))
      }
      for (const again of [
        await settle('q', failed(file('q'), 0, 'quarantined', corrupt)),
        await settle('w', failed(file('w'), 0, 'seen', dropped), true),
        await settle('d', { ...taken(file('d'), 'x'), state: 'duplicate' })
      ]) {
        expect(await ledger.retry(again)).toBe(true)
        const [record] = await ledger.records({ fingerprint: again })
        expect(record).toMatchObject({ state: 'seen', attempts: 0, nextAttemptAt: null, isReplayDue: false })
        expect((await ledger.claim(record!.file)).claim).toMatchObject({ epoch: 2, isReplay: false })
        // Somebody has it now.
        expect(await ledger.retry(again)).toBe(false)
      }
      expect(await ledger.retry('0'.repeat(64))).toBe(false)
      await ledger.close()
    })

    test('has a file read anew that is in, which stays in whatever becomes of that', async () => {
      const ledger = await open()
      const first = taken(file('a'), 'x')
      const fingerprint = fingerprintOf(file('a'))
      await ledger.settle((await ledger.claim(file('a'))).claim!, first)
      expect(await ledger.retry(fingerprint)).toBe(true)
      expect(await ledger.records({ isReplayDue: true })).toMatchObject([{ state: 'committed', isReplayDue: true }])
      const { claim } = await ledger.claim(file('a'))
      expect(claim).toMatchObject({ epoch: 2, isReplay: true })
      expect((await ledger.claim(file('a'))).known?.reason?.code).toBe('HELD')
      await ledger.renew(claim!, 'staged')
      expect(await ledger.findPayload('x')).toEqual(file('a'))
      await ledger.settle(claim!, failed(file('a'), 0, 'quarantined', corrupt), true)
      expect(await ledger.records()).toMatchObject([{ state: 'committed', isReplayDue: true, receipt: first }])

      const { claim: second } = await ledger.claim(file('a'))
      await ledger.settle(second!, { ...first, startedAt: 1, elapsedMs: 99 })
      // The same was found: the first receipt stands.
      expect(await ledger.records()).toMatchObject([{ state: 'committed', isReplayDue: false, receipt: first }])
      expect((await ledger.claim(file('a'))).known).toMatchObject({ state: 'duplicate', known: true })

      await ledger.retry(fingerprint)
      const { claim: third } = await ledger.claim(file('a'))
      const better = { ...first, payload: { ...first.payload!, bytes: 2 } }
      await ledger.settle(third!, better)
      expect(await ledger.records()).toMatchObject([{ isReplayDue: false, receipt: better }])
      await ledger.close()
    })

    test('forgets a file that is not in, and no other', async () => {
      const ledger = await open()
      await ledger.settle((await ledger.claim(file('q'))).claim!, failed(file('q'), 0, 'quarantined', corrupt))
      await ledger.settle((await ledger.claim(file('a'))).claim!, taken(file('a'), 'x'))
      await ledger.claim(file('held'))
      await ledger.claim(file('left'), { leaseMs: 1 })
      await pause(20)
      const forget = (path: string) => ledger.forget(fingerprintOf(file(path)))
      expect(await forget('q')).toBe(true)
      for (const path of ['a', 'held', 'left', 'q']) expect(await forget(path)).toBe(false)
      expect((await ledger.records()).map(({ file }) => file.path).sort()).toEqual(['a', 'held', 'left'])
      expect((await ledger.claim(file('q'))).claim?.epoch).toBe(2)
      await ledger.close()
    })

    test('I5: whoever had a file before it was forgotten does not settle what came of it since', async () => {
      const ledger = await open()
      const early = (await ledger.claim(file('q'), { leaseMs: 1 })).claim!
      await pause(20)
      for (let epoch = 2; epoch <= 4; epoch++) {
        const later = (await ledger.claim(file('q'))).claim!
        expect(later.epoch).toBe(epoch)
        await expect(ledger.settle(early, taken(file('q'), 'x'))).rejects.toMatchObject({ code: 'STORE_FENCED' })
        await expect(ledger.renew(early, 'staged')).rejects.toMatchObject({ code: 'STORE_FENCED' })
        await ledger.settle(later, failed(file('q'), 0, 'quarantined', corrupt))
        expect(await ledger.forget(later.fingerprint)).toBe(true)
        // Written down without a claim in between.
        const left: PassedOver = { ...file('q'), state: 'changing', reason: 'it was still growing' }
        if (epoch === 3) await ledger.passOver(left, passedOver(left))
      }
      await ledger.close()
    })

    test('takes over what another system has brought in, once, and forgets it when asked to', async () => {
      const ledger = await open()
      const [one, other] = ['a', 'b'].map(letter => letter.repeat(64))
      expect(await takeOverPosted(ledger, [one!, other!.toUpperCase(), one!])).toBe(2)
      expect(await takeOverPosted(ledger, [other!])).toBe(0)
      expect((await ledger.findPayload(other!))?.path).toBe(`posted:${other}`)
      const [record] = await ledger.records({ path: `posted:${one}` })
      expect(record!.receipt).toMatchObject({ state: 'committed', reason: { code: 'POSTED' }, rows: null })
      expect(await ledger.forget(record!.fingerprint)).toBe(true)
      expect(await ledger.findPayload(one!)).toBeUndefined()
      expect(await takeOverPosted(ledger, [one!])).toBe(1)
      await ledger.close()
    })

    test('tells what it has of files, the one changed last first', async () => {
      const ledger = await open()
      const [a, b, c] = [
        file('in/a.asc', { name: 'a.asc', modifiedAt: 1_000 }),
        file('in/b.asc', { name: 'b.asc', modifiedAt: 2_000 }),
        file('other/a.asc', { name: 'a.asc', modifiedAt: 3_000 })
      ]
      for (const each of [a, b, c]) {
        await ledger.settle((await ledger.claim(each)).claim!, failed(each, 0, 'quarantined', corrupt))
        await pause(5)
      }
      const left: PassedOver = { ...file('x.tmp'), state: 'ignored', reason: 'ignored by *.tmp' }
      await ledger.passOver(left, passedOver(left))
      const paths = async (query: RecordQuery) => (await ledger.records(query)).map(({ file }) => file.path)
      expect(await paths({})).toEqual(['x.tmp', 'other/a.asc', 'in/b.asc', 'in/a.asc'])
      expect(await paths({ limit: 2 })).toEqual(['x.tmp', 'other/a.asc'])
      expect(await paths({ path: 'in/a.asc' })).toEqual(['in/a.asc'])
      expect(await paths({ path: 'a.asc' })).toEqual(['other/a.asc', 'in/a.asc'])
      expect(await paths({ path: '.asc' })).toEqual([])
      expect(await paths({ states: ['ignored', 'seen'] })).toEqual(['x.tmp'])
      expect(await paths({ states: [] })).toEqual([])
      expect(await paths({ since: 2_000, until: 3_000 })).toEqual(['in/b.asc'])
      const [record] = await ledger.records({ path: 'in/b.asc' })
      expect(record).toMatchObject({ fingerprint: fingerprintOf(b), file: b, state: 'quarantined', epoch: 1 })
      expect(Math.abs(record!.updatedAt - Date.now())).toBeLessThan(60_000)
      expect(record!.receipt?.reason?.code).toBe('DECRYPT_CORRUPT')
      await ledger.close()
    })

    test('I3: keeps once why a file is passed over', async () => {
      const ledger = await open()
      const left: PassedOver = { ...file('a'), state: 'ignored', reason: 'ignored by *.tmp' }
      expect(await ledger.passOver(left, passedOver(left))).toEqual({ known: false })
      expect(await ledger.passOver(left, passedOver(left))).toEqual({ known: true })
      expect((await ledger.claim(file('a'))).claim?.epoch).toBe(1)
      expect(await ledger.passOver(left, passedOver(left))).toEqual({ known: true })
      await ledger.close()
    })
  })
}
