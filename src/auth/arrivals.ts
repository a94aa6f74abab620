import type { Duplex } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { IntervalBatch } from '../batch.ts'
import type { FileStage } from '../ingest.ts'
import type { Receipt } from '../ledger/receipt.ts'
import type { IngestFile } from '../source/source.ts'
import { StageStream } from '../stage-stream.ts'
import { ArrivedDays } from './backfill-days.ts'
import type { DaySpan } from './day-spans.ts'

/**
 * A parser beside which somebody counts: what passes by is counted for its file, and counts once the file is in.
 *
 * In and out: as the parser. Memory: a byte for each quarter hour of a day that was asked for.
 */
export class Arrivals implements FileStage {
  /** What came, of files that are in. */
  readonly days: ArrivedDays
  readonly #parser: FileStage
  readonly #esiids: readonly string[]
  readonly #span: DaySpan
  readonly #underWay = new Map<string, ArrivedDays>()

  constructor(parser: FileStage, esiids: readonly string[], span: DaySpan) {
    this.#parser = parser
    this.#esiids = esiids
    this.#span = span
    this.days = new ArrivedDays(esiids, span)
  }

  stream(file: IngestFile): Duplex {
    const came = new ArrivedDays(this.#esiids, this.#span)
    this.#underWay.set(file.path, came)
    const inner = this.#parser.stream(file)
    return new StageStream<unknown, unknown>(chunks => counted(chunks, inner, came), {
      readableObjectMode: true,
      readableHighWaterMark: 1
    })
  }

  /** Hears what became of a file. True when it brought readings that were asked for. */
  settle({ path, state }: Receipt): boolean {
    const came = this.#underWay.get(path)
    this.#underWay.delete(path)
    if (!came || came.isEmpty || (state !== 'committed' && state !== 'duplicate')) return false
    this.days.join(came)
    return true
  }
}

async function* counted(
  chunks: AsyncIterable<unknown>,
  inner: Duplex,
  came: ArrivedDays
): AsyncGenerator<unknown, void> {
  // What goes wrong on the way in comes out of the stream, too.
  const feeding = pipeline(chunks, inner).catch(() => {})
  for await (const value of inner) {
    if (value instanceof IntervalBatch) came.add(value)
    yield value
  }
  await feeding
}
