/** The signature, the flags, and the length of what else the header has: nothing. */
const HEADER = 19

/** A row's number of values. */
const COUNT = 2

/** A value: its length and its eight bytes. */
const VALUE = 12

/**
 * Rows of doubles out of PostgreSQL's binary COPY, wherever its pieces are cut, as columns. A null is not a number.
 *
 * Memory: one batch, and the row that a piece cut in half.
 */
export class DoubleRows {
  readonly #columns: readonly Float64Array[]
  readonly #take: (columns: readonly Float64Array[]) => void
  readonly #batch: number
  #rows = 0
  /** What waits for the next piece. */
  #rest: Buffer = Buffer.alloc(0)
  #seesHeader = true

  /** `take` gets columns of `batch` rows, the last time perhaps fewer; they are overwritten afterwards. */
  constructor(columns: number, batch: number, take: (columns: readonly Float64Array[]) => void) {
    this.#columns = Array.from({ length: columns }, () => new Float64Array(batch))
    this.#batch = batch
    this.#take = take
  }

  push(piece: Buffer): void {
    const bytes = Buffer.concat([this.#rest, piece])
    const longest = COUNT + this.#columns.length * VALUE
    let at = 0
    if (this.#seesHeader && bytes.length >= HEADER) {
      this.#seesHeader = false
      at = HEADER
    }
    if (!this.#seesHeader) while (at + longest <= bytes.length) at = this.#row(bytes, at)
    this.#rest = bytes.subarray(at)
  }

  /** No more pieces come. */
  end(): void {
    for (let at = 0; this.#rest.readInt16BE(at) !== -1; ) at = this.#row(this.#rest, at)
    if (this.#rows > 0) this.#flush()
  }

  /** Takes the row that begins at a place; gives where it ends. */
  #row(bytes: Buffer, from: number): number {
    let at = from + COUNT
    for (const column of this.#columns) {
      const isNull = bytes.readInt32BE(at) === -1
      column[this.#rows] = isNull ? Number.NaN : bytes.readDoubleBE(at + 4)
      at += isNull ? 4 : VALUE
    }
    this.#rows++
    if (this.#rows === this.#batch) this.#flush()
    return at
  }

  #flush(): void {
    this.#take(this.#columns.map(column => column.subarray(0, this.#rows)))
    this.#rows = 0
  }
}
