import { DecryptError } from '../../src/errors.ts'
import type { Claim, Ledger } from '../../src/ledger/ledger.ts'
import { failed, type LedgerFile } from '../../src/ledger/receipt.ts'

/** What the other worker does with the file that it took over. */
export type Other = 'holds' | 'has finished'

/** A ledger whose every claim passes to another worker: at once, or just before the commit. */
export function overtaken(ledger: Ledger, other: Other, when: 'claimed' | 'staged' = 'staged'): Ledger {
  const files = new Map<string, LedgerFile>()
  const overtake = async (claim: Claim) => {
    const file = files.get(claim.fingerprint)!
    await ledger.settle(claim, failed(file, 0, 'seen', undefined))
    const { claim: newer } = await ledger.claim(file)
    const corrupt = new DecryptError('DECRYPT_CORRUPT', 'the message was altered')
    if (other === 'has finished') await ledger.settle(newer!, failed(file, 0, 'quarantined', corrupt))
  }
  return {
    claim: async (file, options) => {
      const answer = await ledger.claim(file, options)
      if (answer.claim) files.set(answer.claim.fingerprint, file)
      if (answer.claim && when === 'claimed') await overtake(answer.claim)
      return answer
    },
    renew: async (claim, state) => {
      await ledger.renew(claim, state)
      // The commit itself has to notice.
      if (when === 'staged') await overtake(claim)
    },
    findPayload: sha256 => ledger.findPayload(sha256),
    settle: (claim, receipt, costsAttempt) => ledger.settle(claim, receipt, costsAttempt),
    passOver: (file, receipt) => ledger.passOver(file, receipt),
    records: query => ledger.records(query),
    retry: fingerprint => ledger.retry(fingerprint),
    forget: fingerprint => ledger.forget(fingerprint),
    close: () => ledger.close()
  }
}
