import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import ts from 'typescript'
import { expect, onTestFinished, test, vi } from 'vitest'
import type { IntervalRow } from '../../../src/sink/http/receive.ts'
import { HttpSink } from '../../../src/sink/http.ts'
import { makeIntervalReport } from '../../../src/testing/index.ts'
import { csv, days, deliver, failing, fileOf, readParts, rowsOf, rowText } from '../../conformance/sink.ts'
import { ReceivingServer } from '../../support/receiving-server.ts'
import { scratchFolder } from '../../support/scratch.ts'

const root = fileURLToPath(new URL('../../../', import.meta.url))
const page = readFileSync(join(root, 'docs/sinks/http.md'), 'utf8')
const secret = `whsec_${Buffer.alloc(32, 3).toString('base64')}`

test('the messages of docs/sinks/http.md are those that are sent', async () => {
  await using server = await ReceivingServer.start({ secrets: secret })
  const options = { url: server.urlOf(scratchFolder()), secret, retryPauseMs: 1 }
  const file = fileOf('a.csv', csv([{}]))
  for (const verify of [() => Promise.reject(new Error('no')), file.verify]) {
    const sink = new HttpSink({ ...options, ledger: join(scratchFolder(), 'l.ndjson') })
    await failing(sink, { ...file, verify }, await readParts(file))
    await sink.close()
  }
  const [begin, rollback, , rows, commit] = server.received.map(({ text }) => shown(text))
  const documented = [...page.matchAll(/```json\n([\s\S]*?)```/g)].map(([, text]) => text)
  expect(documented).toEqual([begin, rows, commit, rollback])
})

/** A message as the page has it. */
function shown(text: string): string {
  const short = text.replace(/[0-9a-f]{64}/g, '…64 hex…').replace(/"account":.*$/, '"account":{…}}')
  return short.endsWith('\n') ? short : `${short}\n`
}

test('the receiver of the page takes a file, once, when it is whole', async () => {
  const { POST, visible } = await receiverOfThePage()
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const headers = request.headers as Record<string, string>
    const answer = await POST(new Request('http://app.test/', { method: 'POST', headers, body: Buffer.concat(chunks) }))
    response.writeHead(answer.status).end(await answer.text())
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close().closeAllConnections())
  vi.stubEnv('SMT_PUSH_SECRET', secret)
  onTestFinished(() => void vi.unstubAllEnvs())
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  const report = makeIntervalReport(days(3))
  for (const state of ['committed', 'duplicate']) {
    const sink = new HttpSink({ url, secret, maxRows: 100, ledger: join(scratchFolder(), 'l.ndjson') })
    const path = state === 'committed' ? 'a.csv' : 'b.csv'
    expect(await deliver(sink, fileOf(path, report.bytes))).toMatchObject({ state })
    await sink.close()
  }
  const rows = [...visible.values()].flat().map(row => rowText({ ...row, kwh: row.kwh.toFixed(5) }))
  expect(rows.sort()).toEqual(rowsOf(report.expected()))
})

/** The code of the page, run with the built package. */
async function receiverOfThePage() {
  const folder = scratchFolder()
  mkdirSync(join(folder, 'node_modules/@intelliwatt'), { recursive: true })
  symlinkSync(root, join(folder, 'node_modules/@intelliwatt/smt-ingest'), 'junction')
  const code = /```ts\n([\s\S]*?)```/.exec(page)![1]!
  const compilerOptions = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ES2022 }
  const path = join(folder, 'route.mjs')
  writeFileSync(path, ts.transpileModule(code, { compilerOptions }).outputText)
  return (await import(/* @vite-ignore */ pathToFileURL(path).href)) as {
    POST(request: Request): Promise<Response>
    visible: Map<string, IntervalRow[]>
  }
}

test.each([
  ['HttpSink', 'src/sink/http.ts', 'compression'],
  ['Receiver', 'src/sink/http/verifier.ts', 'secrets']
])('the settings of %s and their defaults are those of the page', (_, path, first) => {
  const code = readFileSync(join(root, path), 'utf8')
  const defaults = [...code.matchAll(/^ {2}(\w+): [^:]*?\.default\((?:'([^']*)'|([\d_ *]+))\)/gm)].map(
    ([, name, text, number]) => {
      const value = text === undefined ? product(number!) : `'${text}'`
      return `| \`${name}\` | \`${value}\` |`
    }
  )
  expect(defaults.join()).toContain(first === 'secrets' ? 'maxTextBytes' : first)
  expect(defaults.filter(line => !page.includes(line))).toEqual([])
})

/** A number as the sources write it. */
function product(text: string): number {
  return text
    .split('*')
    .map(factor => Number(factor.replaceAll('_', '')))
    .reduce((all, factor) => all * factor, 1)
}
