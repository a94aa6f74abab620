import { createConnection, type Socket } from 'node:net'
import { stagesFromEnv } from '@intelliwatt/smt-ingest'
import { describe, expect, onTestFinished, test } from 'vitest'
import { buildServer, type ServerOptions } from '../src/server.ts'
import { type Answered, answerOf, scratchFolder, secret, startDaemon, surroundings } from './support.ts'

/** A server of this process over a folder, with limits of its own. */
async function serverWith(options: Partial<ServerOptions>) {
  const folder = scratchFolder()
  const stages = await stagesFromEnv({ SMT_LOCAL_DIR: folder, SMT_STORE: `ndjson:${folder}/out` })
  const calls = { smt: undefined, auth: undefined, app: undefined, proxyToken: undefined, puctNumber: 10_052 }
  const app = await buildServer({ stages, secrets: [secret], ...calls, watchEveryMs: 0, graceMs: 1000, ...options })
  onTestFinished(() => app.close())
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as { port: number }
  const ask = (path: string, options?: RequestInit) => answerOf(fetch(`http://127.0.0.1:${port}${path}`, options))
  return { app, port, ask, folder }
}

function connect(port: number): Socket {
  const socket = createConnection(port, '127.0.0.1')
  socket.on('error', () => {})
  onTestFinished(() => void socket.destroy())
  return socket
}

/** All that a server says until it hangs up. */
function saidUntilClosed(socket: Socket): Promise<string> {
  let said = ''
  socket.on('data', chunk => {
    said += chunk
  })
  return new Promise(resolve => socket.once('close', () => resolve(said)))
}

describe('a request', () => {
  test('of 10 MB is refused, with the secret and without, and the daemon stays up', async () => {
    const { env, folder } = await surroundings()
    const daemon = await startDaemon(env, folder)
    // It says how long it is, and waits for what the server says.
    for (const [given, status] of [
      [secret, 413],
      ['guessed', 401]
    ]) {
      const socket = connect(daemon.port)
      const head = ['POST /trigger/smt-now HTTP/1.1', 'host: x', `x-intelliwatt-secret: ${given}`, 'connection: close']
      socket.write(`${[...head, 'content-length: 10000000'].join('\r\n')}\r\n\r\n`)
      expect(await saidUntilClosed(socket)).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
    }
    const body = JSON.stringify({ reason: 'user_refresh', userId: 'x'.repeat(10_000_000) })
    for (const headers of [{}, { 'x-intelliwatt-secret': secret }]) {
      const answer = await daemon.ask('/trigger/smt-now', { method: 'POST', headers, body }).catch(() => undefined)
      // The server may hang up while the rest is still on its way.
      expect([401, 413, undefined]).toContain(answer?.status)
    }
    expect((await daemon.ask('/health')).text).toBe('ok')
  })

  test('that does not say how long it is is refused once it is too long', async () => {
    const { port } = await serverWith({})
    const socket = connect(port)
    const said = saidUntilClosed(socket)
    const head = ['POST /trigger/smt-now HTTP/1.1', 'host: x', `x-intelliwatt-secret: ${secret}`]
    socket.write(`${[...head, 'transfer-encoding: chunked'].join('\r\n')}\r\n\r\n`)
    // It has no end.
    socket.write(`11000\r\n${'x'.repeat(0x11000)}\r\n`)
    expect(await said).toMatch(/^HTTP\/1\.1 413 /)
  })

  test.each([
    ['headers', 'POST /trigger/smt-now HTTP/1.1\r\nhost: x\r\nx-slow: '],
    [
      'body',
      `POST /trigger/smt-now HTTP/1.1\r\nhost: x\r\nx-intelliwatt-secret: ${secret}\r\ncontent-length: 100\r\n\r\n{`
    ]
  ])('whose %s come byte after byte is given up, and others are served meanwhile', async (_, head) => {
    const { port, ask } = await serverWith({ requestTimeoutMs: 500 })
    const socket = connect(port)
    socket.write(head)
    const drip = setInterval(() => socket.write('x'), 50)
    onTestFinished(() => clearInterval(drip))
    const said = saidUntilClosed(socket)
    expect((await ask('/health')).text).toBe('ok')
    expect(await said).toMatch(/^(HTTP\/1\.1 408 |$)/)
  })

  test.each([
    ['no HTTP at all', 'hello\r\n\r\n'],
    ['two lengths', 'POST /trigger/smt-now HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n{}'],
    ['a header of 100 KB', `GET /health HTTP/1.1\r\nhost: x\r\nx-large: ${'x'.repeat(100_000)}\r\n\r\n`]
  ])('that is %s is refused, and the daemon stays up', async (_, bytes) => {
    const { port, ask } = await serverWith({})
    const socket = connect(port)
    socket.write(bytes)
    expect(await saidUntilClosed(socket)).toMatch(/^HTTP\/1\.1 4\d\d /)
    expect((await ask('/health')).text).toBe('ok')
  })

  test('beyond those of a minute is refused, by the client that a proxy of this machine names', async () => {
    const { ask } = await serverWith({ requestsPerMinute: 3 })
    const from = (address: string) => ({ headers: { 'x-forwarded-for': address } })
    const answers: Answered[] = []
    for (let i = 0; i < 4; i++) answers.push(await ask('/health', from('203.0.113.7')))
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 429])
    expect(answers[3]!.json).toEqual({ ok: false, error: 'rate_limited' })
    expect((await ask('/health', from('203.0.113.8'))).status).toBe(200)
  })

  test('with a secret or token that is guessed counts, too: who tries many is soon not heard', async () => {
    for (const path of ['/trigger/smt-now', '/agreements', '/runs/x']) {
      const { ask } = await serverWith({ requestsPerMinute: 3, proxyToken: 'token-of-the-app' })
      const headers = { 'x-intelliwatt-secret': 'guessed', authorization: 'Bearer guessed' }
      const statuses: number[] = []
      for (let i = 0; i < 4; i++) {
        statuses.push((await ask(path, { method: path === '/runs/x' ? 'GET' : 'POST', headers })).status)
      }
      expect(statuses).toEqual([401, 401, 401, 429])
    }
  })

  test('for anything else is not found', async () => {
    const { ask } = await serverWith({})
    for (const path of ['/trigger', '/trigger/smt-now', '/admin/smt/token', '/../etc/passwd']) {
      expect(await ask(path)).toMatchObject({ status: 404, json: { ok: false, error: 'not_found' } })
    }
  })
})

