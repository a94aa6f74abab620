/** Something that is opened at first use, once for all who ask. What could not be opened is tried again. */
export class OpenedOnce<T extends { close(): Promise<void> }> {
  readonly #open: () => Promise<T>
  #opened: Promise<T> | undefined

  constructor(open: () => Promise<T>) {
    this.#open = open
  }

  get(): Promise<T> {
    this.#opened ??= this.#open().catch(error => {
      this.#opened = undefined
      throw error
    })
    return this.#opened
  }

  /** Closes it, if it is open; the next use opens it anew. */
  async close(): Promise<void> {
    const opened = await this.#opened?.catch(() => undefined)
    this.#opened = undefined
    await opened?.close()
  }
}
