import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { IntervalParser, ingest } from '../src/index.ts'
import { PostgresSink } from '../src/sink/postgres.ts'
import { DirectorySource } from '../src/source/directory-source.ts'
import {
  centralInstant,
  encryptMessage,
  FakeSftpServer,
  type MeterDay,
  makeEsiid,
  makeIntervalReport,
  makeMeterDay,
  makeZip
} from '../src/testing/index.ts'
import { usePostgres } from './support/postgres.ts'
import { requireReal } from './support/real.ts'
import { scratchFolder } from './support/scratch.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const page = readFileSync(join(root, 'docs/migration.md'), 'utf8')
const blocks = (language: string) =>
  [...page.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].filter(([, name]) => name === language).map(([, , code]) => code!)
const [keyLines, hostLines, tryLines, importLine, ...systemLines] = blocks('sh')
const [pinLines, settingLines] = blocks('ini')
const [comparison] = blocks('sql')

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

describe.skipIf(!requireReal('gpg') || !requireReal('ssh-keygen'))('the lines of docs/migration.md', () => {
  // Its name is short: GnuPG keeps sockets there, and their paths may have 107 bytes.
  const home = mkdtempSync(join(tmpdir(), 'smt-'))
  let server: FakeSftpServer
  let file: Uint8Array

  /** What lines print, run by a user whose home this is; one that fails ends them. */
  const run = (lines: string, settings: Record<string, string> = {}): Promise<string> => {
    const PATH = [join(home, 'bin'), dirname(process.execPath), process.env.PATH].join(delimiter)
    const env = { PATH, HOME: home, GNUPGHOME: join(home, '.g'), ...settings }
    return new Promise((resolve, reject) => {
      execFile('bash', ['-euo', 'pipefail', '-c', lines], { cwd: home, env }, (error, stdout, stderr) =>
        error ? reject(new Error(stderr, { cause: error })) : resolve(stdout)
      )
    })
  }
  /** The settings of the page for this home, and those of the file that were there before. */
  const settings = (store: string, ...more: string[]) => ({
    SMT_HOST: '127.0.0.1',
    SMT_SFTP_PORT: String(server.port),
    SMT_USER: server.login.username,
    SMT_KEY: join(home, 'id_ed25519'),
    SMT_REMOTE_DIR: '/adhocusage',
    SMT_LOCAL_DIR: join(home, 'smt_inbox'),
    ...Object.fromEntries(
      [settingLines!, ...more]
        .flatMap(text => text.trim().split('\n'))
        .map(line => line.replaceAll('/home/deploy', home).split(/=(.*)/s).slice(0, 2))
    ),
    SMT_STORE: `ndjson:${join(home, store)}`
  })

  beforeAll(async () => {
    for (const folder of ['bin', '.ssh', 'smt_inbox']) mkdirSync(join(home, folder))
    mkdirSync(join(home, '.g'), { mode: 0o700 })
    writeFileSync(
      join(home, 'bin/smt-ingest'),
      `#!/bin/sh\nexec '${process.execPath}' '${join(root, 'dist/cli/bin.js')}' "$@"\n`
    )
    chmodSync(join(home, 'bin/smt-ingest'), 0o755)
    await run(`gpg --batch --quiet --passphrase '' --quick-gen-key 'deploy <deploy@example.com>' default default never`)
    const publicKey = await run('gpg --batch --armor --export')
    const { bytes } = makeIntervalReport([makeMeterDay({ esiid: makeEsiid(1), date: '2025-07-14' })])
    const zip = makeZip([{ name: 'IntervalMeterUsage.CSV', bytes }])
    file = await encryptMessage(zip, { publicKeys: [publicKey] })
    server = await FakeSftpServer.start({
      files: [['/adhocusage/IntervalMeterUsage.CSV.123456789.asc', { content: Buffer.from(file), modifiedAt: 1.7e12 }]]
    })
    writeFileSync(join(home, 'id_ed25519'), server.login.privateKey, { mode: 0o600 })
    const { publicKey: hostKey } = server.hostKeys[0]!
    writeFileSync(join(home, '.ssh/known_hosts'), `[127.0.0.1]:${server.port} ${hostKey}\n`)
    // As Debian’s ssh writes them: nobody reads host names there.
    await run('ssh-keygen -q -H -f ~/.ssh/known_hosts')
  }, 60_000)
  afterAll(async () => {
    await run('gpgconf --kill all')
    await server?.close()
    rmSync(home, { recursive: true, force: true })
  })

  test('are these, and no others', () => {
    const all = [keyLines, hostLines, tryLines, importLine, pinLines, settingLines, comparison]
    expect(all.every(Boolean)).toBe(true)
    expect([systemLines.length, blocks('ini').length, blocks('sql').length]).toEqual([3, 2, 1])
  })

  test('bring the key out of the keyring, into a file that its owner alone reads', async () => {
    await run(keyLines!)
    expect(statSync(join(home, 'keys/smt-pgp.asc')).mode & 0o077).toBe(0)
    expect(readFileSync(join(home, 'keys/smt-pgp.asc'), 'utf8')).toMatch(/^-----BEGIN PGP PRIVATE KEY BLOCK-----/)
  })

  test('find the server’s key in known_hosts, and say its fingerprint', async () => {
    const said = await run(hostLines!, { SMT_HOST: `[127.0.0.1]:${server.port}` })
    expect(said).toContain(server.hostKeys[0]!.publicKey.split(' ')[1])
    expect(said).toContain(server.fingerprint)
  })

  test('and settings open the server and its files, with the known key and with its fingerprint', async () => {
    expect(await run('smt-ingest pull', settings('known'))).toContain('1 committed; 96 intervals taken')
    const [pin, known] = pinLines!.trim().split('\n')
    expect(settingLines).toContain(known)
    const { SMT_KNOWN_HOSTS: _, ...pinned } = settings('pinned', pin!.replace('SHA256:…', server.fingerprint))
    expect(await run('smt-ingest pull', pinned)).toContain('1 committed; 96 intervals taken')
    const wrong = { ...pinned, SMT_HOST_KEY: `SHA256:${'A'.repeat(43)}`, SMT_STORE: `ndjson:${home}/wrong` }
    await expect(run('smt-ingest pull', wrong)).rejects.toThrow('SFTP_HOST_KEY')
  })

  test('take over what the old system has posted', async () => {
    writeFileSync(join(home, 'smt_inbox/.posted_sha256'), `${sha256(file)}\n${'0'.repeat(64)}\n`)
    const taken = settings('taken')
    expect(await run(importLine!, taken)).toContain('2 hashes read, 2 new to the ledger')
    expect(await run('smt-ingest pull', taken)).toContain('1 duplicate; 0 intervals taken')
  })

  test('name units and scripts that are there', () => {
    const example = (name: string) => existsSync(join(root, 'examples/droplet-webhook', name))
    const named = [...page.matchAll(/\/opt\/intelliwatt-smt\/((?:systemd|bin)\/[\w.-]+)/g)].map(([, name]) => name!)
    expect([...new Set(named)].toSorted()).toEqual([
      'bin/fetch_and_post.sh',
      'bin/smt_token_test.sh',
      'systemd/smt-ingest.service',
      'systemd/smt-webhook.service'
    ])
    expect(named.filter(name => !example(name))).toEqual([])
    for (const lines of systemLines) expect(lines).toMatch(/^systemctl /)
  })
})

