import { readKey } from 'openpgp'
import { beforeAll, describe, test } from 'vitest'
import { encryptMessage, makePgpKey, type PgpKey } from '../../src/testing/index.ts'
import { csvOf, fill, folderMaker, jsonLines, keep, smtIngest } from './support.ts'

const newFolder = folderMaker()
let key: PgpKey
let signer: PgpKey
let stranger: PgpKey
let name: string
beforeAll(async () => {
  key = await makePgpKey()
  signer = await makePgpKey()
  stranger = await makePgpKey()
  name = `0x${(await readKey({ armoredKey: signer.publicKey })).getKeyID().toHex().toUpperCase()}`
})

const seal = (meter: number, signWith?: PgpKey) =>
  encryptMessage(csvOf(meter), { publicKeys: [key.publicKey], ...(signWith && { signWith }) })

describe.concurrent('signatures', { timeout: 60_000 }, () => {
  test.for(['duckdb:smt.duckdb', 'ndjson:out'])(
    'are demanded by the environment, and stand in the ledger of %s',
    async (to, { expect }) => {
      const cwd = newFolder()
      fill(cwd, { 'in/a.asc': await seal(1, signer), 'in/b.asc': await seal(2), 'in/c.asc': await seal(3, stranger) })
      const env = {
        SMT_PGP_KEY: keep(cwd, 'key.asc', key.privateKey),
        SMT_PGP_SIGNERS: `${keep(cwd, 'one.asc', signer.publicKey)}, ${keep(cwd, 'two.asc', key.publicKey)}`
      }
      const args = ['pull', '--from', 'in', '--to', to]
      const strict = await smtIngest([...args, '--json'], { cwd, env: { ...env, SMT_PGP_SIGNATURE: 'required' } })
      expect(strict.code).toBe(1)
      expect(jsonLines(strict.stdout)).toMatchObject([
        { name: 'a.asc', state: 'committed', signature: { state: 'valid', keyId: name.slice(2) } },
        { name: 'b.asc', state: 'quarantined', reason: { code: 'DECRYPT_NO_SIGNATURE' } },
        { name: 'c.asc', state: 'quarantined', reason: { code: 'DECRYPT_NO_SIGNATURE' } },
        { type: 'summary' }
      ])
      expect(await smtIngest([...args, '--retry-quarantined'], { cwd, env })).toMatchObject({ code: 0, stderr: '' })
      const show = async (file: string) => (await smtIngest(['ledger', 'show', file, '--to', to], { cwd })).stdout
      expect(await show('a.asc')).toMatch(
        new RegExp(`^ {2}signed {4}by key ${name} on \\d{4}-\\d\\d-\\d\\d, valid$`, 'm')
      )
      expect(await show('b.asc')).not.toContain('signed')
      expect(await show('c.asc')).toMatch(
        /^ {2}signed {4}by key 0x\w{16}, not verified: who is not among the signers$/m
      )
    }
  )

  test('are told by inspect where there is one', async ({ expect }) => {
    const cwd = newFolder()
    fill(cwd, { 'a.asc': await seal(1, signer), 'b.asc': await seal(2) })
    const open = ['--key', keep(cwd, 'key.asc', key.privateKey)]
    const inspect = async (...args: string[]) => (await smtIngest(['inspect', ...args, ...open], { cwd })).stdout
    expect(await inspect('a.asc')).toContain(`\n  signed by key ${name}, not verified: no signers are given\n`)
    const signers = ['--signer', keep(cwd, 'signer.asc', signer.publicKey)]
    expect(await inspect('a.asc', ...signers)).toMatch(new RegExp(`\n {2}signed by key ${name} on .*, valid\n`))
    expect(await inspect('b.asc', ...signers)).not.toContain('signed')
    expect(jsonLines(await inspect('a.asc', 'b.asc', '--json'))).toMatchObject([
      { signature: { state: 'unverified' } },
      {}
    ])
  })
})
