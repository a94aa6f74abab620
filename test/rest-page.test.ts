import { execFile } from 'node:child_process'
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { describe, expect, onTestFinished, test } from 'vitest'
import { ApiError, errorCodes } from '../src/errors.ts'
import { FakeSmt } from '../src/testing/index.ts'
import { scratchFolder } from './support/scratch.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const page = readFileSync(join(root, 'docs/rest.md'), 'utf8')
const blocks = (language: string) =>
  [...page.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].filter(([, name]) => name === language).map(([, , code]) => code!)
const section = (heading: string) => page.split(`\n## ${heading}\n`)[1]!.split('\n## ')[0]!
const rowsOf = (heading: string) =>
  [...section(heading).matchAll(/^\| (.*) \|$/gm)]
    .map(([, line]) => line!.split(' | ').map(cell => cell.trim()))
    .slice(2)

const login = { username: 'INTELLIPATH', password: 'pass' }

/** An SMT, and a folder in which the built package is installed, with what a server's environment says of it. */
async function project() {
  const folder = scratchFolder()
  mkdirSync(join(folder, 'node_modules/@intelliwatt'), { recursive: true })
  symlinkSync(root, join(folder, 'node_modules/@intelliwatt/smt-ingest'), 'junction')
  symlinkSync(join(root, 'node_modules/undici'), join(folder, 'node_modules/undici'), 'junction')
  const smt = await FakeSmt.start({ users: [login] })
  onTestFinished(() => smt.close())
  for (const path of ['/v2/reportrequeststatus/', '/v2/myagreements/', '/v2/15minintervalreads/']) {
    smt.endpoints.set(path, { answer: ({ body }) => ({ body: { path, asked: body.requestorID } }) })
  }
  const env = { SMT_API_BASE_URL: smt.baseUrl, SMT_USERNAME: login.username, SMT_PASSWORD: login.password }
  return { folder, smt, env }
}

/** Runs a program of Node's; the exit code is null when it does not end by itself. */
function runNode(cwd: string, args: readonly string[], env: NodeJS.ProcessEnv) {
  return new Promise<{ exitCode: number | null; stdout: string; stderr: string }>(resolve => {
    const options = { cwd, env: { HOME: cwd, ...env }, timeout: 20_000, killSignal: 'SIGKILL' } as const
    const child = execFile(process.execPath, args, options, (_, stdout, stderr) => {
      resolve({ exitCode: child.exitCode, stdout, stderr })
    })
  })
}

async function runBlock(code: string) {
  const at = await project()
  const compilerOptions = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ES2022 }
  writeFileSync(join(at.folder, 'block.mjs'), ts.transpileModule(code, { compilerOptions }).outputText)
  return { ...at, ...(await runNode(at.folder, ['block.mjs'], at.env)) }
}

describe('docs/rest.md', () => {
  const [calling = '', streaming = '', intercepting = '', faking = ''] = blocks('ts')

  test('has code that logs in and calls, and ends by itself', async () => {
    const { exitCode, stdout, stderr, smt } = await runBlock(calling)
    expect([exitCode, stderr]).toEqual([0, ''])
    expect(stdout).toBe("a Bearer token for 3600 s\n200 { path: '/v2/reportrequeststatus/', asked: 'INTELLIPATH' }\n")
    expect(smt.requests).toHaveLength(2)
  })

  test('has code that streams an answer into a file', async () => {
    const { exitCode, stderr, folder } = await runBlock(streaming)
    expect([exitCode, stderr]).toEqual([0, ''])
    const reads = JSON.parse(readFileSync(join(folder, 'reads.json'), 'utf8'))
    expect(reads).toEqual({ path: '/v2/15minintervalreads/', asked: 'INTELLIPATH' })
  })

  test('has code that gives the token to a client of the user’s', async () => {
    const { exitCode, stdout, stderr } = await runBlock(intercepting)
    expect([exitCode, stderr]).toEqual([0, ''])
    expect(stdout).toBe("200 { path: '/v2/myagreements/', asked: 'INTELLIPATH' }\n")
  })

  test('has code that needs no SMT', async () => {
    const { exitCode, stdout, stderr } = await runBlock(faking)
    expect([exitCode, stderr]).toEqual([0, ''])
    expect(stdout).toBe("{ hello: 'INTELLIPATH', you: 'hello' }\n[ '/v2/token/', '/v2/hello/', '/v2/hello/' ]\n")
  })

  test.each(blocks('sh').flatMap(block => block.trim().split('\n')))('has a command that works: %s', async command => {
    const { folder, smt, env } = await project()
    writeFileSync(join(folder, 'smt-password'), `${login.password}\n`)
    const args = command.replace('https://services.smartmetertexas.net', smt.baseUrl).split(' ').slice(1)
    const { exitCode, stdout, stderr } = await runNode(folder, [join(root, 'dist/cli/bin.js'), ...args], env)
    expect([exitCode, stderr]).toEqual([0, ''])
    expect(stdout).toContain('INTELLIPATH')
    expect(smt.tokens).toHaveLength(1)
  })

  test('has every code, and says rightly which are repeated', () => {
    const rows = rowsOf('When it goes wrong')
    // Codes of what stands in answers that arrived well are of those who make the calls.
    const codes = errorCodes.filter(code => code.startsWith('API_'))
    const listed = rows.map(([code]) => code!.replaceAll('`', ''))
    expect(codes.filter(code => listed.includes(code))).toEqual(listed)
    for (const [code, , again] of rows) {
      const { retryable } = new ApiError(code!.replaceAll('`', '') as (typeof codes)[0], 'x')
      expect([code, again]).toEqual([code, retryable ? 'yes' : 'no'])
    }
  })

  test('has every option, with the default that its comment has', () => {
    const source = readFileSync(join(root, 'src/auth/smt-auth.ts'), 'utf8').split('export interface CallOptions')[0]!
    const options = [...source.matchAll(/@default (.*?)(?: \*\/)?\n(?:\s+\*\/\n)?\s+readonly (\w+)\?/g)]
    const documented = rowsOf('What can be set').map(([name, value]) => [name!.replaceAll('`', ''), value])
    expect(documented.toSorted()).toEqual(options.map(([, value, name]) => [name, value]).toSorted())
  })

  test('has the exit codes that the command has', () => {
    const rows = rowsOf('From the command line').map(([code, , codes]) => [code, codes])
    expect(rows).toEqual([
      ['0', undefined],
      ['1', 'all others'],
      ['2', '`CONFIG_INVALID`'],
      ['3', '`API_CREDENTIALS`'],
      ['4', '`API_TIMEOUT`, `API_NOT_ADMITTED`']
    ])
  })
})
