import * as z from 'zod'
import { settle } from '../options.ts'
import type { Caller } from './caller.ts'
import * as f from './fields.ts'

/** What SMT knows of a meter. Every field may be missing. */
export interface MeterInfo {
  /** Number on the meter, as the utility has it. */
  readonly utilityMeterId: string | undefined
  readonly meterSerialNumber: string | undefined
  readonly utilityCompanyId: string | undefined
  /** Minutes of an interval, as SMT writes them. */
  readonly intervalSetting: string | undefined
  /** These tell whether rows of surplus generation are to be expected. */
  readonly configuredChannels: string | undefined
  readonly dgChannel: string | undefined
  readonly reverseFlowHandling: string | undefined
  readonly kwhMeterMultiplier: string | undefined
  readonly meterStatus: string | undefined
  /** All of SMT's fields, under its own names. */
  readonly fields: Readonly<Record<string, unknown>>
}

const query = z.strictObject({ esiid: f.esiid, signal: f.signal })
const answer = z.object({ MeterData: z.union([z.looseObject({}), z.array(z.looseObject({})).min(1)]) })

export async function meterInfo(
  caller: Caller,
  options: { readonly esiid: string; readonly signal?: AbortSignal | undefined }
): Promise<MeterInfo> {
  const { esiid, signal } = settle('meterInfo', query, options)
  // No deliveryMode: with `API` SMT answers that the integration is not done (2076), and gives the answer here all the same.
  const fields = { reportFormat: 'JSON', version: 'L', ESIIDMeterList: [{ esiid }] }
  const { MeterData } = await caller.ask('meterInfo', fields, answer, signal)
  return infoOf(Array.isArray(MeterData) ? MeterData[0]! : MeterData)
}

function infoOf(fields: Readonly<Record<string, unknown>>): MeterInfo {
  const text = (name: string) => f.answeredText.safeParse(fields[name]).data
  return {
    utilityMeterId: text('utilityMeterId'),
    meterSerialNumber: text('meterSerialNumber'),
    utilityCompanyId: text('utilityCompanyId'),
    intervalSetting: text('intervalSetting'),
    configuredChannels: text('configuredChannels'),
    dgChannel: text('DGChannel'),
    reverseFlowHandling: text('reverseFlowHandling'),
    kwhMeterMultiplier: text('KWHMeterMultiplier'),
    meterStatus: text('meterStatus'),
    fields
  }
}
