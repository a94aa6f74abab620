import { describe, expect, test, vi } from 'vitest'
import { ConfigError, SmtAuth } from '../../src/index.ts'
import { FakeSmt, htmlPage, tooManyRequests, unavailable } from '../../src/testing/index.ts'
import { failureOf } from '../support/failure.ts'
import { echoPath, loginPath, start, until } from './support.ts'

const times = <T>(count: number, work: () => T) => Array.from({ length: count }, work)

describe('a token', () => {
  test('a thousand who ask at the same time make one request', async () => {
    const { smt, auth } = await start()
    const tokens = await Promise.all(times(1000, () => auth.token()))
    expect(new Set(tokens.map(({ value }) => value))).toEqual(new Set([smt.tokens[0]!.value]))
    expect(smt.requests).toHaveLength(1)
  })

  test('is asked for with user name and password as JSON, and nothing else', async () => {
    const { smt, auth } = await start()
    await auth.token()
    const [{ method, path, headers, text }] = smt.requests as [(typeof smt.requests)[0]]
    expect([method, path, headers['content-type']]).toEqual(['POST', loginPath, 'application/json'])
    expect(JSON.parse(text)).toEqual(smt.login)
    expect(headers.authorization).toBeUndefined()
  })

  test('is kept until a minute before its end, and then renewed', async () => {
    let clock = 0
    const { smt, auth } = await start({ auth: { now: () => clock } })
    const { receivedAt, expiresAt, type } = await auth.token()
    expect([receivedAt, expiresAt, type]).toEqual([0, 3_600_000, 'Bearer'])
    clock = 3_539_999
    await auth.token()
    expect(smt.requests).toHaveLength(1)
    clock = 3_540_000
    await Promise.all(times(20, () => auth.token()))
    expect(smt.requests).toHaveLength(2)
  })

  test('that lives for less than two minutes is renewed when half of its life is over', async () => {
    let clock = 0
    const { smt, auth } = await start({ smt: { tokenSeconds: 40 }, auth: { now: () => clock } })
    await auth.token()
    clock = 19_999
    await auth.token()
    expect(smt.requests).toHaveLength(1)
    clock = 20_000
    await auth.token()
    expect(smt.requests).toHaveLength(2)
  })

  test.each([
    ['numbers', 'us'],
    ['numbers', 'none'],
    ['strings', 'iso'],
    ['strings', 'absurd']
  ] as const)(
    'is the same whether SMT writes %s, and dates as %s: only its lifetime counts',
    async (numbers, dates) => {
      const { auth } = await start({ smt: { tokenStyle: { numbers, dates } }, auth: { now: () => 1_000 } })
      expect(await auth.token()).toMatchObject({ receivedAt: 1_000, expiresAt: 3_601_000 })
    }
  )

  test.each([-5, 5])('lives as long when the clock of SMT is %i hours off', async hours => {
    const { smt, auth, echo } = await start({ smt: { now: () => Date.now() + hours * 3_600_000 } })
    await Promise.all(times(10, () => auth.token()))
    await echo()
    expect(smt.count(loginPath)).toBe(1)
  })

  test('is asked for anew by the next who ask when the login failed', async () => {
    const { smt, auth } = await start({ auth: { retries: 0 } })
    smt.faults.next(loginPath, { kind: 'reset' })
    const failures = await Promise.all(times(10, () => failureOf(auth.token())))
    expect(new Set(failures.map(({ code }) => code))).toEqual(new Set(['API_DISCONNECTED']))
    expect(smt.requests).toHaveLength(1)
    await auth.token()
    expect(smt.requests).toHaveLength(2)
  })

  test('is not asked for again with a password that was refused, for five minutes', async () => {
    let clock = 0
    let password = 'wrong'
    const { smt, auth } = await start({ auth: { password: () => password, now: () => clock } })
    const logIn = () => failureOf(auth.token())
    const [first, ...others] = [await logIn(), await logIn(), await logIn()]
    expect(others.map(({ code }) => code)).toEqual([first.code, 'API_CREDENTIALS'])
    expect(smt.requests).toHaveLength(1)
    clock = 299_999
    await logIn()
    expect(smt.requests).toHaveLength(1)
    password = 'also wrong'
    await logIn()
    expect(smt.requests).toHaveLength(2)
    clock = 599_999
    await logIn()
    expect(smt.requests).toHaveLength(3)
    password = smt.login.password
    expect((await auth.token()).value).toBe(smt.tokens[0]!.value)
  })

  test('is asked for with the password of the moment, when a function gives it', async () => {
    const words = ['old', 'new']
    const { auth } = await start({
      smt: { users: [{ username: 'u', password: 'new' }] },
      auth: { password: async () => Buffer.from(words.shift()!) }
    })
    expect(await failureOf(auth.token())).toMatchObject({ code: 'API_CREDENTIALS' })
    expect((await auth.token()).type).toBe('Bearer')
  })
})

