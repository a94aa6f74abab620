import { ConfigError, findIngestError, IngestError } from '../errors.ts'
import { type IngestOptions, ingest } from '../ingest.ts'
import type { Sink } from '../sink/sink.ts'
import type { Source } from '../source/source.ts'
import {
  buildDecryptor,
  buildParser,
  buildSink,
  buildSources,
  type KeyFlags,
  type ParserFlags,
  type SourceFlags
} from './settings.ts'
import type { ExitCode, Surroundings } from './surroundings.ts'
import { Tally } from './tally.ts'

/** Flags of every command that takes files into a store. */
export interface TakeFlags extends KeyFlags, SourceFlags, ParserFlags {
  readonly to?: string
  readonly json?: boolean
  readonly concurrency?: number
}

/** Flags of `pull`. */
export interface PullFlags extends TakeFlags {
  readonly retryQuarantined?: boolean
  readonly retryNow?: boolean
}

/** Takes every new file from the sources into a store. A source that fails leaves the others alone. */
export async function pull(flags: PullFlags, { env, signal }: Surroundings): Promise<ExitCode> {
  const { retryQuarantined, retryNow } = flags
  const sources = buildSources(flags, env)
  const decryptor = buildDecryptor(flags, env)
  const sink = await buildSink(flags.to, env)
  const tally = new Tally(flags.json === true)
  try {
    await takeFrom(sources, sink, { ...flags, decryptor, signal, retryQuarantined, retryNow }, tally)
  } finally {
    await decryptor.close()
    await sink.close()
  }
  tally.finish()
  return tally.failed ? 1 : 0
}

/** One run over each source, which is closed then. */
export async function takeFrom(
  sources: readonly Source[],
  sink: Sink,
  { reports, ...options }: Omit<IngestOptions, 'source' | 'sink' | 'parser'> & ParserFlags,
  tally: Tally
): Promise<void> {
  for (const source of sources) {
    try {
      for await (const receipt of ingest({ ...options, source, sink, parser: buildParser({ reports }) }))
        tally.take(receipt)
    } catch (error) {
      if (findIngestError(error) instanceof ConfigError) throw findIngestError(error)
      tally.fail(error)
      if (options.signal?.aborted || isStoreError(error)) break
    } finally {
      await source.close()
    }
  }
}

/** A store that cannot be used stops every source; a source only itself. */
function isStoreError(error: unknown): boolean {
  const found = findIngestError(error)
  return !(found instanceof IngestError) || found.code.startsWith('STORE_')
}
