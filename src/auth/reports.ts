import * as z from 'zod'
import { settle } from '../options.ts'
import type { Caller } from './caller.ts'
import * as f from './fields.ts'

/** Which report is to be made. */
export interface IntervalReportRequest {
  /** Meters, 17 or 22 digits each. */
  readonly esiids: readonly string[]
  /** First local day, `2025-07-14`. */
  readonly from: string
  /** Last local day, included. */
  readonly to: string
  /** Which of the two series. @default 'both' */
  readonly readingType?: 'consumption' | 'surplus-generation' | 'both' | undefined
  /** All versions of a day, or the latest. @default 'all' */
  readonly version?: 'all' | 'latest' | undefined
  /** Where it is delivered: SMT's SFTP server, or by e-mail. @default 'sftp' */
  readonly delivery?: 'sftp' | 'email' | undefined
  readonly signal?: AbortSignal | undefined
}

/** SMT took a request; its result comes later. */
export interface Acknowledgement {
  /** What `reportStatus` asks with. */
  readonly correlationId: string
  readonly transId: string | undefined
  readonly reason: string | undefined
}

/** How far a report is. */
export interface ReportStatus {
  readonly correlationId: string
  /**
   * What its word means, compared whole. SMT's words are not all known: `unknown` says nothing, and whether the file comes
   * shows at the SFTP server.
   */
  readonly state: 'pending' | 'done' | 'failed' | 'unknown'
  /** SMT's own word. */
  readonly word: string | undefined
  readonly reason: string | undefined
}

export const readingTypes = { consumption: 'C', 'surplus-generation': 'G', both: 'A' } as const
export const readingType = z.enum(['consumption', 'surplus-generation', 'both']).default('both')

const request = z
  .strictObject({
    esiids: f.esiids,
    ...f.span,
    readingType,
    version: f.versions,
    delivery: z.enum(['sftp', 'email']).default('sftp'),
    signal: f.signal
  })
  .refine(...f.inOrder)

/** SMT spells it in three ways. */
export const acknowledgement = z
  .looseObject({
    correlationId: f.answeredText.optional(),
    correlationID: f.answeredText.optional(),
    CorrelationId: f.answeredText.optional(),
    trans_id: f.answeredText.optional(),
    statusReason: z.string().optional()
  })
  .transform((answer, context): Acknowledgement => {
    const correlationId = answer.correlationId ?? answer.correlationID ?? answer.CorrelationId
    if (correlationId === undefined || correlationId === '') {
      context.addIssue({ code: 'custom', path: ['correlationId'], message: 'is missing' })
      return z.NEVER
    }
    return { correlationId, transId: answer.trans_id, reason: answer.statusReason }
  })

export async function requestIntervalReport(caller: Caller, options: IntervalReportRequest): Promise<Acknowledgement> {
  const { signal, esiids, from, to, delivery, ...asked } = settle('requestIntervalReport', request, options)
  const fields = {
    startDate: f.usDate(from),
    endDate: f.usDate(to),
    deliveryMode: delivery === 'sftp' ? 'FTP' : 'EML',
    reportFormat: 'CSV',
    version: f.versionLetters[asked.version],
    readingType: readingTypes[asked.readingType],
    esiid: esiids
  }
  return caller.ask('intervalReads', fields, acknowledgement, signal)
}

const meters = z.strictObject({ esiids: f.esiids, signal: f.signal })

/** Several meters: the answer is a CSV on the SFTP server. */
export async function requestMeterInfoReport(
  caller: Caller,
  options: { readonly esiids: readonly string[]; readonly signal?: AbortSignal | undefined }
): Promise<Acknowledgement> {
  const { esiids, signal } = settle('requestMeterInfoReport', meters, options)
  const fields = { reportFormat: 'CSV', version: 'L', ESIIDMeterList: esiids.map(esiid => ({ esiid })) }
  return caller.ask('meterInfo', fields, acknowledgement, signal)
}

const statusQuery = z.strictObject({
  correlationId: z.string().min(1),
  serviceType: z.string().min(1).optional(),
  signal: f.signal
})

const statusFields = ['reportStatus', 'requestStatus', 'status', 'statusReason', 'statusCode'] as const
const statusAnswer = z.looseObject(Object.fromEntries(statusFields.map(name => [name, f.answeredText.nullish()])))

const states: Readonly<Record<Exclude<ReportStatus['state'], 'unknown'>, readonly string[]>> = {
  pending: ['PEN', 'PENDING', 'ACK', 'INPROGRESS', 'IN PROGRESS', 'PROCESSING', 'QUEUED', 'RECEIVED', 'SUBMITTED'],
  done: ['COM', 'COMPLETE', 'COMPLETED', 'DELIVERED', 'DONE', 'FINISHED', 'SUCCESS'],
  failed: ['CANCELLED', 'ERR', 'ERROR', 'EXPIRED', 'FAIL', 'FAILED', 'FAILURE', 'REJ', 'REJECTED']
}

export async function reportStatus(
  caller: Caller,
  options: {
    readonly correlationId: string
    readonly serviceType?: string | undefined
    readonly signal?: AbortSignal | undefined
  }
): Promise<ReportStatus> {
  const { signal, correlationId, serviceType } = settle('reportStatus', statusQuery, options)
  const fields = { correlationId, ...(serviceType !== undefined && { serviceType }) }
  const { body } = await caller.answer('reportStatus', fields, signal)
  const answer = caller.read('reportStatus', body, statusAnswer)
  const word = statusFields
    .map(name => answer[name])
    .find(text => typeof text === 'string' && stateOf(text) !== 'unknown')
  if (word === undefined) caller.judge('reportStatus', body)
  const told = word ?? statusFields.map(name => answer[name]).find(text => typeof text === 'string' && text !== '')
  const reason = typeof answer.statusReason === 'string' ? answer.statusReason : undefined
  return { correlationId, state: stateOf(told ?? ''), word: told ?? undefined, reason }
}

/** Words are compared whole: what contains another one means something else. */
function stateOf(word: string): ReportStatus['state'] {
  const whole = word.trim().toUpperCase()
  const found = Object.entries(states).find(([, words]) => words.includes(whole))
  return found ? (found[0] as ReportStatus['state']) : 'unknown'
}
