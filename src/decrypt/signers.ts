import type { PublicKey } from 'openpgp'
import type { Credential } from '../options.ts'
import { readKeyFiles } from './key-files.ts'

/** Reads the public keys of those who may sign. Whether one could sign at the time is asked for each signature. */
export function openSigners(credentials: readonly Credential<string | Uint8Array>[]): Promise<PublicKey[]> {
  return readKeyFiles<PublicKey>(credentials, {
    ...{ half: 'public', name: 'a signer’s key', option: 'signers', code: 'SIGNER_UNREADABLE' },
    read: ({ readKeys }, block) => readKeys(block)
  })
}
