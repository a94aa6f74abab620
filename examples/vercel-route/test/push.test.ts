import { execFile } from 'node:child_process'
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { gunzipSync } from 'node:zlib'
import pg from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { ask } from './support/ask.ts'
import { askAnew, foretold, type Inbox, makeInbox, push, statesOf } from './support/delivery.ts'
import { modulesOf } from './support/modules-of.ts'
import { type NextApp, startApp } from './support/next-app.ts'
import { startPostgres, type TestPostgres } from './support/postgres.ts'
import { type Message, startRecorder } from './support/recorder.ts'
import { makeSecret, signer } from './support/signed.ts'

const route = '/api/smt/push'
const secret = makeSecret()
let inbox: Inbox
let postgres: TestPostgres
let database: pg.Client
let app: NextApp

beforeAll(async () => {
  ;[inbox, postgres] = await Promise.all([makeInbox(), startPostgres()])
  database = new pg.Client({ connectionString: postgres.connectionString })
  await database.connect()
  await database.query(readFileSync('schema.sql', 'utf8'))
  app = await startApp({ DATABASE_URL: postgres.connectionString, SMT_PUSH_SECRET: secret })
})
beforeEach(() => query('TRUNCATE pushed_files, pushed_rows'))
afterAll(async () => {
  await app?.[Symbol.asyncDispose]()
  await database?.end()
  await postgres?.[Symbol.asyncDispose]()
  inbox?.[Symbol.dispose]()
})

async function query<Row>(sql: string, values: unknown[] = []): Promise<Row[]> {
  return (await database.query(sql, values)).rows as Row[]
}

/** A hash of all that a reader sees. */
async function everything(): Promise<string | null> {
  const lines = `string_agg(intervals::text, ' ' ORDER BY esiid, direction, start)`
  const [row] = await query<{ md5: string | null }>(`SELECT md5(${lines}) FROM intervals`)
  return row!.md5
}

async function countOf(table: string): Promise<number> {
  const [row] = await query<{ count: string }>(`SELECT count(*) FROM ${table}`)
  return Number(row!.count)
}

describe('POST /api/smt/push', () => {
  test('brings what HttpSink sends into PostgreSQL, to the last thousandth of a kWh', async () => {
    const receipts = await push(inbox, 'whole', { url: app.origin + route, secret })
    expect(statesOf(receipts)).toEqual(foretold(inbox.manifest))
    expect(await totals()).toEqual(inbox.manifest.store)
    expect(app.output).not.toContain(secret)
  })

  test('a second run changes nothing, with the ledger of the first or with a new one', async () => {
    await push(inbox, 'again', { url: app.origin + route, secret })
    const before = await everything()
    await push(inbox, 'again', { url: app.origin + route, secret })
    const receipts = await push(inbox, 'anew', { url: app.origin + route, secret })
    expect(statesOf(receipts)).toEqual(foretold(inbox.manifest))
    expect(await everything()).toBe(before)
  })

  test('whoever sends what he has listened to changes nothing', async () => {
    await using recorder = await startRecorder(app.origin)
    await push(inbox, 'heard', { url: recorder.origin + route, secret })
    const before = await everything()
    expect(recorder.messages.map(kindOf)).toEqual(expect.arrayContaining(['begin', 'rows', 'commit']))
    for (const { path, answer, ...question } of recorder.messages) {
      const again = await ask(app.origin + path, question)
      expect([answer.status, again.status], again.body).toEqual([200, 200])
    }
    expect(await everything()).toBe(before)
  })

  test('a run that dies in the middle of a file shows nothing of it, and the next one goes on', async () => {
    await using whole = await startRecorder(app.origin)
    await push(inbox, 'undisturbed', { url: whole.origin + route, secret })
    const expected = await everything()
    await query('TRUNCATE pushed_files, pushed_rows')

    // The first file: a beginning and three parts.
    await using broken = await startRecorder(app.origin, 4)
    const run = push(inbox, 'broken', { url: broken.origin + route, secret, retries: 0 })
    await expect(run).rejects.toMatchObject({ code: 'HTTP_UNREACHABLE' })
    expect(broken.messages.map(kindOf)).toEqual(['begin', 'rows', 'rows', 'rows'])
    expect([await countOf('pushed_rows'), await countOf('intervals')]).toEqual([600, 0])

    await using recorder = await startRecorder(app.origin)
    await push(inbox, 'broken', { url: recorder.origin + route, secret })
    expect(await everything()).toBe(expected)
    const sent = ({ messages }: typeof whole) => messages.filter(message => kindOf(message) === 'rows').length
    expect(sent(recorder)).toBe(sent(whole) - 3)
  })

  test('a file that is read anew takes the place of what it gave before, and of nothing else', async () => {
    await using recorder = await startRecorder(app.origin)
    const sending = { url: recorder.origin + route, secret }
    await push(inbox, 'replayed', sending)
    const [before, rows, sent] = [await everything(), await countOf('pushed_rows'), recorder.messages.length]
    await query('UPDATE pushed_rows SET kwh = kwh + 1')
    const files = await askAnew(inbox, 'replayed', sending)
    await push(inbox, 'replayed', sending)
    expect([await everything(), await countOf('pushed_rows')]).toEqual([before, rows])
    const kinds = recorder.messages.slice(sent).map(kindOf)
    expect(kinds.filter(kind => kind === 'commit')).toHaveLength(files)
  })

  test('somebody without the secret stores nothing', async () => {
    const run = push(inbox, 'stranger', { url: app.origin + route, secret: makeSecret() })
    await expect(run).rejects.toMatchObject({ code: 'HTTP_UNAUTHORIZED' })
    expect([await countOf('pushed_files'), await countOf('pushed_rows')]).toEqual([0, 0])
  })

  test('refuses a worker whose file another has claimed since, and a commit of parts that are not here', async () => {
    const signed = signer(secret)
    const file = 'a'.repeat(64)
    const tell = (epoch: number, more: object) => {
      const body = JSON.stringify({ smt: 1, file, epoch, isReplay: false, ...more })
      return ask(app.origin + route, { method: 'POST', headers: signed(body), body })
    }
    expect(await tell(2, { kind: 'begin' })).toMatchObject({
      status: 200,
      body: '{"ok":true,"state":"open","parts":[]}'
    })
    const late = await tell(1, { kind: 'begin' })
    expect([late.status, JSON.parse(late.body).error]).toEqual([409, 'RECEIVE_FENCED'])

    const rows = { read: 7, accepted: 7, rejected: 0, placeholder: 0, missing: 0, repeatedHeader: 0 }
    const bytes = { bytes: 1, sha256: 'b'.repeat(64) }
    const early = await tell(2, {
      kind: 'commit',
      parts: [{ rows: 7, sha256: 'c'.repeat(64) }],
      rows: 7,
      label: { source: 's', path: 'p', name: 'p', size: 1, modifiedAt: 0 },
      fetched: bytes,
      payload: { ...bytes, encrypted: true },
      account: { rows, entries: [], quality: {} }
    })
    expect([early.status, JSON.parse(early.body)]).toMatchObject([
      409,
      { error: 'RECEIVE_PARTS_MISSING', missing: [0] }
    ])
    expect(await countOf('intervals')).toBe(0)
  })

  test('what verifies and stores is built into it, and nothing that calls SMT', () => {
    const { packages, own } = modulesOf(route)
    expect(own).toEqual([`app${route}/route.ts`, 'lib/push-store.ts'])
    expect(packages).toEqual(expect.arrayContaining(['@intelliwatt/smt-ingest', 'pg', 'standardwebhooks']))
    for (const name of ['openpgp', 'ssh2', 'undici']) expect(packages).not.toContain(name)
  })
})

