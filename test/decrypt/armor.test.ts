import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Dearmor } from '../../src/decrypt/armor.ts'
import { armor, cuts } from './support.ts'

function dearmor(chunks: Iterable<Uint8Array | string>): Buffer {
  const armor = new Dearmor({ file: 'a.asc' })
  const out = Array.from(chunks, chunk => armor.push(Buffer.from(chunk as string)))
  armor.end()
  return Buffer.concat(out)
}

test('gives the same bytes wherever a chunk ends', () => {
  for (const length of [0, 1, 2, 3, 47, 48, 49, 200]) {
    const binary = randomBytes(length)
    for (const chunks of cuts(Buffer.from(armor(binary)))) expect(dearmor(chunks).equals(binary)).toBe(true)
  }
})

test('gives back any bytes, in lines of any length', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 500 }), fc.integer({ min: 1, max: 100 }), (binary, width) => {
      const body = Buffer.from(binary)
        .toString('base64')
        .replace(new RegExp(`.{1,${width}}`, 'g'), '$& \r\n')
      const text = `-----BEGIN PGP MESSAGE-----\r\n\r\n${body}-----END PGP MESSAGE-----`
      expect(dearmor([text])).toEqual(Buffer.from(binary))
    })
  )
})

test('allows a byte-order mark, blank lines, indents, headers, and whatever follows the END line', () => {
  const text = armor(Buffer.from('payload'), 'Version: none\nComment:\nCharset: utf-8\n')
  const indented = text.replaceAll(/^/gm, '  ')
  expect(dearmor([`\u{feff}\n \n${indented}`, '\n-- \nsent by nobody\n', 'x'.repeat(100_000)]).toString()).toBe(
    'payload'
  )
})

const text = armor(Buffer.from('a payload of some length'))
const body = Buffer.from('a payload of some length').toString('base64')

test.each([
  ['an empty body’s END line', `-----BEGIN PGP MESSAGE-----\n\n`],
  ['the END line', text.slice(0, text.indexOf('-----END'))],
  ['a piece of the END line', text.trimEnd().slice(0, -1)],
  ['the checksum', text.slice(0, text.indexOf('=AAAA') + 2)],
  ['the rest of the body', text.slice(0, text.indexOf(body) + 10)],
  ['the body', text.slice(0, text.indexOf(body))],
  ['its first line', '-----BEGIN PGP MESSAGE']
])('a message that lacks %s is truncated', (_, cut) => {
  expect(() => dearmor([cut])).toThrow(expect.objectContaining({ code: 'DECRYPT_TRUNCATED', file: 'a.asc' }))
})

test.each([
  ['a byte that is not base64', text.replace(body, `${body.slice(0, 5)}*${body.slice(5)}`)],
  ['padding amid the body', text.replace(body, `${body.slice(0, 6)}==${body.slice(8)}`)],
  ['a checksum amid the body', text.replace(body, `${body.slice(0, 8)}=${body.slice(8)}`)],
  ['a missing character', text.replace(body, body.slice(1))],
  ['bits after the last byte', text.replace(body, 'QR==')],
  ['half a padding', text.replace(body, 'QQ=')],
  ['too much padding', text.replace(body, 'QUE==')],
  ['a checksum that is too long', text.replace('=AAAA', '=AAAAA')],
  ['another END line', text.replace('-----END PGP MESSAGE-----', '-----END PGP SIGNATURE-----')],
  ['another END line at the very end', text.replace('-----END PGP MESSAGE-----\n', '-----END PGP SIGNATURE')],
  ['no empty line before the body', text.replace('\n\n', '\n')],
  ['a first line with something behind it', text.replace('MESSAGE-----\n', 'MESSAGE----- x\n')],
  ['a header line without end', text.replace('Comment: none', `Comment: ${'x'.repeat(70_000)}`)],
  ['a second message behind it', text + text],
  ['a second message that is cut short behind it', `${text}-----BEGIN PGP MES`]
])('a message with %s is damaged', (_, damaged) => {
  expect(() => dearmor([damaged])).toThrow(expect.objectContaining({ code: 'DECRYPT_CORRUPT', file: 'a.asc' }))
})
