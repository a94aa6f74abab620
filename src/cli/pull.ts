import { ConfigError, findIngestError, IngestError } from '../errors.ts'
import { ingest } from '../ingest.ts'
import type { Receipt } from '../ledger/receipt.ts'
import { IntervalParser } from '../parse/interval-parser.ts'
import { errorJson, isFailure, many, number, printError, receiptLines, say, sayJson } from './print.ts'
import { buildDecryptor, buildSink, buildSources, type KeyFlags, type SourceFlags } from './settings.ts'
import type { ExitCode, Surroundings } from './surroundings.ts'

/** Flags of `pull`. */
export interface PullFlags extends KeyFlags, SourceFlags {
  readonly to?: string
  readonly json?: boolean
  readonly retryQuarantined?: boolean
}

/** Takes every new file from the sources into a store. A source that fails leaves the others alone. */
export async function pull(flags: PullFlags, { env, signal }: Surroundings): Promise<ExitCode> {
  const sources = buildSources(flags, env)
  const decryptor = buildDecryptor(flags, env)
  const sink = await buildSink(flags.to, env)
  const tally = new Tally(flags.json === true)
  try {
    for (const source of sources) {
      const { retryQuarantined } = flags
      try {
        const parser = new IntervalParser()
        for await (const receipt of ingest({ source, decryptor, parser, sink, signal, retryQuarantined })) {
          tally.take(receipt)
        }
      } catch (error) {
        if (findIngestError(error) instanceof ConfigError) throw findIngestError(error)
        tally.fail(error)
        if (signal.aborted || isStoreError(error)) break
      } finally {
        await source.close()
      }
    }
  } finally {
    await decryptor.close()
    await sink.close()
  }
  tally.finish()
  return tally.failed ? 1 : 0
}

/** A store that cannot be used stops every source; a source only itself. */
function isStoreError(error: unknown): boolean {
  const found = findIngestError(error)
  return !(found instanceof IngestError) || found.code.startsWith('STORE_')
}

/** Prints receipts as they come and sums them up. */
class Tally {
  failed = false
  readonly #json: boolean
  readonly #files = new Map<string, number>()
  #known = 0
  #intervals = 0

  constructor(json: boolean) {
    this.#json = json
  }

  take(receipt: Receipt): void {
    if (isFailure(receipt)) this.failed = true
    if (receipt.known) this.#known++
    else this.#files.set(receipt.state, (this.#files.get(receipt.state) ?? 0) + 1)
    this.#intervals += receipt.known ? 0 : (receipt.rows?.accepted ?? 0)
    if (this.#json) sayJson({ type: 'receipt', ...receipt })
    else if (!receipt.known) for (const line of receiptLines(receipt)) say(line)
  }

  fail(error: unknown): void {
    this.failed = true
    if (this.#json) sayJson(errorJson(findIngestError(error) ?? error))
    else printError(findIngestError(error) ?? error)
  }

  finish(): void {
    const files = Object.fromEntries(this.#files)
    if (this.#json) {
      sayJson({ type: 'summary', files, known: this.#known, intervals: this.#intervals })
      return
    }
    const parts = [...this.#files].map(([state, count]) => `${number(count)} ${state}`)
    const known = this.#known > 0 ? [`${number(this.#known)} known already`] : []
    const what = [...parts, ...known].join(', ') || 'no files'
    say(`${what}; ${many(this.#intervals, 'interval')} taken`)
  }
}
