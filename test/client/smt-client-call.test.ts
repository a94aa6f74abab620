import { describe, expect, onTestFinished, test } from 'vitest'
import { ApiError, SmtAuth, SmtClient } from '../../src/index.ts'
import { FakeSmt, makeEsiid, serveSmtRecords } from '../../src/testing/index.ts'
import { failureOf } from '../support/failure.ts'

const meter = { esiid: makeEsiid(1) }

async function stand() {
  const smt = await FakeSmt.start({ duns: '123456789' })
  serveSmtRecords(smt, { meters: [meter] })
  const auth = new SmtAuth({ ...smt.login, baseUrl: smt.baseUrl })
  onTestFinished(async () => {
    await auth.close()
    await smt.close()
  })
  return { smt, client: new SmtClient({ auth, requesterAuthenticationId: smt.duns }) }
}

describe('SmtClient.call', () => {
  test('makes a call with SMT’s own names for its fields, says who asks, and gives the answer as it came', async () => {
    const { smt, client } = await stand()
    const { status, body } = await client.call('meterInfo', {
      reportFormat: 'JSON',
      version: 'L',
      ESIIDMeterList: [{ esiid: meter.esiid }]
    })
    expect([status, body]).toEqual([200, { trans_id: expect.any(String), MeterData: expect.any(Object) }])
    const sent = JSON.parse(smt.requests.at(-1)!.text)
    expect(sent).toMatchObject({ requestorID: smt.login.username, requesterAuthenticationID: '123456789' })
    expect(client.baseUrl).toBe(smt.baseUrl)
  })

  test('leaves in the answer what SMT says went wrong with HTTP 200', async () => {
    const { smt, client } = await stand()
    const said = { errorCode: '1', errorMessage: 'No data received from the respective TDSP' }
    smt.faults.next('/v2/myagreements/', { kind: 'answer', status: 200, body: said })
    expect(await client.call('agreements', {})).toEqual({ status: 200, body: said })
  })

  test('throws what SMT refuses by its status, with the answer', async () => {
    const { client } = await stand()
    const error = (await failureOf(client.call('agreementEsiids', { agreementNumber: 5 }))) as ApiError
    expect(error).toBeInstanceOf(ApiError)
    expect([error.status, error.body]).toEqual([400, { errorCode: '1', errorMessage: 'The agreement is not known.' }])
  })

  test('makes a call that makes something no second time', async () => {
    const { smt, client } = await stand()
    smt.faults.next('/v2/UnSubscription/', { kind: 'reset', isDone: true })
    const error = await failureOf(client.call('cancelSubscription', { subscriptionNumber: '1' }))
    expect([error.code, smt.count('/v2/UnSubscription/')]).toEqual(['API_UNCERTAIN', 1])
  })
})