describe('the comparison', () => {
  const postgres = usePostgres()

  test('shows the meter-days that differ, and no others', async () => {
    const client = new pg.Client({ connectionString: postgres.connectionString })
    await client.connect()
    await client.query('DROP SCHEMA IF EXISTS smt CASCADE; DROP TABLE IF EXISTS "SmtInterval"')
    await client.query(`CREATE TABLE "SmtInterval" (id text PRIMARY KEY DEFAULT gen_random_uuid()::text, esiid text NOT NULL,
      meter text NOT NULL, ts timestamp(3) NOT NULL, kwh decimal(10,5) NOT NULL, filled boolean NOT NULL DEFAULT false,
      source text, "createdAt" timestamp(3) DEFAULT CURRENT_TIMESTAMP, "updatedAt" timestamp(3) NOT NULL)`)
    const days = ['2025-07-14', '2025-07-15', '2025-07-16', '2025-07-17', '2025-11-02'].map(date =>
      makeMeterDay({ esiid: makeEsiid(1), date })
    )
    const folder = scratchFolder()
    writeFileSync(join(folder, 'days.csv'), makeIntervalReport(days).bytes)
    const sink = new PostgresSink({ connectionString: postgres.connectionString })
    const source = new DirectorySource({ directories: [folder] })
    for await (const { state } of ingest({ source, sink, parser: new IntervalParser() }))
      expect(state).toBe('committed')
    await sink.close()

    const put = async (day: MeterDay, change: (kwh: number, slot: number) => number | undefined, meter = 'M1') => {
      const from = centralInstant(day.date, '00:00:00')
      for (const [slot, milliKwh] of day.series[0]!.milliKwh.entries()) {
        const kwh = change(milliKwh / 1000, slot)
        if (kwh === undefined) continue
        const values = [day.esiid, meter, new Date(from + slot * 900_000).toISOString().slice(0, -1), kwh]
        await client.query(
          'INSERT INTO "SmtInterval" (esiid, meter, ts, kwh, "updatedAt") VALUES ($1, $2, $3, $4, now())',
          values
        )
      }
    }
    const [same, doubled, bent, , autumn] = days as [MeterDay, MeterDay, MeterDay, MeterDay, MeterDay]
    await put(same, kwh => kwh)
    // One home under two names of a meter is one home.
    await put(doubled, kwh => kwh)
    await put(doubled, kwh => kwh, 'unknown')
    await put(bent, (kwh, slot) => (slot === 40 ? kwh + 0.001 : kwh))
    await put(autumn, (kwh, slot) => (slot >= 4 && slot < 8 ? undefined : kwh))
    const { rows } = await client.query(comparison!)
    await client.end()
    expect(
      rows.map(row => [row.day.toISOString().slice(0, 10), Number(row.new_rows), row.old_rows && Number(row.old_rows)])
    ).toEqual([
      ['2025-07-16', 96, 96],
      ['2025-07-17', 96, null],
      ['2025-11-02', 100, 96]
    ])
  })
})