describe('a call', () => {
  test('brings the token, and gives the JSON of the answer', async () => {
    const { echo, body } = await start()
    expect(await echo()).toEqual({ status: 200, body: { username: 'INTELLIPATH', said: body } })
  })

  test('keeps every digit of a number that is longer than numbers are', async () => {
    const { smt, echo } = await start()
    const text =
      '{"esiid":1044372000999900112233,"list":[ 10443720009999001],"text":"\\" 10443720009999001","kwh":0.1234567890123456789}'
    smt.faults.next(echoPath, { kind: 'answer', status: 200, body: text })
    const { body } = await echo()
    expect(body).toEqual({
      esiid: '1044372000999900112233',
      list: ['10443720009999001'],
      text: '" 10443720009999001',
      kwh: 0.12345678901234568
    })
  })

  test('a token that ends in mid-run is renewed once, however many calls are under way', async () => {
    let clock = 0
    const now = () => clock
    const { smt, echo } = await start({ smt: { now }, auth: { now, renewBeforeMs: 0 } })
    await Promise.all(times(50, () => echo()))
    clock = 3_600_001
    const answers = await Promise.all(times(50, () => echo()))
    expect(answers.every(({ status }) => status === 200)).toBe(true)
    expect(smt.count(loginPath)).toBe(2)
  })

  test('a burst of 401 renews the token once', async () => {
    const { smt, echo } = await start()
    await echo()
    smt.expireTokens()
    const answers = await Promise.all(times(50, () => echo()))
    expect(answers.every(({ status }) => status === 200)).toBe(true)
    expect(smt.count(loginPath)).toBe(2)
  })

  test('a 401 about an older token leaves the newer one alone', async () => {
    const { smt, auth, echo } = await start()
    const { value: old } = await auth.token()
    smt.expireTokens()
    smt.faults.next(echoPath, { kind: 'slow', ms: 300 })
    const late = echo()
    await until(() => smt.count(echoPath) === 1)
    await echo()
    const newer = await auth.token()
    await late
    expect(newer.value).not.toBe(old)
    expect(await auth.token()).toBe(newer)
    expect(smt.count(loginPath)).toBe(2)
  })

  test('is sent once more after a 401, and no third time', async () => {
    const { smt, echo } = await start()
    smt.faults.always(echoPath, { kind: 'answer', status: 401, body: { error: 'Authorization failure.' } })
    const error = await failureOf(echo({ retry: 'safe' }))
    expect(error).toMatchObject({ code: 'API_UNAUTHORIZED', status: 401, body: { error: 'Authorization failure.' } })
    expect([smt.count(echoPath), smt.count(loginPath)]).toEqual([2, 2])
  })

  test('that names another identity than the token is not tried with a new token', async () => {
    const { smt, auth } = await start()
    const error = await failureOf(auth.request(echoPath, { requestorID: 'SOMEBODY' }))
    expect(error.code).toBe('API_UNAUTHORIZED')
    expect(error.message).toContain('Username/ServiceID Mismatch')
    expect([smt.count(echoPath), smt.count(loginPath)]).toEqual([1, 1])
  })

  test.each([
    ['a reset', { kind: 'reset' }],
    ['status 500', { kind: 'answer', status: 500, body: { error: 'Something went wrong. Please try again later.' } }],
    ['a web page', htmlPage(200)],
    ['status 429', tooManyRequests()]
  ] as const)('that is safe is made again after %s; one that is not, is not', async (_, fault) => {
    const { smt, echo } = await start()
    smt.faults.next(echoPath, fault, fault)
    expect(await echo({ retry: 'safe' })).toMatchObject({ status: 200 })
    expect(smt.count(echoPath)).toBe(3)
    smt.faults.next(echoPath, fault)
    await failureOf(echo())
    expect(smt.count(echoPath)).toBe(4)
  })

  test('is made again as often as it may be, and each time once: there is one layer that repeats', async () => {
    const { smt, echo } = await start({ auth: { retries: 2 } })
    smt.faults.always(loginPath, htmlPage())
    expect(await failureOf(echo({ retry: 'safe' }))).toMatchObject({ code: 'API_GATEWAY' })
    expect(smt.count(loginPath)).toBe(3)
    smt.faults.clear()
    smt.faults.always(echoPath, htmlPage())
    expect(await failureOf(echo({ retry: 'safe' }))).toMatchObject({ code: 'API_GATEWAY', status: 502 })
    expect(smt.count(echoPath)).toBe(3)
  })

  test('waits as long as Retry-After asks for', async () => {
    const { smt, echo } = await start()
    await echo()
    smt.faults.next(echoPath, unavailable(1))
    const since = performance.now()
    await echo({ retry: 'safe' })
    expect(performance.now() - since).toBeGreaterThanOrEqual(999)
  })

  test('fails at once when Retry-After asks for more than it may, and says how long', async () => {
    const { smt, echo } = await start()
    smt.faults.next(echoPath, tooManyRequests(3600))
    const error = await failureOf(echo({ retry: 'safe' }))
    expect(error).toMatchObject({ code: 'API_RATE_LIMIT', status: 429, retryAfterMs: 3_600_000 })
    expect(smt.count(echoPath)).toBe(1)
  })

  test('that may not be made twice is made again only when nobody listened', async () => {
    const gone = await FakeSmt.start()
    const { baseUrl } = gone
    await gone.close()
    const auth = new SmtAuth({ baseUrl, username: 'u', password: 'p', retries: 1, retryPauseMs: 5 })
    const error = await failureOf(auth.request(echoPath, {}))
    expect([error.code, (error.cause as { code?: string }).code]).toEqual(['API_CONNECT', 'ECONNREFUSED'])
    await auth.close()
  })

  test('has the headers of its caller, but neither another Authorization nor another kind of content', async () => {
    const { smt, auth, body } = await start()
    const headers = { username: 'u', serviceId: 's', Authorization: 'Basic x', 'Content-Type': 'text/plain' }
    await auth.request(echoPath, body, { headers })
    expect(smt.requests.at(-1)!.headers).toMatchObject({
      username: 'u',
      serviceid: 's',
      authorization: `Bearer ${smt.tokens[0]!.value}`,
      'content-type': 'application/json'
    })
  })

  test.each([
    'v2/echo/',
    '//evil.example/v2/echo/',
    '/\\evil.example/',
    '/v2/../oauth/x/',
    'https://evil.example/',
    '/v2/echo/?x=1',
    '/v2/%2e%2e/',
    '@evil.example/',
    '/oauth/token',
    '/v2/token/',
    '/v2/access/token/'
  ])('to %s is refused before anything is sent', async path => {
    const { smt, auth } = await start()
    await expect(auth.request(path, {})).rejects.toBeInstanceOf(ConfigError)
    await expect(auth.stream(path, {}).next()).rejects.toBeInstanceOf(ConfigError)
    expect(smt.requests).toEqual([])
  })

  test('goes below the path that the base URL has', async () => {
    const { smt } = await start()
    await using auth = new SmtAuth({ baseUrl: `${smt.baseUrl}/proxy/`, ...smt.login })
    expect(auth.baseUrl).toBe(`${smt.baseUrl}/proxy`)
    await failureOf(auth.token())
    expect(smt.requests.map(({ path }) => path)).toEqual(['/proxy/v2/token/'])
  })
})

