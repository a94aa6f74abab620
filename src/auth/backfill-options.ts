import * as z from 'zod'
import type { FileStage } from '../ingest.ts'
import type { Reason, Receipt } from '../ledger/receipt.ts'
import { milliseconds } from '../options.ts'
import { Sink } from '../sink/sink.ts'
import type { Source } from '../source/source.ts'
import type { MissingDay, Wanted } from './backfill-days.ts'
import * as f from './fields.ts'
import { type ReportStatus, readingType } from './reports.ts'
import { SmtClient } from './smt-client.ts'

/** A report that SMT was asked for. Plain JSON: keep it, to go on after a restart. */
export interface BackfillRequest {
  readonly correlationId: string
  readonly esiids: readonly string[]
  /** First and last local day. */
  readonly from: string
  readonly to: string
}

export interface BackfillOptions {
  readonly client: SmtClient
  /** Meters, 17 or 22 digits each. */
  readonly esiids: readonly string[]
  /** First local day, `2025-07-14`. */
  readonly from: string
  /** Last local day, included. */
  readonly to: string
  /** Where SMT's files arrive, most often an `SftpSource`. Not needed with `via: 'answers'`. */
  readonly source?: Source | undefined
  readonly decryptor?: FileStage | undefined
  readonly parser: FileStage
  readonly sink: Sink
  /**
   * `reports`: files on the SFTP server. `answers`: JSON, which comes at once, one call for each meter and span.
   * @default 'reports'
   */
  readonly via?: 'reports' | 'answers' | undefined
  /** Which of the two series. @default 'both' */
  readonly readingType?: 'consumption' | 'surplus-generation' | 'both' | undefined
  /** All versions of a day, or the latest. @default 'all' */
  readonly version?: 'all' | 'latest' | undefined
  /** Days that one request asks for, at most. 365 is known to work. @default 365 */
  readonly daysPerRequest?: number | undefined
  /** Meters that one request asks for, at most. One is known to work. @default 1 */
  readonly metersPerRequest?: number | undefined
  /** Requests of an earlier run that are waited for and not sent again. @default [] */
  readonly requests?: readonly BackfillRequest[] | undefined
  /** Milliseconds from one look at the source to the next. @default 60000 */
  readonly pollMs?: number | undefined
  /**
   * Looks that may bring nothing new, once every request has brought something or is said to be done, before the rest
   * counts as missing. @default 3
   */
  readonly quietPolls?: number | undefined
  /** Milliseconds after which the rest counts as missing in any case. @default 7200000 */
  readonly deadlineMs?: number | undefined
  /** Files on their way at a time. @default 1 */
  readonly concurrency?: number | undefined
  /** Hears of each request as soon as SMT took it: keep it before the next one is sent. */
  readonly onRequest?: ((request: BackfillRequest) => void | Promise<void>) | undefined
  /** Hears of each file that was met for the first time. */
  readonly onReceipt?: ((receipt: Receipt) => void | Promise<void>) | undefined
  readonly signal?: AbortSignal | undefined
}

/** What became of a backfill. */
export interface BackfillReport {
  /** `complete`: nothing is missing. `deadline`: something is, and requests are still open. `incomplete`: something is. */
  readonly outcome: 'complete' | 'incomplete' | 'deadline'
  /** What is missing, by meter, direction and local day. */
  readonly missing: readonly MissingDay[]
  /** `store`: the store was asked. `run`: it cannot say, so what this run brought is all that counts. */
  readonly basis: 'store' | 'run'
  readonly requests: readonly (BackfillRequest & { readonly status: ReportStatus['state'] })[]
  /** What SMT did not take, and why. */
  readonly refused: readonly (Wanted & { readonly reason: Reason })[]
  /** Files that were met for the first time. */
  readonly receipts: readonly Receipt[]
}

const isFunction = (value: unknown) => typeof value === 'function'
const stage = z.custom<FileStage>(value => isFunction((value as FileStage)?.stream), 'must be a stage')
const requestSchema = z.object({ correlationId: z.string().min(1), esiids: f.esiids, ...f.span })

/** Options of `backfill`, checked. */
export const backfillSchema = z
  .strictObject({
    client: z.instanceof(SmtClient, { message: 'must be an SmtClient' }),
    esiids: f.esiids,
    ...f.span,
    source: z.custom<Source>(value => isFunction((value as Source)?.files), 'must be a source').optional(),
    decryptor: stage.optional(),
    parser: stage,
    sink: z.instanceof(Sink, { message: 'must be a sink' }),
    via: z.enum(['reports', 'answers']).default('reports'),
    readingType,
    version: f.versions,
    daysPerRequest: z.number().int().positive().default(365),
    metersPerRequest: z.number().int().positive().default(1),
    requests: z.array(requestSchema).default([]),
    pollMs: milliseconds.default(60_000),
    quietPolls: z.number().int().nonnegative().default(3),
    deadlineMs: milliseconds.max(2 ** 31 - 1).default(7_200_000),
    concurrency: z.number().int().positive().default(1),
    onRequest: z.custom<NonNullable<BackfillOptions['onRequest']>>(isFunction, 'must be a function').optional(),
    onReceipt: z.custom<NonNullable<BackfillOptions['onReceipt']>>(isFunction, 'must be a function').optional(),
    signal: f.signal
  })
  .refine(...f.inOrder)
  .refine(({ via, source }) => via === 'answers' || source !== undefined, {
    path: ['source'],
    message: 'is needed: reports arrive somewhere'
  })

export type BackfillSettings = z.output<typeof backfillSchema>
