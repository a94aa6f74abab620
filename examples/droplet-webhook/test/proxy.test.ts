import { writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage } from 'node:http'
import {
  FakeSftpServer,
  FakeSmt,
  htmlPage,
  makeEsiid,
  type SmtRecords,
  serveSmtRecords
} from '@intelliwatt/smt-ingest/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { secret, startDaemon, surroundings } from './support.ts'

const token = 'planted-proxy-token-77f1'
const meter = { esiid: makeEsiid(1), meterNumber: '113401234LG' }

/** A daemon before a fake SMT that knows one meter. */
async function daemonWith(settings: Record<string, string> = {}) {
  const smt = await FakeSmt.start({ duns: '123456789' })
  onTestFinished(() => smt.close())
  const records = serveSmtRecords(smt, { meters: [meter], deliverAfterMs: undefined })
  const { env, folder } = await surroundings()
  const daemon = await startDaemon(
    {
      ...env,
      SMT_PROXY_TOKEN: token,
      SMT_API_BASE_URL: smt.baseUrl,
      SMT_USERNAME: smt.login.username,
      SMT_PASSWORD: smt.login.password,
      SMT_REQUESTOR_AUTH_ID: smt.duns,
      ...settings
    },
    folder
  )
  const post = async (path: string, body: unknown, authorization = `Bearer ${token}`) => {
    const headers = { authorization, 'content-type': 'application/json' }
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    const { status, json } = await daemon.ask(path, { method: 'POST', headers, body: text })
    return [status, json] as const
  }
  /** What SMT was asked for, the logins left out. */
  const asked = () => smt.requests.filter(({ path }) => path !== '/v2/token/')
  return { smt, records, daemon, post, asked }
}

/** As the app sends them, identity included. */
const agreementBody = {
  trans_id: '5f2c0d6f5f2c0d6f5f2c0d6f5f2c0d6f',
  requestorID: 'SOMEBODY-ELSE',
  requesterAuthenticationID: '999999999',
  retailCustomerEmail: 'planted.customer@example.com',
  agreementDuration: 12,
  customerLanguagePreference: 'ENGLISH',
  customerMeterList: [{ ESIID: meter.esiid, meterNumber: 'ONCOR-MTR', PUCTRORNumber: 10004 }],
  SMTTermsandConditions: 'Y'
}
const subscriptionBody = {
  trans_id: '5f2c0d6f5f2c0d6f5f2c0d6f5f2c0d6f',
  requestorID: 'SOMEBODY-ELSE',
  requesterType: 'CSP',
  requesterAuthenticationID: '999999999',
  subscriptionType: 'CSPENROLL',
  historicalSubscriptionDuration: 12,
  reportFormat: 'CSV',
  dataType: 'INTERVAL',
  deliveryMode: 'FTP',
  SMTTermsandConditions: 'Y'
}
const agreementStep = { name: 'NewAgreement', path: '/v2/NewAgreement/', username: 'X', body: agreementBody }
const subscriptionStep = { name: 'NewSubscription', path: '/v2/NewSubscription/', body: subscriptionBody }
const create = { action: 'create_agreement_and_subscription', steps: [agreementStep, subscriptionStep] }

