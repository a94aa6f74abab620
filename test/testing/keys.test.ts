import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { readKey, readPrivateKey } from 'openpgp'
import ssh2 from 'ssh2'
import { describe, expect, test } from 'vitest'
import { makePgpKey, makeSshKey } from '../../src/testing/index.ts'
import { findReal, requireReal } from '../support/real.ts'
import { scratchFolder } from '../support/scratch.ts'

describe('an OpenPGP key', () => {
  test('is of version 4 and asks for no AEAD', async () => {
    const { publicKey, passphrase } = await makePgpKey({ name: 'Somebody' })
    const key = await readKey({ armoredKey: publicKey })
    expect(key.keyPacket.version).toBe(4)
    expect(passphrase).toBeUndefined()
    expect(key.getUserIDs()).toEqual(['Somebody <nobody@example.invalid>'])
    const { selfCertifications } = key.users[0]!
    // Bit 0: modification detection. Bit 3 would be SEIPD v2.
    expect(selfCertifications[0]?.features?.[0]).toBe(1)
  })

  test('is locked when a passphrase is given, and open otherwise', async () => {
    const isOpen = async (passphrase?: string) => {
      const { privateKey } = await makePgpKey({ passphrase })
      return (await readPrivateKey({ armoredKey: privateKey })).isDecrypted()
    }
    expect([await isOpen(), await isOpen('sesame')]).toEqual([true, false])
  })

  test('can be an RSA key', async () => {
    const { publicKey } = await makePgpKey({ type: 'rsa', rsaBits: 2048 })
    const key = await readKey({ armoredKey: publicKey })
    expect(key.getAlgorithmInfo()).toMatchObject({ algorithm: 'rsaEncryptSign', bits: 2048 })
  })
})

describe.each(['ed25519', 'ecdsa', 'rsa'] as const)('an SSH key of type %s', type => {
  test.skipIf(!requireReal('ssh-keygen'))('is one that ssh-keygen reads, with the fingerprint it prints', () => {
    const { privateKey, publicKey, fingerprint } = makeSshKey({ type })
    const path = join(scratchFolder(), 'key')
    writeFileSync(path, privateKey, { mode: 0o600 })
    const derived = spawnSync(findReal('ssh-keygen')!, ['-y', '-f', path], { encoding: 'utf8' })
    expect(derived.stdout.split(' ').slice(0, 2).join(' ').trim()).toBe(
      publicKey.split(' ').slice(0, 2).join(' ').trim()
    )
    writeFileSync(`${path}.pub`, `${publicKey}\n`)
    const listed = spawnSync(findReal('ssh-keygen')!, ['-l', '-f', `${path}.pub`], { encoding: 'utf8' })
    expect(listed.stdout.split(' ')[1]).toBe(fingerprint)
  })
})

test('no SSH key is malformed, though ssh2 makes one in 256 so', () => {
  const keys = Array.from({ length: 1500 }, () => makeSshKey())
  expect(keys.filter(({ privateKey }) => ssh2.utils.parseKey(privateKey) instanceof Error)).toEqual([])
})
