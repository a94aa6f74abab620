import { ApiError, findIngestError, type SmtClient } from '@intelliwatt/smt-ingest'
import type { FastifyBaseLogger, FastifyPluginCallback } from 'fastify'
import type { AppLink } from './app-link.ts'
import { createAgreementAndSubscription } from './create-agreement.ts'
import type { Secrets } from './secrets.ts'
import { type Answer, isObject } from './trigger.ts'

export interface ProxyOptions {
  /** Who sends one of these may call SMT through the daemon. */
  readonly tokens: Secrets
  readonly smt: SmtClient | undefined
  readonly app: AppLink | undefined
  /** The retailer’s PUCT number where a call names none. */
  readonly puctNumber: number
}

type Body = Readonly<Record<string, unknown>>
type Action = (body: Body, smt: SmtClient) => Promise<Answer>

/**
 * What the app has the daemon call at SMT, with the paths and answers that it knows. Each path and action stands for one of
 * SMT’s calls: nobody who calls here names a path of SMT’s, let alone a server.
 */
export const proxy: FastifyPluginCallback<ProxyOptions> = (app, options, done) => {
  const { tokens, smt } = options

  app.addHook('preParsing', async (request, reply) => {
    if (tokens.isEmpty) return reply.code(500).send({ ok: false, error: 'smt_proxy_token_not_configured' })
    const [, token] = /^Bearer (.+)$/.exec(request.headers.authorization ?? '') ?? []
    if (!tokens.open(token?.trim())) return reply.code(401).send({ ok: false, error: 'unauthorized' })
  })

  for (const [path, { action, mayBeEmpty }] of Object.entries(paths)) {
    app.post(path, async (request, reply) => {
      const body = request.body === undefined && mayBeEmpty ? {} : request.body
      const { status, body: said } = isObject(body)
        ? await answer(body, smt, action, request.log)
        : invalid('invalid_json')
      return reply.code(status).send(said)
    })
  }

  for (const [path, withMeters] of [
    ['/agreements', true],
    ['/agreements-no-meter', false]
  ] as const) {
    app.post(path, async (request, reply) => {
      const create: Action = (body, smt) =>
        createAgreementAndSubscription(body, { ...options, smt, withMeters, log: request.log })
      const { status, body: said } = isObject(request.body)
        ? await answer(request.body, smt, actionOf(request.body, create), request.log)
        : invalid('invalid_json')
      return reply.code(status).send(said)
    })
  }

  done()
}

/** Does what is asked, and answers what goes wrong as the app knows it. */
async function answer(body: Body, smt: SmtClient | undefined, action: Action, log: FastifyBaseLogger): Promise<Answer> {
  if (!smt) return { status: 503, body: { ok: false, error: 'smt_api_not_configured' } }
  try {
    return await action(body, smt)
  } catch (cause) {
    const error = findIngestError(cause)
    log.error({ err: error ?? cause }, 'a call of SMT failed')
    if (error instanceof ApiError && error.status !== undefined) {
      const said = { ok: false, status: error.status, error: 'smt_request_failed', response: handedOn(error.body) }
      return { status: 502, body: said }
    }
    return { status: 500, body: { ok: false, error: 'Unexpected SMT proxy error', code: error?.code ?? 'UNEXPECTED' } }
  }
}

const listSubscriptions: Action = async (_, smt) => {
  const { status, body } = await smt.call('subscriptions', {})
  return ok({ status, subscriptions: body })
}

const reportStatus: Action = async (asked, smt) => {
  const correlationId = textOf(asked.correlationId)
  const serviceType = textOf(asked.serviceType)
  if (correlationId === '') return invalid('missing_correlationId')
  const { status, body } = await smt.call('reportStatus', { correlationId, ...(serviceType !== '' && { serviceType }) })
  return ok({ status, reportStatus: body })
}

const agreementEsiids: Action = async (asked, smt) => {
  const agreementNumber = numberOf(asked.agreementNumber)
  if (agreementNumber === undefined) return invalid('invalid_agreementNumber')
  const { status, body } = await smt.call('agreementEsiids', { agreementNumber })
  return ok({ status, agreementESIIDs: body })
}

const myAgreements: Action = async (asked, smt) => {
  const agreementNumber = numberOf(asked.agreementNumber)
  const statusReason = textOf(asked.statusReason)
  if (agreementNumber === undefined && textOf(asked.agreementNumber) !== '') return invalid('invalid_agreementNumber')
  const { status, body } = await smt.call('agreements', {
    ...(agreementNumber !== undefined && { agreementNumber }),
    ...(statusReason !== '' && { statusReason })
  })
  return ok({ status, agreements: body })
}

