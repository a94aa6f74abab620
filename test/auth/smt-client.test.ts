import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { endpoints } from '../../src/auth/endpoints.ts'
import { IntervalParser, SmtAuth, SmtClient, type SmtClientOptions } from '../../src/index.ts'
import {
  type DaysOf,
  FakeSmt,
  htmlPage,
  makeEsiid,
  makeIntervalAnswer,
  makeMeterDay,
  reissueMeterDay,
  type SmtFault,
  type SmtRecordsOptions,
  serveSmtRecords,
  tooManyRequests,
  totalsOf,
  unavailable
} from '../../src/testing/index.ts'
import { read } from '../parse/support.ts'
import { failureOf } from '../support/failure.ts'

const [esiid, long, stranger] = [makeEsiid(1), makeEsiid(2, 22), makeEsiid(3)]
const span = { from: '2025-11-01', to: '2025-11-03' }
const customerEmail = 'customer@example.invalid'
const meters = [
  { esiid, meterNumber: '112233445' },
  { esiid: long, solar: true },
  { esiid: stranger, agreed: false }
]

async function stand(records: Partial<SmtRecordsOptions> = {}, options: Partial<SmtClientOptions> = {}) {
  const smt = await FakeSmt.start({ duns: '987654321' })
  const auth = new SmtAuth({ baseUrl: smt.baseUrl, ...smt.login, retries: 2 })
  const desk = serveSmtRecords(smt, { meters, ...records })
  return {
    smt,
    desk,
    auth,
    client: new SmtClient({ auth, requesterAuthenticationId: smt.duns, ...options }),
    /** The bodies that came to a path. */
    bodies: (path: string) => smt.requests.filter(request => request.path === path).map(({ text }) => JSON.parse(text)),
    async [Symbol.asyncDispose]() {
      await auth.close()
      await smt.close()
    }
  }
}

const agreement = {
  customerEmail,
  months: 12,
  meters: [{ esiid, meterNumber: '112233445', puctNumber: 10052 }]
} as const

/** A call of each kind, by its path. */
const calls: [keyof typeof endpoints, (client: SmtClient) => Promise<unknown>][] = [
  ['intervalReads', client => client.requestIntervalReport({ esiids: [esiid], ...span })],
  ['dailyReads', client => client.dailyReads({ esiid, ...span })],
  ['monthlyBilling', client => client.monthlyBilling({ esiid, ...span })],
  ['meterInfo', client => client.meterInfo({ esiid })],
  ['reportStatus', client => client.reportStatus({ correlationId: 'x' })],
  ['onDemandRead', client => client.requestOnDemandRead({ esiid })],
  ['onDemandReadStatus', client => client.onDemandReadStatus({ correlationId: 'x' })],
  ['newAgreement', client => client.newAgreement(agreement)],
  ['agreements', client => client.agreements()],
  ['agreementEsiids', client => client.agreementEsiids({ agreementNumber: 1 })],
  [
    'terminateAgreements',
    client => client.terminateAgreements({ agreements: [{ agreementNumber: 1, customerEmail }] })
  ],
  ['newSubscription', client => client.newSubscription({ dataType: 'interval' })],
  ['subscriptions', client => client.subscriptions()],
  ['cancelSubscription', client => client.cancelSubscription({ subscriptionNumber: 'x' })]
]
const repeatable = calls.filter(([name]) => endpoints[name].retry === 'safe')
const once = calls.filter(([name]) => endpoints[name].retry === 'never')

test('every call that is known is among these tests', () => {
  expect(calls.map(([name]) => name)).toEqual(Object.keys(endpoints))
})

