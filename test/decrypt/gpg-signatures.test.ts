import { execFileSync, spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { AscDecryptor, type AscDecryptorOptions } from '../../src/decrypt/asc-decryptor.ts'
import { inspectMessage } from '../../src/decrypt/inspect-message.ts'
import { type MessageSignature, openedOf } from '../../src/decrypt/opened.ts'
import { openGpg } from '../support/gpg.ts'
import { findReal, requireReal } from '../support/real.ts'
import { cuts, expectRefusal, fileNamed, makeKey, sealPackets, through } from './support.ts'

const csv = Buffer.from(
  `ESIID,USAGE_DATE\n${Array.from({ length: 9_000 }, (_, i) => `1${i},07/14/2025,.${i} \n`).join('')}`
)

/** A day of January 2020, as gpg is made to believe it is. */
const day = (n: number) => ['--faked-system-time', `2020010${n}T000000!`]

describe.skipIf(!requireReal('gpg'))('a signature of the real gpg', () => {
  const { home, run, make, exported, publicOf, seal, close } = openGpg()
  const ours = makeKey()
  let privateKey: Buffer

  const kinds = [
    ['rsa', 'rsa2048'],
    ['ed25519', 'ed25519'],
    ['p256', 'nistp256'],
    ['p384', 'nistp384'],
    ['p521', 'nistp521']
  ] as const
  beforeAll(() => {
    run([...day(1), '--passphrase', '', '--quick-gen-key', 'reader@example.org', 'future-default', 'default', 'never'])
    for (const [name, kind] of kinds) make(name, kind, 'sign')
    make('dsa', 'dsa2048', 'sign')
    // One whose subkey signs, as careful people have it.
    make('careful', 'ed25519', 'cert')
    run(['--passphrase', '', '--quick-add-key', fingerprintOf('careful'), 'ed25519', 'sign', 'never'])
    privateKey = exported('reader')
  })
  afterAll(close)

  const listed = (name: string) =>
    run(['--with-colons', '--with-subkey-fingerprint', '--list-keys', `${name}@example.org`]).toString()
  const fingerprintsOf = (name: string) => [...listed(name).matchAll(/^fpr:+([0-9A-F]+):/gm)].map(([, id]) => id!)
  const fingerprintOf = (name: string) => fingerprintsOf(name)[0]!
  const signed = (name: string, ...args: string[]) =>
    seal(csv, '-r', 'reader@example.org', '-u', `${name}@example.org`, ...args, '-se')
  const required = (...names: string[]): AscDecryptorOptions => ({
    signers: names.map(publicOf),
    signature: 'required'
  })

  async function read(
    message: Uint8Array,
    options: AscDecryptorOptions,
    payload = csv
  ): Promise<MessageSignature | undefined> {
    const file = fileNamed('a.gpg')
    const bytes = await through(new AscDecryptor({ privateKey, ...options }), message, file)
    expect(bytes.equals(payload)).toBe(true)
    const opened = openedOf(file)
    return opened?.encrypted ? opened.signature : undefined
  }

  test.each(kinds)('is verified of a key of %s, in every form of message', async name => {
    const fingerprint = fingerprintOf(name)
    const valid = { state: 'valid', fingerprint, keyId: fingerprint.slice(-16), createdAt: expect.any(Number) }
    for (const args of [[], ['--armor'], ['-z', '0'], ['--compress-algo', 'BZIP2'], ['--cipher-algo', 'CAST5']]) {
      expect(await read(signed(name, ...args), required('careful', name))).toEqual(valid)
    }
  })

  test('is verified of a subkey, and noted under its primary key', async () => {
    const [primary, subkey] = fingerprintsOf('careful')
    const note = await read(signed('careful'), required('careful'))
    expect(note).toMatchObject({ state: 'valid', keyId: subkey!.slice(-16), fingerprint: primary })
  })

  test('is verified with every hash that is not weak', async () => {
    for (const hash of ['SHA224', 'SHA256', 'SHA384', 'SHA512']) {
      expect(await read(signed('rsa', '--digest-algo', hash), required('rsa'))).toMatchObject({ state: 'valid' })
    }
    for (const [hash, name] of [
      ['SHA1', 'SHA-?1'],
      ['RIPEMD160', 'RIPEMD(-160)?']
    ] as const) {
      for (const args of [[], ['--compress-algo', 'BZIP2']]) {
        const message = signed('rsa', '--digest-algo', hash, ...args)
        const error = await expectRefusal(read(message, { signers: publicOf('rsa') }), 'DECRYPT_SIGNATURE')
        expect(error.message).toMatch(new RegExp(`its hash is too weak, ${name}: a.gpg$`, 'i'))
      }
    }
  })

  test('is verified of text, whose lines end as text’s do', async () => {
    const text = Buffer.from(csv.toString().replaceAll('\n', '\r\n'))
    for (const args of [[], ['--compress-algo', 'BZIP2'], ['--cipher-algo', 'CAST5']]) {
      expect(await read(signed('p256', '--textmode', ...args), required('p256'), text)).toMatchObject({
        state: 'valid'
      })
    }
  })

  test('is found wherever a chunk ends, in text too', async () => {
    const decryptor = new AscDecryptor({ privateKey, ...required('ed25519') })
    for (const args of [[], ['--textmode']]) {
      const message = seal(
        Buffer.from('a\nb\n'),
        '-r',
        'reader@example.org',
        '-u',
        'ed25519@example.org',
        ...args,
        '-se'
      )
      for (const chunks of cuts(message))
        expect((await through(decryptor, chunks)).toString()).toMatch(/^a\r?\nb\r?\n$/)
    }
  })

  test('of several people is verified for each of them', async () => {
    const message = signed('rsa', '-u', 'p384@example.org', '-u', 'dsa@example.org')
    for (const names of [['rsa'], ['p384'], ['p384', 'rsa']]) {
      expect(await read(message, required(...names))).toMatchObject({ state: 'valid' })
    }
    await expectRefusal(read(message, required('rsa', 'dsa')), 'DECRYPT_SIGNATURE')
  })

  // Sequoia is not on every machine, and its later versions have another command line.
  if (speaksSq()) {
    test('is verified of a message that Sequoia made', async () => {
      const file = (name: string, bytes: Uint8Array) => {
        writeFileSync(join(home, name), bytes)
        return join(home, name)
      }
      const args = ['encrypt', '--recipient-cert', file('reader.pgp', publicOf('reader'))]
      for (const name of ['rsa', 'ed25519', 'p384']) {
        const signer = ['--signer-key', file('signer.pgp', exported(name))]
        for (const compression of ['none', 'zip', 'zlib', 'bzip2']) {
          const how = [...signer, '--compression', compression]
          const message = execFileSync(findReal('sq')!, [...args, ...how, '--binary'], { input: csv })
          expect(await read(message, required(name))).toMatchObject({ state: 'valid' })
          await expectRefusal(read(message, required('p256')), 'DECRYPT_NO_SIGNATURE')
          expect(await inspectMessage(message)).toMatchObject({ integrity: 'mdc', recipients: [{ kind: 'key' }] })
        }
        const plain = execFileSync(findReal('sq')!, args, { input: csv })
        expect(await read(plain, { signers: publicOf(name) })).toBeUndefined()
      }
    })
  }

  test('of somebody else is noted, or refused', async () => {
    const note = { state: 'unknown-signer', keyId: fingerprintOf('p256').slice(-16) }
    expect(await read(signed('p256'), { signers: publicOf('rsa') })).toEqual(note)
    await expectRefusal(read(signed('p256'), required('rsa')), 'DECRYPT_NO_SIGNATURE')
  })

  test('does not hold for content that was altered before it was sealed', async () => {
    for (const args of [
      ['-z', '0'],
      ['-z', '0', '--textmode']
    ]) {
      const packets = run(['-u', 'rsa@example.org', ...args, '-s'], csv)
      const { key, armored } = await ours
      const options = { ...required('rsa'), privateKey: armored }
      const file = fileNamed('a.gpg')
      await through(new AscDecryptor(options), await sealPackets(key, packets), file)
      expect(openedOf(file)).toMatchObject({ signature: { state: 'valid' } })
      packets[packets.indexOf('07/14/2025')]! ^= 1
      const error = await expectRefusal(
        through(new AscDecryptor(options), await sealPackets(key, packets)),
        'DECRYPT_SIGNATURE'
      )
      expect(error.message).toContain('it is not of this content')
    }
  })

  test('holds when its key expired or was prolonged after it, and not when the key had expired', async () => {
    const renew = (until: string, ...args: string[]) =>
      run([...args, '--passphrase', '', '--quick-set-expire', fingerprintOf('short'), until])
    run([...day(2), '--passphrase', '', '--quick-gen-key', 'short@example.org', 'ed25519', 'sign', 'never'])
    const [early, late] = [signed('short', ...day(4)), signed('short')]
    expect(await read(late, required('short'))).toMatchObject({ state: 'valid', createdAt: expect.any(Number) })
    renew('20200106T000000', ...day(3))
    expect(await read(early, required('short'))).toMatchObject({ state: 'valid', createdAt: Date.UTC(2020, 0, 4) })
    const error = await expectRefusal(read(late, required('short')), 'DECRYPT_SIGNATURE')
    expect(error.message).toContain('its key had expired when it was made')
    renew('2y')
    expect(await read(early, required('short'))).toMatchObject({ state: 'valid', createdAt: Date.UTC(2020, 0, 4) })
  })

  test('does not hold any more when its key is revoked', async () => {
    make('lost', 'ed25519', 'sign')
    const message = signed('lost')
    expect(await read(message, required('lost'))).toMatchObject({ state: 'valid' })
    const folder = join(home, 'openpgp-revocs.d')
    const path = join(folder, readdirSync(folder).find(name => name.startsWith(fingerprintOf('lost')))!)
    // gpg spoils the certificate with a colon, lest it be used by mistake.
    writeFileSync(path, readFileSync(path, 'utf8').replace(':-----BEGIN', '-----BEGIN'))
    run(['--import', path])
    const error = await expectRefusal(read(message, required('lost')), 'DECRYPT_SIGNATURE')
    expect(error.message).toContain('its key was revoked')
  })
})

function speaksSq(): boolean {
  const sq = findReal('sq')
  return sq !== undefined && /^sq 0\.2/.test(spawnSync(sq, ['--version'], { encoding: 'utf8' }).stdout)
}
