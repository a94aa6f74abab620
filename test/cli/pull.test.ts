import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { adviceFor, type ErrorCode } from '../../src/errors.ts'
import {
  encryptMessage,
  intervalHeader,
  makeEsiid,
  makePgpKey,
  makeSshKey,
  makeZip,
  type PgpKey,
  wrapAsSmt
} from '../../src/testing/index.ts'
import { findReal, requireReal } from '../support/real.ts'
import { requireSshd, startSshd } from '../support/sshd.ts'
import {
  addressOf,
  ask,
  bin,
  csvOf,
  esiidsIn,
  fill,
  folderMaker,
  jsonLines,
  keep,
  ledgerOf,
  reach,
  run,
  served,
  serverMaker,
  smtIngest,
  storedMeters,
  writtenMeters
} from './support.ts'

const newFolder = folderMaker()
const serve = serverMaker()

let key: PgpKey
let stranger: PgpKey
let locked: PgpKey
beforeAll(async () => {
  key = await makePgpKey()
  stranger = await makePgpKey()
  locked = await makePgpKey({ passphrase: 'open sesame' })
})

const seal = (meter: number, { publicKey }: PgpKey = key) =>
  wrapAsSmt([{ name: 'IntervalMeterUsage.CSV', bytes: csvOf(meter) }], publicKey)