describe('reads', () => {
  test('a request for a report is acknowledged, and its status can be asked', async () => {
    await using stood = await stand({ deliverAfterMs: undefined })
    const { client, desk, bodies } = stood
    const { correlationId, transId } = await client.requestIntervalReport({ esiids: [esiid, long], ...span })
    expect(desk.reports).toMatchObject([{ correlationId }])
    const [body] = bodies('/v2/15minintervalreads/')
    expect(body).toEqual({
      trans_id: transId,
      requestorID: 'INTELLIPATH',
      requesterType: 'CSP',
      requesterAuthenticationID: '987654321',
      startDate: '11/01/2025',
      endDate: '11/03/2025',
      deliveryMode: 'FTP',
      reportFormat: 'CSV',
      version: 'A',
      readingType: 'A',
      esiid: [esiid, long],
      SMTTermsandConditions: 'Y'
    })
    expect(transId).toMatch(/^INT15\d{13}[0-9a-f]{8}$/)
    expect(await client.reportStatus({ correlationId })).toMatchObject({ state: 'pending', word: 'PEN' })
    desk.reports[0]!.status = 'Completed'
    expect(await client.reportStatus({ correlationId, serviceType: 'ADHOC' })).toMatchObject({ state: 'done' })
    expect(Object.keys(bodies('/v2/reportrequeststatus/')[0])).not.toContain('requesterAuthenticationID')
  })

  test.each([
    ['Completed', 'done'],
    ['completed ', 'done'],
    ['Not yet completed', 'unknown'],
    ['Incomplete', 'unknown'],
    ['Failed', 'failed'],
    ['In Progress', 'pending'],
    ['Something new', 'unknown']
  ])('the status %j is %s: words are compared whole', async (word, state) => {
    await using stood = await stand({ deliverAfterMs: undefined })
    const { correlationId } = await stood.client.requestIntervalReport({ esiids: [esiid], ...span })
    stood.desk.reports[0]!.status = word
    expect(await stood.client.reportStatus({ correlationId })).toMatchObject({ state, reason: word })
  })

  test.each(['correlationID', 'CorrelationId'])('an acknowledgement may spell it %s', async name => {
    await using stood = await stand()
    stood.smt.endpoints.set('/v2/15minintervalreads/', { answer: () => ({ body: { [name]: 'abc' } }) })
    expect(await stood.client.requestIntervalReport({ esiids: [esiid], ...span })).toMatchObject({
      correlationId: 'abc'
    })
  })

  test('daily reads are given with their own digits', async () => {
    await using stood = await stand()
    const reads = await stood.client.dailyReads({ esiid, ...span })
    expect(reads.map(({ date }) => date)).toEqual(['2025-11-01', '2025-11-02', '2025-11-03'])
    const day = makeMeterDay({ esiid, date: '2025-11-01' })
    const kwh = (totalsOf([day]).milliKwh.consumption / 1000).toFixed(3)
    expect(reads[0]).toMatchObject({ startReading: '24002.915', kwh })
    expect(new Date(reads[0]!.revision!).toISOString()).toMatch(/^2025-11-02T1[2-5]:/)
  })

  test('monthly bills have their months', async () => {
    await using stood = await stand()
    const bills = await stood.client.monthlyBilling({ esiid, from: '2025-06-12', to: '2025-07-14', version: 'latest' })
    expect(bills).toMatchObject([
      { from: '2025-06-12', to: '2025-06-30', meteredKw: '7.91', billedKva: '0' },
      { from: '2025-07-01', to: '2025-07-14' }
    ])
    const [body] = stood.bodies('/v2/monthlybillingInformation/')
    expect(body).toMatchObject({ version: 'L', deliveryMode: 'API' })
    expect(body).not.toHaveProperty('readingType')
  })

  test('one meter’s information comes at once, without a delivery mode; that of several is a report', async () => {
    await using stood = await stand()
    expect(await stood.client.meterInfo({ esiid })).toMatchObject({
      utilityMeterId: '112233445',
      kwhMeterMultiplier: '1',
      configuredChannels: '1',
      fields: { DGChannel: 'N' }
    })
    expect(await stood.client.requestMeterInfoReport({ esiids: [esiid, long] })).toMatchObject({
      correlationId: expect.any(String)
    })
    for (const body of stood.bodies('/v2/meterInfo/')) expect(body).not.toHaveProperty('deliveryMode')
  })

  test('a reading on demand is awaited, then there', async () => {
    await using stood = await stand()
    const { correlationId } = await stood.client.requestOnDemandRead({ esiid })
    expect(await stood.client.onDemandReadStatus({ correlationId })).toEqual({ state: 'pending', reason: 'Pending' })
    expect(await stood.client.onDemandReadStatus({ correlationId })).toEqual({
      state: 'done',
      reading: '24038.915',
      readAt: '07/15/2025 09:00:00'
    })
  })

  test('answers of interval reads are files: what SMT says is what the parser reads, in all versions', async () => {
    const days: DaysOf = ({ esiid, solar }, date) => {
      const day = makeMeterDay({ esiid, date, solar, estimated: true })
      return [day, reissueMeterDay(day, '2025-11-09 06:41:12')]
    }
    await using stood = await stand({ days })
    const source = stood.client.intervalAnswers({ esiids: [esiid, long], ...span, daysPerAnswer: 2 })
    const seen: string[] = []
    for await (const file of source.files()) {
      const { intervals } = await read(file.stream(), { path: file.path })
      seen.push(file.name)
      const meter = meters.find(({ esiid }) => file.name.includes(esiid))!
      const dates = file.name.includes('2025-11-01') ? ['2025-11-01', '2025-11-02'] : ['2025-11-03']
      const made = makeIntervalAnswer(dates.flatMap(date => days(meter, date)))
      expect(intervals).toEqual(
        [...made.expected()].map(({ milliKwh, ...rest }) => ({ ...rest, kwh: milliKwh / 1000 }))
      )
      expect(await file.verify()).toMatchObject({ vanished: false, sha256: expect.stringMatching(/^[0-9a-f]{64}$/) })
    }
    expect(seen).toHaveLength(4)
  })

  test('I4: an answer that is cut off is never verified', async () => {
    await using stood = await stand()
    stood.smt.faults.always('/v2/15minintervalreads/', { kind: 'cut', afterBytes: 2000 })
    for await (const file of stood.client.intervalAnswers({ esiids: [esiid], ...span }).files()) {
      const failure = await failureOf(read(file.stream(), { path: file.path }))
      expect(failure).toMatchObject({ cause: expect.anything() })
      await expect(file.verify()).rejects.toThrow('not read to its end')
    }
  })

  test('a long answer flows: the first rows are there before the last byte was sent', async () => {
    await using stood = await stand()
    const { bytes } = makeIntervalAnswer(
      Array.from({ length: 200 }, (_, i) =>
        makeMeterDay({ esiid, date: new Date(1.7e12 + i * 864e5).toISOString().slice(0, 10) })
      )
    )
    let release: () => void = () => {}
    const released = new Promise<void>(resolve => (release = resolve))
    async function* halting() {
      yield bytes.subarray(0, bytes.length - 1000)
      await released
      yield bytes.subarray(bytes.length - 1000)
    }
    stood.smt.endpoints.set('/v2/15minintervalreads/', { answer: () => ({ body: halting() }) })
    for await (const file of stood.client.intervalAnswers({ esiids: [esiid], ...span }).files()) {
      const stream = file.stream().pipe(new IntervalParser({ batchRows: 96 }).stream(file))
      let rows = 0
      for await (const value of stream) {
        if (rows === 0) release()
        if ('length' in value) rows += value.length
      }
      expect(rows).toBe([...readingsIn(bytes)].length)
    }
  })
})

