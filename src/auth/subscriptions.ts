import * as z from 'zod'
import { ApiError } from '../errors.ts'
import { settle } from '../options.ts'
import { faultError, faultOf } from './business-errors.ts'
import type { Caller } from './caller.ts'
import * as f from './fields.ts'
import { recordsOf, type SmtRecord, textIn } from './records.ts'

/** What SMT is to send from now on, for all meters of the company's agreements. */
export interface NewSubscription {
  readonly dataType: 'daily' | 'interval' | 'monthly'
  /** @default 'CSPENROLL' */
  readonly subscriptionType?: 'CSPENROLL' | 'SCHEDULE' | 'SCHEDULES' | 'REPENROLL' | undefined
  /** Months of the past that come along. @default 12 */
  readonly historyMonths?: 3 | 6 | 9 | 12 | 24 | undefined
  /** @default 'CSV' */
  readonly reportFormat?: 'CSV' | 'LSE' | 'JSON' | 'XML' | undefined
  /** @default 'sftp' */
  readonly delivery?: 'sftp' | 'email' | 'api' | undefined
  readonly signal?: AbortSignal | undefined
}

/** What became of a request for a subscription. */
export interface SubscriptionRequested {
  /** `already-active`: there is one, and nothing was changed. */
  readonly outcome: 'created' | 'already-active'
  readonly subscriptionNumber: string | undefined
  readonly reason: string | undefined
}

/** A subscription as SMT lists it. */
export interface Subscription {
  readonly subscriptionNumber: string | undefined
  readonly status: string | undefined
  /** All of SMT's fields, under its own names. */
  readonly fields: SmtRecord
}

const schema = z.strictObject({
  dataType: z.enum(['daily', 'interval', 'monthly']),
  subscriptionType: z.enum(['CSPENROLL', 'SCHEDULE', 'SCHEDULES', 'REPENROLL']).default('CSPENROLL'),
  historyMonths: z.literal([3, 6, 9, 12, 24]).default(12),
  reportFormat: z.enum(['CSV', 'LSE', 'JSON', 'XML']).default('CSV'),
  delivery: z.enum(['sftp', 'email', 'api']).default('sftp'),
  signal: f.signal
})

const deliveryModes = { sftp: 'FTP', email: 'EML', api: 'API' } as const
const anyAnswer = z.looseObject({ statusReason: z.string().nullish() })

export async function newSubscription(caller: Caller, options: NewSubscription): Promise<SubscriptionRequested> {
  const { signal, delivery, dataType, subscriptionType, historyMonths, reportFormat } = settle(
    'newSubscription',
    schema,
    options
  )
  const fields = {
    subscriptionType,
    historicalSubscriptionDuration: historyMonths,
    reportFormat,
    dataType: dataType.toUpperCase(),
    deliveryMode: deliveryModes[delivery]
  }
  // SMT says with HTTP 400 that there is one already.
  const { status, body } = await caller.answer('newSubscription', fields, signal).catch(refusedAnswer)
  const fault = faultOf(body)
  if (fault?.kind === 'active') return { outcome: 'already-active', subscriptionNumber: undefined, reason: fault.text }
  if (fault) throw faultError(fault, caller.address('newSubscription'), status, body)
  const answer = caller.read('newSubscription', body, anyAnswer)
  const subscriptionNumber = textIn(answer, 'subscriptionNumber', 'subscriptionId', 'SubscriptionID')
  return { outcome: 'created', subscriptionNumber, reason: answer.statusReason ?? undefined }
}

/** The answer inside a refusal, when it says that there is one already. */
function refusedAnswer(error: unknown): { readonly status: number; readonly body: unknown } {
  if (error instanceof ApiError && error.code === 'API_REFUSED' && faultOf(error.body)?.kind === 'active') {
    return { status: error.status ?? 400, body: error.body }
  }
  throw error
}

const onlySignal = z.strictObject({ signal: f.signal })

export async function subscriptions(
  caller: Caller,
  options: { readonly signal?: AbortSignal | undefined } = {}
): Promise<Subscription[]> {
  const { signal } = settle('subscriptions', onlySignal, options)
  const body = await caller.ask('subscriptions', {}, z.unknown(), signal)
  return recordsOf(caller, 'subscriptions', body, 'subscriptionList').map(record => ({
    subscriptionNumber: textIn(record, 'subscriptionNumber', 'subscriptionId', 'SubscriptionNumber'),
    status: textIn(record, 'status', 'subscriptionStatus'),
    fields: record
  }))
}

const cancelSchema = z.strictObject({
  subscriptionNumber: z.union([z.string().min(1), z.number().int()]),
  signal: f.signal
})

export async function cancelSubscription(
  caller: Caller,
  options: { readonly subscriptionNumber: string | number; readonly signal?: AbortSignal | undefined }
): Promise<void> {
  const { signal, subscriptionNumber } = settle('cancelSubscription', cancelSchema, options)
  await caller.ask('cancelSubscription', { subscriptionNumber }, z.unknown(), signal)
}
