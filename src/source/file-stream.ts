import { setMaxListeners } from 'node:events'
import { Readable } from 'node:stream'
import { AbortError } from '../errors.ts'

export interface FileStreamOptions {
  readonly signal?: AbortSignal | undefined
  /** Path that errors name. */
  readonly file: string
}

/**
 * The bytes of one file as a Node stream. Unlike `Readable.from`, destroying it does not wait for a read that may
 * never be answered: the generator's signal is aborted first.
 *
 * In: a generator of chunks. Out: the chunks.
 * Memory: two chunks beside what the generator reads ahead.
 */
export class FileStream extends Readable {
  readonly #abort = new AbortController()
  readonly #chunks: AsyncGenerator<Uint8Array, void>
  readonly #unlisten: () => void

  constructor(read: (signal: AbortSignal) => AsyncGenerator<Uint8Array, void>, { signal, file }: FileStreamOptions) {
    super({ highWaterMark: 64 * 1024 })
    // Every request in flight listens; that many listeners are no leak.
    setMaxListeners(0, this.#abort.signal)
    this.#chunks = read(this.#abort.signal)
    const stop = () => this.destroy(new AbortError({ file, cause: signal?.reason }))
    this.#unlisten = () => signal?.removeEventListener('abort', stop)
    if (signal?.aborted) stop()
    else signal?.addEventListener('abort', stop, { once: true })
  }

  override _read(): void {
    this.#chunks.next().then(
      ({ done, value }) => this.push(done ? null : value),
      error => this.destroy(error)
    )
  }

  override _destroy(error: Error | null, destroyed: (error: Error | null) => void): void {
    this.#unlisten()
    this.#abort.abort(error ?? new AbortError())
    // Its `finally` closes the handle; what goes wrong there changes nothing any more.
    this.#chunks.return().catch(() => {})
    destroyed(error)
  }
}
