import { Readable } from 'node:stream'
import { createMessage, encrypt, enums, generateKey, type PrivateKey, reformatKey, revokeKey, sign } from 'openpgp'
import { describe, expect, test, vi } from 'vitest'
import { AscDecryptor, type AscDecryptorOptions } from '../../src/decrypt/asc-decryptor.ts'
import { openedOf } from '../../src/decrypt/opened.ts'
import { PacketReader } from '../../src/decrypt/packets.ts'
import { ConfigError } from '../../src/errors.ts'
import { armor, cuts, expectRefusal, fileNamed, makeKey, packetOf, seal, sealPackets, through } from './support.ts'

const payload = Buffer.from(`ESIID,USAGE_DATE\n${"'10443720000000001,07/14/2025\r\n".repeat(50)}`)
const ours = await makeKey()
const signer = await makeKey()
const second = await makeKey()
const stranger = await makeKey()
const publicOf = (key: PrivateKey) => key.toPublic().armor()
const idOf = (key: PrivateKey) => key.getKeyID().toHex().toUpperCase()

type Settings = Omit<AscDecryptorOptions, 'privateKey'>
const trusting: Settings = { signers: publicOf(signer.key) }
const strict: Settings = { ...trusting, signature: 'required' }

/** What a sender would send who signs. */
async function sealSigned(bytes: Uint8Array, signingKeys: PrivateKey | PrivateKey[], options: object = {}) {
  const message = await createMessage({ binary: bytes })
  return Buffer.from(await encrypt({ message, encryptionKeys: ours.key, signingKeys, format: 'binary', ...options }))
}

/** The packets of a signed message: announcement, data, signature. */
async function signedPackets(bytes: Uint8Array, key: PrivateKey, date = new Date()) {
  const message = await createMessage({ binary: bytes })
  const signed = await sign({ message, signingKeys: key, date, format: 'binary' })
  const reader = new PacketReader(Readable.from([signed], { objectMode: false }), {})
  const packets: Buffer[] = []
  for (let packet = await reader.next(); packet; packet = await reader.next()) {
    const parts: Uint8Array[] = []
    for await (const part of packet.body) parts.push(part)
    packets.push(packetOf(packet.tag, Buffer.concat(parts)))
  }
  const [announcement, data, signature] = packets
  return { announcement: announcement!, data: data!, signature: signature! }
}

/** What is noted of a message's signature. */
async function noted(message: Uint8Array, settings: Settings) {
  const file = fileNamed('a.asc')
  const opened = await through(new AscDecryptor({ privateKey: ours.armored, ...settings }), message, file)
  expect(opened.equals(payload)).toBe(true)
  const note = openedOf(file)
  return note?.encrypted ? note.signature : undefined
}

const refused = (message: Uint8Array | string, settings: Settings, code: Parameters<typeof expectRefusal>[1]) =>
  expectRefusal(through(new AscDecryptor({ privateKey: ours.armored, ...settings }), message), code)

const signed = await sealSigned(payload, signer.key)

