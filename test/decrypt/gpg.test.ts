import { createHash, randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { AscDecryptor } from '../../src/decrypt/asc-decryptor.ts'
import { openedOf } from '../../src/decrypt/opened.ts'
import { openGpg } from '../support/gpg.ts'
import { requireReal } from '../support/real.ts'
import { cuts, expectRefusal, fileNamed, through } from './support.ts'

const csv = Buffer.from(
  `ESIID,USAGE_DATE\n${Array.from({ length: 20_000 }, (_, i) => `'1044372000000${i % 7}001,07/14/2025,.${i}\n`).join('')}`
)
const zip = storedZip('a.csv', csv)

describe.skipIf(!requireReal('gpg'))('a message of the real gpg', () => {
  const { home, run, make, exported, seal, close } = openGpg()
  const to = (name: string) => ['-r', `${name}@example.org`]

  let decryptor: AscDecryptor
  beforeAll(() => {
    make('rsa', 'rsa2048', 'cert,encr')
    make('ecc', 'future-default', 'default')
    make('other', 'future-default', 'default')
    make('locked', 'future-default', 'default', 'open sesame')
    writeFileSync(join(home, 'a.csv'), csv)
    writeFileSync(join(home, 'a.zip'), zip)
    decryptor = new AscDecryptor({ privateKey: [exported('rsa', '--armor'), exported('ecc')] })
  })
  afterAll(close)

  test.each([
    ['a CSV, compressed', 'a.csv', csv, ['-r', 'rsa']],
    ['a CSV, armored', 'a.csv', csv, ['-r', 'rsa', '--armor']],
    ['a CSV, as text', 'a.csv', csv, ['-r', 'ecc', '-z', '0', '--armor']],
    ['a ZIP file', 'a.zip', zip, ['-r', 'rsa', '--armor']],
    ['several recipients', 'a.zip', zip, ['-r', 'other', '-r', 'ecc', '-r', 'locked']],
    ['a hidden recipient', 'a.zip', zip, ['-R', 'ecc']],
    ['hidden recipients beside a named one', 'a.zip', zip, ['-R', 'rsa', '-R', 'other', '-r', 'locked', '--armor']],
    ['a signature inside', 'a.csv', csv, ['-s', '-u', 'other', '-r', 'rsa', '--armor']]
  ])('opens: %s', async (_, name, payload, args) => {
    const message = run(['--trust-model', 'always', ...args, '-o', '-', '-e', join(home, name)])
    const file = fileNamed('a.asc')
    expect((await through(decryptor, message, file)).equals(payload)).toBe(true)
    const sha256 = createHash('sha256').update(payload).digest('hex')
    expect(openedOf(file)).toMatchObject({ encrypted: true, bytes: payload.length, sha256 })
  })

  test('opens what came from a pipe, in parts of unknown length', async () => {
    const bytes = randomBytes(300_000)
    for (const args of [['--armor'], ['-z', '0'], ['-s', '-u', 'other']]) {
      const message = seal(bytes, ...args, ...to('rsa'), '-e')
      expect((await through(decryptor, message)).equals(bytes)).toBe(true)
    }
  })

  test('gives the same bytes wherever a chunk ends', async () => {
    const message = seal(Buffer.from('ESIID\n'), '-s', '-u', 'other', ...to('ecc'), '-e')
    for (const chunks of cuts(message)) expect((await through(decryptor, chunks)).toString()).toBe('ESIID\n')
  })

  test('opens with a key that was exported under its passphrase', async () => {
    const message = seal(csv, ...to('locked'), '--armor', '-e')
    const privateKey = exported('locked', '--armor', '--passphrase', 'open sesame')
    const decryptor = new AscDecryptor({ privateKey, passphrase: () => 'open sesame' })
    expect((await through(decryptor, message)).equals(csv)).toBe(true)
    await expectRefusal(new AscDecryptor({ privateKey, passphrase: 'shut sesame' }).open(), 'KEY_PASSPHRASE')
    await expectRefusal(new AscDecryptor({ privateKey }).open(), 'KEY_PASSPHRASE')
  })

  test('opens with the subkeys alone, and with a whole keyring that was exported', async () => {
    const message = seal(csv, ...to('ecc'), '-e')
    for (const privateKey of [
      run(['--export-secret-subkeys', 'ecc@example.org']),
      run(['--armor', '--passphrase', 'open sesame', '--export-secret-keys'])
    ]) {
      const decryptor = new AscDecryptor({ privateKey, passphrase: 'open sesame' })
      expect((await through(decryptor, message)).equals(csv)).toBe(true)
    }
  })

  test('with a key that only signs is not what anybody can open', async () => {
    make('signer', 'ed25519', 'sign')
    const error = await expectRefusal(new AscDecryptor({ privateKey: exported('signer') }).open(), 'KEY_UNREADABLE')
    expect(error.message).toMatch(/^the private key cannot decrypt: 0x[0-9A-F]{16}$/)
  })

  test('I4: is refused when it has no integrity packet', async () => {
    const message = seal(csv, '--rfc2440', '--disable-mdc', ...to('rsa'), '--armor', '-e')
    await expectRefusal(through(decryptor, message), 'DECRYPT_NO_INTEGRITY')
  })

  test('is refused when it is for others, for a password, or not encrypted', async () => {
    await expectRefusal(through(decryptor, seal(csv, ...to('other'), '-e')), 'DECRYPT_NO_KEY')
    await expectRefusal(through(decryptor, seal(csv, '-R', 'other', '-e')), 'DECRYPT_NO_KEY')
    await expectRefusal(through(decryptor, seal(csv, '--passphrase', 'x', '-c')), 'DECRYPT_NO_KEY')
    await expectRefusal(through(decryptor, seal(csv, '--store')), 'DECRYPT_NOT_ENCRYPTED')
    await expectRefusal(through(decryptor, seal(csv, '-u', 'other', '-s')), 'DECRYPT_NOT_ENCRYPTED')
    await expectRefusal(through(decryptor, seal(csv, '-u', 'other', '--clearsign')), 'DECRYPT_NOT_ENCRYPTED')
    await expectRefusal(through(decryptor, seal(csv, '-u', 'other', '-b')), 'DECRYPT_IS_SIGNATURE')
    await expectRefusal(through(decryptor, exported('other')), 'DECRYPT_IS_KEY')
    await expectRefusal(through(decryptor, run(['--export'])), 'DECRYPT_IS_KEY')
  })

  test('is refused when it is cut or altered, in every cipher', async () => {
    for (const cipher of ['AES256', '3DES', 'CAST5']) {
      const message = seal(csv, '--cipher-algo', cipher, ...to('ecc'), '-e')
      await expectRefusal(through(decryptor, message.subarray(0, -30)), 'DECRYPT_TRUNCATED')
      const altered = Buffer.from(message)
      altered[altered.length - 30]! ^= 1
      await expectRefusal(through(decryptor, altered), 'DECRYPT_CORRUPT')
    }
  })
})

/** A ZIP of one member that is stored as it is: gpg knows it by its first bytes and does not compress it again. */
function storedZip(name: string, bytes: Uint8Array): Buffer {
  const member = Buffer.alloc(26)
  member.writeUInt16LE(20, 0)
  member.writeUInt32LE(crc32(bytes), 10)
  member.writeUInt32LE(bytes.length, 14)
  member.writeUInt32LE(bytes.length, 18)
  member.writeUInt16LE(name.length, 22)
  const local = Buffer.concat([Buffer.from('PK\x03\x04'), member, Buffer.from(name), bytes])
  const entry = Buffer.concat([Buffer.from('PK\x01\x02\x14\x00'), member, Buffer.alloc(14), Buffer.from(name)])
  const end = Buffer.alloc(18)
  end.writeUInt16LE(1, 4)
  end.writeUInt16LE(1, 6)
  end.writeUInt32LE(entry.length, 8)
  end.writeUInt32LE(local.length, 12)
  return Buffer.concat([local, entry, Buffer.from('PK\x05\x06'), end])
}
