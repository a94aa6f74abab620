import { createHash } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { createCleartextMessage, createMessage, sign } from 'openpgp'
import { describe, expect, test } from 'vitest'
import { type OpenPgpKind, sniffOpenPgp } from '../../src/decrypt/openpgp-format.ts'
import { armor, makeKey, seal } from './support.ts'

const { key } = await makeKey()
const sealed = await seal(Buffer.from('ESIID,USAGE_DATE\n'), key)
const message = await createMessage({ binary: Buffer.from('ESIID\n'), filename: 'a.csv' })
const cleartext = await createCleartextMessage({ text: 'ESIID' })
const signed = await sign({ message, signingKeys: key, format: 'binary' })
const detached = await sign({ message, signingKeys: key, format: 'binary', detached: true })
const noise = createHash('shake256', { outputLength: 200 }).update('noise').digest()
const bytes = (...values: number[]) => Buffer.from(values)

const openPgp: [string, OpenPgpKind, Uint8Array | string][] = [
  ['an armored message', 'armored-message', armor(sealed)],
  ['an armored message after a byte-order mark', 'armored-message', `\u{feff}${armor(sealed)}`],
  ['an armored message after blank lines', 'armored-message', `\r\n \t\n\n  ${armor(sealed)}`],
  ['an armored message with CRLF', 'armored-message', armor(sealed).replaceAll('\n', '\r\n')],
  ['an armored message cut in its first line', 'armored-message', '-----BEGIN PGP MES'],
  ['a binary message', 'encrypted-message', sealed],
  [
    'a binary message after a marker',
    'encrypted-message',
    Buffer.concat([Buffer.from('\u{ca}\u{3}PGP', 'latin1'), sealed])
  ],
  ['thousands of markers', 'encrypted-message', Buffer.from('\u{ca}\u{3}PGP'.repeat(60_000), 'latin1')],
  ['a session key with an old header', 'encrypted-message', bytes(0x85, 1, 12, 3, 1, 2, 3, 4, 5, 6, 7, 8, 1, 7, 255)],
  ['a password’s session key', 'encrypted-message', bytes(0xc3, 13, 4, 9, 3, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0xf0)],
  ['encrypted data alone', 'encrypted-message', bytes(0xd2, 0xea, 1, 7, 7, 7, 7, 7, 7)],
  ['encrypted data without integrity', 'encrypted-message', Buffer.concat([bytes(0xc9, 0xea), noise])],
  ['encrypted data of GnuPG 2.3', 'encrypted-message', bytes(0xd4, 0xea, 1, 9, 2, 16, 7, 7, 7)],
  ['a signed message', 'unencrypted-message', signed],
  ['a literal message', 'unencrypted-message', message.write() as Uint8Array],
  ['a compressed message', 'unencrypted-message', bytes(0xa3, 2, 0x78, 0x9c, 1, 2, 3)],
  ['a signature before its message', 'unencrypted-message', Buffer.concat([detached, message.write() as Uint8Array])],
  ['a detached signature', 'signature', detached],
  ['an armored signature', 'signature', await sign({ message, signingKeys: key, detached: true })],
  ['a cleartext-signed message', 'cleartext-signed', await sign({ message: cleartext, signingKeys: key })],
  ['a public key', 'public-key', key.toPublic().write() as Uint8Array],
  ['an armored public key', 'public-key', key.toPublic().armor()],
  ['a private key', 'private-key', key.write() as Uint8Array],
  ['an armored private key', 'private-key', key.armor()],
  ['a message in parts', 'other-armor', '-----BEGIN PGP MESSAGE, PART 1/2-----\n\n']
]

