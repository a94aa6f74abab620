import { describe, expect, test } from 'vitest'
import { FakeSftpServer, FakeSmt, makeEsiid, serveSmtRecords } from '../../../src/testing/index.ts'

const esiid = makeEsiid(1)

/** A fake SMT, and one plain POST to it: no code of ours stands between. */
async function stand() {
  const sftp = await FakeSftpServer.start()
  const smt = await FakeSmt.start()
  const desk = serveSmtRecords(smt, { meters: [{ esiid }], sftp })
  const post = async (path: string, body: object, headers: Record<string, string> = {}) => {
    const answer = await fetch(`${smt.baseUrl}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body)
    })
    return { status: answer.status, body: JSON.parse(await answer.text()) }
  }
  const { body: login } = await post('/v2/token/', smt.login)
  const authorization = `Bearer ${login.accessToken}`
  return {
    smt,
    sftp,
    desk,
    call: (path: string, body: object, headers: object = {}) => post(path, body, { authorization, ...headers }),
    async [Symbol.asyncDispose]() {
      await smt.close()
      await sftp.close()
    }
  }
}

const identity = {
  trans_id: 'T1',
  requestorID: 'INTELLIPATH',
  requesterType: 'CSP',
  requesterAuthenticationID: '000000000',
  SMTTermsandConditions: 'Y'
}
const report = {
  ...identity,
  startDate: '11/01/2025',
  endDate: '11/02/2025',
  deliveryMode: 'FTP',
  reportFormat: 'CSV',
  version: 'A',
  readingType: 'A',
  esiid: [esiid]
}
const path = '/v2/15minintervalreads/'

describe('the fake SMT', () => {
  test('puts a report that was asked for on the SFTP server, and says so', async () => {
    await using stood = await stand()
    const { status, body } = await stood.call(path, report)
    expect({ status, body }).toMatchObject({ status: 200, body: { trans_id: 'T1', statusCode: '0' } })
    await stood.desk.deliver()
    const [file] = stood.desk.reports
    const text = Buffer.from(stood.sftp.files.get(file!.path!)!.content).toString()
    // A day of 96 rows, one of 100, and the header.
    expect(text.trim().split('\n')).toHaveLength(197)
    const { requesterType: _, requesterAuthenticationID: __, ...asked } = identity
    const question = { ...asked, correlationId: body.correlationId }
    expect(await stood.call('/v2/reportrequeststatus/', question)).toMatchObject({
      body: { statusReason: 'Completed' }
    })
  })

  test.each([
    ['a meter that is not in a list', { esiid }, 400],
    ['an ESIID of 18 digits', { esiid: [`${esiid}0`] }, 400],
    ['a date of another form', { startDate: '2025-11-01' }, 400],
    ['a day that the calendar has not', { endDate: '02/30/2025' }, 400],
    ['another DUNS', { requesterAuthenticationID: '111111111' }, 400],
    ['terms that were not accepted', { SMTTermsandConditions: 'N' }, 400],
    ['the other spelling', { requestorType: 'CSP' }, 400],
    ['somebody else’s name', { requestorID: 'SOMEBODY' }, 401],
    ['a meter without an agreement', { esiid: [makeEsiid(7)] }, 401]
  ])('refuses %s', async (_, other, status) => {
    await using stood = await stand()
    expect(await stood.call(path, { ...report, ...other })).toMatchObject({ status })
    expect(stood.desk.reports).toEqual([])
  })

  test('says in words what is wrong with a date, as SMT does', async () => {
    await using stood = await stand()
    const { body } = await stood.call(path, { ...report, startDate: '1/1/2025' })
    expect(body.errorMessage).toBe('Invalid Date. Expected format of: startDate is MM/dd/yyyy')
  })

  test('wants the identity in headers too where somebody gets an e-mail', async () => {
    await using stood = await stand()
    const { requesterType: _, ...asked } = identity
    const agreement = {
      ...asked,
      retailCustomerEmail: 'customer@example.invalid',
      agreementDuration: 12,
      customerLanguagePreference: 'ENGLISH',
      customerMeterList: [{ ESIID: esiid, meterNumber: '1', PUCTRORNumber: 10052 }]
    }
    expect(await stood.call('/v2/NewAgreement/', agreement)).toMatchObject({ status: 401 })
    expect(stood.desk.mails).toEqual([])
    const headers = { username: 'INTELLIPATH', serviceId: 'INTELLIPATH' }
    expect(await stood.call('/v2/NewAgreement/', agreement, headers)).toMatchObject({ status: 200 })
    expect(stood.desk.mails).toHaveLength(1)
  })
})
