import { randomUUID } from 'node:crypto'
import {
  type AscDecryptor,
  findIngestError,
  type IngestError,
  IntervalParser,
  ingest,
  maskEsiids,
  type Receipt,
  type Sink,
  type Source
} from '@intelliwatt/smt-ingest'
import type { FastifyBaseLogger } from 'fastify'

/** What a run is made of, and where it is reported. */
export interface RunsOptions {
  readonly source: Source
  readonly decryptor: AscDecryptor
  readonly sink: Sink
  readonly log: FastifyBaseLogger
  /** How long a run may go on with what it holds once it is asked to stop. */
  readonly graceMs: number
}

/** Why a run is asked for. */
export interface Trigger {
  readonly reason: string
  /** Take files again that were set aside, and those whose next attempt is not due. */
  readonly retry?: boolean
}

/** A run as `GET /runs/:id` shows it. */
export interface RunReport {
  readonly id: string
  /** `queued`: begins when the one before has ended. `stopped`: the daemon ended before the run did. */
  readonly state: 'queued' | 'running' | 'done' | 'failed' | 'stopped'
  /** Triggers that asked for it. */
  readonly triggers: number
  readonly reasons: readonly string[]
  readonly queuedAt: string
  readonly startedAt: string | null
  readonly endedAt: string | null
  /** Files by what became of them; those settled by an earlier run are `known`. */
  readonly files: Readonly<Record<string, number>>
  readonly intervals: number
  readonly rejected: number
  /** The files of this run, ESIIDs shortened; the last ones, when there are more than `mostReceipts`. */
  readonly receipts: readonly FileReport[]
  /** Why the run failed. */
  readonly error: { readonly code: string; readonly message: string; readonly retryable: boolean } | null
}

interface FileReport {
  readonly path: string
  readonly state: Receipt['state']
  readonly intervals: number
  readonly code: string | null
}

type Run = { -readonly [Key in keyof RunReport]: Mutable<RunReport[Key]> } & { retry: boolean }
type Mutable<T> = T extends readonly (infer Item)[] ? Item[] : T extends object ? { -readonly [K in keyof T]: T[K] } : T

/** Runs that are remembered, and receipts of each. */
const mostRuns = 100
const mostReceipts = 200

/** Why the daemon itself asks for a run; one that brought nothing is forgotten. */
export const watching = 'watch'

/** Answers that say no more than the one before: another has the file, it is not due yet, it is still being written. */
const noNews = new Set<string | null>(['HELD', 'WAITING', 'CHANGING'])

/**
 * One run at a time. Whoever asks while one is under way gets the next one, which begins when that has ended: what the
 * server shows at the moment of a trigger is then listed for certain, and nobody can tell of the run under way whether it
 * had looked already. All who ask meanwhile share it.
 */
export class Runs {
  readonly #options: RunsOptions
  readonly #stop = new AbortController()
  readonly #kept = new Map<string, Run>()
  #queued: Run | undefined
  #working: Promise<void> | undefined
  #listedAt: number | undefined

  constructor(options: RunsOptions) {
    this.#options = options
  }

  /** When a run last saw all that the source shows: milliseconds of `performance.now()`. */
  get listedAt(): number | undefined {
    return this.#listedAt
  }

  /** The run that will see what is there now. */
  trigger({ reason, retry = false }: Trigger): RunReport {
    const run = this.#queued ?? this.#queue()
    run.triggers++
    run.retry ||= retry
    if (!run.reasons.includes(reason)) run.reasons.push(reason)
    this.#working ??= this.#work()
    return report(run)
  }

  find(id: string): RunReport | undefined {
    const run = this.#kept.get(id)
    return run && report(run)
  }

  /** Begins nothing any more; resolves when the run under way has ended, or given back what it held. */
  async stop(): Promise<void> {
    this.#stop.abort()
    if (this.#queued) this.#end(this.#queued, 'stopped')
    this.#queued = undefined
    await this.#working
  }

  #queue(): Run {
    const run: Run = {
      id: randomUUID(),
      state: 'queued',
      triggers: 0,
      reasons: [],
      queuedAt: new Date().toISOString(),
      startedAt: null,
      endedAt: null,
      files: {},
      intervals: 0,
      rejected: 0,
      receipts: [],
      error: null,
      retry: false
    }
    this.#kept.set(run.id, run)
    const [oldest] = this.#kept.keys()
    if (this.#kept.size > mostRuns) this.#kept.delete(oldest!)
    this.#queued = run
    return run
  }

  async #work(): Promise<void> {
    for (let run = this.#queued; run && !this.#stop.signal.aborted; run = this.#queued) {
      this.#queued = undefined
      await this.#take(run)
    }
    this.#working = undefined
  }

  async #take(run: Run): Promise<void> {
    const { source, decryptor, sink, log, graceMs } = this.#options
    const { signal: stopSignal } = this.#stop
    run.state = 'running'
    run.startedAt = new Date().toISOString()
    const options = { retryQuarantined: run.retry, retryNow: run.retry, stopSignal, graceMs }
    try {
      const receipts = ingest({ source, decryptor, sink, parser: new IntervalParser(), ...options })
      for await (const receipt of receipts) this.#note(run, receipt)
      if (!stopSignal.aborted) this.#listedAt = performance.now()
      this.#end(run, stopSignal.aborted ? 'stopped' : 'done')
    } catch (cause) {
      const error = findIngestError(cause)
      run.error = errorOf(error)
      log.error({ runId: run.id, err: error ?? cause }, 'run failed')
      this.#end(run, 'failed')
    }
  }

  #note(run: Run, receipt: Receipt): void {
    const { known, state, rows, reason } = receipt
    const outcome = known ? 'known' : state
    run.files[outcome] = (run.files[outcome] ?? 0) + 1
    if (known) return
    run.intervals += rows?.accepted ?? 0
    run.rejected += rows?.rejected ?? 0
    const path = maskEsiids(receipt.path)
    const file = { path, state, intervals: rows?.accepted ?? 0, code: reason?.code ?? null }
    run.receipts.push(file)
    if (run.receipts.length > mostReceipts) run.receipts.shift()
    const isFailure = state === 'quarantined' || (rows?.rejected ?? 0) > 0
    const level = noNews.has(file.code) ? 'debug' : isFailure ? 'warn' : 'info'
    this.#options.log[level]({ runId: run.id, ...file }, 'file')
  }

  #end(run: Run, state: Run['state']): void {
    run.state = state
    run.endedAt = new Date().toISOString()
    const { id, files, intervals, rejected, reasons, receipts } = run
    const isQuiet = state === 'done' && receipts.every(({ code }) => noNews.has(code))
    if (isQuiet && reasons.every(reason => reason === watching)) {
      this.#kept.delete(id)
      return
    }
    this.#options.log.info({ runId: id, reasons, files, intervals, rejected }, `run ${state}`)
  }
}

function report({ retry: _, ...run }: Run): RunReport {
  return structuredClone(run)
}

function errorOf(error: IngestError | undefined): Run['error'] {
  if (!error) return { code: 'UNEXPECTED', message: 'see the log of the daemon', retryable: false }
  return { code: error.code, message: error.message, retryable: error.retryable }
}
