import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { AscDecryptor } from '../../src/decrypt/asc-decryptor.ts'
import { inspectMessage } from '../../src/decrypt/inspect-message.ts'
import { openedOf } from '../../src/decrypt/opened.ts'
import type { ErrorCode } from '../../src/errors.ts'
import { openGpg } from '../support/gpg.ts'
import { requireReal } from '../support/real.ts'
import { expectRefusal, fileNamed, through } from './support.ts'

const csv = Buffer.from(
  `ESIID,USAGE_DATE\n${Array.from({ length: 9_000 }, (_, i) => `1${i},07/14/2025,.${i}\n`).join('')}`
)
const sha256 = createHash('sha256').update(csv).digest('hex')

/** What becomes of each cipher and compression; gpg is asked which it has. */
const ciphers: { readonly [name: string]: 'opened' | ErrorCode } = {
  AES: 'opened',
  AES192: 'opened',
  AES256: 'opened',
  '3DES': 'opened',
  CAST5: 'opened',
  IDEA: 'DECRYPT_UNSUPPORTED',
  BLOWFISH: 'DECRYPT_UNSUPPORTED',
  TWOFISH: 'DECRYPT_UNSUPPORTED',
  CAMELLIA128: 'DECRYPT_UNSUPPORTED',
  CAMELLIA192: 'DECRYPT_UNSUPPORTED',
  CAMELLIA256: 'DECRYPT_UNSUPPORTED'
}
const compressions = ['Uncompressed', 'ZIP', 'ZLIB', 'BZIP2']

describe.skipIf(!requireReal('gpg'))('what the real gpg makes', () => {
  const { home, run, make, exported, seal, close } = openGpg()
  let decryptor: AscDecryptor
  beforeAll(() => {
    make('rsa', 'rsa2048', 'cert,encr')
    make('ecc', 'future-default', 'default')
    make('other', 'future-default', 'default')
    writeFileSync(join(home, 'a.csv'), csv)
    decryptor = new AscDecryptor({ privateKey: [exported('rsa'), exported('ecc')] })
  })
  afterAll(close)

  /** The same content from a pipe, where gpg does not know its length, and from a file. */
  const both = (...args: string[]) => {
    const path = join(home, 'out.gpg')
    run(['--trust-model', 'always', '--yes', '-o', path, ...args, '-e', join(home, 'a.csv')])
    return [seal(csv, ...args, '-e'), readFileSync(path)]
  }
  const opens = async (message: Uint8Array) => {
    const file = fileNamed('a.gpg')
    expect((await through(decryptor, message, file)).equals(csv)).toBe(true)
    expect(openedOf(file)).toMatchObject({ encrypted: true, bytes: csv.length, sha256 })
  }
  const offered = (what: string) => {
    const [, names] = new RegExp(`^${what}: ((?:.|\\n +)+)`, 'm').exec(run(['--version']).toString())!
    return names!.split(/,\s*/).map(name => name.trim())
  }

  test('is known here, cipher by cipher and compression by compression', () => {
    expect(offered('Cipher')).toContain('AES256')
    expect(offered('Cipher').filter(name => ciphers[name] === undefined)).toEqual([])
    expect(offered('Compression').filter(name => !compressions.includes(name))).toEqual([])
  })

  test.each(Object.entries(ciphers))('in %s is: %s', async (cipher, outcome) => {
    for (const name of ['rsa', 'ecc']) {
      for (const message of both('-r', `${name}@example.org`, '--cipher-algo', cipher)) {
        if (outcome === 'opened') await opens(message)
        else await expectRefusal(through(decryptor, message), outcome)
      }
    }
  })

  test.each(compressions)('is opened when its compression is %s', async compression => {
    for (const cipher of ['AES256', 'CAST5']) {
      const args = ['-r', 'ecc@example.org', '--cipher-algo', cipher, '--compress-algo', compression]
      for (const message of [...both(...args), ...both(...args, '--armor')]) await opens(message)
    }
  })

  test('has lengths in parts where it does not know them, and is opened all the same', async () => {
    const [piped, whole] = both('-r', 'rsa@example.org', '-z', '0')
    const lengthOf = async (message: Uint8Array) => (await inspectMessage(message)).packets.at(-1)?.length
    expect([await lengthOf(piped!), await lengthOf(whole!)]).toEqual(['partial', 'definite'])
    await opens(piped!)
    await opens(whole!)
    for (const size of [0, 1, 511, 512, 8191, 8192, 65_537]) {
      const bytes = csv.subarray(0, size)
      const message = seal(bytes, '-r', 'ecc@example.org', '-z', '0', '-e')
      expect((await through(decryptor, message)).equals(bytes)).toBe(true)
    }
  })

  test('tells whom it was made for: several, some hidden, or a password', async () => {
    const ids = [
      ...run(['--with-colons', '--list-keys'])
        .toString()
        .matchAll(/^(?:pub|sub):(?:[^:]*:){3}(\w{16}):(?:[^:]*:){6}\w*e/gm)
    ]
    const [rsa, ecc, other] = ids.map(([, id]) => `0x${id}`)
    const found = async (...args: string[]) => {
      const { kind, integrity, recipients } = await inspectMessage(seal(csv, ...args))
      expect([kind, integrity]).toEqual(['encrypted-message', 'mdc'])
      return recipients.map(to => (to.kind === 'key' ? `${to.keyId} ${to.algorithm}` : to.cipher))
    }
    const to = (...names: string[]) => names.flatMap(name => ['-r', `${name}@example.org`])
    const all = await found(...to('rsa', 'ecc', 'other'), '--armor', '-e')
    expect(all.sort()).toEqual([`${rsa} RSA`, `${ecc} ECDH`, `${other} ECDH`].sort())
    expect(await found('-R', 'rsa@example.org', ...to('ecc'), '-e')).toEqual(['hidden RSA', `${ecc} ECDH`])
    expect(await found('--passphrase', 'x', '--cipher-algo', 'AES192', '-c')).toEqual(['AES-192'])
    for (const args of [to('rsa', 'other'), ['-R', 'ecc@example.org', ...to('other')]])
      await opens(seal(csv, ...args, '-e'))
  })

  test('without integrity packet tells so, and is refused', async () => {
    const message = seal(csv, '--rfc2440', '--disable-mdc', '-r', 'rsa@example.org', '-e')
    expect(await inspectMessage(message)).toMatchObject({ integrity: 'none', packets: [{ tag: 1 }, { tag: 9 }] })
    await expectRefusal(through(decryptor, message), 'DECRYPT_NO_INTEGRITY')
  })

  test.each(compressions.slice(1))('is refused while it flows when %s makes it a bomb', async compression => {
    const bomb = seal(Buffer.alloc(60_000_000), '-r', 'ecc@example.org', '--compress-algo', compression, '-e')
    expect(bomb.length).toBeLessThan(100_000)
    const narrow = new AscDecryptor({ privateKey: exported('ecc'), maxPayloadBytes: 1_000_000 })
    await expectRefusal(through(narrow, bomb), 'DECRYPT_TOO_LARGE')
  })
})