describe('create_agreement_and_subscription', () => {
  test('asks for both, in the name of the daemon’s own account, and answers as before', async () => {
    const { smt, records, post, asked, daemon } = await daemonWith()
    const [status, json] = await post('/agreements', { ...create, meta: { houseId: 'h' } })
    expect(status).toBe(200)
    expect(json).toEqual({
      ok: true,
      action: 'create_agreement_and_subscription',
      results: [
        {
          name: 'NewAgreement',
          path: '/v2/NewAgreement/',
          httpStatus: 200,
          url: `${smt.baseUrl}/v2/NewAgreement/`,
          body: expect.objectContaining({ agreementNumber: 900_001, statusCode: '0' })
        },
        {
          name: 'NewSubscription',
          path: '/v2/NewSubscription/',
          httpStatus: 200,
          url: `${smt.baseUrl}/v2/NewSubscription/`,
          body: expect.objectContaining({ subscriptionNumber: '700002' })
        }
      ],
      agreement: { httpStatus: 200, body: expect.objectContaining({ agreementNumber: 900_001 }) },
      subscription: {
        ok: true,
        status: 'created',
        httpStatus: 200,
        body: expect.objectContaining({ subscriptionNumber: '700002' }),
        reason: null
      },
      meta: { houseId: 'h' }
    })
    expect(records.mails).toEqual([{ to: 'planted.customer@example.com', agreementNumber: 900_001 }])
    const [agreement] = asked().map(({ text }) => JSON.parse(text))
    expect(agreement).toMatchObject({ requestorID: 'INTELLIPATH', requesterAuthenticationID: '123456789' })
    expect(agreement.customerMeterList[0].PUCTRORNumber).toBe(10_052)
    expect(daemon.said()).not.toMatch(/planted/)
  })

  test('a subscription that is active already is success; the retailer’s number is the caller’s', async () => {
    const { post, asked } = await daemonWith()
    await post('/agreements', create)
    // Without an action, and in the older form without steps.
    const { body: agreement } = agreementStep
    const older = { agreement: { name: 'NewAgreement', body: agreement }, subscription: { body: subscriptionBody } }
    const [status, json] = await post('/agreements', { ...older, repPuctNumber: '10098' })
    expect([status, json.ok, json.subscription]).toMatchObject([
      200,
      true,
      { ok: true, status: 'already_active', httpStatus: 400, reason: 'Subscription already active for this DUNS' }
    ])
    expect(JSON.parse(asked()[2]!.text).customerMeterList[0].PUCTRORNumber).toBe(10_098)
  })

  test('/agreements-no-meter sends no number of a meter', async () => {
    const { post, asked } = await daemonWith()
    await post('/agreements-no-meter', create)
    expect(JSON.parse(asked()[0]!.text).customerMeterList).toEqual([{ ESIID: meter.esiid, PUCTRORNumber: 10_052 }])
  })

  test.each([
    ['refuses it', { kind: 'answer', status: 400, body: { errorCode: '1', errorMessage: 'no' } }, 400],
    ['refuses it with HTTP 200', { kind: 'answer', status: 200, body: { errorCode: '2076', errorMessage: 'no' } }, 200]
  ] as const)('when SMT %s, says so, and does not go on to the next', async (_, fault, httpStatus) => {
    const { smt, post, asked } = await daemonWith()
    smt.faults.next('/v2/NewAgreement/', fault)
    const [status, json] = await post('/agreements', create)
    expect([status, json]).toMatchObject([
      502,
      {
        ok: false,
        action: 'create_agreement_and_subscription',
        error: 'agreement_failed',
        detail: 'SMT NewAgreement failed',
        partialResults: [{ name: 'NewAgreement', httpStatus, body: fault.body }]
      }
    ])
    expect(asked()).toHaveLength(1)
  })

  test('a subscription that fails is told with its reason and what was done before', async () => {
    const { smt, post } = await daemonWith()
    const body = { CustomerDUNSFaultList: [{ reasonCode: 'x' }], statusReason: 'DUNS is not enrolled' }
    smt.faults.next('/v2/NewSubscription/', { kind: 'answer', status: 400, body })
    const [status, json] = await post('/agreements', create)
    expect([status, json.error, json.detail]).toEqual([502, 'subscription_failed', 'DUNS is not enrolled'])
    expect(json.partialResults).toHaveLength(2)
  })

  test('a call that breaks is told, and is not made again: a customer gets one e-mail', async () => {
    const { smt, records, post, asked } = await daemonWith()
    smt.faults.next('/v2/NewAgreement/', { kind: 'reset', isDone: true })
    const [status, json] = await post('/agreements', create)
    expect([status, json.ok, json.partialResults]).toEqual([502, false, []])
    expect(json.error).toContain('whether SMT did it is not known')
    expect([asked().length, records.mails.length]).toEqual([1, 1])
  })

  const elsewhere = [
    'https://evil.example/v2/NewAgreement/',
    'http://127.0.0.1:1/v2/NewAgreement/',
    '//evil.example/v2/NewAgreement/',
    '/v2/NewAgreement/../token/',
    '/v2/Terminateagreement/',
    '/v2/NewAgreement',
    '/v2/NewAgreement/?x',
    '@evil.example/',
    '',
    7
  ]
  test.each(elsewhere)('a step to %j is invalid, and nothing leaves, not even of the steps before it', async path => {
    const { smt, post } = await daemonWith()
    const [status, json] = await post('/agreements', { steps: [subscriptionStep, { ...agreementStep, path }] })
    expect([status, json]).toEqual([
      400,
      { ok: false, error: 'invalid_step', detail: expect.stringMatching(/^steps\[1\]\.path: /) }
    ])
    expect(smt.requests).toEqual([])
  })

  test.each([
    ['no steps', [], 'missing_steps', undefined],
    ['a step that is a text', ['x'], 'invalid_step', 'steps[0]: '],
    ['a step without a body', [{ ...agreementStep, body: undefined }], 'invalid_step', 'steps[0].body: '],
    [
      'an ESIID that lost its first digits',
      [{ ...agreementStep, body: { ...agreementBody, customerMeterList: [{ ESIID: '8901099999' }] } }],
      'invalid_step',
      'steps[0].body.customerMeterList[0].ESIID: '
    ]
  ])('%s: refused, and nothing leaves', async (_, steps, error, detail) => {
    const { smt, post } = await daemonWith()
    const [status, json] = await post('/agreements', { steps })
    expect([status, json.error, json.detail]).toEqual([400, error, detail && expect.stringContaining(detail)])
    expect(smt.requests).toEqual([])
  })
})

