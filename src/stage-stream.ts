import { Duplex } from 'node:stream'
import { AbortError, type ErrorPlace } from './errors.ts'

/** What a stage is inside: chunks in, values out, in order. */
export type StageBody<In, Out> = (chunks: AsyncIterable<In>, signal: AbortSignal) => AsyncGenerator<Out, void>

/** How the two ends of a {@link StageStream} buffer. */
export interface StageStreamOptions {
  /** Whether values are read one by one (batches) or as bytes. */
  readonly readableObjectMode?: boolean
  /** Bytes, or values in object mode, that may wait to be read. */
  readonly readableHighWaterMark?: number
}

/**
 * One Node stream around one generator: what is written feeds it, what it yields is read.
 *
 * In: chunks. Out: whatever the body yields.
 * Memory: one chunk on its way in, and the readable side's high-water mark on its way out.
 */
export class StageStream<In, Out> extends Duplex {
  readonly #inlet = new Inlet<In>()
  readonly #abort = new AbortController()
  readonly #body: AsyncGenerator<Out, void>
  #pumping = false
  #finished: (() => void) | undefined
  #done = false

  constructor(body: StageBody<In, Out>, options: StageStreamOptions = {}) {
    super({ ...options, emitClose: true })
    this.#body = body(this.#inlet, this.#abort.signal)
  }

  /** Ends with an {@link AbortError} as soon as the signal says so, whatever it is waiting for. */
  obey(signal: AbortSignal | undefined, place: ErrorPlace = {}): this {
    const stop = () => this.destroy(new AbortError({ ...place, cause: signal?.reason }))
    if (signal?.aborted) return stop()
    signal?.addEventListener('abort', stop, { once: true })
    this.once('close', () => signal?.removeEventListener('abort', stop))
    return this
  }

  override _write(chunk: In, _encoding: BufferEncoding, written: () => void): void {
    this.#inlet.put(chunk, written)
    // Nobody may ever read the other side (a writer alone): the body goes on while there is room for what it gives.
    if (this.readableLength < this.readableHighWaterMark) this._read()
  }

  override _final(finished: () => void): void {
    this.#inlet.end()
    if (this.#done) finished()
    else this.#finished = finished
    // A writer alone again: the body still has to see the end.
    this._read()
  }

  override _read(): void {
    if (this.#pumping || this.#done || this.destroyed) return
    this.#pumping = true
    this.#pump().catch(error => this.destroy(error))
  }

  override _destroy(error: Error | null, destroyed: (error: Error | null) => void): void {
    this.#done = true
    this.#abort.abort(error ?? new AbortError())
    this.#inlet.fail(error ?? new AbortError())
    // The body's `finally` blocks run; what they throw changes nothing any more.
    this.#body.return().catch(() => {})
    destroyed(error)
  }

  async #pump(): Promise<void> {
    for (;;) {
      const { done, value } = await this.#body.next()
      if (this.destroyed) return
      if (done) break
      if (!this.push(value)) {
        this.#pumping = false
        return
      }
    }
    this.#done = true
    this.#inlet.discard()
    this.push(null)
    this.#finished?.()
  }
}

/** The chunks written to a stream, as an async iterable of one reader. */
class Inlet<In> implements AsyncIterableIterator<In> {
  #chunk: In | undefined
  #written: (() => void) | undefined
  #waiting: { resolve: (result: IteratorResult<In>) => void; reject: (error: Error) => void } | undefined
  #state: 'open' | 'ended' | 'discarding' = 'open'
  #error: Error | undefined;

  [Symbol.asyncIterator](): this {
    return this
  }

  put(chunk: In, written: () => void): void {
    if (this.#state === 'discarding') {
      written()
    } else if (this.#waiting) {
      this.#waiting.resolve({ done: false, value: chunk })
      this.#waiting = undefined
      written()
    } else {
      this.#chunk = chunk
      this.#written = written
    }
  }

  end(): void {
    if (this.#state === 'open') this.#state = 'ended'
    this.#waiting?.resolve({ done: true, value: undefined })
    this.#waiting = undefined
  }

  fail(error: Error): void {
    this.#error ??= error
    this.#waiting?.reject(error)
    this.#waiting = undefined
    this.#written = undefined
  }

  /** Takes and forgets whatever still comes. */
  discard(): void {
    this.#state = 'discarding'
    this.#chunk = undefined
    this.#written?.()
    this.#written = undefined
  }

  next(): Promise<IteratorResult<In>> {
    if (this.#error) return Promise.reject(this.#error)
    if (this.#chunk !== undefined) {
      const value = this.#chunk
      const written = this.#written
      this.#chunk = undefined
      this.#written = undefined
      written?.()
      return Promise.resolve({ done: false, value })
    }
    if (this.#state !== 'open') return Promise.resolve({ done: true, value: undefined })
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject }
    })
  }

  return(): Promise<IteratorResult<In>> {
    this.discard()
    return Promise.resolve({ done: true, value: undefined })
  }
}
