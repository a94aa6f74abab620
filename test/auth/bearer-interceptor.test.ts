import { Readable } from 'node:stream'
import { Agent, type Dispatcher, fetch, interceptors, Pool, request } from 'undici'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { FakeSmt } from '../../src/testing/index.ts'
import { echoPath, loginPath, start, until } from './support.ts'

async function startClient(setup = {}) {
  const all = await start(setup)
  const agent = new Agent()
  onTestFinished(() => agent.destroy())
  const dispatcher = agent.compose(all.auth.interceptor())
  const url = all.smt.baseUrl + echoPath
  const json = JSON.stringify(all.body)
  const headers = { 'content-type': 'application/json' }
  const ask = (options: Partial<Dispatcher.RequestOptions> = {}) =>
    request(url, { method: 'POST', headers, body: json, ...options, dispatcher })
  return { ...all, agent, dispatcher, url, json, headers, ask }
}

describe('a client with the interceptor', () => {
  test('sends the token, which all its calls share', async () => {
    const { smt, ask } = await startClient()
    const answers = await Promise.all(Array.from({ length: 30 }, () => ask()))
    for (const { statusCode, body } of answers) {
      expect([statusCode, await body.json()]).toMatchObject([200, { username: 'INTELLIPATH' }])
    }
    expect(smt.count(loginPath)).toBe(1)
  })

  test('may be undici’s fetch', async () => {
    const { dispatcher, url, json, headers } = await startClient()
    const response = await fetch(url, { method: 'POST', headers, body: json, dispatcher })
    expect([response.status, await response.json()]).toMatchObject([200, { username: 'INTELLIPATH' }])
  })

  test('has a fetch fail with the error of the login', async () => {
    const { dispatcher, url } = await startClient({ auth: { password: 'wrong' } })
    const failed = fetch(url, { method: 'POST', body: '{}', dispatcher })
    await expect(failed).rejects.toMatchObject({ cause: { code: 'API_CREDENTIALS' } })
  })

  test.each([
    ['an object', { 'content-type': 'application/json', Authorization: 'Basic x', 'x-list': ['1', '2'] }],
    ['a list', ['content-type', 'application/json', 'authorization', 'Basic x', 'x-list', '1, 2']],
    [
      'pairs',
      new Map([
        ['content-type', 'application/json'],
        ['AUTHORIZATION', 'Basic x'],
        ['x-list', '1, 2']
      ])
    ]
  ])('gives its headers as %s: they stay, and the token replaces what it had', async (_, headers) => {
    const { smt, ask } = await startClient()
    const { statusCode } = await ask({ headers: headers as unknown as Record<string, string> })
    expect(statusCode).toBe(200)
    const sent = smt.requests.at(-1)!.headers
    expect(sent).toMatchObject({ authorization: `Bearer ${smt.tokens[0]!.value}`, 'x-list': '1, 2' })
  })

  test('has its token renewed once when all its calls meet a 401, and sees no 401', async () => {
    const { smt, auth, ask } = await startClient()
    await auth.token()
    smt.expireTokens()
    const answers = await Promise.all(Array.from({ length: 30 }, () => ask()))
    expect(answers.map(({ statusCode }) => statusCode)).toEqual(Array(30).fill(200))
    for (const { body } of answers) await body.dump()
    expect(smt.count(loginPath)).toBe(2)
  })

  test('sees the second 401', async () => {
    const { smt, ask } = await startClient()
    smt.faults.always(echoPath, { kind: 'answer', status: 401, body: { error: 'Authorization failure.' } })
    const { statusCode, body } = await ask()
    expect([statusCode, await body.json()]).toEqual([401, { error: 'Authorization failure.' }])
    expect([smt.count(echoPath), smt.count(loginPath)]).toEqual([2, 2])
  })

  test('sees the first 401 when its body was a stream, and its next call has a new token', async () => {
    const { smt, auth, json, ask } = await startClient()
    await auth.token()
    smt.expireTokens()
    const { statusCode, body } = await ask({ body: Readable.from([json]) })
    expect(statusCode).toBe(401)
    await body.dump()
    expect((await ask()).statusCode).toBe(200)
    expect(smt.count(loginPath)).toBe(2)
  })

  test('sends the token to no other origin, whatever else it asks there', async () => {
    await using elsewhere = await FakeSmt.start()
    const { smt, dispatcher } = await startClient()
    for (const other of [elsewhere.baseUrl, smt.baseUrl.replace('127.0.0.1', 'localhost')]) {
      const { statusCode } = await request(other + echoPath, { method: 'POST', dispatcher }).catch(() => ({
        statusCode: 0
      }))
      expect([0, 404, 415]).toContain(statusCode)
    }
    expect(elsewhere.requests).toHaveLength(1)
    for (const { headers } of [...elsewhere.requests, ...smt.requests]) expect(headers.authorization).toBeUndefined()
    expect(smt.count(loginPath)).toBe(0)
  })

  test.each(['before', 'behind'])('takes the token along no redirect, when those are followed %s it', async place => {
    await using elsewhere = await FakeSmt.start()
    const { smt, auth, agent, json, headers } = await startClient()
    smt.faults.next(echoPath, { kind: 'answer', status: 307, headers: { location: elsewhere.baseUrl + echoPath } })
    const redirect = interceptors.redirect({ maxRedirections: 2 })
    const dispatcher =
      place === 'before' ? agent.compose(auth.interceptor(), redirect) : agent.compose(redirect, auth.interceptor())
    const { statusCode } = await request(smt.baseUrl + echoPath, { method: 'POST', headers, body: json, dispatcher })
    expect(statusCode).toBe(404)
    expect(smt.requests.at(-1)!.headers.authorization).toBe(`Bearer ${smt.tokens[0]!.value}`)
    expect(elsewhere.requests).toHaveLength(1)
    expect(elsewhere.requests[0]!.headers.authorization).toBeUndefined()
  })

  test('has its call end with the error of the login', async () => {
    const { smt, ask } = await startClient({ auth: { password: 'wrong' } })
    await expect(ask()).rejects.toMatchObject({ code: 'API_CREDENTIALS' })
    expect(smt.count(echoPath)).toBe(0)
  })

  test('ends its call by its signal, also while the login is under way', async () => {
    const { smt, ask } = await startClient()
    for (const path of [loginPath, echoPath]) {
      smt.faults.next(path, { kind: 'silent' })
      const stop = new AbortController()
      const call = ask({ signal: stop.signal }).catch(error => error)
      await until(() => smt.count(path) === 1)
      stop.abort()
      expect(await call).toBeInstanceOf(Error)
    }
  })

  test('I12: is not let to SMT from Vercel', async () => {
    vi.stubEnv('VERCEL', '1')
    try {
      const { smt, ask } = await startClient()
      await expect(ask()).rejects.toMatchObject({ code: 'API_WRONG_PLACE' })
      expect(smt.requests).toEqual([])
    } finally {
      vi.unstubAllEnvs()
    }
  })

  test('that names no origin, as a Pool’s, goes without the token', async () => {
    const { smt, auth, json, headers } = await startClient()
    const pool = new Pool(smt.baseUrl)
    onTestFinished(() => pool.destroy())
    const dispatcher = pool.compose(auth.interceptor())
    const { statusCode } = await dispatcher.request({
      path: echoPath,
      method: 'POST',
      headers,
      body: json,
      origin: smt.baseUrl
    })
    expect(statusCode).toBe(200)
    const bare = await dispatcher.request({ path: echoPath, method: 'POST', headers, body: json } as never)
    expect(bare.statusCode).toBe(401)
  })

  test('may go through a dispatcher of the user’s as SmtAuth does, and that stays open', async () => {
    const agent = new Agent()
    onTestFinished(() => agent.destroy())
    const seen: string[] = []
    const watching = agent.compose(dispatch => (options, handler) => {
      seen.push(options.path)
      return dispatch(options, handler)
    })
    const { auth, echo, url } = { ...(await startClient({ auth: { dispatcher: watching } })) }
    await echo()
    await auth.close()
    expect(seen).toEqual([loginPath, echoPath])
    expect((await request(url, { dispatcher: agent })).statusCode).toBe(405)
  })
})