describe.concurrent('pull', { timeout: 60_000 }, () => {
  test('takes a folder into DuckDB; the second run takes nothing and is content', async ({ expect }) => {
    const folder = newFolder()
    fill(folder, {
      'in/a.CSV.123456789.asc': await seal(1),
      'in/below/b.zip': makeZip([{ name: 'IntervalData.csv', bytes: csvOf(2) }]),
      'in/c.csv': csvOf(3),
      'in/d.csv': csvOf(3),
      'in/.upload.csv': csvOf(4)
    })
    const args = ['pull', '--from', 'in', '--to', 'duckdb:smt.duckdb', '--key', keep(folder, 'key.asc', key.privateKey)]
    const first = await smtIngest(args, { cwd: folder })
    expect(first).toMatchObject({ code: 0, stderr: '' })
    expect(first.stdout).toMatch(/^✓ .*a\.CSV\.123456789\.asc {2}96 intervals$/m)
    expect(first.stdout).toMatch(/^= .*d\.csv {2}same content as .*c\.csv$/m)
    expect(first.stdout).toMatch(/^- .*\.upload\.csv {2}left out: /m)
    expect(first.stdout).toMatch(/3 committed.*; 288 intervals taken\n$/)
    const store = join(folder, 'smt.duckdb')
    expect(await storedMeters(store)).toEqual({ 1: 96, 2: 96, 3: 96 })

    const second = await smtIngest(args, { cwd: folder })
    expect(second).toMatchObject({ code: 0, stdout: '5 known already; 0 intervals taken\n', stderr: '' })
    expect(await storedMeters(store)).toEqual({ 1: 96, 2: 96, 3: 96 })
  })

  test('says of a report of another kind that it holds no intervals, and writes nothing for it', async ({ expect }) => {
    const folder = newFolder()
    fill(folder, { 'in/DailyMeterUsage.CSV': 'ESIID,READ_DATE\n' })
    const outcome = await smtIngest(['pull', '--from', 'in', '--to', 'ndjson:out'], { cwd: folder })
    expect(outcome).toMatchObject({ code: 0, stderr: '' })
    expect(outcome.stdout).toMatch(/^○ .*DailyMeterUsage\.CSV {2}no intervals: .*header ESIID,READ_DATE\) is not an/m)
    expect(readdirSync(join(folder, 'out')).filter(name => !name.startsWith('.ledger'))).toEqual([])
  })

  test('takes a server into NDJSON; the second run writes nothing', async ({ expect }) => {
    const folder = newFolder()
    const server = await serve({ files: served({ '/in/a.asc': await seal(1), '/in/deep/b.csv': csvOf(2) }) })
    const to = join(folder, 'out')
    const args = ['pull', ...reach(server, folder), '--to', `ndjson:${to}`]
    args.push('--key', keep(folder, 'key.asc', key.privateKey))
    expect(await smtIngest(args)).toMatchObject({ code: 0, stderr: '' })
    expect(writtenMeters(to)).toEqual({ 1: 96, 2: 96 })
    const names = readdirSync(to)
    expect(await smtIngest(args)).toMatchObject({ code: 0, stdout: '2 known already; 0 intervals taken\n' })
    expect(readdirSync(to)).toEqual(names)
    expect(server.open).toBe(0)
  })

  test('takes folders and servers in one run, and a directory below the login’s own', async ({ expect }) => {
    const folder = newFolder()
    fill(folder, { 'one/a.csv': csvOf(1), 'two/b.csv': csvOf(2) })
    const server = await serve({ files: served({ '/in/c.csv': csvOf(3), '/more/d.csv': csvOf(4) }) })
    const store = join(folder, 'smt.duckdb')
    const args = ['--from', 'one', '--from', 'two', ...reach(server, folder), '--from', addressOf(server, '/~/more')]
    const { code, stdout } = await smtIngest(['pull', ...args, '--to', `duckdb:${store}`], { cwd: folder })
    expect(code).toBe(0)
    expect(stdout).toContain('4 committed; 384 intervals taken')
    expect(await storedMeters(store)).toEqual({ 1: 96, 2: 96, 3: 96, 4: 96 })
  })

  test.for(['SMT_HOST_KEY', 'SMT_KNOWN_HOSTS'])(
    'needs no flag where the environment says all: %s',
    async (pin, { expect }) => {
      const folder = newFolder()
      const server = await serve({
        files: served({
          '/adhocusage/a.asc': await seal(1, locked),
          '/EnrollmentReports/b.asc': await seal(2, locked),
          '/private/c.csv': csvOf(3)
        })
      })
      const knownHosts = keep(folder, 'known_hosts', `[127.0.0.1]:${server.port} ${server.hostKeys[0]!.publicKey}\n`)
      const env = {
        SMT_HOST: '127.0.0.1',
        SMT_SFTP_PORT: String(server.port),
        SMT_USER: 'smt',
        SMT_KEY: keep(folder, 'id_ed25519', server.login.privateKey),
        SMT_REMOTE_DIR: '/adhocusage, /EnrollmentReports',
        [pin]: pin === 'SMT_HOST_KEY' ? `${makeSshKey().fingerprint},${server.fingerprint}` : knownHosts,
        SMT_PGP_KEY: keep(folder, 'key.asc', locked.privateKey),
        SMT_PGP_PASSPHRASE_FILE: keep(folder, 'passphrase', 'open sesame\n'),
        SMT_STORE: `duckdb:${join(folder, 'smt.duckdb')}`
      }
      expect(await smtIngest(['pull'], { env })).toMatchObject({ code: 0, stderr: '' })
      expect(await storedMeters(join(folder, 'smt.duckdb'))).toEqual({ 1: 96, 2: 96 })
    }
  )

  test('prints with --json one object a line: receipts, errors, and a summary last', async ({ expect }) => {
    const folder = newFolder()
    fill(folder, { 'in/a.csv': csvOf(1), 'in/b.csv': '<!doctype html>\n' })
    const args = ['pull', '--from', 'in', '--from', 'nowhere', '--to', 'duckdb:smt.duckdb', '--json']
    const first = await smtIngest(args, { cwd: folder })
    expect(first).toMatchObject({ code: 1, stderr: '' })
    expect(jsonLines(first.stdout)).toMatchObject([
      { type: 'receipt', name: 'a.csv', state: 'committed', known: false, reason: null, rows: { inserted: 96 } },
      { type: 'receipt', name: 'b.csv', state: 'quarantined', known: false, reason: { code: 'PARSE_HTML' } },
      { type: 'error', code: 'DIRECTORY_NOT_FOUND', retryable: false, advice: adviceFor('DIRECTORY_NOT_FOUND') },
      { type: 'summary', files: { committed: 1, quarantined: 1 }, known: 0, intervals: 96 }
    ])
    const second = await smtIngest(args, { cwd: folder })
    expect(jsonLines(second.stdout)).toMatchObject([
      { type: 'receipt', name: 'a.csv', state: 'duplicate', known: true },
      { type: 'receipt', name: 'b.csv', state: 'quarantined', known: true, reason: { code: 'PARSE_HTML' } },
      { type: 'error', code: 'DIRECTORY_NOT_FOUND' },
      { type: 'summary', files: {}, known: 2, intervals: 0 }
    ])
  })

  test('takes a quarantined file again when asked to, with the right key', async ({ expect }) => {
    const folder = newFolder()
    fill(folder, { 'in/a.asc': await seal(1), 'in/b.asc': await seal(2, locked) })
    const wrong = keep(folder, 'wrong.asc', key.privateKey)
    const right = ['--key', wrong, '--key', keep(folder, 'right.asc', locked.privateKey)]
    right.push('--passphrase-file', keep(folder, 'passphrase', 'open sesame\n'))
    const pull = (...more: string[]) =>
      smtIngest(['pull', '--from', 'in', '--to', 'duckdb:smt.duckdb', ...more], { cwd: folder })
    const store = join(folder, 'smt.duckdb')
    expect((await pull('--key', wrong)).code).toBe(1)
    expect(await ledgerOf(store)).toEqual({ 'a.asc': ['committed', null], 'b.asc': ['quarantined', 'DECRYPT_NO_KEY'] })
    expect(await pull(...right)).toMatchObject({ code: 0, stdout: '2 known already; 0 intervals taken\n' })
    const again = await pull(...right, '--retry-quarantined')
    expect(again).toMatchObject({ code: 0, stderr: '' })
    expect(again.stdout).toContain('1 committed, 1 known already; 96 intervals taken')
    expect(await storedMeters(store)).toEqual({ 1: 96, 2: 96 })
    expect(await ledgerOf(store)).toEqual({ 'a.asc': ['committed', null], 'b.asc': ['committed', null] })
  })

  test.for([
    ['a password', { password: 'open sesame' }, 'open sesame\n'],
    ['a password without a line end', { password: 'open sesame' }, 'open sesame'],
    ['a password that ends in a line end itself', { password: 'open sesame\n' }, 'open sesame\n\n'],
    ['keyboard-interactive', { keyboardInteractive: ' open sesame ' }, ' open sesame \r\n']
  ] as const)('logs in with the content of --password-file: %s', async ([, door, content], { expect }) => {
    const folder = newFolder()
    const server = await serve({ files: served({ '/in/a.csv': csvOf(1) }), users: [{ username: 'smt', ...door }] })
    const args = [
      '--from',
      addressOf(server),
      '--host-key',
      server.fingerprint,
      '--to',
      `ndjson:${join(folder, 'out')}`
    ]
    const { code, said } = await smtIngest(['pull', ...args, '--password-file', keep(folder, 'password', content)])
    expect(said).not.toContain('sesame')
    expect(code).toBe(0)
    expect(server.logins).toEqual([`smt ${'password' in door ? 'password' : 'keyboard-interactive'}`])
    expect(writtenMeters(join(folder, 'out'))).toEqual({ 1: 96 })
  })

  test('a second process that finds the store held says so, and loses nothing', async ({ expect }) => {
    const folder = newFolder()
    const server = await serve({ files: served({ '/in/a.csv': csvOf(1) }) })
    const store = join(folder, 'smt.duckdb')
    const args = ['pull', ...reach(server, folder), '--to', `duckdb:${store}`]
    let letGo = () => {}
    server.faults.hang = ['/in/a.csv']
    const stop = new Promise<'SIGTERM'>(resolve => (letGo = () => resolve('SIGTERM')))
    const asked = new Promise<void>(resolve => {
      server.faults.onRequest = ({ name }) => {
        if (name === 'READ') resolve()
      }
    })
    const first = smtIngest(args, { stop })
    await asked
    fill(folder, { 'other/b.csv': csvOf(2) })
    const second = ['pull', '--from', 'other', '--to', `duckdb:${store}`]
    const { code, said } = await smtIngest(second, { cwd: folder })
    letGo()
    await first
    expect(code).toBe(1)
    expect(said).toContain(`STORE_BUSY  ${adviceFor('STORE_BUSY')}`)
    expect(await smtIngest(second, { cwd: folder })).toMatchObject({ code: 0 })
    expect(await storedMeters(store)).toEqual({ 2: 96 })
  })
})

