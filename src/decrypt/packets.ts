import { DecryptError, type ErrorPlace } from '../errors.ts'

/** One packet of a stream: read its body to the end before asking for the next. */
export interface StreamedPacket {
  readonly tag: number
  /** How its header gives its length: at once, in parts that each have their own, or not at all. */
  readonly form: 'definite' | 'partial' | 'indeterminate'
  /** Bytes of the body, where the header gives them at once. */
  readonly bytes: number | undefined
  readonly body: AsyncGenerator<Uint8Array, void>
}

const none = new Uint8Array(0)

/** Reads packets from a stream of bytes. Memory: one chunk, and what {@link PacketReader.keep} was asked to keep. */
export class PacketReader {
  readonly #chunks: AsyncIterator<Uint8Array>
  readonly #place: ErrorPlace
  #chunk: Uint8Array = none
  #kept: Uint8Array[] | undefined

  constructor(chunks: AsyncIterable<Uint8Array>, place: ErrorPlace) {
    this.#chunks = chunks[Symbol.asyncIterator]()
    this.#place = place
  }

  /** Keeps, from now on, everything that is read; gives the array that fills. */
  keep(): readonly Uint8Array[] {
    this.#kept = []
    return this.#kept
  }

  /** Keeps nothing more. */
  forget(): void {
    this.#kept = undefined
  }

  /** Whatever was not read yet. */
  async *rest(): AsyncGenerator<Uint8Array, void> {
    for (let part = await this.#some(); part !== undefined; part = await this.#some()) yield part
  }

  /** The next packet, none at the end. Headers as RFC 9580 §4.2 has them; see `openpgp-format.ts`. */
  async next(): Promise<StreamedPacket | undefined> {
    const first = await this.#some(1)
    if (first === undefined) return undefined
    const header = first[0]!
    if (header < 0x80) throw new DecryptError('DECRYPT_CORRUPT', 'something that is no packet is there', this.#place)
    if (header >= 0xc0) {
      const [length, partial] = await this.#newLength()
      const body = this.#newBody(length, partial)
      return { tag: header & 0x3f, ...(partial ? inParts : definite(length)), body }
    }
    const kind = header & 3
    const length = kind === 3 ? Number.POSITIVE_INFINITY : toNumber(await this.exactly(1 << kind))
    return { tag: (header >> 2) & 0x0f, ...definite(length), body: this.#oldBody(length) }
  }

  /** That many bytes, or an error. */
  async exactly(count: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(count)
    for (let at = 0; at < count; ) {
      const part = await this.#some(count - at)
      if (part === undefined) throw this.#truncated()
      bytes.set(part, at)
      at += part.length
    }
    return bytes
  }

  async #newLength(): Promise<[length: number, partial: boolean]> {
    const first = (await this.exactly(1))[0]!
    if (first < 192) return [first, false]
    if (first < 224) return [((first - 192) << 8) + (await this.exactly(1))[0]! + 192, false]
    if (first < 255) return [2 ** (first & 0x1f), true]
    return [toNumber(await this.exactly(4)), false]
  }

  async *#newBody(length: number, partial: boolean): AsyncGenerator<Uint8Array, void> {
    yield* this.#oldBody(length)
    while (partial) {
      ;[length, partial] = await this.#newLength()
      yield* this.#oldBody(length)
    }
  }

  async *#oldBody(length: number): AsyncGenerator<Uint8Array, void> {
    for (let left = length; left > 0; ) {
      const part = await this.#some(left)
      if (part === undefined) {
        if (left === Number.POSITIVE_INFINITY) return
        throw this.#truncated()
      }
      left -= part.length
      yield part
    }
  }

  async #some(max = Number.POSITIVE_INFINITY): Promise<Uint8Array | undefined> {
    while (this.#chunk.length === 0) {
      const next = await this.#chunks.next()
      if (next.done) return undefined
      this.#chunk = next.value
    }
    const part = max < this.#chunk.length ? this.#chunk.subarray(0, max) : this.#chunk
    this.#chunk = part === this.#chunk ? none : this.#chunk.subarray(max)
    this.#kept?.push(part)
    return part
  }

  #truncated(): DecryptError {
    return new DecryptError('DECRYPT_TRUNCATED', 'the message ends too early', this.#place)
  }
}

const inParts = { form: 'partial', bytes: undefined } as const

function definite(bytes: number): Pick<StreamedPacket, 'form' | 'bytes'> {
  return bytes === Number.POSITIVE_INFINITY ? { form: 'indeterminate', bytes: undefined } : { form: 'definite', bytes }
}

function toNumber(bytes: Uint8Array): number {
  return bytes.reduce((number, byte) => number * 256 + byte, 0)
}