describe('the calls that have a path and an action', () => {
  const both = (path: string, action: string, body: object) =>
    [
      [path, body],
      ['/agreements', { ...body, action }],
      ['/agreements-no-meter', { ...body, action }]
    ] as const
  type Post = Awaited<ReturnType<typeof daemonWith>>['post']

  /** The same by every way that leads there. */
  async function byEveryWay(post: Post, ...ways: readonly (readonly [string, object])[]) {
    const answers: unknown[] = []
    for (const [path, body] of ways) answers.push(await post(path, body))
    const [first] = answers as [readonly [number, Record<string, unknown>]]
    for (const answer of answers) expect(withoutIds(answer)).toEqual(withoutIds(first))
    return first
  }
  const withoutIds = (value: unknown) => JSON.parse(JSON.stringify(value).replace(/"trans_id":"\w+"/g, '"trans_id":""'))

  async function withAgreement(): Promise<Awaited<ReturnType<typeof daemonWith>> & { records: SmtRecords }> {
    const around = await daemonWith()
    await around.post('/agreements', create)
    return around
  }

  test('list the subscriptions, with no body at all as well', async () => {
    const { post } = await withAgreement()
    const [status, json] = await byEveryWay(post, ...both('/smt/subscriptions/list', 'list_subscriptions', {}))
    expect([status, json]).toEqual([
      200,
      { ok: true, status: 200, subscriptions: expect.objectContaining({ subscriptionList: [expect.any(Object)] }) }
    ])
    expect((await post('/smt/subscriptions/list', ''))[0]).toBe(200)
    expect(await post('/smt/subscriptions/list', 'x')).toEqual([400, { ok: false, error: 'invalid_json' }])
  })

  test('end a subscription', async () => {
    const { post } = await withAgreement()
    const path = '/smt/subscriptions/unsubscribe'
    expect(await post(path, {})).toEqual([400, { ok: false, error: 'missing_subscriptionNumber' }])
    expect(await post(path, { subscriptionNumber: '700002' })).toMatchObject([200, { ok: true, status: 200 }])
    expect(await post(path, { subscriptionNumber: '700002' })).toEqual([
      200,
      { ok: false, status: 400, response: { errorCode: '1', errorMessage: 'The subscription is not known.' } }
    ])
  })

  test('tell how far a report is', async () => {
    const { post, records } = await daemonWith()
    const backfill = { esiid: meter.esiid, startDate: '07/14/2025', endDate: '07/15/2025', authorizationId: 'a' }
    const [, { jobId }] = await post('/agreements', { ...backfill, action: 'request_interval_backfill' })
    expect(jobId).toBe(records.reports[0]!.correlationId)
    const ways = both('/smt/report-status', 'report_status', { correlationId: jobId })
    const [status, json] = await byEveryWay(post, ...ways)
    expect([status, json]).toEqual([
      200,
      { ok: true, status: 200, reportStatus: expect.objectContaining({ correlationId: jobId, statusReason: 'PEN' }) }
    ])
    for (const [path, body] of both('/smt/report-status', 'report_status', { correlationId: ' ' })) {
      expect(await post(path, body)).toEqual([400, { ok: false, error: 'missing_correlationId' }])
    }
    // What SMT refuses is handed on with its status and words.
    const [refused, said] = await byEveryWay(
      post,
      ...both('/smt/report-status', 'report_status', { correlationId: 'other' })
    )
    expect([refused, said]).toEqual([
      502,
      {
        ok: false,
        status: 400,
        error: 'smt_request_failed',
        response: { errorCode: '1', errorMessage: 'The correlationId is not known.' }
      }
    ])
  })

  test('name the meters of an agreement, and the agreements', async () => {
    const { post } = await withAgreement()
    const [, { agreementESIIDs }] = await byEveryWay(
      post,
      ...both('/smt/agreements/esiids', 'agreement_esiids', { agreementNumber: '900001' })
    )
    expect(agreementESIIDs).toMatchObject({ agreementESIIDList: [{ ESIID: meter.esiid }, {}] })
    for (const query of [{}, { agreementNumber: 900_001, statusReason: 'PEN' }, { agreementNumber: '' }]) {
      const [, { agreements }] = await byEveryWay(post, ...both('/smt/agreements/myagreements', 'myagreements', query))
      expect(agreements).toMatchObject({ agreementStatusList: [{ agreementNumber: 900_001 }] })
    }
    for (const path of ['/smt/agreements/esiids', '/smt/agreements/myagreements', '/smt/agreements/terminate']) {
      const body = { agreementNumber: '12x', retailCustomerEmail: 'a@example.com' }
      expect(await post(path, body)).toEqual([400, { ok: false, error: 'invalid_agreementNumber' }])
    }
  })

  test('end an agreement, and say so with 200 when SMT does not', async () => {
    const { post, records, daemon } = await withAgreement()
    const body = { agreementNumber: 900_001, retailCustomerEmail: 'planted.customer@example.com' }
    for (const [path, asked] of both('/smt/agreements/terminate', 'terminate_agreement', {
      agreementNumber: 900_001
    })) {
      expect(await post(path, asked)).toEqual([400, { ok: false, error: 'missing_retailCustomerEmail' }])
    }
    await byEveryWay(post, ...both('/smt/agreements/terminate', 'terminate_agreement', body))
    expect(records.agreements[0]!.status).toBe('Non Active - Terminated by CSP')
    expect(await post('/smt/agreements/terminate', { ...body, agreementNumber: 5 })).toMatchObject([
      200,
      { ok: false, status: 400 }
    ])
    expect(daemon.said()).not.toMatch(/planted/)
  })

  test('have a report written of both series in all versions, never of one alone', async () => {
    const { post, asked } = await daemonWith()
    const action = 'request_interval_backfill'
    await post('/agreements', { action, esiid: meter.esiid, startDate: '07/14/2024', endDate: '07/13/2025' })
    expect(JSON.parse(asked()[0]!.text)).toMatchObject({
      startDate: '07/14/2024',
      endDate: '07/13/2025',
      deliveryMode: 'FTP',
      reportFormat: 'CSV',
      version: 'A',
      readingType: 'A',
      esiid: [meter.esiid]
    })
    const wrong = { action, esiid: '8901099999', startDate: '02/30/2025' }
    expect(await post('/agreements', wrong)).toEqual([
      400,
      { ok: false, error: 'missing_required_fields', details: { esiid: false, startDate: false, endDate: false } }
    ])
  })
})

