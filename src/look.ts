import type { IngestOptions } from './ingest.ts'
import type { LedgerFile } from './ledger/receipt.ts'
import { onAbort, type Run } from './run.ts'
import type { IngestFile } from './source/source.ts'

/** One pass over a source: its files, and then, when they have all ended, its end. */
export class Look {
  readonly #run: Run
  readonly #options: IngestOptions
  readonly #isWanted: (file: LedgerFile) => boolean
  readonly #given: IngestFile[] = []
  #ended: Promise<unknown> = Promise.resolve()

  constructor(run: Run, options: IngestOptions, isWanted: (file: LedgerFile) => boolean = () => true) {
    this.#run = run
    this.#options = options
    this.#isWanted = isWanted
  }

  /** When the files have ended and the source's loop too; rejects with what kept a directory from being listed. */
  get ended(): Promise<unknown> {
    return this.#ended
  }

  /** The files. Ends when the last one was given, while the source still keeps its session for them. */
  async *files(): AsyncGenerator<IngestFile, void> {
    const { source, stopSignal } = this.#options
    const looking = new AbortController()
    // Before the first file there is nothing to finish: a look that is asked to stop just stops.
    const unlisten = onAbort(stopSignal, () => this.#given.length === 0 && looking.abort())
    let lastWasGiven: () => void = () => {}
    const last = new Promise<undefined>(resolve => {
      lastWasGiven = () => resolve(undefined)
    })
    const loop = source
      .files({
        signal: AbortSignal.any([this.#run.signal, looking.signal]),
        onPassedOver: file => this.#isWanted(file) && this.#run.passOver(file),
        untilDone: () => {
          lastWasGiven()
          return this.#run.done(this.#given)
        }
      })
      [Symbol.asyncIterator]()
    try {
      for (;;) {
        this.#ended = loop.next()
        const arrived = await Promise.race([this.#ended as Promise<IteratorResult<IngestFile>>, last])
        if (!arrived || arrived.done) return
        if (!this.#isWanted(arrived.value)) continue
        this.#given.push(arrived.value)
        yield arrived.value
      }
    } finally {
      unlisten()
      const end = this.#ended
      // Closes the session when the loop has ended by itself, and right away when nobody asks for more.
      this.#ended = (async () => {
        try {
          await end
        } finally {
          await loop.return?.()
        }
      })()
      this.#ended.catch(() => {})
    }
  }
}
