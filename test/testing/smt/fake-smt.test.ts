import { X509Certificate } from 'node:crypto'
import { connect } from 'node:tls'
import { describe, expect, onTestFinished, test } from 'vitest'
import {
  FakeSmt,
  type FakeSmtOptions,
  htmlPage,
  makeCertificate,
  tooManyRequests,
  unavailable
} from '../../../src/testing/index.ts'

const json = { 'content-type': 'application/json' }

async function start(options: FakeSmtOptions = {}) {
  const smt = await FakeSmt.start(options)
  onTestFinished(() => smt.close())
  smt.endpoints.set('/v2/echo/', { answer: ({ username, body }) => ({ body: { username, body } }) })
  smt.endpoints.set('/v2/strict/', { needsIdentityHeaders: true, answer: () => ({ status: 201, body: 'as it is' }) })
  const post = (path: string, body: unknown, headers: Record<string, string> = json, method = 'POST') =>
    fetch(smt.baseUrl + path, {
      method,
      headers,
      redirect: 'manual',
      ...(method !== 'GET' && { body: typeof body === 'string' ? body : JSON.stringify(body) })
    })
  const said = async (...call: Parameters<typeof post>) => {
    const response = await post(...call)
    return [response.status, await response.text()] as const
  }
  const token = async () =>
    ((await (await post('/v2/token/', smt.login)).json()) as { accessToken: string }).accessToken
  const bearer = async () => ({ ...json, authorization: `Bearer ${await token()}` })
  return { smt, post, said, token, bearer }
}

const refused = (error: string) => JSON.stringify({ error })

describe('FakeSmt gives a token', () => {
  test('for the user name and password that it knows, with a lifetime in seconds', async () => {
    const { smt, post } = await start({ tokenSeconds: 90, now: () => Date.UTC(2025, 6, 15, 14) })
    const answer = await (await post('/v2/token/', smt.login)).json()
    expect(answer).toEqual({
      statusCode: 200,
      accessToken: smt.tokens[0]!.value,
      tokenType: 'Bearer',
      expiresIn: 90,
      issuedAt: '07/15/2025 14:00:00',
      expiresAt: '07/15/2025 14:01:30'
    })
    expect(smt.tokens).toEqual([
      {
        value: expect.stringMatching(/^eyJ[\w-]+\.eyJ[\w-]+\.[\w-]{43}$/),
        username: 'INTELLIPATH',
        expiresAt: Date.UTC(2025, 6, 15, 14, 1, 30)
      }
    ])
  })

  test.each([
    [
      { numbers: 'strings', dates: 'iso' },
      { statusCode: '200', expiresIn: '3600', issuedAt: '2025-07-15T14:00:00.000Z' }
    ],
    [{ dates: 'absurd' }, { statusCode: 200, expiresIn: 3600, issuedAt: '01/01/1970 00:00:00' }],
    [{ dates: 'none' }, { statusCode: 200, expiresIn: 3600 }]
  ] as const)('written as %j', async (tokenStyle, expected) => {
    const { smt, post } = await start({ tokenStyle, now: () => Date.UTC(2025, 6, 15, 14) })
    expect(await (await post('/v2/token/', smt.login)).json()).toMatchObject(expected)
  })

  const login = { username: 'INTELLIPATH', password: 'not a real password' }
  test.each([
    ['another password', '/v2/token/', { ...login, password: 'x' }, json, 401, 'Incorrect username or password.'],
    ['another user', '/v2/token/', { ...login, username: 'x' }, json, 401, 'Incorrect username or password.'],
    ['no user', '/v2/token/', { password: 'x' }, json, 400, 'Please provide username.'],
    ['no password', '/v2/token/', { username: 'x' }, json, 400, 'Please provide password.'],
    [
      'more than a login has',
      '/v2/token/',
      { ...login, grant_type: 'password' },
      json,
      400,
      'A login has a username and a password, and nothing else.'
    ],
    [
      'HTTP Basic',
      '/v2/token/',
      login,
      { ...json, authorization: 'Basic eA==' },
      400,
      'A login carries no Authorization header.'
    ],
    [
      'a form',
      '/v2/token/',
      'username=INTELLIPATH&password=x',
      { 'content-type': 'application/x-www-form-urlencoded' },
      415,
      'Unsupported media type.'
    ],
    ['text', '/v2/token/', '{', json, 400, 'Malformed JSON.'],
    ['a list', '/v2/token/', [], json, 400, 'Malformed JSON.'],
    ['no slash at the end', '/v2/token', login, json, 404, 'Not found.'],
    ['other letters', '/v2/Token/', login, json, 404, 'Not found.'],
    ['OAuth', '/oauth/token', login, json, 404, 'Not found.'],
    ['SOAP', '/v2/access/token/', login, json, 404, 'Not found.']
  ])('but not for %s', async (_, path, body, headers, status, error) => {
    const { smt, said } = await start()
    expect(await said(path, body, headers as Record<string, string>)).toEqual([status, refused(error)])
    expect(smt.tokens).toEqual([])
  })

  test('but not to who GETs it', async () => {
    const { said } = await start()
    expect(await said('/v2/token/', '', json, 'GET')).toEqual([405, refused('Method not allowed.')])
  })
})