describe('a backfill that the app asks for', () => {
  test('ends as rows in the store: token, request, report on the SFTP server, trigger', async () => {
    const keep = { content: Buffer.alloc(0), modifiedAt: 0 }
    const sftp = await FakeSftpServer.start({ files: [['/adhocusage/.keep', keep]] })
    onTestFinished(() => sftp.close())
    const { env, folder, pgp } = await surroundings()
    writeFileSync(`${folder}/keys/id_ed25519`, sftp.login.privateKey, { mode: 0o600 })
    const smt = await FakeSmt.start({ duns: '123456789' })
    onTestFinished(() => smt.close())
    const solar = { ...meter, solar: true }
    const records = serveSmtRecords(smt, { meters: [solar], sftp, publicKey: pgp.publicKey, deliverAfterMs: undefined })
    const daemon = await startDaemon(
      {
        ...env,
        SMT_SFTP_PORT: String(sftp.port),
        SMT_HOST_KEY: sftp.fingerprint,
        SMT_REMOTE_DIR: '/adhocusage',
        SMT_PROXY_TOKEN: token,
        SMT_API_BASE_URL: smt.baseUrl,
        SMT_USERNAME: smt.login.username,
        SMT_PASSWORD: smt.login.password,
        SMT_REQUESTOR_AUTH_ID: smt.duns
      },
      folder
    )
    const asked = {
      action: 'request_interval_backfill',
      esiid: meter.esiid,
      startDate: '11/01/2025',
      endDate: '11/02/2025'
    }
    const headers = { authorization: `Bearer ${token}` }
    const { json } = await daemon.ask('/agreements', { method: 'POST', headers, body: JSON.stringify(asked) })
    expect(json).toEqual({ ok: true, jobId: records.reports[0]!.correlationId })
    await records.deliver()
    const { json: triggered } = await daemon.trigger({ reason: 'smt_authorized', esiid: meter.esiid })
    const { run } = (await daemon.ended(triggered.runId)).json
    // Two days of both series, one of them with 100 quarter hours.
    expect([run.state, run.files.committed, run.intervals]).toEqual(['done', 1, 2 * (96 + 100)])
  })
})

