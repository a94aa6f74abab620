/** Reads an async iterable of chunks by the piece, with a way back. */
export class ByteReader {
  readonly #chunks: AsyncIterator<Uint8Array>
  #held: Buffer = Buffer.alloc(0)
  #ended = false
  #position = 0

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]()
  }

  /** Bytes taken so far. */
  get position(): number {
    return this.#position
  }

  /** The next `n` bytes without taking them; fewer only at the end. */
  async peek(n: number): Promise<Buffer> {
    if (this.#held.length < n && !this.#ended) {
      // Copies: whoever gives a chunk may use its memory again when the next one is asked for.
      const pieces = this.#held.length > 0 ? [Buffer.from(this.#held)] : []
      let length = this.#held.length
      while (length < n) {
        const { done, value } = await this.#chunks.next()
        if (done) {
          this.#ended = true
          break
        }
        pieces.push(Buffer.from(value))
        length += value.length
      }
      this.#held = pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces)
    }
    return this.#held.subarray(0, n)
  }

  /** Passes over `n` bytes that were peeked at. */
  skip(n: number): void {
    this.#position += Math.min(n, this.#held.length)
    this.#held = this.#held.subarray(n)
  }

  /** The next piece of any length, at most `most` bytes; undefined at the end. */
  async next(most = Number.POSITIVE_INFINITY): Promise<Buffer | undefined> {
    while (this.#held.length === 0 && !this.#ended) {
      const { done, value } = await this.#chunks.next()
      if (done) this.#ended = true
      else this.#held = asBuffer(value)
    }
    if (this.#held.length === 0) return undefined
    const piece = this.#held.subarray(0, most)
    this.#held = this.#held.subarray(piece.length)
    this.#position += piece.length
    return piece
  }

  /** Lets go of the chunks, as a `for await` loop does that is left. Not waited for: they may be stalled. */
  release(): void {
    this.#ended = true
    this.#chunks.return?.().catch(() => {})
  }

  /** Puts back the rest of a piece that {@link ByteReader.next} gave. */
  unread(rest: Buffer): void {
    this.#position -= rest.length
    if (rest.length > 0) this.#held = this.#held.length === 0 ? rest : Buffer.concat([rest, this.#held])
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