describe('a stream', () => {
  const lines = Array.from({ length: 5_000 }, (_, i) => `{"n":${i},"text":"${'x'.repeat(100)}"}\n`)
  const streamPath = '/v2/long/'
  async function startStream(auth = {}) {
    const all = await start({ auth })
    all.smt.endpoints.set(streamPath, {
      answer: () => ({
        body: (async function* () {
          yield* lines
        })()
      })
    })
    const read = async (options = {}) => {
      const chunks: Uint8Array[] = []
      for await (const chunk of all.auth.stream(streamPath, all.body, options)) chunks.push(chunk)
      return Buffer.concat(chunks).toString()
    }
    return { ...all, read }
  }

  test('gives the bytes of the answer as they come, more than an answer may have that is read whole', async () => {
    const { auth, body, read } = await startStream({ maxAnswerBytes: 1000 })
    expect(await read()).toBe(lines.join(''))
    expect(await failureOf(auth.request(streamPath, body))).toMatchObject({ code: 'API_ANSWER' })
  })

  test('ends the call when its reader leaves the loop', async () => {
    const { smt, auth, body } = await startStream()
    smt.faults.next(streamPath, { kind: 'stall', afterBytes: 1000 })
    for await (const _ of auth.stream(streamPath, body)) break
    await until(() => smt.open === 0)
    expect(smt.count(streamPath)).toBe(1)
  })

  test('is begun anew while nothing of it has come, and not after', async () => {
    const { smt, read } = await startStream()
    smt.faults.next(streamPath, htmlPage(), htmlPage(200), { kind: 'reset' })
    expect(await read({ retry: 'safe' })).toBe(lines.join(''))
    smt.requests.splice(0)
    smt.faults.next(streamPath, { kind: 'cut', afterBytes: 1000 })
    expect(await failureOf(read({ retry: 'safe' }))).toMatchObject({ code: 'API_DISCONNECTED' })
    expect(smt.count(streamPath)).toBe(1)
  })

  test('renews a token that SMT does not take any more', async () => {
    const { smt, auth, read } = await startStream()
    await auth.token()
    smt.expireTokens()
    expect(await read()).toBe(lines.join(''))
    expect(smt.count(loginPath)).toBe(2)
  })

  test('I9: ends when nothing comes any more, and when too little comes', async () => {
    const { smt, read } = await startStream({ bodyTimeoutMs: 200, minBytesPerSecond: 1000 })
    smt.faults.next(streamPath, { kind: 'stall', afterBytes: 1000 })
    expect(await failureOf(read())).toMatchObject({ code: 'API_TIMEOUT' })
    smt.faults.next(streamPath, { kind: 'drip', everyMs: 20 })
    const error = await failureOf(read())
    expect(error).toMatchObject({ code: 'API_TIMEOUT' })
    expect(error.message).toContain('slower than 1000 bytes a second')
  })

  test('does not hold it against SMT that its reader is slow', async () => {
    const { auth, body } = await startStream({ bodyTimeoutMs: 200, minBytesPerSecond: 1_000_000 })
    let text = ''
    for await (const chunk of auth.stream(streamPath, body)) {
      text += Buffer.from(chunk)
      if (text.length < 200_000) await new Promise(resolve => setTimeout(resolve, 100))
    }
    expect(text).toBe(lines.join(''))
  })
})