const ordinary: [string, Uint8Array | string][] = [
  ['an empty file', ''],
  ['a CSV', 'ESIID,USAGE_DATE,REVISION_DATE\n'],
  ['a CSV with a byte-order mark', '\u{feff}ESIID,USAGE_DATE\n'],
  ['a byte-order mark and nothing more', bytes(0xef, 0xbb, 0xbf)],
  ['half a byte-order mark', bytes(0xef, 0xbb, 0x41, 0x42)],
  ['UTF-16, little end first', Buffer.from('\u{feff}ESIID,USAGE', 'utf16le')],
  ['UTF-16, big end first', Buffer.from('\u{feff}ESIID,USAGE', 'utf16le').swap16()],
  ['a ZIP', bytes(0x50, 0x4b, 3, 4, 20, 0, 0, 0, 8, 0)],
  ['a gzip', gzipSync('ESIID,USAGE_DATE')],
  ['a PDF', '%PDF-1.7\n'],
  ['a web page', '\n<!DOCTYPE html><html>'],
  ['a PNG', bytes(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13)],
  ['a JPEG', bytes(0xff, 0xd8, 0xff, 0xe0, 0, 16, 0x4a, 0x46)],
  ['an old Excel workbook', bytes(0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1)],
  ['text that begins with dashes', '-----BEGIN CERTIFICATE-----\nMIIB\n'],
  ['dashes alone', '----'],
  ['a minus', '-0.5,1\n'],
  ['a public SSH key', 'ssh-ed25519 AAAA nobody\n'],
  ['armor quoted in a mail', '> -----BEGIN PGP MESSAGE-----\n'],
  ['white space alone', ' \n'.repeat(40_000)]
]

/** The verdict as a stream reaches it, and how many bytes that took. */
function judge(file: Uint8Array, step = 1): { kind: OpenPgpKind; after: number } {
  for (let end = 0; end < file.length; end += step) {
    const kind = sniffOpenPgp(file.subarray(0, end), false)
    if (kind !== undefined) return { kind, after: end }
  }
  return { kind: sniffOpenPgp(file, true)!, after: file.length }
}

describe('recognises', () => {
  test.each(openPgp)('%s', (_, kind, file) => {
    expect(judge(Buffer.from(file as string)).kind).toBe(kind)
    expect(sniffOpenPgp(Buffer.from(file as string), true)).toBe(kind)
  })
})

describe('leaves alone', () => {
  test.each(ordinary)('%s', (_, file) => {
    expect(judge(Buffer.from(file as string), 997).kind).toBe('none')
    expect(sniffOpenPgp(Buffer.from(file as string), true)).toBe('none')
  })
})

test('leaves every text alone, in UTF-8 and in one byte per character', () => {
  const character = fc.oneof(
    fc.constantFrom('\n', '\r', '\t', ',', 'É', 'Ë', 'Ò', 'Ô', '£', '\u{a0}'),
    fc.integer({ min: 0x20, max: 0xff }).map(code => String.fromCharCode(code)),
    fc.integer({ min: 0xa0, max: 0xd7ff }).map(code => String.fromCharCode(code))
  )
  const text = fc.string({ unit: character, minLength: 1, maxLength: 300 })
  fc.assert(
    fc.property(text, fc.boolean(), (text, ended) => {
      for (const encoding of ['utf8', 'latin1'] as const) {
        const printable = Buffer.from(text, encoding).filter(byte => byte >= 0x20 || byte === 10 || byte === 9)
        expect(sniffOpenPgp(printable, ended) ?? 'none').toBe('none')
      }
    }),
    { numRuns: 3000 }
  )
})

test('takes noise for OpenPGP less often than once in fifty times', () => {
  const noise = Array.from({ length: 5000 }, (_, i) =>
    createHash('shake256', { outputLength: 256 }).update(`${i}`).digest()
  )
  expect(noise.filter(file => sniffOpenPgp(file, true) !== 'none').length).toBeLessThan(100)
})

test('decides about a CSV by its first byte and about a message by its first 128', () => {
  expect(judge(Buffer.from('ESIID,USAGE_DATE\n')).after).toBe(1)
  expect(judge(Buffer.concat([sealed, Buffer.alloc(4096)])).after).toBe(128)
  expect(judge(Buffer.from(armor(sealed))).after).toBe('-----BEGIN PGP MESSAGE-----'.length)
})
