import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Answer, ask } from './support/ask.ts'
import { modulesOf } from './support/modules-of.ts'
import { type NextApp, startApp } from './support/next-app.ts'
import { makeSecret, signer } from './support/signed.ts'

const route = '/api/admin/smt/token'
const adminToken = 'an-admin-token-of-64-characters-of-which-nobody-knows-but-admins'
const secret = makeSecret()
const unauthorized = '{"ok":false,"error":"Unauthorized"}'
const notHere = JSON.stringify(JSON.parse(readFileSync('test/token-answer.json', 'utf8')))

const folder = mkdtempSync(join(tmpdir(), 'vercel-route-'))
const connections = join(folder, 'connections')
let app: NextApp

beforeAll(async () => {
  writeFileSync(connections, '')
  const guard = pathToFileURL('test/support/no-network.mjs')
  app = await startApp({
    ADMIN_TOKEN: adminToken,
    SMT_PUSH_SECRET: secret,
    DATABASE_URL: 'postgres://127.0.0.1:9/postgres',
    CONNECTIONS: connections,
    NODE_OPTIONS: `--import=${guard}`
  })
})
afterAll(async () => {
  await app?.[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true, force: true })
})

/** The header of the line for PowerShell, and nothing else. */
function askWith(token: string | string[] | undefined, method = 'GET', from = app): Promise<Answer> {
  return ask(from.origin + route, { method, headers: token === undefined ? {} : { 'x-admin-token': token } })
}

describe('GET /api/admin/smt/token', () => {
  test('is asked as the line for PowerShell says', () => {
    const line = /^Invoke-WebRequest (\S+) -Headers @\{ "(\S+)" = \$env:ADMIN_TOKEN \}/m
    const [, url, header] = line.exec(readFileSync('README.md', 'utf8'))!
    expect([new URL(url!).pathname, header]).toEqual([route, 'x-admin-token'])
  })

  test('tells an admin where SMT can be asked, and that it is not here', async () => {
    const { status, headers, body } = await askWith(adminToken)
    expect([status, headers['content-type']]).toEqual([501, 'application/json'])
    expect(body).toBe(notHere)
  })

  test.each([
    ['no token', undefined],
    ['an empty one', ''],
    ['another one', 'another'],
    ['one that begins alike', adminToken.slice(0, -1)],
    ['one that goes on', `${adminToken}!`],
    ['the right one, sent twice', [adminToken, adminToken]],
    ['the right one after another one', ['another', adminToken]],
    ['letters that are not ASCII', 'é'],
    ['ten thousand letters', 'x'.repeat(10_000)]
  ])('gives %s away as nothing but unauthorized', async (_, token) => {
    const { status, headers, body } = await askWith(token)
    expect([status, headers['content-type'], body]).toEqual([401, 'application/json', unauthorized])
  })

  test.each([undefined, ''])('knows no admin where ADMIN_TOKEN is %j', async token => {
    await using open = await startApp({ ADMIN_TOKEN: token })
    for (const sent of [undefined, '', 'undefined', adminToken]) {
      const { status, body } = await askWith(sent, 'GET', open)
      expect([status, body], sent).toEqual([401, unauthorized])
    }
  })

  test('is answered anew each time', async () => {
    for (const token of [adminToken, undefined, adminToken]) {
      const { status, headers } = await askWith(token)
      expect([status, headers['cache-control'], headers.etag]).toEqual([token ? 501 : 401, 'no-store', undefined])
    }
  })

  test.each(['POST', 'PUT', 'PATCH', 'DELETE'])('cannot be asked by %s', async method => {
    expect((await askWith(adminToken, method)).status).toBe(405)
  })

  test('answers HEAD as GET, without the body', async () => {
    expect(await askWith(adminToken, 'HEAD')).toMatchObject({ status: 501, body: '' })
    expect(await askWith('another', 'HEAD')).toMatchObject({ status: 401, body: '' })
  })

  test('writes no token to its log', async () => {
    await askWith(adminToken)
    expect(app.output).toContain('Ready')
    expect(app.output).not.toContain(adminToken)
  })

  test('refuses more headers than anybody needs, and goes on', async () => {
    expect((await askWith('x'.repeat(20_000))).status).toBe(431)
    expect((await askWith(adminToken)).status).toBe(501)
  })

  test('survives what is not HTTP', async () => {
    const socket = connect(Number(new URL(app.origin).port), '127.0.0.1')
    socket.end('hello\r\n\r\n')
    expect(await text(socket)).toMatch(/^HTTP\/1\.1 400 /)
    expect((await askWith(adminToken)).status).toBe(501)
  })
})

describe('this route cannot call SMT', () => {
  test('nothing that opens connections is built into it', () => {
    expect(modulesOf(route)).toEqual({
      packages: ['@swc/helpers', 'next'],
      own: [`app${route}/route.ts`, 'lib/admin-token.ts']
    })
  })

  test('its own files import hashes and nothing else, and name no fetch', () => {
    const sources = modulesOf(route).own.map(path => readFileSync(path, 'utf8'))
    const imports = sources.flatMap(source => source.match(/(?<=\bfrom )'.*'/g) ?? [])
    expect(imports.sort()).toEqual(["'../../../../../lib/admin-token'", "'node:crypto'"])
    for (const source of sources)
      expect(source).not.toMatch(/\b(fetch|require|import)\s*\(|globalThis|XMLHttpRequest|WebSocket/)
  })

  test('it opens no connection, whoever asks; that of the other route to its database is seen and refused', async () => {
    await askWith(adminToken)
    await askWith('another')
    expect(readFileSync(connections, 'utf8')).toBe('')
    const body = JSON.stringify({ smt: 1, kind: 'begin', file: 'a'.repeat(64), epoch: 1, isReplay: false })
    await ask(`${app.origin}/api/smt/push`, { method: 'POST', headers: signer(secret)(body), body })
    expect(readFileSync(connections, 'utf8')).toBe('[9,"127.0.0.1"]\n')
  })
})