describe('a signature', () => {
  test('of an allowed signer is verified and noted, with its key and its time', async () => {
    for (const settings of [
      trusting,
      strict,
      { ...strict, signers: [publicOf(second.key), signer.key.toPublic().write()] }
    ]) {
      const note = await noted(signed, settings)
      expect(note).toEqual({
        state: 'valid',
        keyId: idOf(signer.key),
        fingerprint: signer.key.getFingerprint().toUpperCase(),
        createdAt: expect.any(Number)
      })
      expect(Math.abs(note!.createdAt! - Date.now())).toBeLessThan(600_000)
    }
  })

  test('of somebody else is noted, and refused where one is required', async () => {
    const message = await sealSigned(payload, stranger.key)
    expect(await noted(message, trusting)).toEqual({ state: 'unknown-signer', keyId: idOf(stranger.key) })
    const error = await refused(message, strict, 'DECRYPT_NO_SIGNATURE')
    expect(error.message).toBe(`the message is signed by key 0x${idOf(stranger.key)}, which is not allowed to`)
  })

  test('is noted and not verified without signers, or when it is to be ignored', async () => {
    const unverified = { state: 'unverified', keyId: idOf(signer.key) }
    expect(await noted(signed, {})).toEqual(unverified)
    const signers = vi.fn(async () => publicOf(signer.key))
    expect(await noted(signed, { signers, signature: 'ignore' })).toEqual(unverified)
    expect(signers).not.toHaveBeenCalled()
  })

  test('that is missing is nothing to note, and refused where one is required', async () => {
    const message = await seal(payload, ours.key)
    expect(await noted(message, trusting)).toBeUndefined()
    expect((await refused(message, strict, 'DECRYPT_NO_SIGNATURE')).message).toBe('the message is not signed')
  })

  test('is missing in a plain file, too', async () => {
    const plain = new AscDecryptor(trusting)
    expect((await through(plain, payload)).equals(payload)).toBe(true)
    await expectRefusal(through(new AscDecryptor(strict), payload), 'DECRYPT_NO_SIGNATURE')
  })

  test('of several is verified, each one that an allowed signer made', async () => {
    const message = await sealSigned(payload, [stranger.key, signer.key, second.key])
    expect(await noted(message, strict)).toMatchObject({ state: 'valid', keyId: idOf(signer.key) })
    const both = { ...strict, signers: [publicOf(signer.key), publicOf(second.key)] }
    expect(await noted(message, both)).toMatchObject({ state: 'valid' })
  })

  test('of an allowed signer is verified up to sixteen times, for each costs a hash of everything', async () => {
    const times = (count: number, key: PrivateKey) => sealSigned(payload, Array(count).fill(key))
    expect(await noted(await times(16, signer.key), strict)).toMatchObject({ state: 'valid' })
    const error = await refused(await times(17, signer.key), strict, 'DECRYPT_UNSUPPORTED')
    expect(error.message).toBe('the message has more than 16 signatures')
    expect(await noted(await times(17, stranger.key), trusting)).toMatchObject({ state: 'unknown-signer' })
  })

  test('is found wherever a chunk ends', async () => {
    const message = await sealSigned(Buffer.from('ESIID\n'), signer.key)
    const decryptor = new AscDecryptor({ privateKey: ours.armored, ...strict })
    for (const chunks of cuts(message)) expect((await through(decryptor, chunks)).toString()).toBe('ESIID\n')
  })

  test.each([
    ['RSA', { type: 'rsa', rsaBits: 2048 }],
    ['ECDSA', { type: 'ecc', curve: 'nistP256' }],
    ['Ed25519', { type: 'curve25519' }],
    ['version 6', { type: 'curve25519', config: { v6Keys: true } }]
  ] as const)('is verified of a key of %s', async (_, options) => {
    const { privateKey } = await generateKey({ userIDs: { name: 'Nobody' }, format: 'object', ...options })
    const message = await sealSigned(payload, privateKey)
    const settings = { ...strict, signers: publicOf(privateKey) }
    expect(await noted(message, settings)).toMatchObject({ state: 'valid', keyId: idOf(privateKey) })
  })
})

