import { spawnSync } from 'node:child_process'
import { chmodSync } from 'node:fs'
import { decrypt, decryptKey, readKey, readMessage, readPrivateKey } from 'openpgp'
import { describe, expect, onTestFinished, test } from 'vitest'
import { encryptMessage, makePgpKey, makeZip, wrapAsSmt } from '../../src/testing/index.ts'
import { findReal, requireReal } from '../support/real.ts'
import { scratchFolder } from '../support/scratch.ts'

const bytes = Buffer.from('every quarter hour\n'.repeat(500))
const key = await makePgpKey()

/** Starts a keyring with one private key in it; the result asks gpg something. */
function keyring(privateKey: string): (args: string[], input: Buffer) => { stdout: Buffer; stderr: string } {
  const home = scratchFolder()
  chmodSync(home, 0o700)
  const gpg = (args: string[], input: Buffer | string) => {
    const { stdout, stderr } = spawnSync(findReal('gpg')!, ['--homedir', home, '--batch', '--quiet', ...args], {
      input
    })
    return { stdout, stderr: stderr.toString() }
  }
  onTestFinished(() => {
    spawnSync(findReal('gpgconf')!, ['--homedir', home, '--kill', 'gpg-agent'])
  })
  gpg(['--import'], privateKey)
  return gpg
}

describe.skipIf(!requireReal('gpg'))('gpg', () => {
  test('opens an armored and a binary message', async () => {
    const gpg = keyring(key.privateKey)
    for (const armor of [true, false]) {
      const message = await encryptMessage(bytes, { publicKeys: [key.publicKey], armor })
      expect(message.toString('latin1').startsWith('-----BEGIN PGP MESSAGE-----')).toBe(armor)
      expect(gpg(['--decrypt'], message).stdout).toEqual(bytes)
    }
  })

  test('finds an integrity packet of version 1 and AES-256, and no AEAD', async () => {
    const gpg = keyring(key.privateKey)
    const { stdout, stderr } = gpg(
      ['--verbose', '--list-packets'],
      await encryptMessage(bytes, { publicKeys: [key.publicKey] })
    )
    const packets = stdout.toString()
    expect(packets.match(/^:.*packet/gm)).toEqual([
      ':pubkey enc packet',
      ':encrypted data packet',
      ':literal data packet'
    ])
    expect(packets).toContain('mdc_method: 2')
    expect(packets).not.toMatch(/aead/i)
    expect(stderr).toMatch(/AES256/)
  })

  test.each(['zip', 'zlib'] as const)('finds %s inside when it is asked for', async compression => {
    const gpg = keyring(key.privateKey)
    const message = await encryptMessage(bytes, { publicKeys: [key.publicKey], compression })
    const algorithm = { zip: 1, zlib: 2 }[compression]
    expect(gpg(['--list-packets'], message).stdout.toString()).toContain(`:compressed packet: algo=${algorithm}`)
    expect(gpg(['--decrypt'], message).stdout).toEqual(bytes)
  })

  test('opens what SMT would put on its server, and finds a ZIP', async () => {
    const entries = [{ name: 'a.CSV', bytes }]
    const opened = keyring(key.privateKey)(['--decrypt'], await wrapAsSmt(entries, key.publicKey)).stdout
    expect(opened).toEqual(makeZip(entries))
  })

  test('refuses a message in which one bit is another one', async () => {
    const message = await encryptMessage(bytes, { publicKeys: [key.publicKey], armor: false })
    message[message.length - 100]! ^= 1
    expect(keyring(key.privateKey)(['--decrypt'], message).stderr).toMatch(/manipulated/)
  })
})

test('each recipient can open the message, and the signature is the one asked for', async () => {
  const [locked, signer] = await Promise.all([makePgpKey({ passphrase: 'sesame' }), makePgpKey({ passphrase: 'pen' })])
  const publicKeys = [key.publicKey, locked.publicKey]
  const message = await encryptMessage(bytes, { publicKeys, signWith: signer })
  const opener = await decryptKey({
    privateKey: await readPrivateKey({ armoredKey: locked.privateKey }),
    passphrase: 'sesame'
  })
  for (const decryptionKeys of [opener, await readPrivateKey({ armoredKey: key.privateKey })]) {
    const { data, signatures } = await decrypt({
      message: await readMessage({ armoredMessage: message.toString() }),
      decryptionKeys,
      verificationKeys: await readKey({ armoredKey: signer.publicKey }),
      format: 'binary'
    })
    expect(Buffer.from(data)).toEqual(bytes)
    expect(await signatures[0]?.verified).toBe(true)
  }
})

test('the same bytes are never encrypted to the same message', async () => {
  const once = () => encryptMessage(bytes, { publicKeys: [key.publicKey] })
  expect(await once()).not.toEqual(await once())
})
