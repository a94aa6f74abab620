import net from 'node:net'
import { Agent } from 'undici'
import { describe, expect, onTestFinished, test } from 'vitest'
import { retryAfter } from '../../src/auth/failures.ts'
import { ApiError, SmtAuth } from '../../src/index.ts'
import { FakeSmt, FaultProxy, htmlPage, makeCertificate, type SmtFault } from '../../src/testing/index.ts'
import { failureOf } from '../support/failure.ts'
import { echoPath, loginPath, start } from './support.ts'

const answer = (status: number, body: unknown = '', headers?: Record<string, string>): SmtFault => ({
  kind: 'answer',
  status,
  body,
  headers
})

/** A server that says these bytes to everybody. */
async function serverThatSays(text: string): Promise<string> {
  const server = net.createServer(socket => {
    socket.on('error', () => {})
    socket.once('data', () => socket.end(text))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  return `http://127.0.0.1:${(server.address() as net.AddressInfo).port}`
}

describe('a login', () => {
  test('with wrong credentials is refused once and for all', async () => {
    const { smt, auth } = await start({ auth: { password: 'wrong' } })
    const error = await failureOf(auth.token())
    expect(error).toBeInstanceOf(ApiError)
    expect(error).toMatchObject({ code: 'API_CREDENTIALS', retryable: false, status: 401 })
    expect(error.message).toBe(
      `SMT refused user name or password (HTTP 401: Incorrect username or password.): ${smt.baseUrl}/v2/token/`
    )
    expect(smt.requests).toHaveLength(1)
  })

  test.each([
    ['API_CREDENTIALS', answer(403, { error: 'Forbidden.' })],
    ['API_CREDENTIALS', answer(400, { error: 'Please provide password.' })],
    ['API_CREDENTIALS', answer(200, { statusCode: '401', error: 'Incorrect username or password.' })],
    ['API_NOT_ADMITTED', answer(403, '<html><title>Access Denied</title></html>')],
    ['API_REFUSED', answer(400, { errorCode: '77', errorMessage: 'Malformed.' })],
    ['API_REFUSED', answer(404, { error: 'Not found.' })],
    ['API_REDIRECT', answer(302, '', { location: 'https://evil.example/login?secret=1' })],
    ['API_REDIRECT', answer(308, '', { location: '/v2/token/elsewhere' })],
    ['API_GATEWAY', htmlPage(200)],
    ['API_GATEWAY', htmlPage(504)],
    ['API_GATEWAY', answer(200, { statusCode: 500 })],
    ['API_ANSWER', answer(200, 'OK')],
    ['API_ANSWER', answer(204)],
    ['API_ANSWER', answer(200, [])],
    ['API_ANSWER', answer(200, 'null')],
    ['API_ANSWER', answer(200, { expiresIn: 3600 })],
    ['API_ANSWER', answer(200, { accessToken: 7, expiresIn: 3600 })],
    ['API_ANSWER', answer(200, { accessToken: 'a\r\nb', expiresIn: 3600 })],
    ['API_ANSWER', answer(200, { accessToken: '', expiresIn: 3600 })],
    ['API_ANSWER', answer(200, { accessToken: 'a' })],
    ['API_ANSWER', answer(200, { accessToken: 'a', expiresIn: 'soon' })],
    ['API_ANSWER', answer(200, { accessToken: 'a', expiresIn: 0 })],
    ['API_ANSWER', answer(200, { accessToken: 'a', expiresIn: -5 })],
    ['API_ANSWER', answer(200, { accessToken: 'a', expiresIn: 3600, tokenType: 'MAC' })],
    ['API_ANSWER', answer(200, '{"accessToken":"a","expiresIn":36')],
    ['API_ANSWER', answer(200, { accessToken: 'x'.repeat(70_000), expiresIn: 3600 })],
    ['API_ANSWER', answer(200, { accessToken: 'a', expiresIn: 3600 }, { 'content-encoding': 'br' })]
  ] as const)('ends with %s: %j', async (code, fault) => {
    let clock = 0
    const { smt, auth } = await start({ auth: { retries: 0, now: () => clock } })
    smt.faults.next(loginPath, fault as SmtFault)
    expect(await failureOf(auth.token())).toMatchObject({ code, file: `${smt.baseUrl}/v2/token/` })
    // None of it was kept: the next one who asks gets a token, if not at once.
    clock = 300_000
    expect((await auth.token()).value).toBe(smt.tokens[0]!.value)
  })

  test('an answer with fields nobody knows is taken', async () => {
    const { smt, auth } = await start()
    const odd = { accessToken: 'a.b.c', expiresIn: ' 90 ', tokenType: 'bearer', issuedAt: 17, more: {} }
    smt.faults.next(loginPath, answer(200, odd))
    const { value, receivedAt, expiresAt } = await auth.token()
    expect([value, expiresAt - receivedAt]).toEqual(['a.b.c', 90_000])
  })

  test('a page of a gateway is named by its status and title, and no more of it is told', async () => {
    const { smt, auth } = await start({ auth: { retries: 1 } })
    smt.faults.always(loginPath, htmlPage(502))
    const error = await failureOf(auth.token())
    expect(error.message).toBe(`SMT could not answer (HTTP 502: 502 Bad Gateway): ${smt.baseUrl}/v2/token/`)
    expect(smt.requests).toHaveLength(2)
  })

  test('says where a redirect points, without what its address carries, and asks nobody there', async () => {
    await using elsewhere = await FakeSmt.start()
    const { smt, auth } = await start()
    smt.faults.next(loginPath, answer(307, '', { location: `${elsewhere.baseUrl}/v2/token/?session=abc` }))
    const { message } = await failureOf(auth.token())
    expect(message).toContain(`to ${elsewhere.baseUrl})`)
    expect(message).not.toContain('session')
    expect(elsewhere.requests).toEqual([])
  })
})

describe('the line', () => {
  test('silence before the answer hints at the allow list', async () => {
    const { smt, auth } = await start({ auth: { headersTimeoutMs: 100, retries: 1 } })
    smt.faults.always(loginPath, { kind: 'silent' })
    const error = await failureOf(auth.token())
    expect(error).toMatchObject({ code: 'API_TIMEOUT', retryable: true })
    expect(error.message).toContain('no answer within 100 ms (is the address of this machine on SMT’s allow list?)')
    expect(smt.requests).toHaveLength(2)
  })

  test('a connection that never stands hints at the allow list', async () => {
    await using smt = await FakeSmt.start({ certificate: makeCertificate() })
    const port = Number(new URL(smt.baseUrl).port)
    await using proxy = await FaultProxy.start({ port, fault: { kind: 'black-hole' } })
    const baseUrl = `https://127.0.0.1:${proxy.port}`
    await using auth = new SmtAuth({ baseUrl, ...smt.login, connectTimeoutMs: 200, retries: 0 })
    const error = await failureOf(auth.token())
    expect(error.code).toBe('API_TIMEOUT')
    expect(error.message).toContain('no connection within 200 ms (is the address of this machine on SMT’s allow list?)')
    expect(smt.requests).toEqual([])
  })

  test('I9: a call ends after its deadline, all attempts together', async () => {
    const { smt, auth } = await start({
      auth: { deadlineMs: 300, retries: 1000, retryPauseMs: 1 }
    })
    smt.faults.always(loginPath, { kind: 'reset' })
    const error = await failureOf(auth.token())
    expect(error.code).toBe('API_TIMEOUT')
    expect(error.message).toContain('no answer within 300 ms, all attempts together')
    expect(smt.requests.length).toBeGreaterThan(1)
  })

  test.each([
    [{ kind: 'reset' }, 'API_DISCONNECTED'],
    [{ kind: 'cut', afterBytes: 10 }, 'API_DISCONNECTED'],
    [{ kind: 'stall', afterBytes: 10 }, 'API_TIMEOUT']
  ] as const)('an answer that meets %j ends with %s', async (fault, code) => {
    const { smt, auth } = await start({ auth: { bodyTimeoutMs: 150, retries: 0 } })
    smt.faults.next(loginPath, fault)
    expect(await failureOf(auth.token())).toMatchObject({ code })
    expect((await auth.token()).type).toBe('Bearer')
  })

  test('a name that nobody knows is an error of the connection', async () => {
    await using auth = new SmtAuth({ baseUrl: 'https://smt.invalid', username: 'u', password: 'p', retries: 0 })
    expect(['API_CONNECT', 'API_TIMEOUT']).toContain((await failureOf(auth.token())).code)
  })

  test('what is no HTTP is told so', async () => {
    const baseUrl = await serverThatSays('220 smtp.example ESMTP\r\n')
    await using auth = new SmtAuth({ baseUrl, username: 'u', password: 'p', retries: 0 })
    const error = await failureOf(auth.token())
    expect(error.code).toBe('API_ANSWER')
    expect(error.message).toContain('the answer is no HTTP')
  })
})

describe('TLS', () => {
  const day = 86_400_000

  /** Logs in over TLS with a certificate that the client trusts, if it holds. */
  async function logIn(options: Parameters<typeof makeCertificate>[0], servername = 'localhost') {
    const certificate = makeCertificate(options)
    await using smt = await FakeSmt.start({ certificate })
    const dispatcher = new Agent({ connect: { ca: certificate.certificate, servername } })
    await using auth = new SmtAuth({ baseUrl: smt.baseUrl, ...smt.login, dispatcher, retries: 3, retryPauseMs: 1 })
    try {
      return { token: await auth.token(), requests: smt.requests.length }
    } catch (error) {
      return { error: error as ApiError, requests: smt.requests.length }
    } finally {
      await dispatcher.destroy()
    }
  }

  test('with a certificate that holds, a token comes', async () => {
    expect(await logIn({})).toMatchObject({ token: { type: 'Bearer' }, requests: 1 })
  })

  test.each([
    ['has expired', { notBefore: Date.now() - 2 * day, notAfter: Date.now() - day }, 'localhost', 'CERT_HAS_EXPIRED'],
    [
      'is not valid yet',
      { notBefore: Date.now() + day, notAfter: Date.now() + 2 * day },
      'localhost',
      'CERT_NOT_YET_VALID'
    ],
    ['is for another name', {}, 'other.example', 'ERR_TLS_CERT_ALTNAME_INVALID']
  ])('a certificate that %s is refused, and nothing is sent', async (_, options, servername, name) => {
    const { error, requests } = await logIn(options, servername)
    expect(error).toMatchObject({ code: 'API_TLS', retryable: false })
    expect(error?.message).toContain(name)
    expect(requests).toBe(0)
  })

  test('a certificate that nobody vouches for is refused', async () => {
    await using smt = await FakeSmt.start({ certificate: makeCertificate() })
    await using auth = new SmtAuth({ baseUrl: smt.baseUrl, ...smt.login })
    expect((await failureOf(auth.token())).message).toContain('DEPTH_ZERO_SELF_SIGNED_CERT')
  })
})

describe('what SMT says of a refusal', () => {
  test.each([
    [{ errorCode: '2076', errorMessage: 'API Integration is not done.' }, '2076 API Integration is not done.'],
    [{ error: 'meter of ann@example.com, ESIID 10443720009999001' }, 'meter of …@…, ESIID #################'],
    [{ statusReason: 'x'.repeat(500) }, 'x'.repeat(200)],
    [{ customer: 'Ann' }, undefined]
  ])('%j is quoted without what tells a customer', async (body, quoted) => {
    const { smt, echo } = await start()
    smt.faults.next(echoPath, answer(400, body))
    const error = await failureOf(echo())
    const said = quoted === undefined ? 'HTTP 400' : `HTTP 400: ${quoted}`
    expect(error.message).toBe(`SMT refused the call (${said}): ${smt.baseUrl}${echoPath}`)
    expect(error).toMatchObject({ code: 'API_REFUSED', body })
  })
})

test('Retry-After is understood in seconds, and as a date by the clock of who gives it', () => {
  const date = 'Tue, 15 Jul 2025 00:00:00 GMT'
  const asked = (header: unknown) => retryAfter({ 'retry-after': header as string, date })
  expect(asked('120')).toBe(120_000)
  expect(asked('0.5')).toBe(500)
  expect(asked('Tue, 15 Jul 2025 00:01:00 GMT')).toBe(60_000)
  expect(asked('Mon, 14 Jul 2025 00:00:00 GMT')).toBe(0)
  for (const other of ['soon', '-1', '', undefined, ['1', '2']]) expect(asked(other)).toBeUndefined()
  expect(retryAfter({ 'retry-after': date })).toBe(0)
})
