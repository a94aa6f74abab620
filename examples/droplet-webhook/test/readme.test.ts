import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { FakeSmt, serveSmtRecords } from '@intelliwatt/smt-ingest/testing'
import { expect, onTestFinished, test } from 'vitest'
import { type Daemon, secret, startDaemon, surroundings } from './support.ts'

const path = fileURLToPath(new URL('../README.md', import.meta.url))
const page = readFileSync(path, 'utf8')
const block = /(<!-- transcript -->\n```console\n)([\s\S]*?)(```)/
const commands = [...block.exec(page)![2]!.matchAll(/^\$ (.*)$/gm)].map(([, command]) => command!)

/** What the page has where every run has something of its own. */
const steady = {
  runId: '1b2d7c1e-93d5-4a55-a1a1-6a2f2f5a9d10',
  date: 'Tue, 15 Jul 2025 14:00:00 GMT',
  instant: '2025-07-15T14:00:00.000Z',
  transId: 'SUBLIST1752588000000a1b2c3d4'
}

/** Runs the lines of the page, in a shell, against a daemon before servers of SMT's kind; gives the page's block. */
async function session(): Promise<string> {
  const smt = await FakeSmt.start({ duns: '123456789' })
  onTestFinished(() => smt.close())
  serveSmtRecords(smt, { meters: [] })
  const { env, folder, deliver, put } = await surroundings()
  const SMT_PROXY_TOKEN = 'token-of-the-page'
  const daemon = await startDaemon(
    {
      ...env,
      SMT_PROXY_TOKEN,
      SMT_API_BASE_URL: smt.baseUrl,
      SMT_USERNAME: smt.login.username,
      SMT_PASSWORD: smt.login.password,
      SMT_REQUESTOR_AUTH_ID: smt.duns
    },
    folder
  )
  await deliver(1, '2025-07-14', 'IntervalMeterUsage20250715064112')
  await deliver(1, '2025-11-02', 'IntervalMeterUsage20251103064112')
  put('/adhocusage/IntervalMeterUsage20250716.CSV.123456789.asc', '<html><body>Bad Gateway</body></html>')
  let text = ''
  for (const command of commands) {
    await settled(daemon, command, text)
    const said = await shell(lively(command, daemon, text), { SECRET: secret, SMT_PROXY_TOKEN })
    text += `$ ${command}\n${said}${said.endsWith('\n') ? '' : '\n'}`
  }
  return still(text)
}

/** The page's command, as it is here and now. */
function lively(command: string, daemon: Daemon, before: string): string {
  return command.replaceAll('127.0.0.1:8787', `127.0.0.1:${daemon.port}`).replaceAll(steady.runId, runIn(before) ?? '')
}

async function settled(daemon: Daemon, command: string, before: string): Promise<void> {
  const runId = runIn(before)
  if (command.includes('/runs/') && runId) await daemon.ended(runId)
}

function runIn(text: string): string | undefined {
  return /"runId":"([\da-f-]+)"/.exec(text)?.[1]
}

function still(text: string): string {
  return text
    .replaceAll('\r\n', '\n')
    .replaceAll(runIn(text)!, steady.runId)
    .replace(/^date: .*$/gim, `date: ${steady.date}`)
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, steady.instant)
    .replace(/SUBLIST\w+/g, steady.transId)
}

function shell(command: string, settings: Record<string, string>): Promise<string> {
  const env = { PATH: process.env.PATH, HOME: '/nonexistent', ...settings }
  return new Promise((resolve, reject) => {
    execFile('bash', ['-c', command], { env }, (error, stdout) => (error ? reject(error) : resolve(stdout)))
  })
}

test('the session of README.md is what the daemon answers; UPDATE_README=1 writes it anew', async () => {
  const said = await session()
  if (process.env.UPDATE_README)
    writeFileSync(
      path,
      page.replace(block, (_, begin, __, end) => begin + said + end)
    )
  else expect(block.exec(page)![2]).toBe(said)
  expect(said).not.toContain(secret)
  expect(commands.length).toBeGreaterThan(5)
})