describe('a signature that does not hold', () => {
  const reasonOf = (error: Error) => error.message.replace(/^the signature of key 0x\w{16} is not valid, /, '')

  test('I4: stops the file when it is of other content', async () => {
    const mine = await signedPackets(payload, signer.key)
    const other = await signedPackets(Buffer.from('ESIID,USAGE_DATE\n'), signer.key)
    expect(
      await noted(await sealPackets(ours.key, Buffer.concat([mine.announcement, mine.data, mine.signature])), strict)
    ).toMatchObject({ state: 'valid' })
    const swapped = await sealPackets(ours.key, Buffer.concat([mine.announcement, mine.data, other.signature]))
    for (const settings of [trusting, strict]) {
      const error = await refused(swapped, settings, 'DECRYPT_SIGNATURE')
      expect(reasonOf(error)).toBe('it is not of this content')
      expect([error.retryable, error.stopsRun]).toEqual([false, false])
    }
    // Nobody asked for it to hold.
    expect(await noted(swapped, {})).toMatchObject({ state: 'unverified' })
  })

  test('stops the file when it is announced and missing', async () => {
    const { announcement, data } = await signedPackets(payload, signer.key)
    const error = await refused(
      await sealPackets(ours.key, Buffer.concat([announcement, data])),
      trusting,
      'DECRYPT_SIGNATURE'
    )
    expect(reasonOf(error)).toBe('it is announced and missing')
  })

  test('stops the file when it is not the one that was announced', async () => {
    const { data, signature } = await signedPackets(payload, signer.key)
    const { announcement } = await signedPackets(payload, stranger.key)
    for (const packets of [
      [data, signature],
      [announcement, data, signature]
    ]) {
      const error = await refused(await sealPackets(ours.key, Buffer.concat(packets)), trusting, 'DECRYPT_SIGNATURE')
      expect(reasonOf(error)).toBe('it is not the one that was announced')
    }
  })

  test('holds when it stands before its data, as PGP 2 wrote it', async () => {
    const { data, signature } = await signedPackets(payload, signer.key)
    expect(await noted(await sealPackets(ours.key, Buffer.concat([signature, data])), strict)).toMatchObject({
      state: 'valid'
    })
    const other = await signedPackets(Buffer.from('other'), signer.key)
    const swapped = await sealPackets(ours.key, Buffer.concat([other.signature, data]))
    expect(reasonOf(await refused(swapped, trusting, 'DECRYPT_SIGNATURE'))).toBe('it is not of this content')
  })

  test('stops the file when its hash is weak', async () => {
    const { announcement, data, signature } = await signedPackets(payload, signer.key)
    announcement[6 + 2] = enums.hash.sha1
    signature[6 + 3] = enums.hash.sha1
    const message = await sealPackets(ours.key, Buffer.concat([announcement, data, signature]))
    expect(reasonOf(await refused(message, trusting, 'DECRYPT_SIGNATURE'))).toBe('its hash is too weak, SHA-1')
  })

  test('stops the file when its key is revoked', async () => {
    const { publicKey } = await revokeKey({
      key: signer.key,
      reasonForRevocation: { flag: enums.reasonForRevocation.keyCompromised },
      format: 'armored'
    })
    const error = await refused(signed, { signers: publicKey }, 'DECRYPT_SIGNATURE')
    expect(reasonOf(error)).toBe('its key was revoked')
  })

  test('stops the file when its key had expired, and not when the key expired or was prolonged since', async () => {
    const daysAgo = (days: number) => new Date(Date.now() - days * 86_400_000)
    const userIDs = { name: 'Nobody' }
    const { privateKey } = await generateKey({ userIDs, format: 'object', date: daysAgo(10) })
    const sealed = async (date: Date) => {
      const { announcement, data, signature } = await signedPackets(payload, privateKey, date)
      return sealPackets(ours.key, Buffer.concat([announcement, data, signature]))
    }
    const [early, late] = [await sealed(daysAgo(5)), await sealed(new Date())]
    const settle = async (date: Date, days: number) => {
      const keyExpirationTime = days * 86_400
      const { privateKey: key } = await reformatKey({ privateKey, userIDs, keyExpirationTime, format: 'object', date })
      return { ...strict, signers: publicOf(key) }
    }
    const short = await settle(daysAgo(10), 6)
    expect(await noted(early, short)).toMatchObject({ state: 'valid' })
    expect(reasonOf(await refused(late, short, 'DECRYPT_SIGNATURE'))).toBe('its key had expired when it was made')
    const prolonged = await settle(daysAgo(1), 20)
    for (const message of [early, late]) expect(await noted(message, prolonged)).toMatchObject({ state: 'valid' })
  })

  test('stops the file when it is dated in the future', async () => {
    const message = await sealSigned(payload, signer.key, { date: new Date(Date.now() + 86_400_000) })
    expect(reasonOf(await refused(message, trusting, 'DECRYPT_SIGNATURE'))).toBe('it is dated in the future')
  })

  test('is no matter in a message that was altered: that is damage', async () => {
    const altered = Buffer.from(signed)
    altered[altered.length - 100]! ^= 1
    await refused(altered, strict, 'DECRYPT_CORRUPT')
    await refused(signed.subarray(0, -1), strict, 'DECRYPT_TRUNCATED')
  })
})

