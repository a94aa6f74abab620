import { ApiError, findIngestError, type SmtClient } from '@intelliwatt/smt-ingest'
import type { FastifyBaseLogger } from 'fastify'
import type { AppLink } from './app-link.ts'
import { readSteps, type Step } from './steps.ts'
import type { Answer } from './trigger.ts'

export interface CreateOptions {
  readonly smt: SmtClient
  readonly app: AppLink | undefined
  readonly log: FastifyBaseLogger
  /** Whether numbers of meters are sent along. */
  readonly withMeters: boolean
  readonly puctNumber: number
}

/** One step as the app is told of it. */
interface StepResult {
  readonly name: string
  readonly path: string
  readonly httpStatus: number
  readonly url: string
  readonly body: unknown
}

type Body = Readonly<Record<string, unknown>>

/** Asks a customer for an agreement and has SMT send reports: one call for each step, in their order. */
export async function createAgreementAndSubscription(body: Body, options: CreateOptions): Promise<Answer> {
  const { smt, log } = options
  const action = 'create_agreement_and_subscription'
  const steps = readSteps(body)
  if ('error' in steps) return { status: 400, body: { ok: false, ...steps } }
  const results: StepResult[] = []
  const parts: { agreement?: object; subscription?: object } = {}
  const failed = (error: string, detail?: string | undefined): Answer => ({
    status: 502,
    body: { ok: false, action, error, ...(detail && { detail }), partialResults: results }
  })
  for (const step of steps) {
    const said = await take(step, body, options).catch(cause => {
      log.error({ err: findIngestError(cause) ?? cause, step: step.path }, 'a step failed')
      return findIngestError(cause)?.message ?? 'unexpected error'
    })
    if (typeof said === 'string') return failed(said)
    const { status: httpStatus, body: answered } = said
    results.push({ name: step.name, path: step.path, httpStatus, url: `${smt.baseUrl}${step.path}`, body: answered })
    log.info({ step: step.path, httpStatus }, 'step')
    if (step.call === 'newAgreement') {
      if (!isDone(said)) return failed('agreement_failed', 'SMT NewAgreement failed')
      parts.agreement = { httpStatus, body: answered }
    } else {
      const outcome = subscriptionOutcome(said)
      if (!outcome.ok) return failed('subscription_failed', outcome.reason ?? undefined)
      parts.subscription = outcome
    }
  }
  const { meta } = body
  const hasMeta = typeof meta === 'object' && meta !== null && !Array.isArray(meta)
  return { status: 200, body: { ok: true, action, results, ...parts, ...(hasMeta && { meta }) } }
}

/** What SMT said, whatever its status. */
interface Said {
  readonly status: number
  readonly body: unknown
}

async function take(step: Step, asked: Body, options: CreateOptions): Promise<Said> {
  const { smt } = options
  const fields = step.call === 'newAgreement' ? await completed(step.fields, asked, options) : step.fields
  try {
    return await smt.call(step.call, fields)
  } catch (error) {
    if (error instanceof ApiError && error.status !== undefined)
      return { status: error.status, body: error.body ?? null }
    throw error
  }
}

type AgreementFields = Extract<Step, { call: 'newAgreement' }>['fields']

/** The first meter gets the retailer’s number and, where the caller did not know it, its own from the app. */
async function completed(fields: AgreementFields, asked: Body, options: CreateOptions): Promise<Body> {
  const { app, withMeters, puctNumber } = options
  const given = Number(asked.repPuctNumber ?? asked.rep_puct_number ?? Number.NaN)
  const PUCTRORNumber = Number.isInteger(given) && given > 0 ? given : puctNumber
  const [first, ...others] = fields.customerMeterList
  const known = withMeters && isPlaceholder(first!) ? await app?.meterNumber(first!.ESIID) : undefined
  const meters = [{ ...first!, ...(known !== undefined && { meterNumber: known }), PUCTRORNumber }, ...others]
  const customerMeterList = withMeters ? meters : meters.map(({ meterNumber: _, ...meter }) => meter)
  return { ...fields, customerMeterList }
}

/** What the app writes where it does not know the number of a meter. */
function isPlaceholder({ ESIID, meterNumber = '' }: AgreementFields['customerMeterList'][number]): boolean {
  const number = meterNumber.toUpperCase()
  return number === '' || number === ESIID || number === 'METER' || number.endsWith('-MTR')
}

/** Done is a status of success and no word of an error: SMT sends such with HTTP 200, too. */
function isDone({ status, body }: Said): boolean {
  const { errorCode, error } = (body ?? {}) as Readonly<Record<string, unknown>>
  const isFault = (code: unknown) => code !== undefined && code !== null && !['', '0', '200'].includes(String(code))
  return status >= 200 && status < 300 && !isFault(errorCode) && !isFault(error)
}

interface SubscriptionOutcome {
  readonly ok: boolean
  readonly status: 'created' | 'already_active' | 'failed'
  readonly httpStatus: number
  readonly body: unknown
  readonly reason: string | null
}

/** That there is a subscription already is what was wanted. SMT misspells it. */
function subscriptionOutcome(said: Said): SubscriptionOutcome {
  const { status: httpStatus, body } = said
  if (isDone(said)) return { ok: true, status: 'created', httpStatus, body, reason: null }
  const { CustomerDUNSFaultList: faults, statusReason } = (body ?? {}) as Readonly<Record<string, unknown>>
  const codes = Array.isArray(faults) ? faults.map(fault => String(fault?.reasonCode ?? '')) : []
  if (codes.some(code => /\bsubs?cription is already active\b/i.test(code))) {
    return { ok: true, status: 'already_active', httpStatus, body, reason: 'Subscription already active for this DUNS' }
  }
  const reason = typeof statusReason === 'string' && statusReason !== '' ? statusReason : `HTTP ${httpStatus}`
  return { ok: false, status: 'failed', httpStatus, body, reason }
}
