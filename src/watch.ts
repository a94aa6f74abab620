import { setTimeout as pause } from 'node:timers/promises'
import { AbortError, findIngestError, type IngestError } from './errors.ts'
import type { IngestOptions } from './ingest.ts'
import { fingerprintOf } from './ledger/ledger.ts'
import type { LedgerFile, Receipt } from './ledger/receipt.ts'
import { Look } from './look.ts'
import { pauseAfter } from './pause-after.ts'
import { Run } from './run.ts'
import type { IngestFile } from './source/source.ts'

/** How a source is watched. */
export interface WatchOptions extends IngestOptions {
  /**
   * Milliseconds from one look at the source to the next.
   * @default 60000
   */
  readonly everyMs?: number | undefined
  /**
   * Milliseconds until a source or store that failed is tried again; twice as long each time, an hour at most.
   * @default 30000
   */
  readonly retryMs?: number | undefined
  /**
   * Hears of a source or store that failed, and in how many milliseconds it is tried again.
   * @default a warning of the process
   */
  readonly onError?: ((error: IngestError, retryInMs: number) => void) | undefined
}

/** How long a file that is settled is not asked about again. */
const REMEMBERED_MS = 60 * 60_000

/** Answers that say no more than the one before. */
const noNews = new Set<string | undefined>(['HELD', 'WAITING', 'CHANGING'])

/**
 * {@link ingest}, again and again, until a signal says so. Gives the receipts of what is new.
 *
 * The source is looked at while long transfers go on. A source or store that fails is tried again, soon at first and at
 * most an hour later; what somebody must mend before (a wrong password, a changed host key) is thrown.
 */
export async function* watch(options: WatchOptions): AsyncGenerator<Receipt, void> {
  const memory = new SettledFiles()
  let failures = 0
  while (!options.stopSignal?.aborted) {
    const run = new Run(options)
    try {
      for await (const receipt of run.receipts(discover(run, memory, options))) {
        memory.take(receipt)
        if (receipt.state !== 'seen') failures = 0
        if (!receipt.known && !noNews.has(receipt.reason?.code)) yield receipt
      }
    } catch (error) {
      await retryLater(error, ++failures, options)
    }
  }
}

/** New files, of one look after another. A look whose files are still on their way keeps its session meanwhile. */
async function* discover(run: Run, memory: SettledFiles, options: WatchOptions): AsyncGenerator<IngestFile, void> {
  const { everyMs = 60_000, stopSignal } = options
  let failures = 0
  while (!stopSignal?.aborted) {
    const look = new Look(run, options, file => !run.has(file) && !memory.has(file))
    try {
      yield* look.files()
      failures = 0
      // One directory of several could not be listed: the others were.
      look.ended.catch(error => run.signal.aborted || report(error, everyMs, options))
      await rest(everyMs, run.signal, stopSignal)
    } catch (error) {
      if (run.signal.aborted) throw error
      await retryLater(error, ++failures, options)
    }
    if (run.signal.aborted) throw new AbortError({ cause: run.signal.reason })
  }
}

/** Waits after the so many-th failure in a row; throws what no waiting mends. */
async function retryLater(error: unknown, failures: number, options: WatchOptions): Promise<void> {
  const { signal, stopSignal, retryMs: firstMs } = options
  if (stopSignal?.aborted && !signal?.aborted) return
  if (signal?.aborted || !findIngestError(error)?.retryable) throw error
  const retryInMs = pauseAfter(failures, firstMs === undefined ? {} : { firstMs })
  report(error, retryInMs, options)
  await rest(retryInMs, signal, stopSignal)
}

function report(error: unknown, retryInMs: number, { onError }: WatchOptions): void {
  const found = findIngestError(error)
  if (found === undefined) return
  if (onError) onError(found, retryInMs)
  else process.emitWarning(`${found.message}; tried again in ${Math.round(retryInMs / 1000)} s`, { code: found.code })
}

/** Waits, unless told to stop. */
async function rest(ms: number, ...signals: (AbortSignal | undefined)[]): Promise<void> {
  const signal = AbortSignal.any(signals.filter(given => given !== undefined))
  await pause(ms, undefined, { signal }).catch(() => {})
}

/** Files about which the ledger need not be asked at every look. Somebody may have it forget one: an hour later it counts. */
class SettledFiles {
  readonly #until = new Map<string, number>()

  has(file: LedgerFile): boolean {
    return (this.#until.get(fingerprintOf(file)) ?? 0) > performance.now()
  }

  take(receipt: Receipt): void {
    const now = performance.now()
    // The oldest stand first; whoever is asked about again comes last.
    for (const [fingerprint, until] of this.#until) {
      if (until > now) break
      this.#until.delete(fingerprint)
    }
    // Somebody may ask for a quarantined one to be tried again at any time.
    const isSettled = receipt.state !== 'seen' && receipt.state !== 'quarantined'
    if (isSettled) this.#until.set(fingerprintOf(receipt), now + REMEMBERED_MS)
  }
}