/** Every reading in an answer's text, as JSON.parse has it. */
function* readingsIn(bytes: Buffer) {
  const { energyData } = JSON.parse(bytes.toString()) as { energyData: { RD: string }[] }
  for (const { RD } of energyData) yield* RD.split(',').filter(text => text !== '')
}

describe('agreements', () => {
  test('are asked for, listed, looked into and ended', async () => {
    await using stood = await stand()
    const { client, desk } = stood
    const { agreementNumber } = await client.newAgreement({
      ...agreement,
      meters: [{ esiid: stranger, meterNumber: '1', puctNumber: 10052 }]
    })
    expect(desk.mails).toEqual([{ to: customerEmail, agreementNumber }])
    expect(await client.agreements()).toMatchObject([{ agreementNumber, state: 'pending' }])
    expect(await failureOf(client.dailyReads({ esiid: stranger, ...span }))).toMatchObject({ code: 'API_UNAUTHORIZED' })
    desk.accept(agreementNumber!)
    expect(await client.agreements({ agreementNumber: agreementNumber! })).toMatchObject([{ state: 'active' }])
    expect(await client.dailyReads({ esiid: stranger, ...span })).toHaveLength(3)
    expect(await client.agreementEsiids({ agreementNumber: agreementNumber! })).toEqual({
      esiids: [stranger],
      withoutEsiid: 1
    })
    await client.terminateAgreements({ agreements: [{ agreementNumber: agreementNumber!, customerEmail }] })
    expect(await client.agreements()).toMatchObject([{ state: 'inactive', status: 'Non Active - Terminated by CSP' }])
  })

  test('name the identity in headers too: SMT refuses them otherwise', async () => {
    await using stood = await stand()
    await stood.client.newAgreement(agreement)
    const { headers } = stood.smt.requests.find(({ path }) => path === '/v2/NewAgreement/')!
    expect(headers).toMatchObject({ username: 'INTELLIPATH', serviceid: 'INTELLIPATH' })
    const [body] = stood.bodies('/v2/NewAgreement/')
    expect(body).not.toHaveProperty('requesterType')
    await using other = await stand({}, { requestorId: 'SOMEBODY' })
    expect(await failureOf(other.client.newAgreement(agreement))).toMatchObject({
      code: 'API_UNAUTHORIZED',
      message: expect.stringContaining('Mismatch')
    })
  })

  test.each([
    ['Active - Authorization Confirmed', 'active'],
    ['ACT', 'active'],
    ['Pending - Customer Authorization', 'pending'],
    ['Non Active - Terminated by CSP', 'inactive'],
    ['NACOM', 'inactive'],
    ['Not Accepted', 'inactive'],
    ['Inactive', 'inactive'],
    ['Activated', 'unknown'],
    ['Radioactive - whatever', 'unknown'],
    ['', 'unknown']
  ])('the status %j is %s: “Non Active” is not active', async (status, state) => {
    await using stood = await stand()
    const answer = () => ({ body: { agreementStatusList: [{ agreementNumber: '7', status }] } })
    stood.smt.endpoints.set('/v2/myagreements/', { answer })
    expect(await stood.client.agreements()).toMatchObject([{ agreementNumber: 7, state, status }])
  })
})

