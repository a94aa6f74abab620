import { setTimeout as pause } from 'node:timers/promises'
import { AbortError, ConfigError, findIngestError, type IngestError } from '../errors.ts'
import { type IngestOptions, ingest } from '../ingest.ts'
import { type Reason, type Receipt, reasonOf } from '../ledger/receipt.ts'
import { settle } from '../options.ts'
import type { Source } from '../source/source.ts'
import { Arrivals } from './arrivals.ts'
import { asksFor, type MissingDay, missingDays, requestsFor, type Wanted } from './backfill-days.ts'
import {
  type BackfillOptions,
  type BackfillReport,
  type BackfillRequest,
  type BackfillSettings,
  backfillSchema
} from './backfill-options.ts'
import type { ReportStatus } from './reports.ts'

/**
 * Brings days of the past in: finds out what is missing, asks SMT for it, waits for the files, ingests them, and says what is
 * still missing by meter and local day.
 *
 * Run again, it asks for what is missing and nothing else, where the store can say what it has (`Sink.storedDays`). Files that
 * are at the source already come in first, and are not asked for.
 */
export async function backfill(options: BackfillOptions): Promise<BackfillReport> {
  const work = new Backfill(settle('backfill', backfillSchema, options))
  return work.run()
}

/** An open request. */
interface Open extends BackfillRequest {
  status: ReportStatus['state']
}

class Backfill {
  readonly #settings: BackfillSettings
  readonly #arrivals: Arrivals
  readonly #requests: Open[]
  readonly #refused: (Wanted & { reason: Reason })[] = []
  readonly #receipts: Receipt[] = []
  readonly #deadline: number
  #basis: BackfillReport['basis'] = 'store'

  constructor(settings: BackfillSettings) {
    this.#settings = settings
    this.#arrivals = new Arrivals(settings.parser, settings.esiids, settings)
    this.#requests = settings.requests.map(request => ({ ...request, status: 'unknown' }))
    this.#deadline = performance.now() + settings.deadlineMs
  }

  async run(): Promise<BackfillReport> {
    const { source, via } = this.#settings
    if (source) await this.#takeFiles(source)
    const isAsked = (day: MissingDay) => this.#requests.some(request => asksFor(request, day))
    const wanted = requestsFor(
      (await this.#missing()).filter(day => !isAsked(day)),
      this.#settings
    )
    if (via === 'answers') await this.#takeAnswers(wanted)
    else {
      await this.#send(wanted)
      await this.#wait(source!)
    }
    return this.#report()
  }

  async #report(): Promise<BackfillReport> {
    const missing = await this.#missing()
    const isOpen = this.#requests.some(request => !this.#isClosed(request))
    return {
      outcome: missing.length === 0 ? 'complete' : isOpen ? 'deadline' : 'incomplete',
      missing,
      basis: this.#basis,
      requests: this.#requests,
      refused: this.#refused,
      receipts: this.#receipts
    }
  }

  async #missing(): Promise<MissingDay[]> {
    const { sink, esiids, from, to, readingType } = this.#settings
    const stored = await sink.storedDays({ esiids, from, to })
    if (!stored) this.#basis = 'run'
    return missingDays(esiids, { from, to }, readingType, stored ?? this.#arrivals.days.counts())
  }

