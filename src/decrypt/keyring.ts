import type { KeyObject } from 'node:crypto'
import type { KeyID, PrivateKey, SecretKeyPacket } from 'openpgp'
import { DecryptError, findIngestError } from '../errors.ts'
import { type Credential, resolveCredential } from '../options.ts'
import { readKeyFiles } from './key-files.ts'
import { loadOpenPgp, openpgpConfig } from './library.ts'
import { rsaKeyOf } from './rsa.ts'

/** Private keys, open, and the ids of those among their keys that can decrypt. */
export interface Keyring {
  readonly keys: readonly PrivateKey[]
  readonly ids: readonly KeyID[]
  /** Those of them that are RSA keys, by their ids in hex. */
  readonly rsa: ReadonlyMap<string, KeyObject>
}

/** Reads and opens private keys. The passphrase is asked for only when one of them is locked. */
export async function openKeyring(
  credentials: readonly Credential<string | Uint8Array>[],
  passphrase: Credential<string> | undefined
): Promise<Keyring> {
  const read = await readKeyFiles<PrivateKey>(credentials, {
    ...{ half: 'private', name: 'the private key', option: 'privateKey', code: 'KEY_UNREADABLE' },
    read: ({ readPrivateKeys }, block) => readPrivateKeys(block)
  })
  const keys: PrivateKey[] = []
  const ids: KeyID[] = []
  const rsa = new Map<string, KeyObject>()
  const unlock = unlocker(passphrase)
  let refusal: unknown
  for (const key of read) {
    const parts = await decryptingParts(key).catch(error => {
      refusal ??= error
      return []
    })
    for (const part of parts) {
      if (!part.keyPacket.isDecrypted()) await unlock(part.keyPacket as SecretKeyPacket)
      const id = part.getKeyID()
      const rsaKey = rsaKeyOf(part.keyPacket as SecretKeyPacket)
      if (rsaKey) rsa.set(id.toHex(), rsaKey)
      ids.push(id)
    }
    if (parts.length > 0) keys.push(key)
  }
  // An exported keyring may hold a key that only signs; it does no harm beside one that decrypts.
  if (keys.length === 0 && read.length > 0) {
    const names = read.map(key => showKeyId(key.getKeyID())).join(', ')
    throw new DecryptError('KEY_UNREADABLE', `the private key cannot decrypt: ${names}`, { cause: refusal })
  }
  return { keys, ids, rsa }
}

/** A key id as gpg shows it. */
export function showKeyId(id: KeyID): string {
  return `0x${id.toHex().toUpperCase()}`
}

/** Whether a message does not say whom it was made for: the sender wrote zeros. */
export function isHidden(id: KeyID): boolean {
  return /^0+$/.test(id.toHex())
}

/** Those parts of a key that decrypt; expired ones too, for old messages stay what they are. */
async function decryptingParts(key: PrivateKey) {
  const { config } = await loadOpenPgp()
  return await key.getDecryptionKeys(undefined, null, undefined, { ...config, ...openpgpConfig })
}

function unlocker(passphrase: Credential<string> | undefined) {
  let words: string | undefined
  return async (packet: SecretKeyPacket): Promise<void> => {
    const name = showKeyId(packet.getKeyID())
    if (passphrase === undefined) {
      throw new DecryptError('KEY_PASSPHRASE', `the key is locked and no passphrase is given: private key ${name}`)
    }
    try {
      words ??= await resolveCredential(passphrase)
    } catch (cause) {
      throw findIngestError(cause) ?? new DecryptError('KEY_PASSPHRASE', 'the passphrase was not given', { cause })
    }
    try {
      await packet.decrypt(words)
    } catch (cause) {
      if (String(cause).includes('Incorrect key passphrase')) {
        throw new DecryptError('KEY_PASSPHRASE', `the passphrase does not open the key: private key ${name}`, { cause })
      }
      throw new DecryptError('KEY_UNREADABLE', `the key is locked in an unsupported way: private key ${name}`, {
        cause
      })
    }
  }
}