describe('a call of the app’s', () => {
  test('needs the token: 401 without it or with another, 500 where none is set', async () => {
    const { post, smt, daemon } = await daemonWith()
    const paths = ['/agreements', '/agreements-no-meter', '/smt/report-status', '/smt/agreements/terminate']
    for (const path of paths) {
      for (const authorization of ['', 'Bearer ', `Bearer ${token}x`, `bearer ${token}`, token, `Bearer ${secret}`]) {
        expect(await post(path, create, authorization)).toEqual([401, { ok: false, error: 'unauthorized' }])
      }
    }
    const without = await daemonWith({ SMT_PROXY_TOKEN: '' })
    for (const path of paths) {
      const expected = [500, { ok: false, error: 'smt_proxy_token_not_configured' }]
      expect(await without.post(path, create, 'Bearer ')).toEqual(expected)
    }
    expect([...smt.requests, ...without.smt.requests]).toEqual([])
    expect((await daemon.ask('/health')).text).toBe('ok')
  })

  test('that is no JSON, or asks for what is not known, is refused', async () => {
    const { post, smt } = await daemonWith()
    for (const body of ['', '{', '[]', '"x"', 'null']) {
      for (const path of ['/agreements', '/agreements-no-meter', '/smt/report-status']) {
        expect(await post(path, body)).toEqual([400, { ok: false, error: 'invalid_json' }])
      }
    }
    for (const action of ['token', '__proto__', 'constructor']) {
      const expected = [400, { ok: false, error: 'unsupported_action', action }]
      expect(await post('/agreements', { action })).toEqual(expected)
    }
    expect(smt.requests).toEqual([])
  })

  test('meets SMT answering HTML, or refusing the login: 502, and no word of the password', async () => {
    const { post, smt, daemon } = await daemonWith()
    smt.faults.always('/v2/Mysubscriptions/', htmlPage(404))
    const [status, json] = await post('/smt/subscriptions/list', {})
    const response = { rawText: expect.stringContaining('<html>') }
    expect([status, json]).toEqual([502, { ok: false, status: 404, error: 'smt_request_failed', response }])
    smt.expireTokens()
    const { post: wrong } = await daemonWith({ SMT_PASSWORD: 'planted-wrong-password' })
    const [refused, said] = await wrong('/smt/subscriptions/list', {})
    expect([refused, said.error]).toEqual([502, 'smt_request_failed'])
    expect(JSON.stringify(said) + daemon.said()).not.toMatch(/planted/)
  })

  test('is answered 503 where no account is set, and an account without its identity starts no daemon', async () => {
    const { post } = await daemonWith({ SMT_PASSWORD: '' })
    expect(await post('/smt/subscriptions/list', {})).toEqual([503, { ok: false, error: 'smt_api_not_configured' }])
    await expect(daemonWith({ SMT_REQUESTOR_AUTH_ID: '' })).rejects.toThrow(/code 2.*SMT_REQUESTOR_AUTH_ID/)
  })
})