test('blank bytes before JSON are no web page, and an answer of nothing else is not JSON', async () => {
  const { smt, auth, body } = await start()
  const read = async () => {
    let text = ''
    for await (const chunk of auth.stream(echoPath, body)) text += Buffer.from(chunk)
    return text
  }
  const bytes = (...parts: string[]) =>
    smt.endpoints.set(echoPath, {
      answer: () => ({
        body: (async function* () {
          for (const part of parts) {
            yield part
            await new Promise(resolve => setTimeout(resolve, 20))
          }
        })()
      })
    })
  bytes(' ', '\r\n', ' {"a":1}')
  expect(await read()).toBe(' \r\n {"a":1}')
  for (const parts of [[], ['  ', '\n'], Array(50).fill(' '.repeat(100))]) {
    bytes(...parts)
    expect(await failureOf(read())).toMatchObject({ code: 'API_ANSWER' })
  }
  bytes('  ', '<html>')
  expect(await failureOf(read())).toMatchObject({ code: 'API_GATEWAY' })
})

describe('an end from outside', () => {
  test('a caller who leaves does not take the login away from others', async () => {
    const { smt, auth } = await start()
    smt.faults.next(loginPath, { kind: 'slow', ms: 200 })
    const leaver = new AbortController()
    const left = failureOf(auth.token({ signal: leaver.signal }))
    const stays = auth.token()
    await until(() => smt.requests.length === 1)
    leaver.abort()
    expect((await left).code).toBe('ABORTED')
    expect((await stays).value).toBe(smt.tokens[0]!.value)
    expect(smt.requests).toHaveLength(1)
  })

  test('the login ends when the last who waited for it has left', async () => {
    const { smt, auth } = await start()
    smt.faults.next(loginPath, { kind: 'silent' })
    const leavers = times(3, () => new AbortController())
    const left = leavers.map(({ signal }) => failureOf(auth.token({ signal })))
    await until(() => smt.requests.length === 1)
    for (const leaver of leavers) leaver.abort()
    for (const error of await Promise.all(left)) expect(error.code).toBe('ABORTED')
    await until(() => smt.open === 0)
    expect((await auth.token()).value).toBe(smt.tokens[0]!.value)
  })

  test.each([
    ['during the login', loginPath, { kind: 'silent' }],
    ['during the call', echoPath, { kind: 'silent' }],
    ['in the middle of the answer', echoPath, { kind: 'stall', afterBytes: 5 }],
    ['while Retry-After is waited for', echoPath, tooManyRequests(30)]
  ] as const)('a signal ends a call %s, and a closed SmtAuth does, too', async (_, path, fault) => {
    const { smt, auth, echo } = await start()
    for (const end of ['signal', 'close'] as const) {
      smt.faults.next(path, fault)
      const before = smt.count(path)
      const stop = new AbortController()
      const ended = failureOf(echo({ retry: 'safe', signal: stop.signal }))
      await until(() => smt.count(path) > before)
      await new Promise(resolve => setTimeout(resolve, 30))
      if (end === 'signal') stop.abort()
      else await auth.close()
      expect((await ended).code).toBe('ABORTED')
    }
    expect((await failureOf(auth.token())).code).toBe('ABORTED')
    await until(() => smt.open === 0)
  })

  test('many calls under one signal warn nobody', async () => {
    const { echo } = await start()
    const warned = vi.fn()
    process.on('warning', warned)
    const { signal } = new AbortController()
    await Promise.all(times(50, () => echo({ signal })))
    await new Promise(resolve => setImmediate(resolve))
    process.off('warning', warned)
    expect(warned).not.toHaveBeenCalled()
  })
})

