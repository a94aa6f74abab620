import type { Duplex } from 'node:stream'
import type { ClaimOptions } from './ledger/ledger.ts'
import type { Receipt } from './ledger/receipt.ts'
import { Look } from './look.ts'
import { Run } from './run.ts'
import type { Sink } from './sink/sink.ts'
import type { IngestFile, Source } from './source/source.ts'

/** A stage between a source and a sink. */
export interface FileStage {
  stream(file: IngestFile): Duplex
}

/** What one run is made of. */
export interface IngestOptions extends ClaimOptions {
  readonly source: Source
  /** Left out where files come as plain CSV or ZIP. */
  readonly decryptor?: FileStage
  readonly parser: FileStage
  readonly sink: Sink
  /**
   * Files on their way at a time. Their rows are staged side by side; into PostgreSQL they are committed so too, into
   * other stores one after the other.
   * @default 1
   */
  readonly concurrency?: number | undefined
  /** Stops the run at once; what is under way is given back. The run throws an {@link AbortError}. */
  readonly signal?: AbortSignal | undefined
  /** Stops the run in order: what is under way is finished, nothing else is begun, and nothing is thrown. */
  readonly stopSignal?: AbortSignal | undefined
  /**
   * Milliseconds that a run may go on after its `stopSignal`; what is still under way then is given back.
   * @default 30000
   */
  readonly graceMs?: number | undefined
}

/**
 * One run over a source: every listed file ends in a receipt; the oldest is begun first.
 *
 * A bad file is quarantined and the run goes on; a dead source or store ends the run: the receipts so far were given,
 * and the error is thrown. Closes the source's session, which it opened; the sink stays open, to be used again.
 */
export async function* ingest(options: IngestOptions): AsyncGenerator<Receipt, void> {
  const run = new Run(options)
  yield* run.receipts(toItsEnd(new Look(run, options)))
}

async function* toItsEnd(look: Look): AsyncGenerator<IngestFile, void> {
  try {
    yield* look.files()
  } finally {
    await look.ended
  }
}