describe('subscriptions', () => {
  test('are made, listed and ended', async () => {
    await using stood = await stand()
    const { outcome, subscriptionNumber } = await stood.client.newSubscription({
      dataType: 'interval',
      historyMonths: 24
    })
    expect(outcome).toBe('created')
    expect(stood.bodies('/v2/NewSubscription/')).toMatchObject([
      { dataType: 'INTERVAL', deliveryMode: 'FTP', reportFormat: 'CSV', historicalSubscriptionDuration: 24 }
    ])
    expect(await stood.client.subscriptions()).toMatchObject([{ subscriptionNumber, status: 'Active' }])
    await stood.client.cancelSubscription({ subscriptionNumber: subscriptionNumber! })
    expect(await stood.client.subscriptions()).toEqual([])
  })

  test('that there is one already is an outcome, in SMT’s spelling or the right one', async () => {
    await using stood = await stand()
    await stood.client.newSubscription({ dataType: 'interval' })
    expect(await stood.client.newSubscription({ dataType: 'interval' })).toMatchObject({ outcome: 'already-active' })
    for (const status of [200, 400]) {
      const CustomerDUNSFaultList = [{ reasonCode: 'x Subscription is already active' }]
      stood.smt.endpoints.set('/v2/NewSubscription/', { answer: () => ({ status, body: { CustomerDUNSFaultList } }) })
      expect(await stood.client.newSubscription({ dataType: 'daily' })).toMatchObject({ outcome: 'already-active' })
    }
  })

  test('another fault beside it is an error', async () => {
    await using stood = await stand()
    const fault = { CustomerDUNSFaultList: [{ reasonCode: 'DUNS is not active' }] }
    for (const [status, code] of [
      [200, 'API_FAULT'],
      [400, 'API_REFUSED']
    ] as const) {
      stood.smt.endpoints.set('/v2/NewSubscription/', { answer: () => ({ status, body: fault }) })
      expect(await failureOf(stood.client.newSubscription({ dataType: 'daily' }))).toMatchObject({ code })
    }
  })
})