describe.concurrent('I9: a signal during pull', { timeout: 60_000 }, () => {
  test.for(['SIGTERM', 'SIGINT'] as const)(
    '%s ends it within seconds, and the next run takes everything',
    async (signal, { expect }) => {
      const folder = newFolder()
      const server = await serve({
        files: served({ '/in/a.csv': csvOf(1), '/in/b.csv': csvOf(2), '/in/c.csv': csvOf(3) })
      })
      const store = join(folder, 'smt.duckdb')
      const args = ['pull', ...reach(server, folder), '--to', `duckdb:${store}`]
      let sentAt = 0
      server.faults.hang = ['/in/b.csv']
      const stop = new Promise<typeof signal>(resolve => {
        server.faults.onRequest = ({ name, path }) => {
          if (name !== 'READ' || path !== '/in/b.csv') return
          sentAt = performance.now()
          resolve(signal)
        }
      })
      const stopped = await smtIngest(args, { stop })
      expect(performance.now() - sentAt).toBeLessThan(5_000)
      expect(stopped.code).toBe(1)
      expect(stopped.stderr).toContain('ABORTED  Run again; whatever was not committed starts afresh.')
      expect(stopped.stdout).toContain('1 committed')
      expect(await storedMeters(store)).toEqual({ 1: 96 })

      server.faults.hang = []
      const { code, stdout } = await smtIngest(args)
      expect(code).toBe(0)
      expect(stdout).toContain('2 committed, 1 known already; 192 intervals taken')
      expect(await storedMeters(store)).toEqual({ 1: 96, 2: 96, 3: 96 })
    }
  )
})

