import { createHash, type Hash } from 'node:crypto'
import type { Readable } from 'node:stream'
import { SourceError } from '../errors.ts'
import { FileStream } from './file-stream.ts'
import type { Listed } from './listing.ts'
import type { Disposal, IngestFile, Transfer } from './source.ts'

/** What a handle or a path shows of a file. */
export interface Sight {
  readonly size: number
  readonly modifiedAt: number
}

/** Hears of a reading. */
export interface Observer {
  /** What the open handle shows, before and after. */
  saw(sight: Sight): void
  /** The connection broke, and the rest is read over a new one. */
  resumed(): void
}

/** The part of a source that reads. */
export interface Origin {
  /** The bytes, from the first to the end of the file. */
  read(entry: Listed, observer: Observer, signal: AbortSignal): AsyncGenerator<Uint8Array, void>
  /** What stands at the path now; undefined when nothing does. */
  look(entry: Listed): Promise<Sight | undefined>
  /** Deletes or moves the file; not there where files are kept. */
  readonly dispose?: ((entry: Listed) => Promise<Disposal>) | undefined
}

/**
 * A file that a source listed.
 *
 * In: a source's bytes. Out: the same bytes, counted, hashed, and compared with what was listed.
 * Memory: what the source reads ahead.
 */
export class ListedFile implements IngestFile {
  readonly source: string
  readonly path: string
  readonly name: string
  readonly size: number
  readonly modifiedAt: number
  /** Not there where files are kept. */
  readonly dispose?: () => Promise<Disposal | undefined>
  readonly #listed: Listed
  readonly #origin: Origin
  #reading: Reading | undefined

  constructor(listed: Listed, origin: Origin) {
    this.source = listed.source
    this.path = listed.path
    this.name = listed.name
    this.size = listed.size
    this.modifiedAt = listed.modifiedAt
    this.#listed = listed
    this.#origin = origin
    if (origin.dispose) this.dispose = () => this.#dispose(origin.dispose!)
  }

  stream({ signal }: { readonly signal?: AbortSignal | undefined } = {}): Readable {
    const reading = new Reading(this.#listed)
    this.#reading = reading
    return new FileStream(abort => this.#read(reading, abort), { signal, file: this.path })
  }

  async verify(): Promise<Transfer> {
    const reading = this.#reading
    if (reading?.error !== undefined) throw reading.error
    if (reading?.sha256 === undefined) {
      throw new SourceError('TRANSFER_UNREAD', 'the file was not read to its end', { file: this.path })
    }
    const now = await this.#origin.look(this.#listed)
    if (now !== undefined) throwIfChanged(this.#listed, now)
    const { bytes, sha256, cuts } = reading
    return { bytes, sha256, vanished: now === undefined, ...(cuts > 0 && { resumed: cuts }) }
  }

  async #dispose(dispose: NonNullable<Origin['dispose']>): Promise<Disposal | undefined> {
    const now = await this.#origin.look(this.#listed)
    if (now === undefined) return undefined
    // What was written there since is not in the store.
    throwIfChanged(this.#listed, now)
    return dispose(this.#listed)
  }

  async *#read(reading: Reading, signal: AbortSignal): AsyncGenerator<Uint8Array, void> {
    try {
      for await (const chunk of this.#origin.read(this.#listed, reading, signal)) {
        reading.take(chunk)
        yield chunk
      }
      reading.end()
    } catch (error) {
      reading.error = error
      throw error
    }
  }
}

/** The account of one reading. */
class Reading implements Observer {
  readonly #listed: Listed
  readonly #hash: Hash = createHash('sha256')
  bytes = 0
  /** How often the connection broke on the way. */
  cuts = 0
  sha256: string | undefined
  error: unknown

  constructor(listed: Listed) {
    this.#listed = listed
  }

  saw(sight: Sight): void {
    throwIfChanged(this.#listed, sight)
  }

  resumed(): void {
    this.cuts++
  }

  take(chunk: Uint8Array): void {
    this.bytes += chunk.length
    if (this.bytes > this.#listed.size) throw incomplete(this.#listed, `more than ${this.#listed.size}`)
    this.#hash.update(chunk)
  }

  end(): void {
    if (this.bytes !== this.#listed.size) throw incomplete(this.#listed, `${this.bytes} of ${this.#listed.size}`)
    this.sha256 = this.#hash.digest('hex')
  }
}

function incomplete({ path }: Listed, bytes: string): SourceError {
  return new SourceError('TRANSFER_INCOMPLETE', `received ${bytes} listed bytes`, { file: path })
}

function throwIfChanged(listed: Listed, now: Sight): void {
  if (now.size === listed.size && now.modifiedAt === listed.modifiedAt) return
  const what = now.size === listed.size ? 'was written to' : `went from ${listed.size} to ${now.size} bytes`
  throw new SourceError('TRANSFER_CHANGED', `the file ${what} since it was listed`, { file: listed.path })
}