describe('HTTP 200 with an error in it', () => {
  const faults: [object, string, RegExp][] = [
    [{ errorCode: '1', errorMessage: 'No data received from the respective TDSP' }, 'API_NO_DATA', /No data/],
    [{ errorCode: '1', errorMessage: 'No Energy Data received from the respective TDSP' }, 'API_NO_DATA', /No Energy/],
    [{ errorCode: '2076', errorMessage: 'API Integration is not done.' }, 'API_FAULT', /2076 API Integration/],
    [{ errorCode: 2076 }, 'API_FAULT', /2076/],
    [{ error: 'Something went wrong.' }, 'API_FAULT', /went wrong/],
    [{ statusCode: '17', statusReason: 'Bad meter' }, 'API_FAULT', /status 17; Bad meter/],
    [{ AnyFaultList: [{ reasonCode: 'Wrong meter' }] }, 'API_FAULT', /Wrong meter/]
  ]

  test.each(calls.filter(([name]) => name !== 'reportStatus'))(
    '%s never takes it for an answer',
    async (name, call) => {
      await using stood = await stand()
      for (const [body, code, message] of faults) {
        stood.smt.endpoints.set(endpoints[name].path, { answer: () => ({ body }) })
        const failure = (await failureOf(call(stood.client))) as Error
        expect(failure).toMatchObject({ name: 'ApiError', code, status: 200 })
        expect(failure.message).toMatch(message)
      }
    }
  )

  test('also where the answer is streamed: no row is taken', async () => {
    await using stood = await stand()
    for (const [body, code] of faults) {
      stood.smt.endpoints.set('/v2/15minintervalreads/', { answer: () => ({ body }) })
      for await (const file of stood.client.intervalAnswers({ esiids: [esiid], ...span }).files()) {
        expect(await failureOf(read(file.stream()))).toMatchObject({ code })
      }
    }
  })

  test('zero, and PEN, say that all is well', async () => {
    await using stood = await stand()
    for (const statusCode of ['0', 0, '00', 200, 'PEN', 'ACK']) {
      const answer = () => ({
        body: { statusCode, errorCode: '', errorMessage: '', correlationId: 'x', AnyFaultList: [] }
      })
      stood.smt.endpoints.set('/v2/15minintervalreads/', { answer })
      expect(await stood.client.requestIntervalReport({ esiids: [esiid], ...span })).toMatchObject({
        correlationId: 'x'
      })
    }
  })
})