describe.skipIf(!requireSshd())('pull from the real sshd', { timeout: 60_000 }, () => {
  test('takes what is there, and again nothing', async ({ expect }) => {
    const folder = newFolder()
    fill(folder, { 'in box/a.asc': await seal(1), 'in box/deep/b.csv': csvOf(2) })
    const server = await startSshd(join(folder, 'server'))
    try {
      const { host, port, username, fingerprint, hostKeys } = server
      const from = `sftp://${username}@${host}:${port}${encodeURI(join(folder, 'in box'))}`
      const args = ['pull', '--from', from, '--to', `duckdb:${join(folder, 'smt.duckdb')}`]
      args.push('--key', keep(folder, 'key.asc', key.privateKey), '--identity', keep(folder, 'id', server.privateKey))
      const known = keep(folder, 'known_hosts', `[${host}]:${port} ${hostKeys[1]!.publicKey}\n`)
      expect(await smtIngest([...args, '--host-key', fingerprint])).toMatchObject({ code: 0, stderr: '' })
      expect(await storedMeters(join(folder, 'smt.duckdb'))).toEqual({ 1: 96, 2: 96 })
      const second = await smtIngest([...args, '--known-hosts', known])
      expect(second).toMatchObject({ code: 0, stdout: '2 known already; 0 intervals taken\n' })
    } finally {
      await server.close()
    }
  })
})

// Its folder has a short name: GnuPG keeps sockets there, and their paths may have 107 bytes.
describe.skipIf(!requireReal('gpg')).concurrent('pull of messages that the real gpg made', { timeout: 60_000 }, () => {
  let home: string
  const gpg = (...args: string[]) =>
    execFileSync(findReal('gpg')!, ['--homedir', home, '--batch', '--pinentry-mode', 'loopback', ...args], {
      stdio: ['ignore', 'pipe', 'pipe']
    })
  const names = ['report', 'other', 'locked']
  beforeAll(() => {
    home = mkdtempSync(join(tmpdir(), 'smt-'))
    for (const name of names) {
      const passphrase = name === 'locked' ? 'open sesame' : ''
      gpg('--passphrase', passphrase, '--quick-gen-key', `${name}@example.org`, 'future-default', 'default', 'never')
    }
  })
  afterAll(() => {
    execFileSync(findReal('gpgconf')!, ['--homedir', home, '--kill', 'all'])
    rmSync(home, { recursive: true, force: true })
  })

  const seal = (path: string, ...recipients: string[]) => {
    const to = recipients.flatMap(name => ['-r', `${name}@example.org`])
    return gpg('--trust-model', 'always', '--armor', ...to, '-o', '-', '-e', path)
  }

  test('plain, zipped, and for several recipients, with one key', async ({ expect }) => {
    const folder = newFolder()
    const plain = keep(folder, 'a.csv', csvOf(1))
    const zip = keep(folder, 'b.zip', makeZip([{ name: 'IntervalData.csv', bytes: csvOf(2) }]))
    const shared = keep(folder, 'c.csv', csvOf(3))
    fill(folder, {
      'in/a.csv.asc': seal(plain, 'report'),
      'in/b.asc': seal(zip, 'report'),
      'in/c.asc': seal(shared, 'other', 'locked', 'report')
    })
    const exported = keep(folder, 'report.asc', gpg('--armor', '--export-secret-keys', 'report@example.org'))
    const args = ['pull', '--from', 'in', '--to', 'duckdb:smt.duckdb', '--key', exported]
    expect(await smtIngest(args, { cwd: folder })).toMatchObject({ code: 0, stderr: '' })
    expect(await storedMeters(join(folder, 'smt.duckdb'))).toEqual({ 1: 96, 2: 96, 3: 96 })
  })

  test('with a key under a passphrase, from its file', async ({ expect }) => {
    const folder = newFolder()
    const zip = keep(folder, 'a.zip', makeZip([{ name: 'IntervalData.csv', bytes: csvOf(1) }]))
    fill(folder, { 'in/a.asc': seal(zip, 'locked') })
    const exported = gpg('--armor', '--passphrase', 'open sesame', '--export-secret-keys', 'locked@example.org')
    const pull = (passphrase: string) => {
      const file = keep(folder, 'passphrase', passphrase)
      const opened = ['--key', keep(folder, 'locked.asc', exported), '--passphrase-file', file]
      return smtIngest(['pull', '--from', 'in', '--to', 'ndjson:out', ...opened], { cwd: folder })
    }
    const wrong = await pull('shut sesame\n')
    expect(wrong.code).toBe(1)
    expect(wrong.said).toContain(`KEY_PASSPHRASE  ${adviceFor('KEY_PASSPHRASE')}`)
    expect(wrong.said).not.toContain('sesame')
    expect(await pull('open sesame\n')).toMatchObject({ code: 0, stderr: '' })
    expect(writtenMeters(join(folder, 'out'))).toEqual({ 1: 96 })
  })
})

