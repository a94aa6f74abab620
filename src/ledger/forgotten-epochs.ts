/**
 * The last epoch of each file that was forgotten: whoever had it then may still be under way. For ledgers of one process,
 * in which he would have to be.
 */
export class ForgottenEpochs {
  readonly #epochs = new Map<string, number>()

  /** The last epoch of a file, whose record has this one; 0 where there is none. */
  last(fingerprint: string, recorded = 0): number {
    return Math.max(recorded, this.#epochs.get(fingerprint) ?? 0)
  }

  /** Keeps it while the record goes. */
  keep(fingerprint: string, recorded: number): void {
    this.#epochs.set(fingerprint, this.last(fingerprint, recorded))
  }
}
