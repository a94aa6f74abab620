import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { createMessage, encrypt, encryptSessionKey, generateKey, type PrivateKey, sign } from 'openpgp'
import { describe, expect, test } from 'vitest'
import { inspectMessage } from '../../src/decrypt/inspect-message.ts'
import { DecryptError } from '../../src/errors.ts'
import { armor, cuts, dataStart, makeKey, packetOf, seal } from './support.ts'

const payload = Buffer.from('ESIID,USAGE_DATE\n'.repeat(1000))
const ours = await makeKey()
const other = await makeKey()
const sealed = await seal(payload, ours.key, other.key)
const sessionKey = {
  name: 'session key for a public key',
  tag: 1,
  version: 3,
  length: 'definite',
  bytes: expect.any(Number)
}
const nothing = { packets: [], recipients: [], integrity: null, cipher: null, aead: null, chunkBytes: null }
const keyOf = ({ id }: typeof ours) => ({ kind: 'key', keyId: `0x${id}`, algorithm: 'ECDH' })

describe('a message', () => {
  const expected = {
    kind: 'encrypted-message',
    packets: [
      sessionKey,
      sessionKey,
      {
        tag: 18,
        name: 'encrypted data with integrity protection',
        version: 1,
        length: 'definite',
        bytes: sealed.length - dataStart(sealed) - 6
      }
    ],
    recipients: [keyOf(ours), keyOf(other)],
    integrity: 'mdc',
    cipher: null,
    aead: null,
    chunkBytes: null
  }

  test('tells its packets, its recipients and its protection without any key', async () => {
    expect(await inspectMessage(sealed)).toEqual({ ...expected, isArmored: false })
    expect(await inspectMessage(Buffer.from(armor(sealed)))).toEqual({ ...expected, isArmored: true })
  })

  test('tells the same wherever a chunk ends, and of its beginning alone', async () => {
    const start = sealed.subarray(0, dataStart(sealed) + 200)
    for (const chunks of cuts(start)) {
      expect(await inspectMessage(Readable.from(chunks))).toEqual({ ...expected, isArmored: false })
    }
  })

  test('is read no further than its data begins, and the stream is closed', async () => {
    let read = 0
    let isClosed = false
    async function* endless() {
      try {
        yield sealed
        for (;;) {
          read++
          yield randomBytes(1000)
        }
      } finally {
        isClosed = true
      }
    }
    expect(await inspectMessage(endless())).toMatchObject({ integrity: 'mdc' })
    expect([read, isClosed]).toEqual([0, true])
    const stream = Readable.from(endless())
    await inspectMessage(stream)
    expect(stream.destroyed).toBe(true)
  })

  test('names hidden recipients, passwords, and keys of other kinds', async () => {
    const { privateKey: rsa } = await generateKey({
      userIDs: { name: 'Nobody' },
      format: 'object',
      type: 'rsa',
      rsaBits: 2048
    })
    const { privateKey: six } = await generateKey({
      userIDs: { name: 'Nobody' },
      format: 'object',
      config: { v6Keys: true }
    })
    const write = async (encryptionKeys: PrivateKey[], options: object = {}) =>
      (await encrypt({
        message: await createMessage({ binary: payload }),
        encryptionKeys,
        format: 'binary',
        ...options
      })) as Uint8Array
    expect((await inspectMessage(await write([rsa, ours.key], { wildcard: true }))).recipients).toEqual([
      { kind: 'key', keyId: 'hidden', algorithm: 'RSA' },
      { kind: 'key', keyId: 'hidden', algorithm: 'ECDH' }
    ])
    const idOf = (key: PrivateKey) => `0x${key.subkeys[0]!.getKeyID().toHex().toUpperCase()}`
    expect((await inspectMessage(await write([rsa]))).recipients).toEqual([
      { kind: 'key', keyId: idOf(rsa), algorithm: 'RSA' }
    ])
    const config = { aeadProtect: true }
    expect((await inspectMessage(await write([six], { config }))).recipients).toEqual([
      { kind: 'key', keyId: idOf(six), algorithm: 'X25519' }
    ])
    const locked = await write([ours.key], { passwords: 'open sesame' })
    expect((await inspectMessage(locked)).recipients).toEqual([keyOf(ours), { kind: 'password', cipher: 'AES-256' }])
  })

  test('in AEAD chunks names cipher, mode and length of the chunks', async () => {
    const config = { aeadProtect: true, aeadChunkSizeByte: 10 }
    const { privateKey } = await generateKey({ userIDs: { name: 'Nobody' }, format: 'object', config })
    const message = await createMessage({ binary: payload })
    const aead = await encrypt({ message, encryptionKeys: privateKey, format: 'binary', config })
    const found = await inspectMessage(aead as Uint8Array)
    expect(found).toMatchObject({ integrity: 'aead', cipher: 'AES-256', chunkBytes: 65_536 })
    expect(['EAX', 'OCB', 'GCM']).toContain(found.aead)
    expect(found.packets.at(-1)).toMatchObject({ tag: 18, version: 2 })
    const gnupg = packetOf(20, Buffer.concat([Buffer.of(1, 7, 2, 16), randomBytes(60)]))
    expect(await inspectMessage(Buffer.concat([sealed.subarray(0, dataStart(sealed)), gnupg]))).toMatchObject({
      ...{ integrity: 'aead', cipher: 'AES-128', aead: 'OCB', chunkBytes: 4_194_304 }
    })
  })

  test('without integrity packet says so', async () => {
    const legacy = Buffer.concat([sealed.subarray(0, dataStart(sealed)), packetOf(9, randomBytes(400))])
    expect(await inspectMessage(legacy)).toMatchObject({ kind: 'encrypted-message', integrity: 'none' })
  })

  test('tells how its lengths are given', async () => {
    const head = sealed.subarray(0, dataStart(sealed))
    const found = async (...data: number[]) => {
      const message = Buffer.concat([head, Buffer.from(data), Buffer.of(1), randomBytes(600)])
      return (await inspectMessage(message)).packets.at(-1)
    }
    expect(await found(0xd2, 0xe9)).toMatchObject({ tag: 18, length: 'partial', bytes: null })
    expect(await found(0xd2, 0xc1, 0x99)).toMatchObject({ tag: 18, length: 'definite', bytes: 601 })
    expect(await found(0xa7)).toMatchObject({ tag: 9, length: 'indeterminate', bytes: null })
  })

  test('that is not encrypted tells its packets, too', async () => {
    const message = await createMessage({ binary: payload })
    const signed = (await sign({ message, signingKeys: ours.key, format: 'binary' })) as Uint8Array
    const found = await inspectMessage(signed)
    expect(found).toMatchObject({ kind: 'unencrypted-message', recipients: [], integrity: null })
    expect(found.packets.map(({ tag }) => tag)).toEqual([4, 11])
  })
})

