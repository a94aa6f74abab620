import { readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { IngestError } from '../../../src/errors.ts'
import type { SftpSourceOptions } from '../../../src/source/sftp-source.ts'
import type { IngestFile } from '../../../src/source/source.ts'
import type { LineFault } from '../../../src/testing/fault-proxy.ts'
import type { SftpRequest } from '../../../src/testing/sftp/answers.ts'
import { readAll } from '../../conformance/source.ts'
import { type Stand, someFile, stand } from './support.ts'

// Every operation meets every fault, once and always. What comes of it is written into the page that promises it:
// `SMT_WRITE_DOCS=1 npx vitest run test/source/sftp/faults.test.ts`.

const page = new URL('../../../docs/reliability.md', import.meta.url)
const [open, close] = ['<!-- sftp-faults -->', '<!-- /sftp-faults -->']

const path = '/in/a.asc'
const file = someFile(400_000)

/** Longer than every deadline of the settings below, in a row. */
const LIMIT_MS = 20_000
const settings = { operationTimeoutMs: 500, connectTimeoutMs: 2_500, connectAttempts: 1, reconnects: 1 }

/** An operation, the request at which the fault strikes, and what is done with the one file. */
interface Operation {
  readonly name: string
  /** None: before the connection is made. */
  readonly at?: SftpRequest['name']
  readonly options?: Partial<SftpSourceOptions>
  readonly run?: (file: IngestFile) => Promise<unknown>
}

const read = async (offered: IngestFile) => {
  expect((await readAll(offered)).equals(file.content)).toBe(true)
}

const verify = async (offered: IngestFile) => {
  await read(offered)
  await offered.verify()
}
const dispose = (offered: IngestFile) => offered.dispose!()

const operations: readonly Operation[] = [
  { name: 'connect' },
  { name: 'list', at: 'OPENDIR' },
  { name: 'list on', at: 'READDIR' },
  { name: 'open', at: 'OPEN', run: read },
  { name: 'look at the open file', at: 'FSTAT', run: read },
  { name: 'read', at: 'READ', run: read },
  { name: 'close the file', at: 'CLOSE', run: read },
  { name: 'verify', at: 'LSTAT', run: verify },
  { name: 'delete', at: 'REMOVE', options: { dispose: 'delete' }, run: dispose },
  { name: 'move', at: 'RENAME', options: { dispose: { moveTo: '/done' } }, run: dispose },
  { name: 'make a directory', at: 'MKDIR', options: { dispose: { moveTo: '/new/done' } }, run: dispose }
]

/** Does what goes wrong; gives what the request itself meets. */
type Strike = (at: Stand, times: number | undefined) => 'deny' | 'fail' | 'hang' | undefined

const line =
  (kind: LineFault['kind']): Strike =>
  ({ proxy }, times) => {
    proxy.fault = { kind, ...(times !== undefined && { times }) }
    return undefined
  }

const onTheLine: Readonly<Record<string, Strike>> = {
  cut: line('cut'),
  reset: line('reset'),
  'half close': line('half-close'),
  'black hole': line('black-hole'),
  '1 byte/s': line('drip')
}

const atTheServer: Readonly<Record<string, Strike>> = {
  'new keys': ({ server }) => void server.rekey() as undefined,
  failure: () => 'fail',
  denied: () => 'deny',
  silence: () => 'hang'
}

const faults = { ...onTheLine, ...atTheServer }

/** What came of an operation under a fault: `result`, or the code of its error. */
async function outcomeOf({ at, options, run }: Operation, strike: Strike, times: number | undefined): Promise<string> {
  await using here = await stand({ files: [[path, file]] })
  let strikes = 0
  if (at === undefined) strike(here, times)
  here.server.faults.onRequest = ({ name }) => {
    if (name !== at || strikes === times) return undefined
    strikes++
    return strike(here, times)
  }
  const work = async () => {
    for await (const file of here.source({ ...settings, ...options }).files()) await run?.(file)
    return 'result'
  }
  const outcome = work().catch(error => {
    if (error instanceof IngestError) return error.code
    throw error
  })
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<string>(resolve => (timer = setTimeout(() => resolve('NO END'), LIMIT_MS)))
  const found = await Promise.race([outcome, late])
  clearTimeout(timer)
  if (at !== undefined) expect(strikes).toBeGreaterThan(0)
  return found
}

async function cellOf(operation: Operation, name: string): Promise<string> {
  if (operation.at === undefined && name in atTheServer) return ''
  const strike = faults[name]!
  const [once, always] = await Promise.all([outcomeOf(operation, strike, 1), outcomeOf(operation, strike, undefined)])
  return once === always ? say(once) : `${say(once)}, then ${say(always)}`
}

const say = (outcome: string) => (outcome === 'result' ? outcome : `\`${outcome.replace('SFTP_', '')}\``)

describe('I9: every operation under every fault ends by a result, an error or a deadline', () => {
  const cells = new Map<string, string[]>()

  test.concurrent.each(operations)(
    '$name',
    async operation => {
      const row: string[] = []
      for (const name of Object.keys(faults)) row.push(await cellOf(operation, name))
      cells.set(operation.name, row)
      expect(row.join()).not.toContain('NO END')
    },
    120_000
  )

  test('as the page says', () => {
    const rows = operations.map(({ name }) => [name, ...cells.get(name)!])
    const head = ['', ...Object.keys(faults)]
    const table = [head, head.map(() => '---'), ...rows].map(row => `| ${row.join(' | ')} |`).join('\n')
    const between = new RegExp(`(?<=${open}\\n\\n)[^]*(?=\\n\\n${close})`)
    const text = readFileSync(page, 'utf8')
    if (process.env.SMT_WRITE_DOCS === '1') writeFileSync(page, text.replace(between, table))
    expect(between.exec(readFileSync(page, 'utf8'))![0]).toBe(table)
  })
})
