import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import {
  config,
  createMessage,
  encrypt,
  encryptSessionKey,
  enums,
  generateKey,
  type PrivateKey,
  SymEncryptedIntegrityProtectedDataPacket
} from 'openpgp'
import { expect } from 'vitest'
import type { AscDecryptor } from '../../src/decrypt/asc-decryptor.ts'
import { DecryptError, type ErrorCode } from '../../src/errors.ts'
import type { IngestFile } from '../../src/source/source.ts'
import { failureOf } from '../support/failure.ts'

/** A throw-away key, made anew in every run. */
export async function makeKey(passphrase?: string): Promise<{ key: PrivateKey; armored: string; id: string }> {
  const { privateKey } = await generateKey({
    userIDs: { name: 'Nobody', email: 'nobody@example.org' },
    format: 'object',
    ...(passphrase && { passphrase })
  })
  return { key: privateKey, armored: privateKey.armor(), id: privateKey.subkeys[0]!.getKeyID().toHex().toUpperCase() }
}

/** What a sender would send, without armor. */
export async function seal(payload: Uint8Array, ...keys: PrivateKey[]): Promise<Buffer> {
  const message = await createMessage({ binary: payload })
  // In AEAD chunks when the keys say that their owner can open those.
  const config = { aeadProtect: true }
  return Buffer.from(await encrypt({ message, encryptionKeys: keys, format: 'binary', config }))
}

/** A message whose packets are given: sealed like any other, whatever they are. */
export async function sealPackets(encryptionKeys: PrivateKey, packets: Uint8Array): Promise<Buffer> {
  const key = randomBytes(32)
  const head = await encryptSessionKey({ data: key, algorithm: 'aes256', encryptionKeys, format: 'binary' })
  const sealed = Object.assign(new SymEncryptedIntegrityProtectedDataPacket(), {
    version: 1,
    packets: { write: () => packets }
  })
  // The library has the parts, which its types hide.
  const { encrypt } = sealed as unknown as { encrypt(...args: unknown[]): Promise<void> }
  await encrypt.call(sealed, enums.symmetric.aes256, key, config)
  return Buffer.concat([head as Uint8Array, packetOf(18, sealed.write())])
}

/** A packet with a header of five bytes of length. */
export function packetOf(tag: number, body: Uint8Array): Buffer {
  const header = Buffer.from([0xc0 | tag, 0xff, 0, 0, 0, 0])
  header.writeUInt32BE(body.length, 2)
  return Buffer.concat([header, body])
}

/** Armor as GnuPG writes it: 64 characters a line. Its checksum is made up, for nobody may reject by it. */
export function armor(binary: Uint8Array, headers = 'Comment: none\n'): string {
  const body = Buffer.from(binary)
    .toString('base64')
    .replace(/.{1,64}/g, '$&\n')
  return `-----BEGIN PGP MESSAGE-----\n${headers}\n${body}=AAAA\n-----END PGP MESSAGE-----\n`
}

/** Where the encrypted data begins, after the session keys, in a message as {@link seal} makes it. */
export function dataStart(binary: Uint8Array): number {
  let at = 0
  // Session keys come first, with new headers and lengths of one byte.
  while (binary[at] === 0xc1) at += 2 + binary[at + 1]!
  return at
}

export function fileNamed(path: string): IngestFile {
  const unused = () => {
    throw new Error('not read in this test')
  }
  return {
    source: 'test:',
    path,
    name: path.split('/').at(-1)!,
    size: 0,
    modifiedAt: 0,
    stream: unused,
    verify: unused
  }
}

/** Everything that comes out when the chunks go in. */
export async function through(
  decryptor: AscDecryptor,
  chunks: Uint8Array | string | Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  file?: IngestFile,
  options?: { signal?: AbortSignal }
): Promise<Buffer> {
  const whole = typeof chunks === 'string' ? [Buffer.from(chunks)] : chunks instanceof Uint8Array ? [chunks] : chunks
  const out: Uint8Array[] = []
  await pipeline(Readable.from(whole, { objectMode: false }), decryptor.stream(file, options), async parts => {
    for await (const part of parts) out.push(part)
  })
  return Buffer.concat(out)
}

/** Asserts that nothing comes out but a refusal of this code. */
export async function expectRefusal(work: Promise<unknown>, code: ErrorCode): Promise<DecryptError> {
  const error = await failureOf(work)
  expect(error).toMatchObject({ code, name: 'DecryptError' })
  expect(error).toBeInstanceOf(DecryptError)
  return error as DecryptError
}

/** Every way to cut bytes in two, and one byte at a time. */
export function* cuts(bytes: Uint8Array): Generator<Uint8Array[]> {
  for (let at = 0; at <= bytes.length; at++) yield [bytes.subarray(0, at), bytes.subarray(at)]
  yield Array.from(bytes, (_, i) => bytes.subarray(i, i + 1))
}
