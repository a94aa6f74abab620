import type { Duplex } from 'node:stream'
import { finished, pipeline } from 'node:stream/promises'
import { AbortError, findIngestError, IngestError } from './errors.ts'
import { failed, type Receipt } from './ledger/receipt.ts'
import type { Sink } from './sink/sink.ts'
import type { IngestFile, PassedOver, Source } from './source/source.ts'

/** A stage between a source and a sink. */
export interface FileStage {
  stream(file: IngestFile): Duplex
}

/** What one run is made of. */
export interface IngestOptions {
  readonly source: Source
  /** Left out where files come as plain CSV or ZIP. */
  readonly decryptor?: FileStage
  readonly parser: FileStage
  readonly sink: Sink
  /** Stops the run; what is under way is given back. */
  readonly signal?: AbortSignal | undefined
  /** Take files again that an earlier run put into quarantine. */
  readonly retryQuarantined?: boolean | undefined
  /** Take files again that failed a short while ago and whose next attempt is not due yet. */
  readonly retryNow?: boolean | undefined
}

/**
 * One run over a source: every listed file ends in a receipt, oldest first.
 *
 * A bad file is quarantined and the run goes on; a dead source or store ends the run: the receipts so far were given,
 * and the error is thrown. Closes the source's session, which it opened; the sink stays open, to be used again.
 */
export async function* ingest(options: IngestOptions): AsyncGenerator<Receipt, void> {
  const { source, sink, signal } = options
  const passedOver: PassedOver[] = []
  let failure: { error: unknown } | undefined
  try {
    for await (const file of source.files({ signal, onPassedOver: other => passedOver.push(other) })) {
      for (const other of passedOver.splice(0)) yield await sink.passOver(other)
      const { receipt, error } = await ingestFile(file, options)
      if (receipt) yield receipt
      if (error !== undefined) throw error
    }
  } catch (error) {
    failure = { error }
  }
  // Also where a listing failed: what was seen before that is written down.
  for (const other of passedOver.splice(0)) yield await sink.passOver(other)
  if (failure) throw failure.error
}

/** One file's journey, top to bottom. An error is given back only when it must end the run. */
async function ingestFile(
  file: IngestFile,
  { decryptor, parser, sink, signal, retryQuarantined, retryNow }: IngestOptions
): Promise<{ receipt: Receipt | undefined; error?: unknown }> {
  if (signal?.aborted) return { receipt: undefined, error: new AbortError({ file: file.path }) }
  const startedAt = Date.now()
  const target = sink.stream(file, { retryQuarantined, retryNow })
  try {
    if (!(await target.wanted())) {
      target.destroy()
      return { receipt: target.receipt }
    }
    const opened = decryptor ? [decryptor.stream(file)] : []
    await pipeline([file.stream({ signal }), ...opened, parser.stream(file), target], { signal })
    return { receipt: target.receipt }
  } catch (error) {
    // A stage that throws instead of giving its stream leaves the target open.
    target.destroy(error as Error)
    await finished(target).catch(() => {})
    if (signal?.aborted) return { receipt: target.receipt, error: new AbortError({ file: file.path, cause: error }) }
    const cause = findIngestError(error) ?? error
    // Without a claim the ledger says nothing of this run; the receipt does.
    const receipt = target.receipt ?? failed(file, startedAt, 'seen', cause)
    const endsRun = cause instanceof IngestError && cause.stopsRun
    return { receipt, ...(endsRun && { error: cause }) }
  }
}
