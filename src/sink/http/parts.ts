import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { directions, type IntervalBatch } from '../../batch.ts'
import { hashOf } from './parse-part.ts'

const pack = promisify(gzip)

/** How parts are cut and written. */
export interface PartOptions {
  readonly format: 'ndjson' | 'json'
  readonly compression: 'gzip' | 'none'
  /** Bytes of a body as sent, at most. */
  readonly maxBytes: number
  readonly maxRows: number
}

/** Some rows that become one part, if they are small enough. */
export interface RowLines {
  readonly lines: readonly string[]
  readonly sha256: string
}

/** Room for what stands around the rows. */
const HEAD_BYTES = 1024

/**
 * Cuts rows into parts by their number and size alone, so that the same rows give the same parts, whatever the batches.
 *
 * Memory: the text of one part.
 */
export class PartCutter {
  readonly #maxRows: number
  readonly #maxText: number
  #lines: string[] = []
  #bytes = 0

  constructor({ compression, maxBytes, maxRows }: PartOptions) {
    this.#maxRows = maxRows
    this.#maxText = compression === 'none' ? maxBytes - HEAD_BYTES : Number.POSITIVE_INFINITY
  }

  /** Takes a batch; gives each part that is full with it. */
  *push(batch: IntervalBatch): Generator<RowLines> {
    for (let i = 0; i < batch.length; i++) {
      const line = rowJson(batch, i)
      // Rows are ASCII: as many bytes as characters, and one for the end of the line.
      if (this.#lines.length === this.#maxRows || this.#bytes + line.length + 1 > this.#maxText) yield this.#take()
      this.#lines.push(line)
      this.#bytes += line.length + 1
    }
  }

  /** The rows that are left. */
  *end(): Generator<RowLines> {
    if (this.#lines.length > 0) yield this.#take()
  }

  #take(): RowLines {
    const lines = this.#lines
    this.#lines = []
    this.#bytes = 0
    return { lines, sha256: hashOf(lines) }
  }
}

/** Both halves of rows whose part is too large. */
export function halves({ lines }: RowLines): [RowLines, RowLines] {
  const middle = lines.length >> 1
  return [lines.slice(0, middle), lines.slice(middle)].map(half => ({ lines: half, sha256: hashOf(half) })) as never
}

/** The text of a part: its head, and its rows. */
export function partText(head: object, { lines }: RowLines, format: PartOptions['format']): string {
  const start = JSON.stringify(head)
  if (format === 'ndjson') return `${start}\n${lines.map(line => `${line}\n`).join('')}`
  return `${start.slice(0, -1)},"intervals":[${lines.join(',')}]}`
}

/** A body as it is signed, and as it is sent. */
export interface WrittenBody {
  readonly text: string
  readonly body: Uint8Array | string
}

/** A text as it is sent. */
export async function written(text: string, compression: PartOptions['compression']): Promise<WrittenBody> {
  return { text, body: compression === 'gzip' ? await pack(text) : text }
}

/** One interval as a line. Its keys keep their order: the hash of a part is that of its lines. */
function rowJson(batch: IntervalBatch, i: number): string {
  const revision = batch.revision[i]!
  return JSON.stringify({
    esiid: batch.esiid(i),
    start: new Date(batch.start[i]!).toISOString(),
    kwh: batch.kwh[i]!,
    estimated: batch.estimated[i] === 1,
    direction: directions[batch.direction[i]!],
    revision: Number.isNaN(revision) ? null : new Date(revision).toISOString(),
    minutes: batch.minutes?.[i],
    entry: batch.entry.index,
    line: batch.line[i]!
  })
}