describe('the app', () => {
  /** An app that keeps what it is told. */
  async function appWith(meterNumber?: string) {
    const told: { path: string; headers: IncomingMessage['headers']; body: string }[] = []
    const server = createServer(async (request, response) => {
      let body = ''
      for await (const chunk of request) body += chunk
      told.push({ path: request.url!, headers: request.headers, body })
      response.end(JSON.stringify({ ok: true, meterInfo: meterNumber ? { meterNumber } : null }))
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    return { told, APP_BASE_URL: `http://127.0.0.1:${(server.address() as { port: number }).port}` }
  }

  test('is handed what SMT says of a meter that it asked about, and is told when SMT says nothing', async () => {
    const { told, APP_BASE_URL } = await appWith()
    const { daemon } = await daemonWith({ APP_BASE_URL })
    const ask = { reason: 'smt_meter_info', esiid: meter.esiid, houseId: 'house-1', ts: '2025-07-14T00:00:00.000Z' }
    const { status, json } = await daemon.trigger(ask)
    expect([status, json]).toEqual([200, { ok: true, reason: 'smt_meter_info', status: 'complete', delivered: true }])
    expect(told[0]).toMatchObject({
      path: '/api/admin/smt/meter-info',
      headers: { 'x-intelliwatt-secret': expect.any(String) }
    })
    const report = JSON.parse(told[0]!.body)
    expect(report).toMatchObject({
      esiid: meter.esiid,
      houseId: 'house-1',
      status: 'complete',
      meterNumber: meter.meterNumber
    })
    expect(report.rawPayload.MeterData).toEqual(report.meterData)
    const unknown = await daemon.trigger({ ...ask, esiid: makeEsiid(2) })
    expect(unknown).toMatchObject({ status: 502, json: { ok: false, error: 'smt_request_failed', delivered: true } })
    expect(JSON.parse(told[1]!.body)).toMatchObject({
      status: 'error',
      esiid: makeEsiid(2),
      errorMessage: expect.any(String)
    })
    expect((await daemon.trigger({ ...ask, esiid: '8901099999' })).status).toBe(422)
    expect(daemon.said()).not.toContain(meter.esiid)
  })

  test('gives the number of a meter that a new agreement does not have', async () => {
    const { told, APP_BASE_URL } = await appWith('113401234LG')
    const { post, asked } = await daemonWith({ APP_BASE_URL, ADMIN_TOKEN: 'planted-admin-token-20cd' })
    await post('/agreements', create)
    expect(told[0]).toMatchObject({
      path: `/api/admin/smt/meter-info/latest?esiid=${meter.esiid}`,
      headers: { 'x-admin-token': 'planted-admin-token-20cd' }
    })
    expect(JSON.parse(asked()[0]!.text).customerMeterList[0].meterNumber).toBe('113401234LG')
  })

  test('is not told anything over a line that others can read', async () => {
    await expect(daemonWith({ APP_BASE_URL: 'http://app.example.com' })).rejects.toThrow(/code 2.*APP_BASE_URL/)
  })
})
