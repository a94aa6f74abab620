import * as z from 'zod'
import { settle } from '../options.ts'
import type { Caller } from './caller.ts'
import * as f from './fields.ts'

/** Which days of which meter are asked for. */
export interface ReadsQuery {
  /** 17 or 22 digits. */
  readonly esiid: string
  /** First local day, `2025-07-14`. */
  readonly from: string
  /** Last local day, included. */
  readonly to: string
  /** All versions of a day, or the latest. @default 'all' */
  readonly version?: 'all' | 'latest' | undefined
  readonly signal?: AbortSignal | undefined
}

/** What the register of a meter showed at the ends of a day. */
export interface DailyRead {
  /** Local day, `2025-07-14`. */
  readonly date: string
  /** UTC epoch milliseconds of its version; null when blank. */
  readonly revision: number | null
  /** kWh at its begin and its end, with the digits that SMT gave; null when blank. */
  readonly startReading: string | null
  readonly endReading: string | null
  /** kWh of the day. SMT rounds it otherwise than the readings. */
  readonly kwh: string | null
}

/** What was billed for a month. */
export interface MonthlyBill {
  /** First and last local day. Whether the last one belongs to it is not said: the next bill may begin with it. */
  readonly from: string
  readonly to: string
  /** UTC epoch milliseconds of its version; of two with the same first day the later one counts. Null when blank. */
  readonly revision: number | null
  /** With the digits that SMT gave; null when blank. */
  readonly kwh: string | null
  readonly meteredKw: string | null
  readonly billedKw: string | null
  readonly meteredKva: string | null
  readonly billedKva: string | null
}

const query = z.strictObject({ esiid: f.esiid, ...f.span, version: f.versions, signal: f.signal }).refine(...f.inOrder)

/** A decimal that may be blank, or not there. */
const blankable = z
  .union([z.literal('').transform(() => null), f.answeredDecimal])
  .nullish()
  .transform(text => text ?? null)

const dailyAnswer = z.object({
  registeredReads: z.array(
    z
      .object({
        readDate: f.answeredDay,
        revisionDate: f.answeredStamp,
        startReading: blankable,
        endReading: blankable,
        energyDataKwh: blankable
      })
      .transform(
        ({ readDate, revisionDate, startReading, endReading, energyDataKwh }): DailyRead => ({
          date: readDate,
          revision: revisionDate,
          startReading,
          endReading,
          kwh: energyDataKwh
        })
      )
  )
})

const billingAnswer = z.object({
  billingData: z.array(
    z
      .object({
        startDate: f.answeredDay,
        endDate: f.answeredDay,
        revisionDate: f.answeredStamp,
        actualkWh: blankable,
        meteredKW: blankable,
        billedKW: blankable,
        meteredKVA: blankable,
        billedKVA: blankable
      })
      .transform(
        (bill): MonthlyBill => ({
          from: bill.startDate,
          to: bill.endDate,
          revision: bill.revisionDate,
          kwh: bill.actualkWh,
          meteredKw: bill.meteredKW,
          billedKw: bill.billedKW,
          meteredKva: bill.meteredKVA,
          billedKva: bill.billedKVA
        })
      )
  )
})

export async function dailyReads(caller: Caller, options: ReadsQuery): Promise<DailyRead[]> {
  const { signal, ...asked } = settle('dailyReads', query, options)
  const fields = { ...readsFields(asked), readingType: 'A' }
  return (await caller.ask('dailyReads', fields, dailyAnswer, signal)).registeredReads
}

export async function monthlyBilling(caller: Caller, options: ReadsQuery): Promise<MonthlyBill[]> {
  const { signal, ...asked } = settle('monthlyBilling', query, options)
  return (await caller.ask('monthlyBilling', readsFields(asked), billingAnswer, signal)).billingData
}

/** A meter is always in a list: asked for as a text, SMT refuses the call. */
function readsFields({ esiid, from, to, version }: Omit<z.output<typeof query>, 'signal'>): object {
  return {
    startDate: f.usDate(from),
    endDate: f.usDate(to),
    deliveryMode: 'API',
    reportFormat: 'JSON',
    version: f.versionLetters[version],
    esiid: [esiid]
  }
}