describe('I12', () => {
  test.each([
    ['VERCEL', '1'],
    ['VERCEL_ENV', 'production'],
    ['NOW_REGION', 'iad1']
  ])(
    'at Vercel (%s=%s) SMT is not called: constructing passes, the first call of each kind does not',
    async (name, value) => {
      vi.stubEnv(name, value)
      try {
        const { smt, auth, body, echo } = await start()
        for (const work of [auth.token(), echo(), auth.stream(echoPath, body).next()]) {
          expect(await failureOf(work)).toMatchObject({ code: 'API_WRONG_PLACE', retryable: false })
        }
        expect(smt.requests).toEqual([])
      } finally {
        vi.unstubAllEnvs()
      }
    }
  )

  test('the address of a deployment is no sign of Vercel', async () => {
    vi.stubEnv('VERCEL_URL', 'app.example')
    try {
      const { auth } = await start()
      expect((await auth.token()).type).toBe('Bearer')
    } finally {
      vi.unstubAllEnvs()
    }
  })

  test('in a browser SMT is not called', async () => {
    vi.stubGlobal('window', {})
    vi.stubGlobal('document', {})
    try {
      const { auth } = await start()
      const error = await failureOf(auth.token())
      expect([error.code, error.message]).toEqual([
        'API_WRONG_PLACE',
        `SMT is never called from a browser: ${auth.baseUrl}/v2/token/`
      ])
    } finally {
      vi.unstubAllGlobals()
    }
  })
})

describe('options', () => {
  const login = { username: 'u', password: 'p' }

  test('have SMT’s address and the user name as what is not given', async () => {
    await using auth = new SmtAuth(login)
    expect([auth.baseUrl, auth.username, auth.serviceId]).toEqual(['https://services.smartmetertexas.net', 'u', 'u'])
  })

  test.each([
    ['http://services.smartmetertexas.net', 'must begin with https://'],
    ['http://127.0.0.1.evil.example', 'must begin with https://'],
    ['ftp://services.smartmetertexas.net', 'must begin with https://'],
    ['https://u:secret@services.smartmetertexas.net', 'must not hold a user name or password'],
    ['https://services.smartmetertexas.net/?a=b', 'must not have a query'],
    ['services.smartmetertexas.net', 'must be a URL']
  ])('I10: the base URL %s is refused', (baseUrl, why) => {
    expect(() => new SmtAuth({ ...login, baseUrl })).toThrow(why)
    expect(() => new SmtAuth({ ...login, baseUrl })).toThrow(ConfigError)
  })

  test.each([
    [{ username: '' }, 'username'],
    [{ password: undefined }, 'password'],
    [{ retries: -1 }, 'retries'],
    [{ headersTimeoutMs: 0 }, 'headersTimeoutMs'],
    [{ dispatcher: {} }, 'dispatcher'],
    [{ clientSecret: 'x' }, 'clientSecret']
  ])('%j: the option is named', (options, name) => {
    expect(() => new SmtAuth({ ...login, ...options } as never)).toThrow(`SmtAuth option \`${name}\``)
  })
})
