import { finished, pipeline } from 'node:stream/promises'
import { AbortError, findIngestError, IngestError } from './errors.ts'
import type { IngestOptions } from './ingest.ts'
import { fingerprintOf } from './ledger/ledger.ts'
import { failed, isWhole, type LedgerFile, partly, type Receipt, reasonOf } from './ledger/receipt.ts'
import type { IngestFile, PassedOver } from './source/source.ts'

/** How long a run that was asked to stop may go on with what it holds. */
const GRACE_MS = 30_000

/** What a run waits for. */
type News =
  | { readonly arrived: IteratorResult<IngestFile, void> }
  | { readonly done: Outcome }
  | { readonly failed: unknown }
  | { readonly passedOver: PassedOver }
  | 'stop'

/** How a file's journey ended. An error is there only when it must end the run. */
interface Outcome {
  readonly receipt: Receipt | undefined
  readonly error?: unknown
}

/**
 * Files on their way, so many at a time: begun in the order in which they come, receipted as they finish.
 *
 * Nothing is begun before somebody asks for a receipt. A failure that concerns every file, or a signal, ends the run:
 * what is under way is given back, and the error thrown after the receipts.
 */
export class Run {
  readonly #options: IngestOptions
  readonly #abort = new AbortController()
  /** Ends everything that is under way. */
  readonly signal: AbortSignal
  readonly #news = new Mailbox<News>()
  readonly #journeys = new Map<IngestFile, Promise<void>>()
  readonly #underWay = new Set<string>()

  constructor(options: IngestOptions) {
    this.#options = options
    this.signal = options.signal ? AbortSignal.any([options.signal, this.#abort.signal]) : this.#abort.signal
  }

  /** Hears of listed files that are not offered. */
  readonly passOver = (file: PassedOver): void => this.#news.put({ passedOver: file })

  /** Whether this version of a file is on its way. */
  has(file: LedgerFile): boolean {
    return this.#underWay.has(fingerprintOf(file))
  }

  /** Resolves when these files have ended, each in its way. */
  async done(files: Iterable<IngestFile>): Promise<void> {
    for (const file of files) await this.#journeys.get(file)
  }

  async *receipts(files: AsyncIterator<IngestFile, void>): AsyncGenerator<Receipt, void> {
    const { concurrency = 1, stopSignal } = this.#options
    const unlisten = onAbort(stopSignal, () => this.#news.put('stop'))
    let grace: NodeJS.Timeout | undefined
    let isAsking = false
    let isClosing = false
    let failure: { readonly error: unknown } | undefined
    try {
      for (;;) {
        if (!isClosing && !isAsking && this.#journeys.size < concurrency) {
          isAsking = true
          this.#ask(files)
        }
        if (this.#journeys.size === 0 && !isAsking && this.#news.isEmpty) break
        const news = await this.#news.take()
        if (news === 'stop') {
          isClosing = true
          grace = setTimeout(() => this.#abort.abort(), this.#options.graceMs ?? GRACE_MS)
          continue
        }
        if ('passedOver' in news) {
          yield await this.#options.sink.passOver(news.passedOver)
          continue
        }
        if ('done' in news) {
          if (news.done.receipt) yield news.done.receipt
          if (news.done.error === undefined || stopSignal?.aborted) continue
          failure ??= { error: news.done.error }
          isClosing = true
          this.#abort.abort(news.done.error)
          continue
        }
        isAsking = false
        if ('failed' in news) {
          isClosing = true
          if (!stopSignal?.aborted) failure ??= { error: news.failed }
        } else if (news.arrived.done) isClosing = true
        else if (!isClosing) this.#begin(news.arrived.value)
      }
    } finally {
      unlisten()
      clearTimeout(grace)
      this.#abort.abort()
      await this.done([...this.#journeys.keys()])
      await files.return?.()
    }
    if (failure) throw failure.error
  }

  #ask(files: AsyncIterator<IngestFile, void>): void {
    files.next().then(
      arrived => this.#news.put({ arrived }),
      error => this.#news.put({ failed: error })
    )
  }

  #begin(file: IngestFile): void {
    const fingerprint = fingerprintOf(file)
    this.#underWay.add(fingerprint)
    const journey = takeFile(file, this.#options, this.signal).then(done => {
      this.#underWay.delete(fingerprint)
      this.#journeys.delete(file)
      this.#news.put({ done })
    })
    this.#journeys.set(file, journey)
  }
}

/** One file's journey, top to bottom. Never rejects. */
async function takeFile(file: IngestFile, options: IngestOptions, signal: AbortSignal): Promise<Outcome> {
  if (signal.aborted) return { receipt: undefined, error: new AbortError({ file: file.path }) }
  const { decryptor, parser, sink, retryQuarantined, retryNow, leaseMs } = options
  const startedAt = Date.now()
  const target = sink.stream(file, { retryQuarantined, retryNow, leaseMs })
  try {
    if (await target.wanted()) {
      // The file itself comes last: a stage that throws instead of giving its stream leaves no handle open.
      const stages = [...(decryptor ? [decryptor.stream(file)] : []), parser.stream(file), target]
      await pipeline([file.stream({ signal }), ...stages], { signal })
    } else target.destroy()
    return { receipt: target.receipt && (await disposed(file, target.receipt)) }
  } catch (error) {
    // The same leaves the target open.
    target.destroy(error as Error)
    await finished(target).catch(() => {})
    if (signal.aborted) return { receipt: target.receipt, error: new AbortError({ file: file.path, cause: error }) }
    const cause = findIngestError(error) ?? error
    // Without a claim the ledger says nothing of this run; the receipt does.
    const receipt = target.receipt ?? failed(file, startedAt, 'seen', cause)
    const endsRun = cause instanceof IngestError && cause.stopsRun
    return { receipt, ...(endsRun && { error: cause }) }
  }
}

/** Does with a file that is in the store what its source was asked to. That it cannot is no fault of the commit. */
async function disposed(file: IngestFile, receipt: Receipt): Promise<Receipt> {
  if (!file.dispose || (receipt.state !== 'committed' && receipt.state !== 'duplicate')) return receipt
  if (!isWhole(receipt)) return { ...receipt, disposal: { action: 'kept', reason: partly } }
  try {
    const disposal = await file.dispose()
    return disposal ? { ...receipt, disposal } : receipt
  } catch (error) {
    return { ...receipt, disposal: { action: 'kept', reason: reasonOf(findIngestError(error) ?? error) } }
  }
}

/** What was put in and not yet taken; whoever takes waits for more. */
class Mailbox<T> {
  readonly #items: T[] = []
  #wake: (() => void) | undefined

  put(item: T): void {
    this.#items.push(item)
    this.#wake?.()
  }

  get isEmpty(): boolean {
    return this.#items.length === 0
  }

  async take(): Promise<T> {
    while (this.#items.length === 0) {
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
    }
    return this.#items.shift()!
  }
}

/** Calls back when a signal is given, or was; gives the way to stop listening. */
export function onAbort(signal: AbortSignal | undefined, heard: () => void): () => void {
  if (signal?.aborted) heard()
  else signal?.addEventListener('abort', heard, { once: true })
  return () => signal?.removeEventListener('abort', heard)
}