/** What goes wrong beside a good file, and what must be said about it. */
interface Trouble {
  readonly what: string
  readonly code: ErrorCode
  /** Whether one row is lost and the file goes in. @default false */
  readonly rowOnly?: boolean
  /** Makes the trouble in the folder; gives the flags that lead to it and what else must be said, or must not be. */
  arrange(folder: string): Promise<Arranged> | Arranged
}

interface Arranged {
  readonly args?: readonly string[]
  readonly says?: readonly string[]
  readonly secrets?: readonly string[]
}

/** Meter 1 is in every bad file, meter 2 in the good one. */
const bad = csvOf(1).toString('latin1')
const spoil = (text: string) => inbox({ 'bad.csv': text })
const inbox = (files: Record<string, Uint8Array | string>) => (folder: string) => {
  fill(join(folder, 'in'), files)
  return {}
}
const sealedBad = async () => (await seal(1)).toString('latin1')
const withKey = (folder: string): Arranged => ({
  args: ['--key', keep(folder, 'key.asc', key.privateKey)],
  secrets: bodyOf(key.privateKey)
})

/** The lines of a key's text that would give it away. */
function bodyOf(armored: string): string[] {
  return armored.split('\n').filter(line => line.length > 30 && !line.includes('-----'))
}

const sftp = async (
  folder: string,
  { directory = '/in', files = { '/in/bad.csv': csvOf(1) } as Record<string, Uint8Array> } = {}
) => {
  const server = await serve({ files: served(files), hostKeys: [makeSshKey()] })
  const secrets = bodyOf(server.login.privateKey)
  const identity = keep(folder, 'id_ed25519', server.login.privateKey)
  const from = ['--from', addressOf(server, directory), '--identity', identity]
  return { server, from, pinned: [...from, '--host-key', server.fingerprint], secrets }
}