describe('every old setting', () => {
  /** The names of the old system’s settings, on the server and in its app. */
  const old = `SMT_HOST SMT_USER SMT_KEY SMT_REMOTE_DIR SMT_LOCAL_DIR SMT_SFTP_PORT
    SOURCE_TAG METER_DEFAULT ESIID_DEFAULT SMT_UPLOAD_URL SMT_UPLOAD_DELAY SMT_PROCESS_ONE SMT_FORCE_REPOST
    SMT_API_BASE_URL SMT_USERNAME SMT_PASSWORD SMT_SERVICE_ID SMT_REQUESTOR_ID SMT_REQUESTOR_AUTH_ID SMT_REQUESTOR_TYPE
    SMT_REP_PUCT_OVERRIDE SMT_LANG_DEFAULT
    ADMIN_TOKEN INTELLIWATT_BASE_URL APP_BASE_URL INTELLIWATT_APP_BASE_URL VERCEL_URL
    INTELLIWATT_WEBHOOK_SECRET DROPLET_WEBHOOK_SECRET INTELLIWATT_APP_ROOT PORT
    SMT_PROXY_TOKEN SMT_PROXY_PORT SMT_PROXY_URL SMT_PROXY_AGREEMENTS_URL DROPLET_WEBHOOK_URL DROPLET_WEBHOOK_TIMEOUT_MS
    SMT_AGREEMENTS_ENABLED SMT_INTERVAL_BACKFILL_ENABLED SMT_METERINFO_ENABLED SMT_STATUS_REFRESH_COOLDOWN_MS
    SMT_UPLOAD_DIR SMT_UPLOAD_PORT SMT_UPLOAD_MAX_BYTES SMT_UPLOAD_TOKEN SMT_ADMIN_UPLOAD_DAILY_LIMIT
    SMT_ADMIN_UPLOAD_WINDOW_MS SMT_CUSTOMER_UPLOAD_MONTHLY_LIMIT SMT_CUSTOMER_UPLOAD_WINDOW_MS SMT_NORMALIZE_LIMIT
    SMT_RAW_LINES_PER_CHUNK SMT_INGEST_SERVICE_NAME NEXT_PUBLIC_SMT_UPLOAD_URL
    S3_BUCKET S3_ENDPOINT DO_SPACES_ENDPOINT S3_REGION S3_ACCESS_KEY_ID S3_SECRET_ACCESS_KEY S3_FORCE_PATH_STYLE`.split(
    /\s+/
  )

  const rows = [...page.split('## Every old setting')[1]!.matchAll(/^\| (`.*?) \| (used|app|no) \|(.*)\|$/gm)]
  const stands = rows.flatMap(([, names, use, why]) =>
    [...names!.matchAll(/`(\w+)`/g)].map(([, name]) => ({ name: name!, use: use!, why: why!.trim() }))
  )

  test('stands there once, with what becomes of it', () => {
    expect(stands.map(({ name }) => name).toSorted()).toEqual(old.toSorted())
    expect(stands.filter(({ use, why }) => use === 'no' && why === '')).toEqual([])
  })

  test('is read where it says so, and nowhere else', () => {
    const folders = ['src', 'examples/droplet-webhook/src']
    const sources = folders
      .flatMap(folder =>
        readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map(name => join(folder, name))
      )
      .filter(path => path.endsWith('.ts') && !path.startsWith(join('src', 'testing')))
      .map(path => readFileSync(join(root, path), 'utf8').replace(/^\s*(\/?\*|\/\/).*$/gm, ''))
      .join('\n')
    const isRead = (name: string) => new RegExp(`(env\\.|env\\['|'|^ {2})${name}(\\b|')`, 'm').test(sources)
    for (const { name, use } of stands) expect([name, isRead(name)]).toEqual([name, use === 'used'])
  })
})
