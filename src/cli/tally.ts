import { findIngestError } from '../errors.ts'
import type { Receipt } from '../ledger/receipt.ts'
import { errorJson, isFailure, many, number, printError, receiptLines, say, sayJson } from './print.ts'

/** Prints receipts as they come and sums them up. */
export class Tally {
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
    else if (!receipt.known || receipt.disposal) for (const line of receiptLines(receipt)) say(line)
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
