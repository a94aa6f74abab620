import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import {
  ConfigError,
  DirectorySource,
  IntervalParser,
  ingest,
  type Receipt,
  SftpSource,
  stagesFromEnv
} from '../src/index.ts'
import { PostgresSink } from '../src/sink/postgres.ts'
import {
  FakeSftpServer,
  makeEsiid,
  makeIntervalReport,
  makeMeterDay,
  makePgpKey,
  wrapAsSmt
} from '../src/testing/index.ts'
import { scratchFolder } from './support/scratch.ts'

const csv = () => makeIntervalReport([makeMeterDay({ esiid: makeEsiid(1), date: '2025-07-14' })]).bytes

describe('stagesFromEnv', () => {
  test('gives stages that bring an encrypted file from the server into the store', async () => {
    const folder = scratchFolder()
    const pgp = await makePgpKey()
    const content = await wrapAsSmt([{ name: 'IntervalMeterUsage.CSV', bytes: csv() }], pgp.publicKey)
    await using server = await FakeSftpServer.start({ files: [['/adhocusage/a.asc', { content, modifiedAt: 1e12 }]] })
    writeFileSync(join(folder, 'id'), server.login.privateKey)
    writeFileSync(join(folder, 'pgp.asc'), pgp.privateKey)
    const { source, decryptor, sink, store } = await stagesFromEnv({
      SMT_HOST: server.host,
      SMT_SFTP_PORT: String(server.port),
      SMT_USER: server.login.username,
      SMT_KEY: join(folder, 'id'),
      SMT_HOST_KEY: server.fingerprint,
      SMT_REMOTE_DIR: '/adhocusage',
      SMT_PGP_KEY: join(folder, 'pgp.asc'),
      SMT_STORE: `duckdb:${join(folder, 'smt.duckdb')}`
    })
    const receipts: Receipt[] = []
    for await (const receipt of ingest({ source, decryptor, sink, parser: new IntervalParser() }))
      receipts.push(receipt)
    await sink.close()
    expect(store).toBe('duckdb')
    expect(receipts.map(({ state, rows }) => [state, rows?.accepted])).toEqual([['committed', 96]])
  })

  test('takes the folder of SMT_LOCAL_DIR where no server is named', async () => {
    const folder = scratchFolder()
    const local = await stagesFromEnv({ SMT_LOCAL_DIR: folder, SMT_STORE: `ndjson:${folder}` })
    expect([local.source, local.store]).toEqual([expect.any(DirectorySource), 'ndjson'])
  })

  test('I11: keeps the password of a PostgreSQL store out of sight', async () => {
    const secret = 'pw-5dd1c4'
    const env = { SMT_LOCAL_DIR: '/srv', SMT_STORE: `postgres://smt:${secret}@127.0.0.1:1/smt?schema=meters` }
    const stages = await stagesFromEnv(env)
    expect([stages.sink, stages.store]).toEqual([expect.any(PostgresSink), 'postgres'])
    expect(inspect(stages, { depth: 10, showHidden: true })).not.toContain(secret)
  })

  test.each([
    ['SMT_STORE', { SMT_LOCAL_DIR: '/srv' }],
    ['SMT_HOST', { SMT_STORE: 'ndjson:x' }],
    ['SMT_KEY', { SMT_STORE: 'ndjson:x', SMT_HOST: '127.0.0.1', SMT_USER: 'u' }]
  ])('names %s when it is missing', async (name, env) => {
    const error = await stagesFromEnv(env).catch((error: unknown) => error)
    expect(error).toBeInstanceOf(ConfigError)
    expect((error as ConfigError).message).toContain(name)
  })

  test('takes the server where both are named', async () => {
    const env = {
      SMT_HOST: '127.0.0.1',
      SMT_USER: 'u',
      SSH_AUTH_SOCK: '/tmp/agent',
      SMT_LOCAL_DIR: '/srv',
      SMT_STORE: 'ndjson:x'
    }
    expect((await stagesFromEnv(env)).source).toBeInstanceOf(SftpSource)
  })
})
