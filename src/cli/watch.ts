import { findIngestError } from '../errors.ts'
import { watch as watchSource } from '../watch.ts'
import { errorJson, printError, sayJson } from './print.ts'
import type { TakeFlags } from './pull.ts'
import { buildDecryptor, buildParser, buildSink, buildSources } from './settings.ts'
import type { ExitCode, Surroundings } from './surroundings.ts'
import { Tally } from './tally.ts'

/** Flags of `watch`. */
export interface WatchFlags extends TakeFlags {
  /** Seconds from one look to the next. */
  readonly every: number
}

/** How long what is under way may take once the command is asked to stop, less than systemd's 90 seconds. */
const GRACE_MS = 60_000

/** Takes new files as they come, until a signal says so; what is under way is finished. */
export async function watch(flags: WatchFlags, { env, signal: stopSignal }: Surroundings): Promise<ExitCode> {
  const sources = buildSources(flags, env)
  const decryptor = buildDecryptor(flags, env)
  const sink = await buildSink(flags.to, env)
  const tally = new Tally(flags.json === true)
  const broken = new AbortController()
  const onError = (error: unknown, retryInMs: number) => {
    if (flags.json) sayJson({ ...errorJson(error), retryInMs })
    else printError(error)
  }
  const options = { decryptor, sink, everyMs: flags.every * 1000, concurrency: flags.concurrency, onError }
  const signals = { signal: broken.signal, stopSignal, graceMs: GRACE_MS }
  const watching = sources.map(async source => {
    try {
      const receipts = watchSource({ ...options, ...signals, source, parser: buildParser(flags) })
      for await (const receipt of receipts) tally.take(receipt)
    } catch (error) {
      // One that cannot go on takes the others along: whoever runs this must hear of it.
      if (!broken.signal.aborted) tally.fail(findIngestError(error) ?? error)
      broken.abort()
    } finally {
      await source.close()
    }
  })
  await Promise.all(watching)
  await decryptor.close()
  await sink.close()
  tally.finish()
  return broken.signal.aborted ? 1 : 0
}