describe('FakeSmt lets a call in', () => {
  const body = { requestorID: 'INTELLIPATH', more: 1 }

  test('with a token, and a body that names the same identity', async () => {
    const { smt, said, bearer } = await start()
    expect(await said('/v2/echo/', body, await bearer())).toEqual([
      200,
      JSON.stringify({ username: 'INTELLIPATH', body })
    ])
    expect(smt.requests.map(({ path }) => path)).toEqual(['/v2/token/', '/v2/echo/'])
    expect(smt.count('/v2/echo/')).toBe(1)
  })

  test.each([
    ['no token', undefined],
    ['another token', 'Bearer eyJ.eyJ.x'],
    ['its token as something else', 'Basic TOKEN'],
    ['its token without a word before it', 'TOKEN']
  ])('but not with %s', async (_, authorization) => {
    const { said, token } = await start()
    const headers = authorization && { authorization: authorization.replace('TOKEN', await token()) }
    expect(await said('/v2/echo/', body, { ...json, ...headers })).toEqual([401, refused('Authorization failure.')])
  })

  test('but not when its token has ended, by its time or by a word', async () => {
    let clock = 0
    const { smt, said, bearer } = await start({ tokenSeconds: 60, now: () => clock })
    const headers = await bearer()
    clock = 59_999
    expect((await said('/v2/echo/', body, headers))[0]).toBe(200)
    clock = 60_000
    expect((await said('/v2/echo/', body, headers))[0]).toBe(401)
    const others = await bearer()
    smt.expireTokens()
    expect((await said('/v2/echo/', body, others))[0]).toBe(401)
  })

  test('but not when it names another identity than its token', async () => {
    const { said, bearer } = await start()
    const headers = await bearer()
    const mismatch = [401, refused('Username/ServiceID Mismatch on both Header and Payload message.')]
    const identity = { username: 'INTELLIPATH', serviceId: 'INTELLIPATH' }
    expect(await said('/v2/echo/', { requestorID: 'X' }, headers)).toEqual(mismatch)
    expect(await said('/v2/echo/', {}, headers)).toEqual(mismatch)
    expect(await said('/v2/strict/', body, headers)).toEqual(mismatch)
    expect(await said('/v2/strict/', body, { ...headers, ...identity, serviceId: 'X' })).toEqual(mismatch)
    expect(await said('/v2/strict/', body, { ...headers, ...identity })).toEqual([201, 'as it is'])
  })
})

test('FakeSmt tells of an endpoint that fails', async () => {
  const { smt, said, bearer } = await start()
  smt.endpoints.set('/v2/bad/', {
    answer: () => {
      throw new Error('no such thing')
    }
  })
  const failed = refused('The endpoint failed: Error: no such thing')
  expect(await said('/v2/bad/', { requestorID: 'INTELLIPATH' }, await bearer())).toEqual([500, failed])
})

