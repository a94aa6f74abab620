import * as z from 'zod'
import { settle } from '../options.ts'
import type { Caller } from './caller.ts'
import * as f from './fields.ts'
import { numberIn, recordsOf, type SmtRecord, textIn } from './records.ts'

/** What a customer is asked to agree to. */
export interface NewAgreement {
  /** Who gets SMT's e-mail, and must accept. */
  readonly customerEmail: string
  /** Months that it holds. */
  readonly months: 1 | 3 | 6 | 9 | 12 | 24 | 36
  readonly meters: readonly {
    readonly esiid: string
    readonly meterNumber: string
    /** PUCT number of the customer's retail provider. */
    readonly puctNumber: number
  }[]
  /** Language of the e-mail. @default 'ENGLISH' */
  readonly language?: string | undefined
  readonly signal?: AbortSignal | undefined
}

/** SMT has asked the customer; nothing is agreed before he accepts. */
export interface AgreementRequested {
  readonly agreementNumber: number | undefined
  readonly reason: string | undefined
}

/** An agreement as SMT lists it. */
export interface Agreement {
  readonly agreementNumber: number | undefined
  /** What the first words of its status mean, compared whole: `Non Active - …` is not active. */
  readonly state: 'active' | 'pending' | 'inactive' | 'unknown'
  /** SMT's own words. */
  readonly status: string
  readonly esiid: string | undefined
  /** All of SMT's fields, under its own names. */
  readonly fields: SmtRecord
}

/** The meters of an agreement. */
export interface AgreementEsiids {
  readonly esiids: readonly string[]
  /** Records that name no meter: some do not. */
  readonly withoutEsiid: number
}

const newAgreementSchema = z.strictObject({
  customerEmail: z.email('must be an e-mail address'),
  months: z.literal([1, 3, 6, 9, 12, 24, 36]),
  meters: z
    .array(
      z.strictObject({
        esiid: f.esiid,
        meterNumber: z.string().min(1),
        puctNumber: z.number().int().positive()
      })
    )
    .min(1),
  language: z.string().min(1).default('ENGLISH'),
  signal: f.signal
})

const anyAnswer = z.looseObject({ statusReason: z.string().nullish() })

export async function newAgreement(caller: Caller, options: NewAgreement): Promise<AgreementRequested> {
  const { signal, customerEmail, months, meters, language } = settle('newAgreement', newAgreementSchema, options)
  const fields = {
    retailCustomerEmail: customerEmail,
    agreementDuration: months,
    customerLanguagePreference: language,
    customerMeterList: meters.map(({ esiid, meterNumber, puctNumber }) => ({
      ESIID: esiid,
      meterNumber,
      PUCTRORNumber: puctNumber
    }))
  }
  const body = await caller.ask('newAgreement', fields, anyAnswer, signal)
  const agreementNumber = numberIn(body, 'agreementNumber', 'agreementId', 'AgreementID')
  return { agreementNumber, reason: body.statusReason ?? undefined }
}

const listQuery = z.strictObject({
  agreementNumber: z.number().int().positive().optional(),
  statusReason: z.string().min(1).optional(),
  signal: f.signal
})

export async function agreements(
  caller: Caller,
  options: {
    readonly agreementNumber?: number | undefined
    readonly statusReason?: string | undefined
    readonly signal?: AbortSignal | undefined
  } = {}
): Promise<Agreement[]> {
  const { signal, ...fields } = settle('agreements', listQuery, options)
  const body = await caller.ask('agreements', fields, z.unknown(), signal)
  return recordsOf(caller, 'agreements', body, 'agreementStatusList').map(record => {
    const status = textIn(record, 'status', 'agreementStatus', 'statusReason') ?? ''
    const esiid = f.esiid.safeParse(textIn(record, 'ESIID', 'esiid')).data
    return {
      agreementNumber: numberIn(record, 'agreementNumber'),
      state: stateOf(status),
      status,
      esiid,
      fields: record
    }
  })
}

/** What stands before the dash, compared whole. */
function stateOf(status: string): Agreement['state'] {
  const words = status
    .split(/\s+-\s+/)[0]!
    .trim()
    .replace(/\s+/g, ' ')
    .toUpperCase()
  if (words === 'ACTIVE' || words === 'ACT') return 'active'
  if (words === 'PENDING' || words === 'PEN') return 'pending'
  return inactive.has(words) ? 'inactive' : 'unknown'
}

const inactive = new Set([
  'NON ACTIVE',
  'NOT ACTIVE',
  'INACTIVE',
  'NACOM',
  'NOT ACCEPTED',
  'COMPLETED',
  'EXPIRED',
  'TERMINATED'
])

const agreementQuery = z.strictObject({ agreementNumber: z.number().int().positive(), signal: f.signal })

export async function agreementEsiids(
  caller: Caller,
  options: { readonly agreementNumber: number; readonly signal?: AbortSignal | undefined }
): Promise<AgreementEsiids> {
  const { signal, ...fields } = settle('agreementEsiids', agreementQuery, options)
  const body = await caller.ask('agreementEsiids', fields, z.unknown(), signal)
  const found = recordsOf(caller, 'agreementEsiids', body, 'agreementESIIDList').map(
    record => f.esiid.safeParse(textIn(record, 'ESIID', 'esiid')).data
  )
  const esiids = found.filter(esiid => esiid !== undefined)
  return { esiids: [...new Set(esiids)], withoutEsiid: found.length - esiids.length }
}

const terminateSchema = z.strictObject({
  agreements: z
    .array(z.strictObject({ agreementNumber: z.number().int().positive(), customerEmail: z.email() }))
    .min(1),
  signal: f.signal
})

export async function terminateAgreements(
  caller: Caller,
  options: {
    readonly agreements: readonly { readonly agreementNumber: number; readonly customerEmail: string }[]
    readonly signal?: AbortSignal | undefined
  }
): Promise<void> {
  const { signal, agreements } = settle('terminateAgreements', terminateSchema, options)
  const agreementList = agreements.map(({ agreementNumber, customerEmail }) => ({
    agreementNumber,
    retailCustomerEmail: customerEmail
  }))
  await caller.ask('terminateAgreements', { agreementList }, z.unknown(), signal)
}