  async #send(wanted: readonly Wanted[]): Promise<void> {
    const { client, readingType, version, signal, onRequest } = this.#settings
    for (const { esiids, from, to } of wanted) {
      try {
        const { correlationId } = await client.requestIntervalReport({ esiids, from, to, readingType, version, signal })
        this.#requests.push({ correlationId, esiids, from, to, status: 'unknown' })
        await onRequest?.({ correlationId, esiids, from, to })
      } catch (error) {
        this.#refuse({ esiids, from, to }, error)
      }
    }
  }

  /** One meter that SMT gives nothing of does not keep the others waiting; what concerns all of them ends the work. */
  #refuse(wanted: Wanted, error: unknown): void {
    const found = findIngestError(error)
    const isOfThese = found && ['API_NO_DATA', 'API_FAULT', 'API_REFUSED', 'API_UNAUTHORIZED'].includes(found.code)
    // An identity that SMT does not take is none for the other meters either.
    if (!isOfThese || /mismatch/i.test(found.message)) throw error
    this.#refused.push({ ...wanted, reason: reasonOf(found)! })
  }

  async #takeAnswers(wanted: readonly Wanted[]): Promise<void> {
    const { client, readingType, version, daysPerRequest } = this.#settings
    for (const { esiids, from, to } of wanted) {
      const answers = client.intervalAnswers({ esiids, from, to, readingType, version, daysPerAnswer: daysPerRequest })
      await this.#takeFiles(answers, receipt => {
        if (receipt.reason?.code.startsWith('API_')) this.#refused.push({ esiids, from, to, reason: receipt.reason })
      })
    }
  }

  async #wait(source: Source): Promise<void> {
    const { pollMs, quietPolls, signal } = this.#settings
    for (let quiet = 0; this.#requests.length > 0; ) {
      const left = this.#deadline - performance.now()
      if (left <= 0) return
      await pause(Math.min(pollMs, left), undefined, { signal }).catch(cause => {
        throw new AbortError({ cause })
      })
      const isNew = await this.#look(source)
      if ((await this.#missing()).length === 0) return
      for (const request of this.#requests) await this.#ask(request)
      const isSettled = this.#requests.every(request => this.#isClosed(request))
      quiet = isNew || !isSettled ? 0 : quiet + 1
      if (isSettled && (quiet >= quietPolls || this.#requests.every(({ status }) => status === 'failed'))) return
    }
  }

  /** Looks for new files. A server that cannot be reached for a while is asked again. */
  async #look(source: Source): Promise<boolean> {
    try {
      return await this.#takeFiles(source)
    } catch (error) {
      if (!canWait(error, this.#settings.signal)) throw error
      return false
    }
  }

  async #ask(request: Open): Promise<void> {
    if (request.status === 'done' || request.status === 'failed' || this.#hasCome(request)) return
    const { client, signal } = this.#settings
    try {
      request.status = (await client.reportStatus({ correlationId: request.correlationId, signal })).state
    } catch (error) {
      // What it says of a report is of use, and no more: whether the file comes shows at the source.
      const code = findIngestError(error)?.code
      if (!canWait(error, signal) && code !== 'API_FAULT' && code !== 'API_REFUSED' && code !== 'API_ANSWER')
        throw error
    }
  }

  #isClosed(request: Open): boolean {
    return request.status === 'done' || request.status === 'failed' || this.#hasCome(request)
  }

  #hasCome({ esiids, from, to }: Open): boolean {
    return esiids.every(esiid => this.#arrivals.days.has(esiid, { from, to }))
  }

  /** One pass over a source. True when readings came that were asked for. */
  async #takeFiles(source: Source, hear: (receipt: Receipt) => void = () => {}): Promise<boolean> {
    const { decryptor, sink, concurrency, signal, onReceipt } = this.#settings
    const stop = new AbortController()
    const timer = setTimeout(() => stop.abort(), Math.max(0, this.#deadline - performance.now()))
    const options: IngestOptions = {
      source,
      parser: this.#arrivals,
      sink,
      concurrency,
      signal,
      stopSignal: stop.signal
    }
    let isNew = false
    try {
      for await (const receipt of ingest({ ...options, ...(decryptor && { decryptor }) })) {
        if (this.#arrivals.settle(receipt)) isNew = true
        hear(receipt)
        if (receipt.known || (receipt.state === 'seen' && noNews.has(receipt.reason?.code ?? ''))) continue
        this.#receipts.push(receipt)
        await onReceipt?.(receipt)
      }
    } finally {
      clearTimeout(timer)
    }
    return isNew
  }
}

/** Answers that say no more than the one before. */
const noNews = new Set(['HELD', 'WAITING', 'CHANGING'])

function canWait(error: unknown, signal: AbortSignal | undefined): boolean {
  const found: IngestError | undefined = findIngestError(error)
  return found?.retryable === true && !signal?.aborted && !(found instanceof ConfigError)
}
