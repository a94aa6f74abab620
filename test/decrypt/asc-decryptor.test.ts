import { createHash, randomBytes } from 'node:crypto'
import { getEventListeners, once } from 'node:events'
import { Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { inspect } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import {
  AEADEncryptedDataPacket,
  config,
  createCleartextMessage,
  createMessage,
  encrypt,
  encryptSessionKey,
  enums,
  generateKey,
  sign
} from 'openpgp'
import { describe, expect, test, vi } from 'vitest'
import { AscDecryptor, type AscDecryptorOptions } from '../../src/decrypt/asc-decryptor.ts'
import { openedOf } from '../../src/decrypt/opened.ts'
import { ConfigError, SourceError } from '../../src/errors.ts'
import { failureOf } from '../support/failure.ts'
import { armor, cuts, dataStart, expectRefusal, fileNamed, makeKey, seal, through } from './support.ts'

const payload = Buffer.from(`ESIID,USAGE_DATE\n${"'10443720000000001,07/14/2025\n".repeat(5)}`)
const ours = await makeKey()
const other = await makeKey()
const locked = await makeKey('open sesame')
const sealed = await seal(payload, ours.key)
const decryptor = new AscDecryptor({ privateKey: ours.armored })
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

describe('messages', () => {
  test('opens an armored message and a binary one', async () => {
    expect(await through(decryptor, armor(sealed))).toEqual(payload)
    expect(await through(decryptor, sealed)).toEqual(payload)
  })

  test('gives the same bytes wherever a chunk ends', async () => {
    const small = await seal(Buffer.from('ESIID\n'), ours.key)
    for (const message of [small, Buffer.from(armor(small))]) {
      for (const chunks of cuts(message)) expect((await through(decryptor, chunks)).toString()).toBe('ESIID\n')
    }
  })

  test('opens a message of many parts and sizes', async () => {
    for (const size of [0, 1, 8_383, 65_536, 3_000_000]) {
      const bytes = randomBytes(size)
      const message = await seal(bytes, ours.key)
      expect((await through(decryptor, message)).equals(bytes)).toBe(true)
      expect((await through(decryptor, armor(message))).equals(bytes)).toBe(true)
    }
  })

  test('opens a message that is sealed in AEAD chunks', async () => {
    const { privateKey } = await generateKey({
      userIDs: { name: 'Nobody' },
      format: 'object',
      config: { aeadProtect: true }
    })
    const message = await createMessage({ binary: payload })
    const small = { aeadProtect: true, aeadChunkSizeByte: 0 }
    const aead = Buffer.from(await encrypt({ message, encryptionKeys: privateKey, format: 'binary', config: small }))
    const decryptor = new AscDecryptor({ privateKey: privateKey.armor() })
    expect(await through(decryptor, armor(aead))).toEqual(payload)
    await expectRefusal(through(decryptor, aead.subarray(0, -1)), 'DECRYPT_TRUNCATED')
    aead[aead.length - 1]! ^= 1
    await expectRefusal(through(decryptor, aead), 'DECRYPT_CORRUPT')
  })

  test('opens a message as GnuPG 2.3 seals it, and refuses one in chunks that no memory holds', async () => {
    const sessionKey = { data: randomBytes(32), algorithm: 'aes256' } as const
    const head = await encryptSessionKey({ ...sessionKey, encryptionKeys: ours.key, format: 'binary' })
    const literal = (await createMessage({ binary: payload })).write() as Uint8Array
    const write = async (aeadChunkSizeByte: number) => {
      const packet = Object.assign(new AEADEncryptedDataPacket(), {
        packets: { write: () => literal },
        aeadAlgorithm: enums.aead.ocb,
        iv: new Uint8Array(),
        encrypted: { readToEnd: async (_join: typeof Buffer.concat) => Buffer.alloc(0) }
      })
      // The library opens these and does not make them: it has the parts, which its types hide.
      const { encrypt } = packet as unknown as { encrypt(...args: unknown[]): Promise<void> }
      await encrypt.call(packet, enums.symmetric.aes256, sessionKey.data, { ...config, aeadChunkSizeByte })
      const encrypted = await packet.encrypted.readToEnd(Buffer.concat)
      const start = [1, enums.symmetric.aes256, enums.aead.ocb, aeadChunkSizeByte]
      const body = Buffer.concat([Buffer.from(start), packet.iv, encrypted])
      const header = Buffer.from([0xd4, 0xff, 0, 0, body.length >> 8, body.length & 0xff])
      return Buffer.concat([head as Uint8Array, header, body])
    }
    for (const size of [0, 1, 16]) {
      const message = await write(size)
      const before = Buffer.from(message)
      expect(await through(decryptor, message)).toEqual(payload)
      expect(await through(decryptor, armor(message))).toEqual(payload)
      expect(message).toEqual(before)
    }
    await expectRefusal(through(decryptor, await write(17)), 'DECRYPT_UNSUPPORTED')
  })

  test('keeps bytes, sha256 and key of the payload: the same for the same report encrypted anew', async () => {
    const files = [fileNamed('a.asc'), fileNamed('b.asc')]
    await through(decryptor, sealed, files[0])
    await through(decryptor, armor(await seal(payload, other.key, ours.key)), files[1])
    const opened = { encrypted: true, bytes: payload.length, sha256: sha256(payload), keyId: ours.id }
    expect(files.map(openedOf)).toEqual([opened, opened])
  })

  test('forgets what a file held when it is read again and fails', async () => {
    const file = fileNamed('a.asc')
    await through(decryptor, sealed, file)
    await expectRefusal(through(decryptor, sealed.subarray(0, -1), file), 'DECRYPT_TRUNCATED')
    expect(openedOf(file)).toBeUndefined()
  })

  test('opens many files at once with one set of keys', async () => {
    const privateKey = vi.fn(async () => ours.armored)
    const decryptor = new AscDecryptor({ privateKey })
    const all = await Promise.all(Array.from({ length: 10 }, () => through(decryptor, sealed)))
    expect(all.every(bytes => bytes.equals(payload))).toBe(true)
    expect(privateKey).toHaveBeenCalledTimes(1)
  })
})

describe('bytes that are no OpenPGP', () => {
  test('pass untouched, in the chunks as they came, without any key', async () => {
    const file = fileNamed('a.CSV')
    const chunks = ['ES', 'IID,USAGE', '_DATE\n', '-----BEGIN PGP MESSAGE-----'].map(text => Buffer.from(text))
    const seen: Buffer[] = []
    const stream = new AscDecryptor().stream(file).on('data', chunk => seen.push(chunk))
    await pipeline(Readable.from(chunks), stream)
    expect(seen.map(String)).toEqual(chunks.map(String))
    expect(openedOf(file)).toEqual({ encrypted: false })
  })

  test('pass when there are none at all, or when the whole file is too short to tell', async () => {
    for (const bytes of [[], [0xef], [0x85], [0x2d], [0xd2, 1]]) {
      expect(await through(decryptor, Buffer.from(bytes))).toEqual(Buffer.from(bytes))
    }
  })

  test('do not open the keys', async () => {
    const decryptor = new AscDecryptor({ privateKey: () => Promise.reject(new Error('no key store here')) })
    expect((await through(decryptor, payload)).equals(payload)).toBe(true)
  })
})

describe('refusals', () => {
  test('I4: a message without integrity packet is refused, by whomever it was made', async () => {
    const sessionKeys = sealed.subarray(0, dataStart(sealed))
    const legacy = Buffer.concat([sessionKeys, Buffer.from([0xc9, 40]), randomBytes(40)])
    for (const message of [legacy, armor(legacy)]) {
      const error = await expectRefusal(through(decryptor, message, fileNamed('/in/a.asc')), 'DECRYPT_NO_INTEGRITY')
      expect(error.message).toBe('the message has no integrity protection: /in/a.asc')
    }
    await expectRefusal(through(new AscDecryptor(), legacy), 'DECRYPT_NO_INTEGRITY')
  })

  test('a message that is not encrypted is refused', async () => {
    const message = await createMessage({ binary: payload })
    const signed = await sign({ message, signingKeys: ours.key, format: 'binary' })
    const cleartext = await createCleartextMessage({ text: payload.toString() })
    for (const file of [signed, armor(signed), armor(message.write() as Uint8Array)]) {
      await expectRefusal(through(decryptor, file), 'DECRYPT_NOT_ENCRYPTED')
    }
    await expectRefusal(
      through(decryptor, await sign({ message: cleartext, signingKeys: ours.key })),
      'DECRYPT_NOT_ENCRYPTED'
    )
  })

  test('a key in the folder is refused', async () => {
    for (const file of [ours.armored, ours.key.toPublic().armor(), ours.key.write() as Uint8Array]) {
      await expectRefusal(through(decryptor, file), 'DECRYPT_IS_KEY')
    }
  })

  test('a signature in the folder is refused', async () => {
    const message = await createMessage({ binary: payload })
    const signature = await sign({ message, signingKeys: ours.key, detached: true })
    await expectRefusal(through(decryptor, signature), 'DECRYPT_IS_SIGNATURE')
  })

  test('armor of another kind is refused', async () => {
    const part = armor(sealed).replaceAll('MESSAGE', 'MESSAGE, PART 1/2')
    await expectRefusal(through(decryptor, part), 'DECRYPT_UNSUPPORTED')
  })

  test('a message for somebody else is refused, naming whom it is for and what was given', async () => {
    const third = await makeKey()
    const message = await seal(payload, other.key, third.key)
    const error = await expectRefusal(through(decryptor, message, fileNamed('/in/a.asc')), 'DECRYPT_NO_KEY')
    expect(error.message).toBe(`made for key 0x${other.id}, 0x${third.id}; you gave 0x${ours.id}: /in/a.asc`)
    const keyless = await expectRefusal(through(new AscDecryptor(), message), 'DECRYPT_NO_KEY')
    expect(keyless.message).toBe(`made for key 0x${other.id}, 0x${third.id}; you gave no private key`)
  })

  test('a message for a hidden recipient is opened, or refused as one for somebody else', async () => {
    const seal = async (encryptionKeys: typeof ours.key) => {
      const message = await createMessage({ binary: payload })
      return Buffer.from(await encrypt({ message, encryptionKeys, wildcard: true, format: 'binary' }))
    }
    const file = fileNamed('a.asc')
    expect(await through(decryptor, await seal(ours.key), file)).toEqual(payload)
    expect(openedOf(file)).toEqual({ encrypted: true, bytes: payload.length, sha256: sha256(payload) })
    const error = await expectRefusal(through(decryptor, await seal(other.key)), 'DECRYPT_NO_KEY')
    expect(error.message).toBe(`made for a hidden recipient; you gave 0x${ours.id}`)
  })

  test('a message for a password is refused', async () => {
    const message = await createMessage({ binary: payload })
    const error = await expectRefusal(
      through(decryptor, await encrypt({ message, passwords: 'secret' })),
      'DECRYPT_NO_KEY'
    )
    expect(error.message).toBe(`made for a password, not for a key; you gave 0x${ours.id}`)
  })

  test('a message that ends after its session keys is truncated', async () => {
    const sessionKeys = sealed.subarray(0, dataStart(sealed))
    await expectRefusal(through(decryptor, sessionKeys), 'DECRYPT_TRUNCATED')
    await expectRefusal(through(decryptor, armor(sessionKeys)), 'DECRYPT_TRUNCATED')
    await expectRefusal(through(decryptor, armor(Buffer.alloc(0))), 'DECRYPT_TRUNCATED')
  })

  test('a second message behind the first is refused, never forgotten', async () => {
    await expectRefusal(through(decryptor, Buffer.concat([sealed, sealed])), 'DECRYPT_CORRUPT')
    await expectRefusal(through(decryptor, armor(sealed) + armor(sealed)), 'DECRYPT_CORRUPT')
  })

  test('armor around something else is damaged', async () => {
    await expectRefusal(through(decryptor, armor(payload)), 'DECRYPT_CORRUPT')
  })
})

describe('keys', () => {
  const sealedLocked = seal(payload, locked.key)

  test('are armored or binary, text or bytes, given or fetched', async () => {
    const binary = ours.key.write() as Uint8Array
    const given: AscDecryptorOptions['privateKey'][] = [
      ours.armored,
      Buffer.from(ours.armored),
      binary,
      () => ours.armored,
      async () => binary,
      [other.armored, () => ours.armored],
      `${other.armored}\n${ours.armored}`,
      ours.armored.replaceAll('\n', '\\n'),
      `\u{feff}\n${ours.armored.replaceAll('\n', '\r\n')}`
    ]
    for (const privateKey of given) expect(await through(new AscDecryptor({ privateKey }), sealed)).toEqual(payload)
  })

  test('several in one binary block all count', async () => {
    const block = Buffer.concat([other.key.write() as Uint8Array, ours.key.write() as Uint8Array])
    expect(await through(new AscDecryptor({ privateKey: block }), sealed)).toEqual(payload)
  })

  test('that are locked open with their passphrase, beside keys that are open', async () => {
    const passphrase = vi.fn(() => 'open sesame')
    const decryptor = new AscDecryptor({ privateKey: [ours.armored, locked.armored], passphrase })
    expect(await through(decryptor, await sealedLocked)).toEqual(payload)
    expect(await through(decryptor, sealed)).toEqual(payload)
    expect(passphrase).toHaveBeenCalledTimes(1)
  })

  test('that are open leave the passphrase unasked', async () => {
    const decryptor = new AscDecryptor({ privateKey: ours.armored, passphrase: () => Promise.reject(new Error()) })
    expect(await through(decryptor, sealed)).toEqual(payload)
  })

  test('that stay locked stop the run, by name', async () => {
    const missing = await expectRefusal(new AscDecryptor({ privateKey: locked.armored }).open(), 'KEY_PASSPHRASE')
    expect(missing.message).toBe(`the key is locked and no passphrase is given: private key 0x${locked.id}`)
    const privateKey = [ours.armored, locked.armored]
    const wrong = await expectRefusal(new AscDecryptor({ privateKey, passphrase: 'x' }).open(), 'KEY_PASSPHRASE')
    expect(wrong.message).toBe(`the passphrase does not open the key: private key 0x${locked.id}`)
    expect(wrong.stopsRun).toBe(true)
    await expectRefusal(through(new AscDecryptor({ privateKey: locked.armored }), await sealedLocked), 'KEY_PASSPHRASE')
  })

  test('that are none stop the run', async () => {
    const damaged = ours.armored.replace(/\n\n.{20}/, '\n\nAAAAAAAAAAAAAAAAAAAA')
    const publicKey = ours.key.toPublic().armor()
    for (const privateKey of ['hello', damaged, publicKey, armor(sealed), sealed, Buffer.from([0, 1]), () => 'hello']) {
      const error = await expectRefusal(new AscDecryptor({ privateKey }).open(), 'KEY_UNREADABLE')
      expect(error.stopsRun).toBe(true)
    }
    const nothing = (() => undefined) as unknown as () => string
    await expectRefusal(new AscDecryptor({ privateKey: nothing }).open(), 'KEY_UNREADABLE')
  })

  test('that could not be fetched are asked for again', async () => {
    const privateKey = vi.fn(async () => ours.armored).mockRejectedValueOnce(new Error('the key store is away'))
    const decryptor = new AscDecryptor({ privateKey })
    const error = await expectRefusal(decryptor.open(), 'KEY_UNREADABLE')
    expect(error.cause).toMatchObject({ message: 'the key store is away' })
    expect(await through(decryptor, sealed)).toEqual(payload)
  })

  test('are forgotten by close, and opened anew when they are needed again', async () => {
    const privateKey = vi.fn(() => ours.armored)
    const decryptor = new AscDecryptor({ privateKey })
    await decryptor.open()
    await decryptor.open()
    expect(privateKey).toHaveBeenCalledTimes(1)
    await decryptor[Symbol.asyncDispose]()
    expect(await through(decryptor, sealed)).toEqual(payload)
    expect(privateKey).toHaveBeenCalledTimes(2)
  })
})

test('I11: keys and passphrase show in no inspection and in no error', async () => {
  const secret = locked.armored.split('\n')[5]!
  const decryptor = new AscDecryptor({ privateKey: locked.armored, passphrase: 'open sesame' })
  await decryptor.open()
  const wrong = new AscDecryptor({ privateKey: locked.armored, passphrase: 'shut sesame' })
  const error = await failureOf(wrong.open())
  const shown = [decryptor, wrong, decryptor.stream(), error].map(value =>
    inspect(value, { depth: 20, showHidden: true, getters: true })
  )
  for (const text of shown) {
    expect(text).not.toContain('sesame')
    expect(text).not.toContain(secret)
    expect(text).not.toContain('privateParams')
  }
})

describe('options', () => {
  test.each([
    ['privatekey', { privatekey: ours.armored }],
    ['privateKey', { privateKey: 7 }],
    ['privateKey', { privateKey: '' }],
    ['privateKey', { privateKey: [ours.armored, ''] }],
    ['passphrase', { passphrase: Buffer.from('x') }]
  ])('that are wrong are named: %s', (name, options) => {
    const make = () => new AscDecryptor(options as AscDecryptorOptions)
    expect(make).toThrow(ConfigError)
    expect(make).toThrow(`AscDecryptor option \`${name}\``)
  })

  test('are never written to', async () => {
    const options = Object.freeze({ privateKey: Object.freeze([ours.armored]), passphrase: undefined })
    expect(await through(new AscDecryptor(options), sealed)).toEqual(payload)
  })
})

describe('broken and stopped streams', () => {
  const long = seal(randomBytes(400_000), ours.key)

  test('an error of the source comes out as it went in', async () => {
    const message = await long
    const born = new SourceError('SFTP_DISCONNECTED', 'the connection broke', { file: '/in/a.asc' })
    for (const [bytes, end] of [
      [message, 10],
      [message, 200_000],
      [Buffer.from(armor(message)), 10],
      [Buffer.from(armor(message)), 200_000]
    ] as const) {
      const broken = (async function* () {
        for (let i = 0; i < end; i += 10_000) yield bytes.subarray(i, Math.min(end, i + 10_000))
        throw born
      })()
      expect(await failureOf(through(decryptor, broken, fileNamed('a.asc')))).toBe(born)
    }
  })

  test('an abort ends the stream by an AbortError and lets go of the signal', async () => {
    const message = await long
    const abort = new AbortController()
    const endless = (async function* () {
      yield message.subarray(0, 200_000)
      setTimeout(() => abort.abort(), 20)
      await new Promise(() => {})
    })()
    const error = await failureOf(through(decryptor, endless, fileNamed('a.asc'), { signal: abort.signal }))
    expect(error).toMatchObject({ code: 'ABORTED', file: 'a.asc' })
    expect(getEventListeners(abort.signal, 'abort')).toEqual([])
    const late = await failureOf(through(decryptor, message, fileNamed('a.asc'), { signal: abort.signal }))
    expect(late.code).toBe('ABORTED')
  })

  test('an abort does not wait for a key that never comes', async () => {
    const decryptor = new AscDecryptor({ privateKey: () => new Promise<string>(() => {}) })
    const error = await failureOf(through(decryptor, sealed, undefined, { signal: AbortSignal.timeout(20) }))
    expect(error.code).toBe('ABORTED')
  })

  test('a stream that is destroyed in the middle, or fails there, is freed with all it holds', async () => {
    const message = Buffer.from(await long)
    const streams: WeakRef<object>[] = []
    for (let i = 0; i < 20; i++) {
      const stream = decryptor.stream()
      streams.push(new WeakRef(stream))
      stream.on('error', () => {})
      stream.write(message.subarray(0, 300_000))
      await once(stream, 'readable')
      if (i % 2 === 0) stream.destroy()
      else stream.end().resume()
      await once(stream, 'close').catch(() => {})
    }
    setFlagsFromString('--expose-gc')
    const gc = runInNewContext('gc') as () => void
    for (let i = 0; i < 5; i++) {
      await new Promise(resolve => setTimeout(resolve, 10))
      gc()
    }
    expect(streams.filter(stream => stream.deref() !== undefined).length).toBeLessThan(3)
  })
})

test('I8: a long message passes in flat memory however slowly it is read', async () => {
  // 64 MB: what piled up would show at once against a few chunks.
  const size = 64_000_000
  const message = await seal(Buffer.alloc(size, randomBytes(1_000_003)), ours.key)
  const chunk = 65_536
  let fed = 0
  let read = 0
  let ahead = 0
  const source = (async function* () {
    for (; fed < message.length; fed += chunk) yield message.subarray(fed, fed + chunk)
  })()
  const reader = new Writable({
    write(part: Buffer, _encoding, written) {
      ahead = Math.max(ahead, fed - read)
      read += part.length
      if (read % 20 === 0) setTimeout(written, 1)
      else setImmediate(written)
    }
  })
  await pipeline(Readable.from(source, { objectMode: false }), decryptor.stream(), reader)
  expect(read).toBe(size)
  expect(ahead).toBeLessThan(3_000_000)
})
