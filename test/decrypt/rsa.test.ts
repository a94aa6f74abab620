import { constants, createPublicKey, type KeyObject, publicEncrypt, randomBytes } from 'node:crypto'
import { decryptKey, decryptSessionKeys, enums, readMessage, readPrivateKey, type SecretKeyPacket } from 'openpgp'
import { beforeAll, describe, expect, test } from 'vitest'
import { openRsaSessionKey, rsaKeyOf } from '../../src/decrypt/rsa.ts'
import { makePgpKey, type PgpKey } from '../../src/testing/keys.ts'
import { encryptMessage } from '../../src/testing/messages.ts'

/** What decrypts, of a private key. */
async function keyOf({ privateKey: armoredKey, passphrase }: PgpKey): Promise<KeyObject | undefined> {
  const read = await readPrivateKey({ armoredKey })
  const key = passphrase === undefined ? read : await decryptKey({ privateKey: read, passphrase })
  const [part] = await key.getDecryptionKeys()
  return rsaKeyOf(part!.keyPacket as SecretKeyPacket)
}

describe('the session key of a message for an RSA key', () => {
  let made: PgpKey
  let key: KeyObject
  beforeAll(async () => {
    made = await makePgpKey({ type: 'rsa', rsaBits: 2048 })
    key = (await keyOf(made))!
  }, 60_000)

  /** Sealed as RFC 9580 §5.1 wants it, by Node. */
  function seal(cipher: number, data: Uint8Array, sum = data.reduce((sum, byte) => sum + byte, 0) % 65_536): Buffer {
    const content = Buffer.from([cipher, ...data, sum >> 8, sum & 0xff])
    return publicEncrypt({ key: createPublicKey(key), padding: constants.RSA_PKCS1_PADDING }, content)
  }

  test.each([
    [2, 'tripledes', 24],
    [7, 'aes128', 16],
    [8, 'aes192', 24],
    [9, 'aes256', 32]
  ] as const)('is what was sealed, for cipher %i', (number, algorithm, bytes) => {
    // Some begin with a zero, which the number that OpenPGP keeps them in does not have.
    for (let i = 0; i < 300; i++) {
      const data = Uint8Array.from(randomBytes(bytes))
      const sealed = seal(number, data)
      const start = sealed.findIndex(byte => byte !== 0)
      expect(openRsaSessionKey(sealed.subarray(start), key)).toEqual({ algorithm, data })
    }
  })

  test('is what the library finds', async () => {
    const message = await readMessage({
      binaryMessage: new Uint8Array(
        await encryptMessage(Buffer.from('1,2,3'), { publicKeys: [made.publicKey], armor: false })
      )
    })
    const [packet] = message.packets.filterByTag(enums.packet.publicKeyEncryptedSessionKey)
    const sealed = packet!.write().subarray(12)
    const decryptionKeys = await readPrivateKey({ armoredKey: made.privateKey })
    const [{ data, algorithm } = { data: undefined }] = await decryptSessionKeys({
      message,
      decryptionKeys,
      config: {}
    })
    expect(openRsaSessionKey(sealed, key)).toEqual({ data, algorithm })
  })

  test('is none when a byte was altered, the sum is wrong, or the length is', () => {
    const data = randomBytes(32)
    const sealed = seal(9, data)
    for (let i = 0; i < sealed.length; i++) {
      const altered = Buffer.from(sealed)
      altered[i]! ^= 0x40
      expect(openRsaSessionKey(altered, key)).toBeUndefined()
    }
    const wrong = [
      seal(9, data, 1),
      seal(9, data.subarray(1)),
      seal(4, data.subarray(16)),
      sealed.subarray(1),
      Buffer.concat([sealed, Buffer.of(0)]),
      Buffer.alloc(0),
      Buffer.alloc(256, 0xff)
    ]
    for (const each of wrong) expect(openRsaSessionKey(each, key)).toBeUndefined()
  })

  test('is left to the library for keys of other kinds', async () => {
    expect(await keyOf(await makePgpKey())).toBeUndefined()
  })

  test('opens with a key that was locked', async () => {
    const locked = await makePgpKey({ type: 'rsa', rsaBits: 2048, passphrase: 'sesame' })
    expect((await keyOf(locked))?.asymmetricKeyDetails?.modulusLength).toBe(2048)
  }, 60_000)
})