describe('FakeSmt has faults', () => {
  test('that calls of a path meet one by one, in their order', async () => {
    const { smt, post, said } = await start()
    smt.faults.next('/v2/token/', tooManyRequests(7), unavailable(9))
    smt.faults.next('/v2/token/', htmlPage(504))
    const first = await post('/v2/token/', smt.login)
    const second = await post('/v2/token/', smt.login)
    expect([first.status, first.headers.get('retry-after')]).toEqual([429, '7'])
    expect([second.status, second.headers.get('retry-after')]).toEqual([503, '9'])
    const [status, page] = await said('/v2/token/', smt.login)
    expect([status, page.startsWith('<!DOCTYPE html>')]).toEqual([504, true])
    expect((await said('/v2/token/', smt.login))[0]).toBe(200)
  })

  test('that stay until told otherwise', async () => {
    const { smt, said } = await start()
    smt.faults.always('/v2/token/', { kind: 'answer', status: 500 })
    expect([(await said('/v2/token/', smt.login))[0], (await said('/v2/token/', smt.login))[0]]).toEqual([500, 500])
    smt.faults.always('/v2/token/', undefined)
    expect((await said('/v2/token/', smt.login))[0]).toBe(200)
    smt.faults.always('/v2/token/', { kind: 'answer', status: 500 })
    smt.faults.clear()
    expect((await said('/v2/token/', smt.login))[0]).toBe(200)
  })

  test('after which the work may be done all the same', async () => {
    const { smt, post } = await start()
    smt.faults.next('/v2/token/', { kind: 'reset' }, { kind: 'reset', isDone: true })
    await expect(post('/v2/token/', smt.login)).rejects.toThrow()
    expect(smt.tokens).toHaveLength(0)
    await expect(post('/v2/token/', smt.login)).rejects.toThrow()
    expect(smt.tokens).toHaveLength(1)
  })

  test('that are slow, or cut, or stop, or drip', async () => {
    const { smt, post, said } = await start()
    smt.faults.next('/v2/token/', { kind: 'slow', ms: 100 }, { kind: 'cut', afterBytes: 20 })
    smt.faults.next('/v2/token/', { kind: 'stall', afterBytes: 20 }, { kind: 'drip', everyMs: 0 })
    const since = performance.now()
    expect((await said('/v2/token/', smt.login))[0]).toBe(200)
    expect(performance.now() - since).toBeGreaterThanOrEqual(99)
    const cut = await post('/v2/token/', smt.login)
    expect(cut.status).toBe(200)
    await expect(cut.text()).rejects.toThrow()
    const stalled = await post('/v2/token/', smt.login)
    const { value } = await stalled.body!.getReader().read()
    expect(Buffer.from(value!).toString()).toBe('{"statusCode":200,"a')
    expect((await said('/v2/token/', smt.login))[1]).toContain('"accessToken"')
  })
})

test('a certificate is for this machine, from one time to another, and vouches for itself', async () => {
  const [notBefore, notAfter] = [Date.UTC(2025, 0, 1), Date.UTC(2026, 0, 1)]
  const made = makeCertificate({ notBefore, notAfter })
  const certificate = new X509Certificate(made.certificate)
  expect(certificate.verify(certificate.publicKey)).toBe(true)
  expect([certificate.checkHost('localhost'), certificate.checkIP('127.0.0.1')]).toEqual(['localhost', '127.0.0.1'])
  expect([Date.parse(certificate.validFrom), Date.parse(certificate.validTo)]).toEqual([notBefore, notAfter])
})

test('FakeSmt with a certificate speaks TLS to those who trust it', async () => {
  const certificate = makeCertificate()
  const { smt } = await start({ certificate })
  expect(smt.baseUrl).toMatch(/^https:/)
  const socket = connect({ host: '127.0.0.1', port: Number(new URL(smt.baseUrl).port), ca: certificate.certificate })
  await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject))
  expect(socket.authorized).toBe(true)
  socket.destroy()
})
