import { findIngestError, type SmtClient } from '@intelliwatt/smt-ingest'
import type { FastifyBaseLogger } from 'fastify'
import type { AppLink } from './app-link.ts'
import type { Answer, TriggerBody } from './trigger.ts'

export interface MeterInfoOptions {
  readonly smt: SmtClient | undefined
  readonly app: AppLink | undefined
  readonly log: FastifyBaseLogger
}

/** Asks SMT about a meter and hands the answer to the app, which waits for it there. */
export async function meterInfo({ esiid, houseId }: TriggerBody, options: MeterInfoOptions): Promise<Answer> {
  const { smt, app, log } = options
  if (!smt) return { status: 503, body: { ok: false, error: 'smt_api_not_configured' } }
  if (!esiid || !/^10(\d{15}|\d{20})$/.test(esiid)) {
    const detail = 'esiid: an ESIID has 17 or 22 digits and begins with 10'
    return { status: 422, body: { ok: false, error: 'invalid_request', detail } }
  }
  const meter = { esiid, houseId: houseId ?? null }
  try {
    const { fields, utilityMeterId, meterSerialNumber } = await smt.meterInfo({ esiid })
    const meterNumber = utilityMeterId ?? meterSerialNumber ?? null
    const report = { meterNumber, meterData: fields, rawPayload: { MeterData: fields } }
    const delivered = (await app?.reportMeter({ ...meter, status: 'complete', ...report })) ?? false
    log.info({ esiid, delivered }, 'meter info')
    return { status: 200, body: { ok: true, reason: 'smt_meter_info', status: 'complete', delivered } }
  } catch (cause) {
    const error = findIngestError(cause)
    const errorMessage = error?.message ?? 'unexpected error'
    const delivered = (await app?.reportMeter({ ...meter, status: 'error', errorMessage })) ?? false
    log.error({ err: error ?? cause, delivered }, 'meter info failed')
    const code = error?.code ?? 'UNEXPECTED'
    return { status: 502, body: { ok: false, error: 'smt_request_failed', reason: 'smt_meter_info', code, delivered } }
  }
}
