import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createMessage, encrypt, enums, generateKey, type PrivateKey } from 'openpgp'
import { expect, test } from 'vitest'
import { AscDecryptor } from '../../src/decrypt/asc-decryptor.ts'
import { openedOf } from '../../src/decrypt/opened.ts'
import { DecryptError } from '../../src/errors.ts'
import { armor, dataStart, fileNamed, makeKey, seal } from './support.ts'

const payload = Buffer.from("ESIID,USAGE_DATE\n'10443720000000001,07/14/2025\n")
const { key, armored } = await makeKey()
const { privateKey: compressing } = await generateKey({
  userIDs: { name: 'Nobody' },
  format: 'object',
  config: { preferredCompressionAlgorithm: enums.compression.zlib }
})
const { privateKey: modern } = await generateKey({
  userIDs: { name: 'Nobody' },
  format: 'object',
  config: { aeadProtect: true }
})
const decryptor = new AscDecryptor({
  privateKey: [armored, compressing.armor(), modern.armor()],
  signers: key.toPublic().armor()
})

/** The same, signed inside. */
async function sealSigned(encryptionKeys: PrivateKey): Promise<Buffer> {
  const message = await createMessage({ binary: payload })
  const options = { encryptionKeys, signingKeys: key, config: { aeadProtect: true } }
  return Buffer.from(await encrypt({ message, ...options, format: 'binary' }))
}
const binary = await seal(payload, key)
const text = Buffer.from(`${armor(binary, 'Version: none\nComment: none\n')}-- \nsent by nobody\n`)

/** What became of a message: the code of its error, or that it was opened unchanged. Nothing else is allowed. */
async function outcomeOf(message: Uint8Array): Promise<string> {
  const file = fileNamed('a.asc')
  const out: Uint8Array[] = []
  // In small chunks, so that an altered byte is met while others have already left.
  const chunks = Array.from({ length: Math.ceil(message.length / 50) }, (_, i) =>
    message.subarray(i * 50, (i + 1) * 50)
  )
  const stream = decryptor.stream(file).on('data', chunk => out.push(chunk))
  const error = await pipeline(Readable.from(chunks), stream).catch(error => error)
  if (error !== undefined) {
    expect(error).toBeInstanceOf(DecryptError)
    expect(error.stopsRun).toBe(false)
    expect(openedOf(file)).toBeUndefined()
    return error.code
  }
  if (openedOf(file)?.encrypted === false) {
    expect(Buffer.concat(out).equals(message)).toBe(true)
    return 'passed through'
  }
  expect(Buffer.concat(out).equals(payload)).toBe(true)
  return 'unchanged'
}

const headersStart = text.indexOf('\n') + 1
const bodyStart = text.indexOf('\n\n') + 2
const checksumStart = text.indexOf('=AAAA')
const endStart = text.indexOf('-----END')
const afterStart = text.indexOf('-- \n')

/** Whether a byte of the armored file means nothing: headers, line ends, the checksum, what follows the END line. */
function isInert(at: number): boolean {
  if (at >= headersStart && at < bodyStart) return true
  if (at >= bodyStart && at < checksumStart) return text[at] === 0x0a
  return (at >= checksumStart && at < endStart) || at >= afterStart - 1
}

/** The byte of the message that a character of the body begins in. */
const byteOf = (at: number) => Math.floor(((at - bodyStart - Math.floor((at - bodyStart) / 65)) * 3) / 4)

test('the inert ranges lie outside the message', () => {
  const meant = text.filter((_, at) => at >= bodyStart && at < checksumStart && !isInert(at))
  expect(Buffer.from(meant.toString(), 'base64').equals(binary)).toBe(true)
})

test('I4: an altered byte of an armored message gives an error, or is inert and changes nothing', async () => {
  const seen = new Set<string>()
  for (let at = 0; at < text.length; at++) {
    for (const mask of [0x01, 0x02, 0x80]) {
      const altered = Buffer.from(text)
      altered[at]! ^= mask
      const outcome = await outcomeOf(altered)
      seen.add(outcome)
      // In the session key's packet, which is no encrypted data, the low bits of a number's length mean nothing.
      if (outcome === 'unchanged' && !isInert(at)) expect(byteOf(at), `byte ${at}`).toBeLessThan(dataStart(binary))
      // Without its first words it is a text like any other, and the parser refuses it.
      if (outcome === 'passed through') expect(at, `byte ${at}`).toBeLessThan('-----BEGIN PGP '.length)
    }
  }
  expect([...seen]).toEqual(
    expect.arrayContaining(['DECRYPT_CORRUPT', 'DECRYPT_TRUNCATED', 'DECRYPT_NO_KEY', 'unchanged'])
  )
})

test('I4: an armored message that is cut anywhere before its END line is truncated', async () => {
  for (let length = 5; length < text.length; length++) {
    const outcome = await outcomeOf(text.subarray(0, length))
    expect(outcome, `${length} bytes`).toBe(length < afterStart - 1 ? 'DECRYPT_TRUNCATED' : 'unchanged')
  }
})

test.each([
  ['binary', () => binary],
  ['compressed', () => seal(payload, compressing)],
  ['AEAD', () => seal(payload, modern)],
  ['signed', () => sealSigned(key)],
  ['signed and compressed', () => sealSigned(compressing)],
  ['signed AEAD', () => sealSigned(modern)]
])('I4: an altered byte of a %s message gives an error, also when it is cut there', async (_, message) => {
  const whole = await message()
  expect(await outcomeOf(whole)).toBe('unchanged')
  for (let at = 0; at < whole.length; at++) {
    const altered = Buffer.from(whole)
    altered[at]! ^= 1
    for (const outcome of [await outcomeOf(altered), await outcomeOf(whole.subarray(0, at))]) {
      // Without the header of its first packet it is nobody's format, and the parser refuses it.
      if (outcome === 'passed through') expect(at).toBeLessThan(15)
      else if (outcome === 'unchanged') expect(at).toBeLessThan(dataStart(whole))
      else expect(outcome, `byte ${at}`).toMatch(/^DECRYPT_/)
    }
  }
})
