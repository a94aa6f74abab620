import type { PublicKey } from 'openpgp'
import { DecryptError, findIngestError } from '../errors.ts'
import { type Credential, resolveCredential } from '../options.ts'
import { blocksOf } from './keyring.ts'
import { loadOpenPgp, plain } from './library.ts'
import { sniffOpenPgp } from './openpgp-format.ts'

/** Reads the public keys of those who may sign. Whether one could sign at the time is asked for each signature. */
export async function openSigners(credentials: readonly Credential<string | Uint8Array>[]): Promise<PublicKey[]> {
  return (await Promise.all(credentials.map(async credential => readKeys(await fetchKey(credential))))).flat()
}

async function fetchKey(credential: Credential<string | Uint8Array>): Promise<string | Uint8Array> {
  try {
    return await resolveCredential(credential)
  } catch (cause) {
    throw findIngestError(cause) ?? new DecryptError('SIGNER_UNREADABLE', 'a signer’s key was not given', { cause })
  }
}

async function readKeys(given: string | Uint8Array): Promise<PublicKey[]> {
  const bytes = typeof given === 'string' ? Buffer.from(given) : given
  const kind = bytes instanceof Uint8Array ? sniffOpenPgp(bytes, true) : 'none'
  if (kind === 'private-key') {
    throw new DecryptError('SIGNER_UNREADABLE', 'this is a private key, and the public one is needed: signers')
  }
  if (kind !== 'public-key') {
    throw new DecryptError('SIGNER_UNREADABLE', 'this is not an OpenPGP public key: signers')
  }
  const { readKeys } = await loadOpenPgp()
  try {
    const blocks = blocksOf(bytes)
    if (blocks === undefined) return await readKeys({ binaryKeys: plain(bytes) })
    return (await Promise.all(blocks.map(block => readKeys({ armoredKeys: block })))).flat()
  } catch (cause) {
    throw new DecryptError('SIGNER_UNREADABLE', 'a signer’s key is damaged: signers', { cause })
  }
}
