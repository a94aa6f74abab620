import net from 'node:net'
import { inspect } from 'node:util'
import { Agent, request } from 'undici'
import { describe, expect, onTestFinished, test } from 'vitest'
import { SmtAuth } from '../../src/index.ts'
import { htmlPage, type SmtFault } from '../../src/testing/index.ts'
import { failureOf } from '../support/failure.ts'
import { echoPath, loginPath, start } from './support.ts'

// A quote and a backslash: as JSON the password reads otherwise than it is.
const password = 'MARKER-"pass\\word'
const written = JSON.stringify(password).slice(1, -1)
const token = 'MARKER-token.abc.def'
const marker = /MARKER/

/** Everything that could be printed of a value, its causes and hidden properties included. */
function printed(value: unknown): string {
  const options = { depth: 50, showHidden: true, getters: true, maxStringLength: null, maxArrayLength: null } as const
  const texts = [inspect(value), inspect(value, options), JSON.stringify(value), String(value)]
  for (let e = value; e instanceof Error; e = e.cause) texts.push(e.message, e.stack ?? '', JSON.stringify(e))
  return texts.join('\n')
}

/** A server that answers a login, and every call after it with these bytes. */
async function serverThatSays(text: string): Promise<string> {
  const server = net.createServer(socket => {
    socket.on('error', () => {})
    socket.on('data', data => {
      const json = JSON.stringify({ accessToken: token, expiresIn: 3600 })
      const login = `HTTP/1.1 200 OK\r\ncontent-length: ${json.length}\r\n\r\n${json}`
      if (data.includes(`POST ${loginPath}`)) socket.write(text.includes('login') ? text : login)
      else socket.end(text)
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  return `http://127.0.0.1:${(server.address() as net.AddressInfo).port}`
}

describe('I11', () => {
  test('neither SmtAuth nor a token shows what is secret in it', async () => {
    const { smt, auth } = await start({ smt: { users: [{ username: 'u', password }] } })
    smt.faults.next(loginPath, { kind: 'answer', status: 200, body: { accessToken: token, expiresIn: 3600 } })
    const given = await auth.token()
    expect(given.value).toBe(token)
    for (const value of [auth, given, { auth, given }, [auth.interceptor()]]) {
      expect(printed(value)).not.toMatch(marker)
      expect(printed({ ...(value as object) })).not.toMatch(marker)
    }
    expect(inspect(given)).toContain('expiresAt')
  })

  const echoing = (status: number): SmtFault => ({
    kind: 'answer',
    status,
    body: { error: `${password} is not the password`, statusReason: token, accessToken: token, password }
  })
  const faults: [string, SmtFault][] = [
    ['a refusal that repeats it', echoing(401)],
    ['a bad request that repeats it', echoing(400)],
    ['a server error that repeats it', echoing(500)],
    [
      'a refusal below a status of success',
      { ...echoing(200), body: { statusCode: '401', error: password } } as SmtFault
    ],
    [
      'a refusal that writes it otherwise',
      { ...echoing(400), body: `{"error":"${written.replaceAll('M', '\\u004d')}","list":["${written}"]}` } as SmtFault
    ],
    [
      'a web page that repeats it',
      { ...htmlPage(), body: `<title>${password} ${written} ${token}</title>` } as SmtFault
    ],
    ['JSON that is cut in the middle of it', { kind: 'answer', status: 200, body: `{"accessToken":"${token}` }],
    ['text', { kind: 'answer', status: 200, body: `${password} ${written} ${token}` }],
    ['another type', { kind: 'answer', status: 200, body: { accessToken: [token], expiresIn: 3600, password } }],
    ['a redirect', { kind: 'answer', status: 302, headers: { location: `https://x.example/?t=${token}` } }],
    ['a reset', { kind: 'reset' }],
    ['a cut', { kind: 'cut', afterBytes: 10 }],
    ['silence', { kind: 'silent' }]
  ]

  test.each(faults)('a login that meets %s ends with an error that shows no secret', async (_, fault) => {
    const { smt, auth } = await start({
      smt: { users: [{ username: 'u', password }] },
      auth: { headersTimeoutMs: 50, retries: 1 }
    })
    smt.faults.always(loginPath, fault)
    const error = await failureOf(auth.token())
    // The answer itself may be looked at by whoever asks for it; the password is not in it even there.
    const text = printed(error) + JSON.stringify((error as { body?: unknown }).body ?? '')
    expect(text).not.toContain(password)
    expect(text).not.toContain(written)
    expect(printed(error)).not.toContain('MARKER-"')
    expect(printed(error).replaceAll(token, '')).not.toMatch(marker)
  })

  const fine = ['another type', 'a refusal below a status of success']
  const failing = faults.filter(([name]) => !fine.includes(name))
  test.each(failing)('a call that meets %s ends with an error that does not show its token', async (_, fault) => {
    const { smt, echo } = await start({ auth: { headersTimeoutMs: 50, retries: 1 } })
    smt.faults.always(loginPath, { kind: 'answer', status: 200, body: { accessToken: token, expiresIn: 3600 } })
    smt.faults.always(echoPath, fault)
    const error = await failureOf(echo({ retry: 'safe' }))
    const text = printed(error) + JSON.stringify((error as { body?: unknown }).body ?? '')
    expect(text).not.toContain(token)
  })

  test.each([
    ['a call', `garbage ${token}\r\n`],
    ['a login', `login garbage ${token}\r\n`],
    ['a call', `HTTP/1.1 200 OK\r\nx-${token}\u0000: 1\r\n\r\n`]
  ])('%s that meets what is no HTTP ends with an error that shows none of it', async (_, text) => {
    await using auth = new SmtAuth({ baseUrl: await serverThatSays(text), username: 'u', password, retries: 0 })
    const error = await failureOf(auth.request(echoPath, {}))
    expect(error.code).toBe('API_ANSWER')
    expect(printed(error)).not.toMatch(marker)
  })

  test('an error of a client that uses the interceptor shows no token', async () => {
    const { smt, auth } = await start()
    smt.faults.always(loginPath, { kind: 'answer', status: 200, body: { accessToken: token, expiresIn: 3600 } })
    smt.faults.always(echoPath, { kind: 'reset' })
    const agent = new Agent()
    onTestFinished(() => agent.destroy())
    const dispatcher = agent.compose(auth.interceptor())
    const error = await request(smt.baseUrl + echoPath, { dispatcher }).catch(cause => cause)
    expect(error).toBeInstanceOf(Error)
    expect(printed(error)).not.toMatch(marker)
  })

  test('an option that is refused is named, and its value is not', () => {
    const make = () =>
      new SmtAuth({ username: 'u', password: password as never, token, baseUrl: `http://${token}` } as never)
    let error: unknown
    try {
      make()
    } catch (thrown) {
      error = thrown
    }
    expect(error).toBeInstanceOf(Error)
    expect(printed(error)).not.toMatch(marker)
  })
})