describe('an answer that is not as it should be', () => {
  const wrong: [keyof typeof endpoints, unknown, string][] = [
    ['intervalReads', {}, 'correlationId'],
    ['intervalReads', { correlationId: {} }, 'correlationId'],
    ['dailyReads', { registeredReads: [{ readDate: '2025-07-14' }] }, 'registeredReads.0.readDate'],
    ['dailyReads', { registeredReads: [{ readDate: '07/14/2025', energyDataKwh: '1e3' }] }, 'energyDataKwh'],
    ['dailyReads', { registeredReads: 'none' }, 'registeredReads'],
    ['monthlyBilling', { billingData: [{ startDate: '06/12/2025' }] }, 'billingData.0.endDate'],
    ['meterInfo', {}, 'MeterData'],
    ['onDemandReadStatus', { statusCode: '0' }, 'the answer'],
    ['agreements', { some: 'text' }, 'the answer'],
    ['agreementEsiids', { a: [], b: [] }, 'the answer'],
    ['subscriptions', 'text', 'the answer']
  ]

  test.each(wrong)('%s: %j is an error that names the field', async (name, body, field) => {
    await using stood = await stand()
    stood.smt.endpoints.set(endpoints[name].path, { answer: () => ({ body: JSON.stringify(body) }) })
    const [, call] = calls.find(([one]) => one === name)!
    const failure = (await failureOf(call(stood.client))) as Error
    expect(failure).toMatchObject({ code: 'API_ANSWER' })
    expect(failure.message).toContain(field)
  })
})

describe('calls that may be made again', () => {
  test.each(repeatable)(
    '%s is made again after a reset, and after a gateway’s page',
    { timeout: 30_000 },
    async (name, call) => {
      await using stood = await stand()
      const { path } = endpoints[name]
      stood.smt.faults.next(path, { kind: 'reset' }, unavailable())
      // That it knows no such number is an answer, too.
      await call(stood.client).catch(error => expect(error).toMatchObject({ retryable: false }))
      expect(stood.smt.count(path)).toBe(3)
    }
  )
})

describe('calls that make something, or send a customer an e-mail', () => {
  const lost: [string, SmtFault][] = [
    ['the answer is lost', { kind: 'reset', isDone: true }],
    ['the connection is reset', { kind: 'reset' }],
    ['a gateway’s page comes', { ...(htmlPage() as SmtFault & { kind: 'answer' }), isDone: true }],
    ['a gateway asks to come back later', { ...(unavailable(0) as SmtFault & { kind: 'answer' }), isDone: true }]
  ]

  test.each(once.flatMap(([name, call]) => lost.map(([what, fault]) => [name, what, fault, call] as const)))(
    '%s: when %s, it is not made again, and nobody is told to',
    async (name, _, fault, call) => {
      await using stood = await stand()
      const { path } = endpoints[name]
      stood.smt.faults.next(path, fault)
      const failure = await failureOf(call(stood.client))
      expect(failure).toMatchObject({ code: 'API_UNCERTAIN', retryable: false })
      expect(stood.smt.count(path)).toBe(1)
    }
  )

  test('a customer gets one e-mail, whatever happens to the answer', async () => {
    await using stood = await stand()
    stood.smt.faults.next('/v2/NewAgreement/', { kind: 'reset', isDone: true })
    await failureOf(stood.client.newAgreement(agreement))
    expect(stood.desk.mails).toHaveLength(1)
    // And how to find out: it is in the list.
    expect(await stood.client.agreements()).toMatchObject([{ state: 'pending' }])
  })

  test('what SMT asks to wait for is said as it is: it did nothing', async () => {
    await using stood = await stand()
    stood.smt.faults.next('/v2/NewAgreement/', tooManyRequests(7))
    expect(await failureOf(stood.client.newAgreement(agreement))).toMatchObject({
      code: 'API_RATE_LIMIT',
      retryAfterMs: 7000
    })
    expect(stood.desk.mails).toEqual([])
  })

  test('when nobody could log in, nothing was sent, and the error says why', async () => {
    await using stood = await stand()
    stood.smt.faults.always('/v2/token/', unavailable(0))
    expect(await failureOf(stood.client.newAgreement(agreement))).toMatchObject({
      code: 'API_GATEWAY',
      retryable: true
    })
    expect(stood.smt.count('/v2/NewAgreement/')).toBe(0)
  })
})

