import type { AdmittedCall, SmtAnswer, SmtEndpoint } from './call.ts'
import * as check from './check.ts'

/** An agreement, as SMT keeps it. */
export interface FakeAgreement {
  readonly agreementNumber: number
  readonly customerEmail: string
  readonly esiids: readonly string[]
  status: string
}

/** A subscription, as SMT keeps it. */
export interface FakeSubscription {
  readonly subscriptionNumber: string
  readonly fields: Readonly<Record<string, unknown>>
}

/** An e-mail that a customer would have got. */
export interface FakeMail {
  readonly to: string
  readonly agreementNumber: number
}

/** Agreements with customers, and what is sent because of them. */
export class AgreementDesk {
  readonly agreements: FakeAgreement[] = []
  readonly subscriptions: FakeSubscription[] = []
  /** In the order in which they were sent. */
  readonly mails: FakeMail[] = []
  readonly #duns: string
  #last = 0

  constructor(duns: string) {
    this.#duns = duns
  }

  /** The customer accepts. */
  accept(agreementNumber: number): void {
    const agreement = this.agreements.find(agreement => agreement.agreementNumber === agreementNumber)
    if (!agreement) throw new RangeError(`there is no agreement ${agreementNumber}`)
    agreement.status = 'Active - Authorization Confirmed'
  }

  /** The calls, by path. */
  calls(): [string, SmtEndpoint][] {
    const call = (fields: check.Fields, answer: (call: AdmittedCall) => SmtAnswer): SmtEndpoint => ({
      answer: call => check.refusalOfFields(call, this.#duns, fields) ?? answer(call)
    })
    return [
      [
        '/v2/NewAgreement/',
        { ...call(newAgreementFields, call => this.#newAgreement(call)), needsIdentityHeaders: true }
      ],
      [
        '/v2/myagreements/',
        call({ optional: { agreementNumber: check.wholeNumber, statusReason: check.text } }, call => this.#list(call))
      ],
      ['/v2/AgreementESIIDs/', call({ required: { agreementNumber: check.wholeNumber } }, call => this.#esiids(call))],
      [
        '/v2/Terminateagreement/',
        call({ required: { agreementList: isAgreementList } }, call => this.#terminate(call))
      ],
      [
        '/v2/NewSubscription/',
        { ...call(subscriptionFields, call => this.#subscribe(call)), needsIdentityHeaders: true }
      ],
      [
        '/v2/Mysubscriptions/',
        call({}, ({ body }) => ({ body: { trans_id: body.trans_id, subscriptionList: this.#subscriptionList() } }))
      ],
      ['/v2/UnSubscription/', call({ required: { subscriptionNumber: check.text } }, call => this.#unsubscribe(call))]
    ]
  }

  #newAgreement({ body }: AdmittedCall): SmtAnswer {
    const agreementNumber = 900_001 + this.#last++
    const customerEmail = String(body.retailCustomerEmail)
    const esiids = (body.customerMeterList as { ESIID: string }[]).map(({ ESIID }) => ESIID)
    this.agreements.push({ agreementNumber, customerEmail, esiids, status: 'Pending - Customer Authorization' })
    this.mails.push({ to: customerEmail, agreementNumber })
    return { body: { trans_id: body.trans_id, agreementNumber, statusCode: '0', statusReason: 'Agreement requested' } }
  }

  #list({ body }: AdmittedCall): SmtAnswer {
    const { agreementNumber } = body
    const agreementStatusList = this.agreements
      .filter(agreement => agreementNumber === undefined || agreement.agreementNumber === agreementNumber)
      .map(({ agreementNumber, status }) => ({ agreementNumber, status }))
    return { body: { trans_id: body.trans_id, agreementStatusList } }
  }

  #esiids({ body }: AdmittedCall): SmtAnswer {
    const found = this.agreements.find(({ agreementNumber }) => agreementNumber === body.agreementNumber)
    if (!found) return check.refused('The agreement is not known.')
    // One record of SMT's that names no meter.
    const agreementESIIDList = [...found.esiids.map(ESIID => ({ ESIID })), { comment: 'No ESIID' }]
    return { body: { trans_id: body.trans_id, agreementESIIDList } }
  }

  #terminate({ body }: AdmittedCall): SmtAnswer {
    const list = body.agreementList as { agreementNumber: number }[]
    for (const { agreementNumber } of list) {
      const found = this.agreements.find(agreement => agreement.agreementNumber === agreementNumber)
      if (!found) return check.refused('The agreement is not known.')
      found.status = 'Non Active - Terminated by CSP'
    }
    return { body: { trans_id: body.trans_id, statusCode: '0', statusReason: 'Terminated' } }
  }

  #subscribe({ body }: AdmittedCall): SmtAnswer {
    const isActive = this.subscriptions.some(({ fields }) => fields.dataType === body.dataType)
    if (isActive) {
      // SMT's own spelling.
      const CustomerDUNSFaultList = [{ reasonCode: `${this.#duns} Subcription is already active for this DUNS` }]
      return { status: 400, body: { trans_id: body.trans_id, CustomerDUNSFaultList, statusReason: 'Request failed' } }
    }
    const subscriptionNumber = String(700_001 + this.#last++)
    const { dataType, reportFormat, deliveryMode, subscriptionType } = body
    this.subscriptions.push({ subscriptionNumber, fields: { dataType, reportFormat, deliveryMode, subscriptionType } })
    return { body: { trans_id: body.trans_id, subscriptionNumber, statusCode: '0', statusReason: 'Subscribed' } }
  }

  #subscriptionList(): object[] {
    return this.subscriptions.map(({ subscriptionNumber, fields }) => ({
      subscriptionNumber,
      status: 'Active',
      ...fields
    }))
  }

  #unsubscribe({ body }: AdmittedCall): SmtAnswer {
    const at = this.subscriptions.findIndex(({ subscriptionNumber }) => subscriptionNumber === body.subscriptionNumber)
    if (at < 0) return check.refused('The subscription is not known.')
    this.subscriptions.splice(at, 1)
    return { body: { trans_id: body.trans_id, statusCode: '0' } }
  }
}

const isEmail = (value: unknown) => typeof value === 'string' && /^[^@\s]+@[^@\s]+$/.test(value)

const newAgreementFields: check.Fields = {
  identity: 'without-type',
  required: {
    retailCustomerEmail: isEmail,
    agreementDuration: check.oneOf(1, 3, 6, 9, 12, 24, 36),
    customerLanguagePreference: check.text,
    customerMeterList: list =>
      Array.isArray(list) &&
      list.length > 0 &&
      list.every(
        item => check.oneEsiid(item?.ESIID) && check.text(item.meterNumber) && check.wholeNumber(item.PUCTRORNumber)
      )
  }
}

const subscriptionFields: check.Fields = {
  required: {
    subscriptionType: check.oneOf('CSPENROLL', 'SCHEDULE', 'SCHEDULES', 'REPENROLL'),
    historicalSubscriptionDuration: check.oneOf(3, 6, 9, 12, 24),
    reportFormat: check.oneOf('CSV', 'LSE', 'JSON', 'XML'),
    dataType: check.oneOf('DAILY', 'INTERVAL', 'MONTHLY'),
    deliveryMode: check.oneOf('FTP', 'EML', 'API')
  }
}

const isAgreementList = (list: unknown) =>
  Array.isArray(list) &&
  list.length > 0 &&
  list.every(item => check.wholeNumber(item?.agreementNumber) && isEmail(item.retailCustomerEmail))
