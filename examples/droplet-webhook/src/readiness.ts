import { setTimeout as pause } from 'node:timers/promises'
import { findIngestError, type Sink, type Source } from '@intelliwatt/smt-ingest'

/** Whether each end of the way can be reached: `reachable`, or the code of what is wrong. Codes tell nothing secret. */
export interface Readiness {
  readonly ok: boolean
  readonly source: string
  readonly store: string
}

export interface ReadinessOptions {
  readonly source: Source
  readonly sink: Sink
  /** When a run last saw all that the source shows. */
  readonly listedAt: () => number | undefined
}

/** An answer is good for so long: whoever asks often reaches nobody but this process. */
const KEPT_MS = 30_000
/** A run that listed everything so lately answers for the source. */
const LATELY_MS = 5 * 60_000
const DEADLINE_MS = 20_000

/** Asks both ends, once for all who want to know. */
export class ReadinessCheck {
  readonly #options: ReadinessOptions
  #answer: { readonly until: number; readonly readiness: Promise<Readiness> } | undefined

  constructor(options: ReadinessOptions) {
    this.#options = options
  }

  check(): Promise<Readiness> {
    const now = performance.now()
    if (!this.#answer || this.#answer.until < now) this.#answer = { until: now + KEPT_MS, readiness: this.#ask() }
    return this.#answer.readiness
  }

  async #ask(): Promise<Readiness> {
    const [source, store] = await Promise.all([this.#askSource(), this.#askStore()])
    return { ok: source === 'reachable' && store === 'reachable', source, store }
  }

  #askSource(): Promise<string> {
    const { source, listedAt } = this.#options
    if (performance.now() - (listedAt() ?? Number.NEGATIVE_INFINITY) < LATELY_MS) return Promise.resolve('reachable')
    return outcomeOf(async signal => {
      // The first file, or none, is answer enough.
      for await (const _ of source.files({ signal })) break
    })
  }

  #askStore(): Promise<string> {
    return outcomeOf(async () => {
      await (await this.#options.sink.ledger()).records({ limit: 1 })
    })
  }
}

async function outcomeOf(ask: (signal: AbortSignal) => Promise<void>): Promise<string> {
  const done = new AbortController()
  try {
    const late = pause(DEADLINE_MS, 'late' as const, { signal: done.signal })
    const first = await Promise.race([ask(AbortSignal.timeout(DEADLINE_MS)), late])
    return first === 'late' ? 'NO_ANSWER' : 'reachable'
  } catch (error) {
    return findIngestError(error)?.code ?? 'UNEXPECTED'
  } finally {
    done.abort()
  }
}
