import * as z from 'zod'
import { settle } from '../options.ts'
import type { Caller } from './caller.ts'
import * as f from './fields.ts'
import { type Acknowledgement, acknowledgement } from './reports.ts'

/** What a meter's register shows now, or whether that is still awaited. */
export type OnDemandRead =
  | { readonly state: 'pending'; readonly reason: string | undefined }
  | {
      readonly state: 'done'
      /** kWh, with the digits that SMT gave. */
      readonly reading: string
      /** When it was read, as SMT writes it. */
      readonly readAt: string | undefined
    }

const query = z.strictObject({ esiid: f.esiid, signal: f.signal })

/** This one has the meter as a text, not in a list. */
export async function requestOnDemandRead(
  caller: Caller,
  options: { readonly esiid: string; readonly signal?: AbortSignal | undefined }
): Promise<Acknowledgement> {
  const { esiid, signal } = settle('requestOnDemandRead', query, options)
  const fields = { ESIID: esiid, reportFormat: 'JSON', deliveryMode: 'API' }
  return caller.ask('onDemandRead', fields, acknowledgement, signal)
}

const statusQuery = z.strictObject({ correlationId: z.string().min(1), signal: f.signal })

const answer = z.object({
  statusCode: f.answeredText.optional(),
  statusReason: z.string().optional(),
  odrRead: z.object({ registeredRead: f.answeredDecimal, readDate: z.string().optional() }).nullish()
})

export async function onDemandReadStatus(
  caller: Caller,
  options: { readonly correlationId: string; readonly signal?: AbortSignal | undefined }
): Promise<OnDemandRead> {
  const { correlationId, signal } = settle('onDemandReadStatus', statusQuery, options)
  const { statusCode, statusReason, odrRead } = await caller.ask(
    'onDemandReadStatus',
    { correlationId },
    answer,
    signal
  )
  if (statusCode?.trim().toUpperCase() === 'PEN') return { state: 'pending', reason: statusReason }
  const { registeredRead, readDate } = caller.read(
    'onDemandReadStatus',
    odrRead,
    answer.shape.odrRead.unwrap().unwrap()
  )
  return { state: 'done', reading: registeredRead, readAt: readDate }
}
