import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { describe, expect, onTestFinished, test } from 'vitest'
import { promptPassword } from '../../src/cli/token.ts'
import { FakeSmt, type FakeSmtOptions, htmlPage, tooManyRequests } from '../../src/testing/index.ts'
import { findReal, requireReal } from '../support/real.ts'
import { bin, folderMaker, run, smtIngest } from './support.ts'

const newFolder = folderMaker()
const password = 'correct "horse" battery'

async function start(options: FakeSmtOptions = {}) {
  const smt = await FakeSmt.start({ users: [{ username: 'INTELLIPATH', password }], ...options })
  onTestFinished(() => smt.close())
  const env = { SMT_API_BASE_URL: smt.baseUrl, SMT_USERNAME: 'INTELLIPATH', SMT_PASSWORD: password }
  return { smt, env }
}

describe('token', () => {
  test('says that SMT gave a token, of what kind, how long it lives, and not what it is', async () => {
    const { smt, env } = await start({ tokenSeconds: 1800, tokenStyle: { numbers: 'strings', dates: 'absurd' } })
    const { code, stdout, stderr } = await smtIngest(['token'], { env })
    expect([code, stderr]).toEqual([0, ''])
    const { value } = smt.tokens[0]!
    const [line, status, type, lifetime, received, ends, token] = stdout.trim().split('\n')
    expect([line, status, type, lifetime, token]).toEqual([
      `✓ SMT gave INTELLIPATH a token: ${smt.baseUrl}/v2/token/`,
      '  status    200',
      '  type      Bearer',
      '  lifetime  1800 s',
      `  token     ${value.slice(0, 6)}… (${value.length} characters; --show-token shows it)`
    ])
    const instant = (text: string | undefined) => Date.parse(/\S+Z$/.exec(text!)![0])
    expect(instant(ends) - instant(received)).toBe(1_800_000)
    expect(Math.abs(instant(received) - Date.now())).toBeLessThan(60_000)
    expect(stdout).not.toContain(value.slice(0, 10))
    expect(stdout).not.toContain(password)
  })

  test('shows the token to who asks for it', async () => {
    const { smt, env } = await start()
    const { code, stdout } = await smtIngest(['token', '--show-token'], { env })
    expect([code, stdout]).toEqual([0, expect.stringContaining(`  token     ${smt.tokens[0]!.value}\n`)])
  })

  test('says the same to programs as one JSON object', async () => {
    const { smt, env } = await start()
    const { code, stdout } = await smtIngest(['token', '--json', '--show-token'], { env })
    expect([code, JSON.parse(stdout)]).toEqual([
      0,
      {
        type: 'token',
        baseUrl: smt.baseUrl,
        username: 'INTELLIPATH',
        status: 200,
        tokenType: 'Bearer',
        lifetimeSeconds: 3600,
        receivedAt: expect.stringMatching(/Z$/),
        expiresAt: expect.stringMatching(/Z$/),
        token: smt.tokens[0]!.value
      }
    ])
    const short = await smtIngest(['token', '--json'], { env })
    expect(JSON.parse(short.stdout).token).toMatch(/^eyJhbG… \(\d+ characters/)
  })

  test('takes flags before the environment, and the password from a file without its last line end', async () => {
    const { smt } = await start()
    const file = join(newFolder(), 'password')
    writeFileSync(file, `${password}\n`)
    chmodSync(file, 0o600)
    const env = { SMT_API_BASE_URL: 'https://smt.invalid', SMT_USERNAME: 'x', SMT_PASSWORD: 'y' }
    const flags = ['--base-url', smt.baseUrl, '--user', 'INTELLIPATH', '--password-file', file]
    const { code, stderr } = await smtIngest(['token', ...flags], { env })
    expect([code, stderr]).toEqual([0, ''])
    expect(JSON.parse(smt.requests[0]!.text)).toEqual({ username: 'INTELLIPATH', password })
  })

  test('exit code 3: SMT refused user name or password, which is asked once', async () => {
    const { smt, env } = await start()
    const { code, stdout, stderr, said } = await smtIngest(['token'], { env: { ...env, SMT_PASSWORD: 'wrong-sesame' } })
    expect([code, stdout]).toEqual([3, ''])
    expect(stderr).toContain('✗ SMT refused user name or password (HTTP 401: Incorrect username or password.)')
    expect(stderr).toContain('API_CREDENTIALS  Check user name and password')
    expect(said).not.toContain('sesame')
    expect(smt.requests).toHaveLength(1)
  })

  test('exit code 4: no answer, and the message speaks of the allow list', async () => {
    const { smt, env } = await start()
    smt.faults.always('/v2/token/', { kind: 'silent' })
    const { code, stdout, stderr } = await smtIngest(['token', '--timeout', '1'], { env })
    expect([code, stdout]).toEqual([4, ''])
    expect(stderr).toContain('is the address of this machine on SMT’s allow list?')
    expect(stderr).toContain('API_TIMEOUT')
  })

  test('exit code 4: a gateway does not admit this machine', async () => {
    const { smt, env } = await start()
    smt.faults.always('/v2/token/', htmlPage(403))
    const { code, stdout } = await smtIngest(['token', '--json'], { env })
    expect([code, JSON.parse(stdout)]).toMatchObject([4, { type: 'error', code: 'API_NOT_ADMITTED' }])
  })

  test.each([
    ['API_GATEWAY', htmlPage(504)],
    ['API_RATE_LIMIT', tooManyRequests(3600)],
    ['API_ANSWER', { kind: 'answer', status: 200, body: { accessToken: 'x' } }]
  ] as const)('exit code 1: %s', async (name, fault) => {
    const { smt, env } = await start()
    smt.faults.always('/v2/token/', fault)
    const { code, stderr } = await smtIngest(['token'], { env })
    expect([code, stderr]).toEqual([1, expect.stringContaining(name)])
  })

  test('exit code 1: at Vercel SMT is not called', async () => {
    const { smt, env } = await start()
    const { code, stderr } = await smtIngest(['token'], { env: { ...env, VERCEL: '1' } })
    expect([code, stderr]).toEqual([1, expect.stringContaining('SMT is never called from Vercel')])
    expect(smt.requests).toEqual([])
  })

  test.each([
    ['no user', {}, [], 'no user name: give --user, or set SMT_USERNAME'],
    ['no password', { SMT_USERNAME: 'u' }, [], 'no password: set SMT_PASSWORD, give --password-file'],
    ['a password file that is not there', { SMT_USERNAME: 'u' }, ['--password-file', 'none'], '--password-file'],
    [
      'a base URL without TLS',
      { SMT_USERNAME: 'u', SMT_PASSWORD: 'p' },
      ['--base-url', 'http://smt.example'],
      '--base-url must begin with https://'
    ],
    ['no time at all', {}, ['--timeout', '0'], 'whole number above zero'],
    ['a password as a flag', {}, ['--password', 'open-sesame'], "unknown option '--password'"]
  ])('exit code 2: %s', async (_, env, flags, message) => {
    const { code, stdout, stderr, said } = await smtIngest(['token', ...flags], { env: env as Record<string, string> })
    expect([code, stdout]).toEqual([2, ''])
    expect(stderr).toContain(message)
    expect(said).not.toContain('sesame')
  })

  test('its help names the exit codes', async () => {
    const { code, stdout } = await smtIngest(['token', '--help'])
    expect([code, stdout]).toEqual([0, expect.stringContaining('Exit code 3: wrong user name or password.')])
  })
})

describe('the question for the password', () => {
  /** Types at a question; gives what was answered and what could be seen. */
  async function type(keys: string) {
    const [input, output] = [new PassThrough(), new PassThrough()]
    const { signal } = new AbortController()
    const answer = promptPassword('INTELLIPATH', { input, output, signal })
    input.write(keys)
    const given = await answer.catch(error => error.code)
    return { given, seen: String(output.read()) }
  }

  test('names the user, and does not show what is typed', async () => {
    const { given, seen } = await type(`${password}\r`)
    expect(given).toBe(password)
    expect(seen).toContain('Password of INTELLIPATH')
    expect(seen).not.toContain('horse')
  })

  test('is answered by nothing when it is left', async () => {
    expect((await type('horse\u0003')).given).toBe('ABORTED')
  })

  test.skipIf(process.platform !== 'linux' || !requireReal('script'))(
    'stands at a terminal, apart from the result',
    async () => {
      const { smt, env } = await start()
      const { SMT_PASSWORD: _, ...others } = env
      const folder = newFolder()
      writeFileSync(join(folder, 'typed'), `${password}\r`)
      const command = `stty cols 100; ${process.execPath} ${bin} token --json > result`
      // Typed once the question stands; the terminal stays until there is a result.
      const wait = (sign: string) => `for i in $(seq 300); do ${sign} && break; sleep 0.1; done`
      const typing = `${wait('grep -qs Password seen')}; cat typed; ${wait('test -s result')}`
      const shell = `(${typing}) | ${findReal('script')} -qefc '${command}' seen`
      const { code, stdout } = await run('/bin/sh', ['-c', shell], { env: { ...others, TERM: 'xterm' }, cwd: folder })
      expect(code).toBe(0)
      expect(stdout).toContain('Password of INTELLIPATH')
      expect(stdout).not.toContain('horse')
      expect(JSON.parse(readFileSync(join(folder, 'result'), 'utf8'))).toMatchObject({ type: 'token', status: 200 })
      expect(JSON.parse(smt.requests[0]!.text)).toEqual({ username: 'INTELLIPATH', password })
    }
  )
})