describe('what is asked is checked before it is sent', () => {
  const refused: [string, (client: SmtClient) => Promise<unknown>, RegExp][] = [
    ['an ESIID of 18 digits', client => client.dailyReads({ esiid: `${esiid}1`, ...span }), /esiid.*17 or 22 digits/],
    ['an ESIID that is a number', client => client.meterInfo({ esiid: 10443720009999000 as never }), /esiid/],
    ['no meter', client => client.requestIntervalReport({ esiids: [], ...span }), /esiids/],
    ['a date of SMT’s', client => client.dailyReads({ esiid, from: '07/14/2025', to: '07/15/2025' }), /from/],
    [
      'a day that the calendar has not',
      client => client.monthlyBilling({ esiid, from: '2025-02-30', to: '2025-03-01' }),
      /from/
    ],
    ['an end before its begin', client => client.dailyReads({ esiid, from: '2025-02-02', to: '2025-02-01' }), /before/],
    ['another option', client => client.dailyReads({ esiid, ...span, days: 3 } as never), /days` is not an option/],
    [
      'a duration that SMT does not offer',
      client => client.newAgreement({ ...agreement, months: 5 as never }),
      /months/
    ],
    ['no e-mail address', client => client.newAgreement({ ...agreement, customerEmail: 'nobody' }), /customerEmail/],
    [
      'a history that SMT does not offer',
      client => client.newSubscription({ dataType: 'daily', historyMonths: 5 as never }),
      /historyMonths/
    ],
    [
      'an agreement’s number as text',
      client => client.agreementEsiids({ agreementNumber: '7' as never }),
      /agreementNumber/
    ]
  ]

  test.each(refused)('%s is refused', async (_, call, message) => {
    await using stood = await stand()
    const failure = (await failureOf(call(stood.client))) as Error
    expect(failure).toMatchObject({ name: 'ConfigError', code: 'CONFIG_INVALID' })
    expect(failure.message).toMatch(message)
    expect(stood.smt.requests).toEqual([])
  })

  test.each([
    [{ requesterAuthenticationId: '12345' }, /requesterAuthenticationId/],
    [{ auth: {} as SmtAuth }, /auth/],
    [{ paths: { dailyReads: 'https://evil.invalid/' } }, /paths/],
    [{ paths: { dailyReads: '//evil.invalid/' } }, /paths/],
    [{ paths: { other: '/x/' } as never }, /other/]
  ])('the client does not take %j', async (options, message) => {
    await expect(async () => stand({}, options)).rejects.toThrow(message)
  })

  test('a path may be another one, should SMT spell it so', async () => {
    await using stood = await stand({}, { paths: { monthlyBilling: '/v2/monthlybillinginformation/' } })
    stood.smt.endpoints.set('/v2/monthlybillinginformation/', { answer: () => ({ body: { billingData: [] } }) })
    expect(await stood.client.monthlyBilling({ esiid, ...span })).toEqual([])
  })
})

test('a call ends when its signal says so', async () => {
  await using stood = await stand()
  stood.smt.faults.always('/v2/dailyreads/', { kind: 'silent' })
  const signal = AbortSignal.timeout(50)
  expect(await failureOf(stood.client.dailyReads({ esiid, ...span, signal }))).toMatchObject({ code: 'ABORTED' })
})

test('I11: no error and no inspection says an ESIID, a customer, a token or the password', async () => {
  await using stood = await stand()
  const secrets = [esiid, customerEmail, stood.smt.login.password, (await stood.auth.token()).value]
  const answer = () => ({
    body: { errorCode: '9', errorMessage: `${customerEmail} of ${esiid} is not known`, statusReason: customerEmail }
  })
  for (const [name, call] of calls.filter(([name]) => name !== 'reportStatus')) {
    stood.smt.endpoints.set(endpoints[name].path, { answer })
    const failure = (await failureOf(call(stood.client))) as Error
    const shown = [failure.message, String(failure.stack), inspect(failure, { depth: 9 }), JSON.stringify(failure)]
    for (const secret of secrets) expect(shown.join('\n')).not.toContain(secret)
  }
  const shown = inspect(stood.client, { depth: 9, showHidden: true })
  for (const secret of secrets) expect(shown).not.toContain(secret)
})