const troubles: readonly Trouble[] = [
  {
    what: 'another host key than the pinned one',
    code: 'SFTP_HOST_KEY_MISMATCH',
    async arrange(folder) {
      const { server, from, secrets } = await sftp(folder)
      const pin = makeSshKey().fingerprint
      return { args: [...from, '--host-key', pin], says: [`ssh-ed25519 ${server.fingerprint}`, pin], secrets }
    }
  },
  {
    what: 'a host key of another type',
    code: 'SFTP_HOST_KEY_TYPE',
    async arrange(folder) {
      const { server, from, secrets } = await sftp(folder)
      const pin = `[127.0.0.1]:${server.port} ${makeSshKey({ type: 'ecdsa' }).publicKey}\n`
      const says = ['ecdsa-sha2-nistp256', `ssh-ed25519 ${server.fingerprint}`]
      return { args: [...from, '--known-hosts', keep(folder, 'known_hosts', pin)], says, secrets }
    }
  },
  {
    what: 'no pinned host key at all',
    code: 'SFTP_HOST_KEY_UNKNOWN',
    async arrange(folder) {
      const { server, from, secrets } = await sftp(folder)
      return {
        args: from,
        says: [`ssh-ed25519 ${server.fingerprint}`, `--host-key ${server.fingerprint}`, 'pass it as --host-key'],
        secrets
      }
    }
  },
  {
    what: 'a wrong password',
    code: 'SFTP_AUTH',
    async arrange(folder) {
      const users = [{ username: 'smt', password: 'correct horse' }]
      const server = await serve({ files: served({ '/in/bad.csv': csvOf(1) }), users })
      const password = keep(folder, 'password', 'battery staple\n')
      const args = ['--from', addressOf(server), '--host-key', server.fingerprint, '--password-file', password]
      return { args, says: ['tried: password'], secrets: ['battery', 'staple', 'horse'] }
    }
  },
  {
    what: 'a missing directory on a server',
    code: 'SFTP_NO_SUCH_DIRECTORY',
    async arrange(folder) {
      const { pinned, secrets } = await sftp(folder, { directory: '/nowhere' })
      return { args: pinned, says: ['/nowhere'], secrets }
    }
  },
  {
    what: 'a missing folder',
    code: 'DIRECTORY_NOT_FOUND',
    arrange: folder => ({ args: ['--from', join(folder, 'nowhere')], says: ['nowhere'] })
  },
  {
    what: 'a file that nobody may read',
    code: 'SFTP_PERMISSION',
    async arrange(folder) {
      const { server, pinned, secrets } = await sftp(folder)
      server.faults.deny = ['/in/bad.csv']
      return { args: pinned, says: ['/in/bad.csv'], secrets }
    }
  },
  {
    what: 'a message for somebody else’s key',
    code: 'DECRYPT_NO_KEY',
    async arrange(folder) {
      inbox({ 'bad.asc': await seal(1, stranger) })(folder)
      return withKey(folder)
    }
  },
  {
    what: 'a message that ends too early',
    code: 'DECRYPT_TRUNCATED',
    async arrange(folder) {
      const message = await sealedBad()
      inbox({ 'bad.asc': message.slice(0, message.length * 0.7) })(folder)
      return withKey(folder)
    }
  },
  {
    what: 'a message in which one letter is another one',
    code: 'DECRYPT_CORRUPT',
    async arrange(folder) {
      const message = await encryptMessage(csvOf(1), { publicKeys: [key.publicKey], armor: false })
      message[message.length - 60]! ^= 1
      inbox({ 'bad.asc': message })(folder)
      return withKey(folder)
    }
  },
  {
    what: 'an archive with a wrong checksum',
    code: 'ZIP_CRC',
    async arrange(folder) {
      const name = 'IntervalData.csv'
      const zip = makeZip([{ name, bytes: csvOf(1) }], { breakCrcOf: name })
      inbox({ 'bad.asc': await encryptMessage(zip, { publicKeys: [key.publicKey] }) })(folder)
      return { ...withKey(folder), says: [name] }
    }
  },
  {
    what: 'a column that is missing',
    code: 'PARSE_MISSING_COLUMN',
    arrange: spoil(bad.replace(/^((?:[^,\n]*,){5})[^,\n]*,/gm, '$1'))
  },
  { what: 'an empty file', code: 'PARSE_EMPTY', arrange: spoil('') },
  { what: 'a header and nothing below it', code: 'PARSE_NO_ROWS', arrange: spoil(`${intervalHeader}\r\n`) },
  {
    what: 'a web page',
    code: 'PARSE_HTML',
    arrange: spoil('<!DOCTYPE html>\n<html><body><h1>503 Service Unavailable</h1></body></html>\n')
  },
  {
    what: 'a workbook that is called CSV',
    code: 'PARSE_SPREADSHEET',
    arrange: inbox({
      'bad.csv': makeZip([
        { name: '[Content_Types].xml', bytes: Buffer.from('<?xml version="1.0"?><Types/>') },
        { name: 'xl/workbook.xml', bytes: Buffer.from('<?xml version="1.0"?><workbook/>') },
        { name: 'xl/worksheets/sheet1.xml', bytes: Buffer.from('<?xml version="1.0"?><worksheet/>') }
      ])
    })
  },
  {
    what: 'UTF-16',
    code: 'PARSE_UTF16',
    arrange: inbox({ 'bad.csv': Buffer.from(`\ufeff${bad}`, 'utf16le') })
  },
  {
    what: 'semicolons between columns',
    code: 'PARSE_SEPARATOR',
    arrange: folder => ({ ...spoil(bad.replaceAll(',', ';'))(folder), says: ['semicolons'] })
  },
  {
    what: 'tabs between columns',
    code: 'PARSE_SEPARATOR',
    arrange: folder => ({ ...spoil(bad.replaceAll(',', '\t'))(folder), says: ['tabs'] })
  },
  {
    what: 'ESIIDs written 1.04437E+16',
    code: 'ROW_ESIID_AS_NUMBER',
    arrange: spoil(bad.replace(/^'\d+/gm, '1.04437E+16'))
  },
  {
    what: 'dates written 7/14/25',
    code: 'ROW_TWO_DIGIT_YEAR',
    arrange: spoil(bad.replaceAll('07/14/2025', '7/14/25'))
  },
  {
    what: 'times written 6:41 AM',
    code: 'ROW_TWELVE_HOUR_CLOCK',
    arrange: spoil(bad.replace(/ (\d\d):(\d\d)(?=,)/g, (_, h, m) => `${h % 12 || 12}:${m} ${h < 12 ? 'AM' : 'PM'}`))
  },
  {
    what: 'revisions written 7/15/2025 6:41 AM',
    code: 'ROW_TWELVE_HOUR_CLOCK',
    arrange: spoil(bad.replace(/07\/15\/2025 [\d:]+/g, '7/15/2025 6:41 AM'))
  },
  {
    what: 'letters for kWh in every second row',
    code: 'PARSE_TOO_MANY_REJECTS',
    arrange: folder => {
      const lines = bad.split('\n').map((line, i) => (i % 2 === 0 ? line : line.replace(/,[\d.]+,A,/, ',n/a,A,')))
      return { ...spoil(lines.join('\n'))(folder), says: ['48 of 96 rows rejected (ROW_BAD_KWH 48)'] }
    }
  },
  {
    what: 'letters for kWh in one row',
    code: 'ROW_BAD_KWH',
    rowOnly: true,
    arrange: folder => {
      const lines = bad.split('\n')
      lines[41] = lines[41]!.replace(/,[\d.]+,A,/, ',n/a,A,')
      return { ...spoil(lines.join('\n'))(folder), says: ['bad.csv line 42: ROW_BAD_KWH', '1 rejected'] }
    }
  }
]

describe.concurrent('pull beside a good file', { timeout: 60_000 }, () => {
  test.for(troubles.map(trouble => [trouble.what, trouble.code, trouble] as const))(
    '%s: %s, a sentence, exit code 1, and the good file is in',
    async ([, code, trouble], { expect }) => {
      const folder = newFolder()
      const { args = [], says = [], secrets = [] } = await trouble.arrange(folder)
      fill(folder, { 'in/good.csv': csvOf(2) })
      const store = join(folder, 'smt.duckdb')
      const out = join(folder, 'out')
      const from = ['pull', ...args, '--from', join(folder, 'in')]
      const [forPeople, forPrograms] = await Promise.all([
        smtIngest([...from, '--to', `duckdb:${store}`]),
        smtIngest([...from, '--to', `ndjson:${out}`, '--json'])
      ])

      expect([forPeople.code, forPrograms.code]).toEqual([1, 1])
      for (const text of [code, ...says]) expect(forPeople.said).toContain(text)
      const { rowOnly = false } = trouble
      if (!rowOnly) expect(forPeople.said).toContain(`${code}  ${inFlags(adviceFor(code))}`)
      const reported = jsonLines(forPrograms.stdout).flatMap(({ type, code, reason, entries = [] }) => {
        const rejects = entries.flatMap((entry: { rejects: { code: ErrorCode }[] }) => entry.rejects)
        return type === 'error' ? [code] : [reason?.code, ...rejects.map(({ code }: { code: ErrorCode }) => code)]
      })
      expect(reported.filter(name => name)).toEqual([code])

      // I1: nothing of it is visible, wherever one looks.
      const visible = rowOnly ? { 1: 95, 2: 96 } : { 2: 96 }
      expect(await storedMeters(store)).toEqual(visible)
      expect(writtenMeters(out)).toEqual(visible)
      expect(await ask(store, 'SELECT count(*)::INTEGER AS entries FROM entries')).toEqual([
        { entries: rowOnly ? 2 : 1 }
      ])
      // I3: a bad file stands in the ledger with its reason; a server that nobody got into has listed none.
      const { 'good.csv': good, ...others } = await ledgerOf(store)
      expect(good).toEqual(['committed', null])
      const standing = rowOnly ? [['committed', null]] : endsSource.has(code) ? [] : [['quarantined', code]]
      expect(Object.values(others)).toEqual(standing)
      // I11: neither secrets nor meters in what was said.
      for (const { said } of [forPeople, forPrograms]) {
        expect(esiidsIn(said)).toEqual([])
        for (const secret of secrets) expect(said).not.toContain(secret)
      }
    }
  )

  test('each trouble has a code of its own', ({ expect }) => {
    const codes = troubles.map(({ code }) => code)
    const shared = ['PARSE_SEPARATOR', 'ROW_TWELVE_HOUR_CLOCK']
    expect(codes.filter((code, i) => codes.indexOf(code) < i)).toEqual(shared)
  })

  test('all at once: every file for itself, and every good one is in', async ({ expect }) => {
    const folder = newFolder()
    const files: Record<string, Uint8Array | string> = { 'in/a.csv': csvOf(2) }
    for (const [i, { arrange }] of troubles.entries()) {
      const place = newFolder()
      await arrange(place)
      for (const name of existsSync(join(place, 'in')) ? readdirSync(join(place, 'in')) : []) {
        files[`in/${i}-${name}`] = readFileSync(join(place, 'in', name))
      }
    }
    fill(folder, { ...files, 'in/z.csv': csvOf(3) })
    const key = withKey(folder).args!
    const { code, stdout } = await smtIngest(['pull', '--from', 'in', '--to', 'duckdb:s.duckdb', ...key], {
      cwd: folder
    })
    const count = Object.keys(files).length
    expect(code).toBe(1)
    expect(stdout).toContain(`3 committed, ${count - 2} quarantined; 287 intervals taken`)
    expect(await storedMeters(join(folder, 's.duckdb'))).toEqual({ 1: 95, 2: 96, 3: 96 })
  })
})

/** After these a source lists nothing, or nothing more. */
const endsSource = new Set<ErrorCode>([
  'SFTP_HOST_KEY_MISMATCH',
  'SFTP_HOST_KEY_TYPE',
  'SFTP_HOST_KEY_UNKNOWN',
  'SFTP_AUTH',
  'SFTP_NO_SUCH_DIRECTORY',
  'DIRECTORY_NOT_FOUND'
])

/** Advice with options called as the command line calls them. */
function inFlags(advice: string): string {
  return advice.replace('hostKey', '--host-key')
}

describe.concurrent('I11: what identifies a home or opens a door stays out of sight', { timeout: 60_000 }, () => {
  test('also where a file is named after its meter', async ({ expect }) => {
    const folder = newFolder()
    const esiid = makeEsiid(1)
    fill(folder, { [`in/${esiid}.csv`]: csvOf(1), [`in/${esiid}-b.csv`]: '', [`in/.${esiid}.csv`]: '' })
    const args = ['pull', '--from', 'in', '--to', 'duckdb:smt.duckdb']
    const { code, said } = await smtIngest(args, { cwd: folder })
    expect(code).toBe(1)
    expect(said).toContain(`…${esiid.slice(-4)}.csv  96 intervals`)
    expect(esiidsIn(said)).toEqual([])
  })

  test('a key that cannot be used is not quoted', async ({ expect }) => {
    const folder = newFolder()
    fill(folder, { 'in/a.asc': await seal(1) })
    const server = await serve({ files: served({ '/in/a.csv': csvOf(1) }) })
    const broken = (text: string) => text.split('\n').toSpliced(4, 1).join('\n')
    const pgp = keep(folder, 'key.asc', broken(key.privateKey))
    const ssh = keep(folder, 'id', broken(server.login.privateKey))
    const pulls = [
      ['--from', 'in', '--key', pgp],
      ['--from', addressOf(server), '--host-key', server.fingerprint, '--identity', ssh]
    ]
    for (const args of pulls) {
      const { code, said } = await smtIngest(['pull', ...args, '--to', 'ndjson:out'], { cwd: folder })
      expect(code).toBeGreaterThan(0)
      expect(said).toMatch(/private key|--identity/)
      for (const line of [...bodyOf(key.privateKey), ...bodyOf(server.login.privateKey)]) {
        expect(said).not.toContain(line.slice(0, 20))
      }
    }
  })
})

test('goes on when the reader of its output has seen enough, and its exit code is still true', {
  timeout: 60_000
}, async ({ expect }) => {
  const folder = newFolder()
  const good = Array.from({ length: 6 }, (_, i) => [`in/${i}.csv`, csvOf(i)] as const)
  fill(folder, { ...Object.fromEntries(good), 'in/z.csv': '' })
  const script = '{ "$@"; echo "exit $?" >&2; } | head -1'
  const args = ['-c', script, 'sh', process.execPath, bin, 'pull', '--from', 'in', '--to', 'ndjson:out']
  const { stdout, stderr } = await run('sh', args, { cwd: folder })
  expect(stdout).toMatch(/^✓ .*0\.csv {2}96 intervals\n$/)
  expect(stderr).toBe('exit 1\n')
  expect(writtenMeters(join(folder, 'out'))).toEqual({ 0: 96, 1: 96, 2: 96, 3: 96, 4: 96, 5: 96 })
})