const terminateAgreement: Action = async (asked, smt) => {
  const agreementNumber = numberOf(asked.agreementNumber)
  const retailCustomerEmail = textOf(asked.retailCustomerEmail)
  if (agreementNumber === undefined) return invalid('invalid_agreementNumber')
  if (retailCustomerEmail === '') return invalid('missing_retailCustomerEmail')
  const agreementList = [{ agreementNumber, retailCustomerEmail }]
  return whateverSaid(smt.call('terminateAgreements', { agreementList }))
}

const unsubscribe: Action = async (asked, smt) => {
  const subscriptionNumber = textOf(asked.subscriptionNumber)
  if (subscriptionNumber === '') return invalid('missing_subscriptionNumber')
  return whateverSaid(smt.call('cancelSubscription', { subscriptionNumber }))
}

/** Has SMT write a report of both series, in all versions: the daemon’s runs take it from the SFTP server. */
const requestBackfill: Action = async (asked, smt) => {
  const esiid = textOf(asked.esiid ?? asked.ESIID)
  const from = isoDay(textOf(asked.startDate ?? asked.start_date))
  const to = isoDay(textOf(asked.endDate ?? asked.end_date))
  const isEsiid = /^10(\d{15}|\d{20})$/.test(esiid)
  if (!isEsiid || from === undefined || to === undefined || from > to) {
    const details = { esiid: isEsiid, startDate: from !== undefined, endDate: to !== undefined && !(from! > to) }
    return { status: 400, body: { ok: false, error: 'missing_required_fields', details } }
  }
  try {
    const { correlationId } = await smt.requestIntervalReport({ esiids: [esiid], from, to })
    return ok({ jobId: correlationId })
  } catch (cause) {
    const error = findIngestError(cause)
    return { status: 500, body: { ok: false, error: 'backfill_failed', code: error?.code ?? 'UNEXPECTED' } }
  }
}

const paths: Readonly<Record<string, { action: Action; mayBeEmpty?: boolean }>> = {
  '/smt/report-status': { action: reportStatus },
  '/smt/subscriptions/list': { action: listSubscriptions, mayBeEmpty: true },
  '/smt/subscriptions/unsubscribe': { action: unsubscribe },
  '/smt/agreements/esiids': { action: agreementEsiids },
  '/smt/agreements/terminate': { action: terminateAgreement },
  '/smt/agreements/myagreements': { action: myAgreements, mayBeEmpty: true }
}

/** What `action` says, at the two paths that take one. */
function actionOf(body: Body, create: Action): Action {
  const name = body.action === undefined || body.action === null ? createAction : textOf(body.action)
  const known: Readonly<Record<string, Action>> = {
    list_subscriptions: listSubscriptions,
    report_status: reportStatus,
    agreement_esiids: agreementEsiids,
    terminate_agreement: terminateAgreement,
    myagreements: myAgreements,
    request_interval_backfill: requestBackfill,
    [createAction]: create
  }
  const unsupported = { ok: false, error: 'unsupported_action', action: name.slice(0, 64) }
  return Object.hasOwn(known, name) ? known[name]! : async () => ({ status: 400, body: unsupported })
}

const createAction = 'create_agreement_and_subscription'

function ok(said: object): Answer {
  return { status: 200, body: { ok: true, ...said } }
}

function invalid(error: string): Answer {
  return { status: 400, body: { ok: false, error } }
}

/** What SMT said, also when it refused: these two were always answered with 200. */
async function whateverSaid(call: Promise<{ readonly status: number; readonly body: unknown }>): Promise<Answer> {
  try {
    const { status, body } = await call
    return ok({ status, response: body })
  } catch (error) {
    if (!(error instanceof ApiError) || error.status === undefined) throw error
    return { status: 200, body: { ok: false, status: error.status, response: handedOn(error.body) } }
  }
}

/** What SMT said when it refused: its JSON, or the beginning of what is none. */
function handedOn(body: unknown): unknown {
  return typeof body === 'string' ? { rawText: body.slice(0, 4096) } : (body ?? null)
}

function textOf(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value).trim() : ''
}

/** A whole number, written as one or as text. */
function numberOf(value: unknown): number | undefined {
  const text = textOf(value)
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined
}

/** `07/14/2025` as `2025-07-14`; undefined when it is no day. */
function isoDay(text: string): string | undefined {
  const [, month, day, year] = /^(\d\d)\/(\d\d)\/(\d{4})$/.exec(text) ?? []
  const iso = `${year}-${month}-${day}`
  return year !== undefined && new Date(iso).toJSON()?.startsWith(iso) ? iso : undefined
}