describe('a file that is no message', () => {
  test('is told by its kind alone', async () => {
    const cases = [
      [payload, 'none'],
      [Buffer.alloc(0), 'none'],
      [Buffer.from(ours.armored), 'private-key'],
      [ours.key.toPublic().write() as Uint8Array, 'public-key'],
      [Buffer.from('-----BEGIN PGP SIGNED MESSAGE-----\n'), 'cleartext-signed']
    ] as const
    for (const [bytes, kind] of cases)
      expect(await inspectMessage(bytes)).toEqual({ kind, isArmored: false, ...nothing })
  })

  test('but a damaged one is an error', async () => {
    const code = (bytes: Uint8Array) =>
      inspectMessage(bytes).catch(error => error instanceof DecryptError && error.code)
    expect(await code(Buffer.from('-----BEGIN PGP MESSAGE-----\n\n*\n'))).toBe('DECRYPT_CORRUPT')
    expect(await code(sealed.subarray(0, 40))).toBe('DECRYPT_TRUNCATED')
    const [data] = [randomBytes(32)]
    const key = (await encryptSessionKey({
      data,
      algorithm: 'aes256',
      encryptionKeys: ours.key,
      format: 'binary'
    })) as Uint8Array
    expect(await code(Buffer.concat([key, packetOf(21, Buffer.alloc(2_000_000))]))).toBe('DECRYPT_CORRUPT')
  })
})
