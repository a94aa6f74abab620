import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import {
  algorithmsOf,
  checkHostKey,
  hostKeyTypes,
  pinsOfKnownHosts,
  readHostKey,
  strictVerifier,
  typesToOffer
} from '../../../src/source/sftp/host-key.ts'
import { makeSshKey } from '../../../src/testing/keys.ts'
import { requireReal } from '../../support/real.ts'

const key = makeSshKey()
const other = makeSshKey({ type: 'ecdsa' })
const raw = Buffer.from(key.publicKey.split(' ')[1]!, 'base64')

const verdict = (text: string, host = 'sftp.example', port = 22) => {
  const pins = readHostKey(text, host, port)
  return pins && checkHostKey(raw, pins).verdict
}

test.each([null, 0, undefined, '', 'true', 1, {}, [], Promise.resolve(true), Promise.resolve(false), Number.NaN])(
  'I10: a null, a zero or a promise from a verifier never accepts a host key (%s)',
  answer => expect(strictVerifier(() => answer)(raw)).toBe(false)
)

test('I10: a verifier that throws does not accept, one that says true does', () => {
  const failing = () => {
    throw new Error('no')
  }
  expect(strictVerifier(failing)(raw)).toBe(false)
  expect(strictVerifier(() => true)(raw)).toBe(true)
})

test('I10: without a pin no key is trusted', () => {
  expect(checkHostKey(raw, { trusted: [], revoked: [] })).toEqual({
    verdict: 'unknown',
    type: 'ssh-ed25519',
    fingerprint: key.fingerprint
  })
})

test('I10: bytes that are no key are not trusted', () => {
  for (const bytes of [Buffer.alloc(0), Buffer.from([0, 0]), Buffer.from([255, 255, 255, 255, 1])]) {
    expect(checkHostKey(bytes, readHostKey(key.fingerprint, 'h', 22)!).verdict).toBe('unknown')
  }
})

test.each([
  ['a fingerprint', key.fingerprint],
  ['a fingerprint with padding', `${key.fingerprint}=`],
  ['a public key', key.publicKey],
  ['a public key with a comment', `${key.publicKey} admin of the server`],
  ['a line of ssh-keyscan', `sftp.example ${key.publicKey}`],
  [
    'several lines with comments',
    `# sftp.example:22 SSH-2.0\nsftp.example ${other.publicKey}\r\nsftp.example ${key.publicKey}\n`
  ]
])('a pin may be %s', (_, text) => {
  expect(verdict(text)).toBe('trusted')
  expect(
    checkHostKey(Buffer.from(other.publicKey.split(' ')[1]!, 'base64'), readHostKey(key.publicKey, 'h', 22)!).verdict
  ).toBe('unknown')
})

test.each([
  '',
  'SHA256:',
  'SHA256:short',
  key.fingerprint.toLowerCase(),
  `MD5:${'aa:'.repeat(15)}aa`,
  'ssh-ed25519',
  'ssh-ed25519 AAAA',
  `ssh-rsa ${key.publicKey.split(' ')[1]}`,
  `ssh-dss ${Buffer.from('\0\0\0\x07ssh-dssxxxx', 'latin1').toString('base64')}`,
  ['-----BEGIN OPENSSH', 'PRIVATE KEY-----'].join(' ')
])('%j is not a pin', text => expect(readHostKey(text, 'h', 22)).toBeUndefined())

test.each([
  ['the plain name', 'sftp.example', 'sftp.example', 22, 'trusted'],
  ['the name in other case', 'SFTP.Example', 'sftp.EXAMPLE', 22, 'trusted'],
  ['a list of names', '10.0.0.1,sftp.example', 'sftp.example', 22, 'trusted'],
  ['name and port', '[sftp.example]:2222', 'sftp.example', 2222, 'trusted'],
  ['another port', '[sftp.example]:2222', 'sftp.example', 22, 'unknown'],
  ['the name without the port', 'sftp.example', 'sftp.example', 2222, 'unknown'],
  ['a wildcard', '*.example', 'sftp.example', 22, 'trusted'],
  ['a wildcard for one letter', 'sft?.example', 'sftp.example', 22, 'trusted'],
  ['an exception to a wildcard', '*.example,!sftp.example', 'sftp.example', 22, 'unknown'],
  ['an exception alone', '!other.example', 'sftp.example', 22, 'unknown'],
  ['another name', 'xsftp.example', 'sftp.example', 22, 'unknown'],
  ['a dot that is not any letter', 'sftp.example', 'sftpxexample', 22, 'unknown']
])('known_hosts with %s', (_, names, host, port, expected) => {
  const pins = pinsOfKnownHosts(`${names} ${key.publicKey}`, host, port)
  expect(checkHostKey(raw, pins).verdict).toBe(expected)
})

test('known_hosts: a revoked key is refused although it is pinned, an authority is passed over', () => {
  const text = `sftp.example ${key.publicKey}\n@revoked * ${key.publicKey}\n`
  expect(checkHostKey(raw, pinsOfKnownHosts(text, 'sftp.example', 22)).verdict).toBe('revoked')
  expect(pinsOfKnownHosts(`@cert-authority * ${key.publicKey}`, 'sftp.example', 22).trusted).toEqual([])
})

test('known_hosts: lines nobody can read, and types that are not asked for, are passed over', () => {
  const text = [
    '',
    '# comment',
    'sftp.example',
    'sftp.example ssh-ed25519',
    'sftp.example ssh-ed25519 !!!!',
    '|2|a|b x y'
  ].join('\n')
  expect(pinsOfKnownHosts(text, 'sftp.example', 22)).toEqual({ trusted: [], revoked: [] })
})

test('the types that are asked for follow the pins', () => {
  expect(typesToOffer(readHostKey(other.publicKey, 'h', 22)!)).toEqual(['ecdsa-sha2-nistp256'])
  expect(typesToOffer(readHostKey(`${other.publicKey}\n${key.publicKey}`, 'h', 22)!)).toEqual([
    'ssh-ed25519',
    'ecdsa-sha2-nistp256'
  ])
  expect(typesToOffer(readHostKey(`${other.publicKey}\n${key.fingerprint}`, 'h', 22)!)).toEqual(hostKeyTypes)
  expect(typesToOffer({ trusted: [], revoked: [] })).toEqual(hostKeyTypes)
})

test('an RSA key signs with SHA-2 only', () => {
  expect(algorithmsOf(['ssh-rsa', 'ssh-ed25519'])).toEqual(['rsa-sha2-512', 'rsa-sha2-256', 'ssh-ed25519'])
})

test.skipIf(!requireReal('ssh-keygen'))(
  'reads what the real ssh-keygen hashes, and agrees on fingerprints',
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'smt-known-hosts-'))
    try {
      const path = join(folder, 'known_hosts')
      await writeFile(path, `sftp.example ${key.publicKey}\n[sftp.example]:2222 ${other.publicKey}\n`)
      await promisify(execFile)('ssh-keygen', ['-H', '-f', path])
      const hashed = await readFile(path, 'utf8')
      expect(hashed).not.toContain('sftp.example')
      expect(pinsOfKnownHosts(hashed, 'SFTP.example', 22).trusted).toEqual([
        { type: 'ssh-ed25519', fingerprint: key.fingerprint }
      ])
      expect(pinsOfKnownHosts(hashed, 'sftp.example', 2222).trusted).toEqual([
        { type: 'ecdsa-sha2-nistp256', fingerprint: other.fingerprint }
      ])
      const { stdout } = await promisify(execFile)('ssh-keygen', ['-l', '-f', path])
      expect(stdout).toContain(key.fingerprint)
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  }
)
