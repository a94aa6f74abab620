import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { deflateSync } from 'node:zlib'
import { createMessage, encrypt, enums, generateKey } from 'openpgp'
import { describe, expect, test } from 'vitest'
import { AscDecryptor } from '../../src/decrypt/asc-decryptor.ts'
import { openedOf } from '../../src/decrypt/opened.ts'
import { expectRefusal, fileNamed, makeKey, packetOf, sealPackets, through } from './support.ts'

const zeros = Buffer.alloc(50_000_000)

describe('a message that unpacks to too much', () => {
  test.each([
    ['nothing', enums.compression.uncompressed, {}],
    ['ZIP', enums.compression.zip, {}],
    ['ZLIB', enums.compression.zlib, {}],
    ['ZLIB, in AEAD chunks', enums.compression.zlib, { aeadProtect: true }],
    ['ZLIB, in CAST5', enums.compression.zlib, { preferredSymmetricAlgorithm: enums.symmetric.cast5 }]
  ])('is refused while it flows, compressed by %s', async (_, preferredCompressionAlgorithm, more) => {
    const config = { preferredCompressionAlgorithm, ...more }
    const { privateKey } = await generateKey({ userIDs: { name: 'Nobody' }, format: 'object', config })
    const privateKeys = privateKey.armor()
    const message = await createMessage({ binary: zeros })
    const bomb = Buffer.from(await encrypt({ message, encryptionKeys: privateKey, format: 'binary', config }))
    const file = fileNamed('/in/bomb.asc')
    const decryptor = new AscDecryptor({ privateKey: privateKeys, maxPayloadBytes: 1_000_000 })
    const error = await expectRefusal(through(decryptor, bomb, file), 'DECRYPT_TOO_LARGE')
    expect([error.retryable, error.stopsRun]).toEqual([false, false])
    expect(error.message).toMatch(/^the message holds more .*: \/in\/bomb\.asc$/)
    expect(openedOf(file)).toBeUndefined()
    // Just as long as allowed is not too long.
    const wide = new AscDecryptor({ privateKey: privateKeys, maxPayloadBytes: zeros.length })
    expect((await through(wide, bomb)).equals(zeros)).toBe(true)
    const narrow = new AscDecryptor({ privateKey: privateKeys, maxPayloadBytes: zeros.length - 1 })
    const refusal = await expectRefusal(through(narrow, bomb), 'DECRYPT_TOO_LARGE')
    expect(refusal.message).toBe('the message holds more than 49,999,999 bytes')
  })
  test('is refused before more than is allowed has come out', async () => {
    const { key, armored } = await makeKey()
    const literal = Buffer.concat([Buffer.from('b\0\0\0\0\0'), zeros])
    const bomb = await sealPackets(key, packetOf(8, Buffer.concat([Buffer.of(2), deflateSync(packetOf(11, literal))])))
    const stream = new AscDecryptor({ privateKey: armored, maxPayloadBytes: 1_000_000 }).stream()
    let length = 0
    stream.on('data', (chunk: Buffer) => {
      length += chunk.length
    })
    await expectRefusal(pipeline(Readable.from([bomb]), stream), 'DECRYPT_TOO_LARGE')
    expect(bomb.length).toBeLessThan(100_000)
    expect(length).toBeGreaterThan(0)
    expect(length).toBeLessThanOrEqual(1_000_000)
  })

  test('is refused when what it unpacks to is not even payload', async () => {
    const { key, armored } = await makeKey()
    const packets = deflateSync(Buffer.concat([packetOf(21, zeros), packetOf(11, Buffer.from('b\0\0\0\0\0ESIID'))]))
    const bomb = await sealPackets(key, packetOf(8, Buffer.concat([Buffer.of(2), packets])))
    const narrow = new AscDecryptor({ privateKey: armored, maxPayloadBytes: 1_000_000 })
    await expectRefusal(through(narrow, bomb), 'DECRYPT_TOO_LARGE')
    expect((await through(new AscDecryptor({ privateKey: armored }), bomb)).toString()).toBe('ESIID')
  })
})