describe('the address', () => {
  test('is this machine’s own unless HOST says otherwise, of which the log warns', async () => {
    const { env, folder } = await surroundings()
    const daemon = await startDaemon(env, folder)
    expect(daemon.said()).toContain('listening at http://127.0.0.1:')
    const open = await startDaemon({ ...env, HOST: '0.0.0.0', SMT_STORE: `duckdb:${folder}/other.duckdb` }, folder)
    await open.heard(/"level":40,.*0\.0\.0\.0 is no loopback address/)
    expect(daemon.said()).not.toContain('no loopback address')
  })
})

describe('health', () => {
  test('is ok at every path that it had', async () => {
    const { ask } = await serverWith({})
    for (const path of ['/', '/health', '/healthz']) {
      expect(await ask(path)).toMatchObject({ status: 200, text: 'ok', type: 'text/plain' })
    }
  })

  test('without a secret nobody may trigger anything, even where a server is made without one', async () => {
    const { ask } = await serverWith({ secrets: [] })
    for (const headers of [{}, { 'x-intelliwatt-secret': '' }, { 'x-intelliwatt-secret': 'undefined' }]) {
      const { status, text } = await ask('/trigger/smt-now', { method: 'POST', headers, body: '{}' })
      expect([status, text]).toEqual([401, '{"ok":false,"error":"unauthorized"}'])
    }
  })

  test('readiness names which end cannot be reached', async () => {
    const ready = await serverWith({})
    expect(await ready.ask('/readyz')).toMatchObject({
      status: 200,
      json: { ok: true, source: 'reachable', store: 'reachable' }
    })
    const gone = await stagesFromEnv({
      SMT_LOCAL_DIR: `${ready.folder}/gone`,
      SMT_STORE: 'postgres://nobody@127.0.0.1:9/none'
    })
    const { ask } = await serverWith({ stages: gone })
    const answered = await ask('/readyz')
    expect(answered.status).toBe(503)
    expect(answered.json).toEqual({ ok: false, source: 'DIRECTORY_NOT_FOUND', store: 'STORE_UNREACHABLE' })
  })
})
