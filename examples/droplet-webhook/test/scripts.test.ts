import { execFile } from 'node:child_process'
import { readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { FakeSmt } from '@intelliwatt/smt-ingest/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { scratchFolder, surroundings } from './support.ts'

const bin = fileURLToPath(new URL('../bin', import.meta.url))

/** Runs a script as somebody does who has nothing set, by the link that stands where the old script stood. */
function run(name: string, args: readonly string[], settings: Record<string, string>, end?: RegExp) {
  const folder = scratchFolder()
  symlinkSync(join(bin, name), join(folder, name))
  const file = join(folder, 'intelliwatt-smt')
  const lines = Object.entries(settings).map(([key, value]) => `${key}=${value}`)
  writeFileSync(file, ['# SMT settings', ...lines, ''].join('\n'))
  const env = { PATH: `${dirname(process.execPath)}:${process.env.PATH}`, HOME: folder, SMT_ENV_FILE: file }
  return new Promise<{ code: number | string | null; said: string }>(resolve => {
    let said = ''
    const child = execFile(join(folder, name), args, { env, timeout: 25_000 }, error => {
      resolve({ code: error ? (error.code ?? null) : 0, said })
    })
    for (const stream of [child.stdout!, child.stderr!]) {
      stream.on('data', text => {
        said += text
        // The very process that was started: the script has given way to it. Once: a second one ends it at once.
        if (!child.killed && end?.test(said)) child.kill('SIGTERM')
      })
    }
  })
}

describe('the scripts at the old names', () => {
  test('have two lines each', () => {
    const names = readdirSync(bin)
    expect(names).toEqual(['fetch_and_post.sh', 'run_webhook.sh', 'smt_token_test.sh'])
    for (const name of names) expect(readFileSync(join(bin, name), 'utf8').trim().split('\n')).toHaveLength(2)
  })

  test('fetch_and_post.sh takes every new file once', async () => {
    const { env, deliver } = await surroundings()
    await deliver(1)
    const first = await run('fetch_and_post.sh', [], env)
    expect(first).toEqual({ code: 0, said: expect.stringContaining('1 committed; 96 intervals taken') })
    const second = await run('fetch_and_post.sh', ['--json'], env)
    expect(second.code).toBe(0)
    expect(JSON.parse(second.said.trim().split('\n').at(-1)!)).toMatchObject({ type: 'summary', known: 1 })
  })

  test('run_webhook.sh is the daemon, and ends in order', async () => {
    const { env } = await surroundings()
    const { code, said } = await run('run_webhook.sh', [], env, /listening at/)
    expect([code, said]).toEqual([0, expect.stringContaining('"msg":"ended"')])
  })

  test('smt_token_test.sh asks for a token and does not show it', async () => {
    const smt = await FakeSmt.start()
    onTestFinished(() => smt.close())
    const { username, password } = smt.login
    const settings = { SMT_API_BASE_URL: smt.baseUrl, SMT_USERNAME: username, SMT_PASSWORD: `'${password}'` }
    const { code, said } = await run('smt_token_test.sh', [], settings)
    expect([code, smt.count('/v2/token/')]).toEqual([0, 1])
    expect(said).toContain('Bearer')
    expect(said).not.toContain(smt.tokens[0]!.value)
  })
})