describe('README.md', () => {
  const readme = readFileSync('README.md', 'utf8')
  const block = (language: string) => new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\`$`, 'm').exec(readme)![1]!

  test('its program sends, and its query finds what was sent', async () => {
    symlinkSync(resolve('node_modules'), join(inbox.folder, 'node_modules'), 'junction')
    writeFileSync(join(inbox.folder, 'send.mjs'), block('js').replace('https://app.example.com', app.origin))
    writeFileSync(join(inbox.folder, 'pgp.asc'), inbox.key.privateKey)
    const env = { ...process.env, SMT_PUSH_SECRET: secret, SMT_PGP_KEY: 'pgp.asc' }
    const { stdout } = await promisify(execFile)(process.execPath, ['send.mjs'], { cwd: inbox.folder, env })
    expect(stdout.match(/^committed /gm)).toHaveLength(await countOf('pushed_files WHERE payload IS NOT NULL'))
    const days = await query<{ sum: string }>(block('sql'))
    const milliKwh = days.reduce((sum, day) => sum + Math.round(Number(day.sum) * 1000), 0)
    expect(milliKwh).toBe(inbox.manifest.store.milliKwh.consumption)
  })
})

/** What the view holds, in the words of the manifest. */
async function totals() {
  const { watched } = inbox.manifest.store
  const byDirection = await query<{ direction: string; intervals: string; milli: string }>(
    `SELECT direction, count(*) AS intervals, (sum(kwh) * 1000)::bigint AS milli FROM intervals GROUP BY 1 ORDER BY 1`
  )
  const [counts] = await query<Record<string, string>>(
    `SELECT count(*) FILTER (WHERE estimated) AS estimated, count(*) FILTER (WHERE kwh = 0) AS zeros,
       count(DISTINCT esiid) AS meters FROM intervals`
  )
  const [revisions] = await query<Record<string, string>>(
    `SELECT count(*) AS revised, count(*) FILTER (WHERE changed) AS changed FROM (
       SELECT count(DISTINCT (kwh, estimated)) > 1 AS changed FROM pushed_rows WHERE visible
       GROUP BY esiid, direction, start HAVING count(*) > 1)`
  )
  const days = watched.days.map(async ({ date }) => ({ date, instants: await instantsOn(date, watched.esiid) }))
  return {
    intervals: Object.fromEntries(byDirection.map(({ direction, intervals }) => [direction, Number(intervals)])),
    milliKwh: Object.fromEntries(byDirection.map(({ direction, milli }) => [direction, Number(milli)])),
    ...numbers(counts!),
    ...numbers(revisions!),
    watched: { esiid: watched.esiid, days: await Promise.all(days) }
  }
}

async function instantsOn(date: string, esiid: string): Promise<number> {
  const [row] = await query<{ count: string }>(
    `SELECT count(DISTINCT start) FROM intervals WHERE esiid = $1 AND direction = 'consumption'
       AND (start AT TIME ZONE 'America/Chicago')::date = $2::date`,
    [esiid, date]
  )
  return Number(row!.count)
}

function numbers(row: Record<string, string>): Record<string, number> {
  return Object.fromEntries(Object.entries(row).map(([name, text]) => [name, Number(text)]))
}

/** What sort of message a body is; its first line tells. */
function kindOf({ headers, body }: Message): string {
  const text = headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body
  return JSON.parse(text.toString().split('\n')[0]!).kind
}