describe('messages that the library reads', () => {
  test.each([
    ['AEAD chunks', { aeadProtect: true }],
    ['CAST5', { preferredSymmetricAlgorithm: enums.symmetric.cast5 }]
  ])('are held to the same: %s', async (_, config) => {
    const { privateKey } = await generateKey({ userIDs: { name: 'Nobody' }, format: 'object', config })
    const write = async (signingKeys: PrivateKey) => {
      const message = await createMessage({ binary: payload })
      return Buffer.from(await encrypt({ message, encryptionKeys: privateKey, signingKeys, format: 'binary', config }))
    }
    const read = async (message: Uint8Array, settings: Settings) => {
      const file = fileNamed('a.asc')
      await through(new AscDecryptor({ privateKey: privateKey.armor(), ...settings }), message, file)
      return openedOf(file)
    }
    const good = await write(signer.key)
    expect(await read(good, strict)).toMatchObject({ signature: { state: 'valid', keyId: idOf(signer.key) } })
    expect(await read(good, {})).toMatchObject({ signature: { state: 'unverified', keyId: idOf(signer.key) } })
    const foreign = await write(stranger.key)
    expect(await read(foreign, trusting)).toMatchObject({ signature: { state: 'unknown-signer' } })
    await expectRefusal(read(foreign, strict), 'DECRYPT_NO_SIGNATURE')
    const { publicKey: revoked } = await revokeKey({ key: signer.key, format: 'armored' })
    await expectRefusal(read(good, { signers: revoked }), 'DECRYPT_SIGNATURE')
  })
})

describe('signers', () => {
  test('may be binary, armored or fetched, several in one block or in several', async () => {
    const [one, other] = [publicOf(signer.key), publicOf(stranger.key)]
    for (const signers of [
      signer.key.toPublic().write(),
      Buffer.from(one),
      async () => one,
      [other, one],
      `${other}\n${one}`
    ]) {
      expect(await noted(signed, { signers, signature: 'required' })).toMatchObject({ state: 'valid' })
    }
  })

  test('that cannot be read stop the run before any file is fetched', async () => {
    const bad = [
      ours.armored,
      'no key at all',
      publicOf(signer.key).replace(/\n\n.{40}/, '\n\n'),
      () => Promise.reject(new Error('gone'))
    ]
    for (const signers of bad) {
      const error = await expectRefusal(new AscDecryptor({ signers }).open(), 'SIGNER_UNREADABLE')
      expect(error.stopsRun).toBe(true)
    }
  })

  test('are demanded by name where a signature is to be verified', () => {
    for (const signature of ['optional', 'required'] as const) {
      expect(() => new AscDecryptor({ signature })).toThrow(ConfigError)
      expect(() => new AscDecryptor({ signature, signers: [] })).toThrow('`signers`')
    }
    expect(() => new AscDecryptor({ signature: 'always' as never })).toThrow('AscDecryptor option `signature`')
  })

  test('do not matter to armor', async () => {
    const file = fileNamed('a.asc')
    await through(new AscDecryptor({ privateKey: ours.armored, ...strict }), armor(signed), file)
    expect(openedOf(file)).toMatchObject({ signature: { state: 'valid' } })
  })
})
