import { execFile } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { enums, type PrivateKey, readKey, type SecretKeyPacket } from 'openpgp'
import { afterAll, describe, expect, test } from 'vitest'
import {
  encryptMessage,
  makeEsiid,
  makeIntervalReport,
  makeMeterDay,
  makePgpKey,
  type PgpKey
} from '../src/testing/index.ts'
import { requireReal } from './support/real.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const page = readFileSync(join(root, 'docs/keys.md'), 'utf8')
const blocks = (language: string) =>
  [...page.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].filter(([, name]) => name === language).map(([, , code]) => code!)
const [make, exporting, encrypting, inspecting, prolong, pullBoth, pullSigned, ...more] = blocks('sh')
const [script, ...others] = blocks('js')

// Its name is short: GnuPG keeps sockets there, and their paths may have 107 bytes.
const base = mkdtempSync(join(tmpdir(), 'smt-'))
afterAll(() => rmSync(base, { recursive: true, force: true }))

/** A project with the package installed, the command in its PATH, and a GnuPG of its own. */
class Project {
  readonly #folder: string

  constructor(name: string) {
    this.#folder = join(base, name)
    mkdirSync(join(this.#folder, 'node_modules/@intelliwatt'), { recursive: true })
    symlinkSync(root, this.path('node_modules/@intelliwatt/smt-ingest'), 'junction')
    for (const folder of ['bin', 'inbox']) mkdirSync(this.path(folder))
    mkdirSync(this.path('.g'), { mode: 0o700 })
    writeFileSync(
      this.path('bin/smt-ingest'),
      `#!/bin/sh\nexec '${process.execPath}' '${join(root, 'dist/cli/bin.js')}' "$@"\n`
    )
    chmodSync(this.path('bin/smt-ingest'), 0o755)
  }

  readonly path = (...names: string[]): string => join(this.#folder, ...names)

  /** What the lines print; one that fails ends them. */
  readonly run = (...lines: string[]): Promise<string> => {
    const PATH = [this.path('bin'), dirname(process.execPath), process.env.PATH].join(delimiter)
    const env = { PATH, HOME: this.#folder, GNUPGHOME: this.path('.g') }
    return new Promise((resolve, reject) => {
      execFile('bash', ['-euo', 'pipefail', '-c', lines.join('\n')], { cwd: this.#folder, env }, (error, stdout) =>
        error ? reject(error) : resolve(stdout)
      )
    })
  }

  async publicKey() {
    return readKey({ armoredKey: readFileSync(this.path('smt-public.asc'), 'utf8') })
  }
}

describe.skipIf(!requireReal('gpg'))('docs/keys.md', () => {
  const project = new Project('rsa')
  const curve = new Project('ecc')
  const next = new Project('new')
  afterAll(async () => {
    for (const { run } of [project, curve, next]) await run('gpgconf --kill all')
  })
  /** A report of one meter, sealed to the public half of a project's key, and signed perhaps. */
  const sealed = (meter: number, { path }: Project, signWith?: PgpKey) => {
    const { bytes } = makeIntervalReport([makeMeterDay({ esiid: makeEsiid(meter), date: '2025-07-14' })])
    const publicKeys = [readFileSync(path('smt-public.asc'), 'utf8')]
    return encryptMessage(bytes, { publicKeys, ...(signWith && { signWith }) })
  }

  test('has the blocks that run here, and no others', () => {
    expect([make, exporting, encrypting, inspecting, prolong, pullBoth, pullSigned].every(Boolean)).toBe(true)
    expect([more, others]).toEqual([[], []])
  })

  test('makes the key of its table, and exports each half for whom it is', async () => {
    const said = await project.run(make!, exporting!)
    const key = await project.publicKey()
    const self = (await key.getPrimaryUser()).selfCertification
    const [cell, ...cells] = [...page.matchAll(/^\| (?!---|what)([\w ]+) \| ([^|]+) \|/gm)].map(([, , value]) =>
      value!.trim()
    )
    expect([cell, ...cells]).toHaveLength(8)
    expect(`${key.keyPacket.version}`).toBe(cell)
    expect(key.getAlgorithmInfo()).toEqual({ algorithm: 'rsaEncryptSign', bits: 3072 })
    expect(key.subkeys.map(part => part.getAlgorithmInfo().bits)).toEqual([3072])
    const { aes256, aes128 } = enums.symmetric
    const { sha512, sha384, sha256 } = enums.hash
    const { zlib, uncompressed } = enums.compression
    expect([...self.preferredSymmetricAlgorithms!].slice(0, 2)).toEqual([aes256, aes128])
    expect([...self.preferredHashAlgorithms!].slice(0, 3)).toEqual([sha512, sha384, sha256])
    expect([...self.preferredCompressionAlgorithms!]).toEqual([zlib, uncompressed])
    // Integrity packets, and nothing of AEAD.
    expect([...self.features!]).toEqual([1])
    expect(self.preferredAEADAlgorithms).toBeNull()
    const encrypting = await key.getEncryptionKey()
    expect(encrypting.getKeyID().equals(key.subkeys[0]!.getKeyID())).toBe(true)
    const years = ((await key.getExpirationTime()) as Date).getTime() - Date.now()
    expect(Math.round(years / 86_400_000 / 365)).toBe(2)
    expect(said.replaceAll(/\s/g, '')).toContain(key.getFingerprint().toUpperCase())
    const secret = (await readKey({ armoredKey: readFileSync(project.path('smt-private.asc'), 'utf8') })) as PrivateKey
    expect([key.isPrivate(), secret.isPrivate(), secret.isDecrypted()]).toEqual([false, true, false])
    // The primary key stays at home.
    expect((secret.keyPacket as SecretKeyPacket & { isDummy(): boolean }).isDummy()).toBe(true)
    expect(statSync(project.path('smt-private.asc')).mode & 0o077).toBe(0)
  })

  test('makes one on Curve25519 as it says', async () => {
    const curved = make!.replace('rsa3072', 'ed25519').replace('rsa3072', 'cv25519')
    await curve.run(curved, exporting!)
    const key = await curve.publicKey()
    expect(key.getAlgorithmInfo().curve).toMatch(/^ed25519/)
    expect(key.subkeys[0]!.getAlgorithmInfo().curve).toMatch(/^curve25519/)
    await curve.run(encrypting!, inspecting!)
  })

  test('checks it: the sender’s message is what it should be, and the private half opens it', async () => {
    await project.run(encrypting!)
    writeFileSync(project.path('check.mjs'), script!)
    const id = (await project.publicKey()).subkeys[0]!.getKeyID().toHex().toUpperCase()
    expect(await project.run('node check.mjs')).toBe(`mdc [ { kind: 'key', keyId: '0x${id}', algorithm: 'RSA' } ]\n`)
    expect(await project.run(inspecting!)).toContain('5 bytes, not intervals')
  })

  test('renews it: the old private half opens what is made for the prolonged key', async () => {
    const [, definition] = /^(gpg_quietly.*)$/m.exec(make!)!
    const [, fingerprint] = /^(fingerprint=.*)$/m.exec(make!)!
    const before = readFileSync(project.path('smt-public.asc'), 'utf8')
    await project.run(definition!, fingerprint!, prolong!)
    expect(readFileSync(project.path('smt-public.asc'), 'utf8')).not.toBe(before)
    await project.run(encrypting!, inspecting!)
  })

  test('takes files for the old key and the new one, where both are given', async () => {
    // One passphrase for both, as the page demands.
    await next.run(make!.replace(/^head .*$/m, 'cp ../rsa/passphrase passphrase'), exporting!)
    copyFileSync(next.path('smt-private.asc'), project.path('smt-private-new.asc'))
    writeFileSync(project.path('inbox/old.asc'), await sealed(1, project))
    writeFileSync(project.path('inbox/new.asc'), await sealed(2, next))
    expect((await project.run(pullBoth!)).match(/^✓ .*(old|new)\.asc/gm)).toHaveLength(2)
  })

  test('takes signed files with the signer’s key, and the ledger names who signed', async () => {
    const sender = await makePgpKey()
    writeFileSync(project.path('sender-public.asc'), sender.publicKey)
    writeFileSync(project.path('inbox/signed.asc'), await sealed(3, project, sender))
    // What came for the other key is known by now.
    expect(await project.run(pullSigned!)).toMatch(/^✓ .*signed\.asc/m)
    const id = (await readKey({ armoredKey: sender.publicKey })).getKeyID().toHex().toUpperCase()
    const shown = await project.run('smt-ingest ledger show signed.asc --to ndjson:intervals')
    expect(shown).toMatch(new RegExp(`signed +by key 0x${id} on .*, valid`))
  })
})
