import { FakeSmt, makeEsiid, serveSmtRecords } from '@intelliwatt/smt-ingest/testing'
import Fastify from 'fastify'
import { describe, expect, onTestFinished, test } from 'vitest'
import { loggerOptions } from '../src/log.ts'
import { otherSecret, secret, startDaemon, surroundings } from './support.ts'

const planted = {
  SMT_PROXY_TOKEN: 'planted-proxy-token-77f1',
  SMT_PASSWORD: 'planted "pass\\word" 5c0e',
  ADMIN_TOKEN: 'planted-admin-token-20cd'
}

describe('the log', () => {
  test('I11: of what was sent and what is set, no secret, ESIID or address of mail is in anything that is written', async () => {
    const { env, folder, deliver, put, server } = await surroundings()
    const smt = await FakeSmt.start({ users: [{ username: 'INTELLIPATH', password: planted.SMT_PASSWORD }] })
    onTestFinished(() => smt.close())
    serveSmtRecords(smt, { meters: [{ esiid: makeEsiid(7) }] })
    const mail = 'planted.customer@example.com'
    await deliver(1, '2025-07-14', `IntervalMeterUsage${makeEsiid(1)}`)
    put(`/adhocusage/${makeEsiid(2)}-${mail}.CSV`, '<html>')
    const account = { SMT_API_BASE_URL: smt.baseUrl, SMT_USERNAME: 'INTELLIPATH', SMT_REQUESTOR_AUTH_ID: smt.duns }
    const daemon = await startDaemon({ ...env, ...planted, ...account, LOG_LEVEL: 'trace' }, folder)

    const { json } = await daemon.trigger({ reason: 'smt_authorized', esiid: makeEsiid(3), userId: mail })
    await daemon.ended(json.runId)
    await daemon.trigger(`{"reason":"${mail} ${makeEsiid(4)}"}`)
    await daemon.trigger(`{"reason":"user_refresh","esiid":"${makeEsiid(5)}"`)
    for (const meter of [7, 8]) await daemon.trigger({ reason: 'smt_meter_info', esiid: makeEsiid(meter) })
    await daemon.ask(`/${makeEsiid(6)}?secret=${secret}&mail=${mail}`)
    const headers = { authorization: `Bearer ${planted.SMT_PROXY_TOKEN}` }
    const body = JSON.stringify({ agreementNumber: 5, retailCustomerEmail: mail })
    const refused = await daemon.ask('/smt/agreements/terminate', { method: 'POST', headers, body })
    const page = {
      kind: 'answer',
      status: 404,
      body: { error: `${mail} has meter ${makeEsiid(9)}`, name: 'Planted Person' }
    } as const
    smt.faults.next('/v2/AgreementESIIDs/', page)
    const quoting = await daemon.ask('/smt/agreements/esiids', { method: 'POST', headers, body })
    expect([refused.json.ok, quoting.status, quoting.json.response]).toEqual([false, 502, page.body])
    const wrong = 'planted-wrong-secret-4e4e'
    await daemon.ask('/trigger/smt-now', { method: 'POST', headers: { 'x-proxy-secret': wrong }, body: mail })
    await daemon.ask('/agreements', { method: 'POST', headers: { authorization: `Bearer ${wrong}` }, body: mail })
    await server.close()
    const failed = await daemon.trigger({ reason: 'user_refresh' })
    await daemon.ended(failed.json.runId)
    daemon.signal('SIGTERM')
    await daemon.exit

    const said = daemon.said()
    // It did speak of all this.
    const spoken = ['"file"', 'quarantined', 'run failed', 'SFTP_', 'meter info', 'a call of SMT failed']
    for (const word of [...spoken, makeEsiid(1).slice(-4)]) expect(said).toContain(word)
    const tokens = smt.tokens.map(({ value }) => value)
    expect(tokens.length).toBeGreaterThan(0)
    const keys = server.login.privateKey.split('\n').slice(1, 2)
    const secrets = [secret, otherSecret, wrong, ...Object.values(planted), ...tokens, ...keys]
    const esiids = [1, 2, 3, 4, 5, 6, 7, 8, 9].map(meter => makeEsiid(meter))
    for (const marker of [...secrets, mail, ...esiids]) expect(said).not.toContain(marker)
    expect(said).not.toMatch(/planted/i)
  })

  test('takes secrets out of errors that hold them, also as JSON writes them', () => {
    const lines: string[] = []
    const env = { ...planted, SMT_STORE: 'postgres://smt:p%40ss-6b1d@db/smt' }
    const { log } = Fastify({ logger: loggerOptions('info', env, line => lines.push(line)) })
    log.error({ err: new Error(`refused ${planted.SMT_PASSWORD} and p@ss-6b1d and p%40ss-6b1d`) }, 'x')
    log.warn(`Bearer abc.def-1 and eyJhbGciOi.eyJzdWIi.c2ln for ${makeEsiid(7)} of someone@example.com`)
    log.info('sftp://user@ftp.example.com stays as it is')
    const said = lines.join('')
    for (const marker of ['planted', 'pass', 'p@ss', 'p%40ss', 'abc.def', 'eyJ', makeEsiid(7), 'someone']) {
      expect(said).not.toContain(marker)
    }
    expect(said).toContain('sftp://user@ftp.example.com')
    for (const line of lines) expect(JSON.parse(line)).toMatchObject({ time: expect.stringMatching(/^20.*Z$/) })
  })

  test('tells the journal how urgent a line is, and nobody else', () => {
    const said = (env: NodeJS.ProcessEnv) => {
      const lines: string[] = []
      const { log } = Fastify({ logger: loggerOptions('debug', env, line => lines.push(line)) })
      for (const level of ['fatal', 'error', 'warn', 'info', 'debug'] as const) log[level]('x')
      return lines.map(line => line.split('{')[0])
    }
    expect(said({ JOURNAL_STREAM: '9:1234' })).toEqual(['<2>', '<3>', '<4>', '<6>', '<7>'])
    expect(said({})).toEqual(['', '', '', '', ''])
  })
})
