import type { Ledger } from './ledger.ts'
import { failed, type LedgerFile } from './receipt.ts'

/** The source that stands beside what another system took. */
const SOURCE = 'posted-sha256:'

/**
 * Takes over what another system has brought in already, as SHA-256 of the files as they were fetched: whatever has one
 * of these hashes is a duplicate. Gives how many were new to the ledger.
 */
export async function takeOverPosted(ledger: Ledger, hashes: Iterable<string>): Promise<number> {
  let added = 0
  for (const hash of hashes) {
    const sha256 = hash.toLowerCase()
    const file: LedgerFile = { source: SOURCE, path: `posted:${sha256}`, name: sha256, size: 0, modifiedAt: 0 }
    if (await ledger.findPayload(sha256)) continue
    const { claim } = await ledger.claim(file)
    if (!claim) continue
    const reason = {
      code: 'POSTED',
      message: 'another system had taken it before',
      advice: 'Nothing to do; nothing of it is stored here.'
    } as const
    const payload = { bytes: 0, sha256, encrypted: true }
    await ledger.settle(claim, { ...failed(file, Date.now(), 'seen', undefined), state: 'committed', payload, reason })
    added++
  }
  return added
}
