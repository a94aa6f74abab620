/** Something that is opened at first use, once for all who ask. What could not be opened is tried again. */
export class OpenedOnce<T extends { close(): Promise<void> }> {
  readonly #open: () => Promise<T>
  #opened: Promise<T> | undefined
  #closing: Promise<void> | undefined

  constructor(open: () => Promise<T>) {
    this.#open = open
  }

  get(): Promise<T> {
    if (this.#opened) return this.#opened
    const opening = this.#openAnew().catch(error => {
      if (this.#opened === opening) this.#opened = undefined
      throw error
    })
    this.#opened = opening
    return opening
  }

  /** Closes it, if it is open, once for all who ask; the next use opens it anew when it is closed. */
  close(): Promise<void> {
    const opened = this.#opened
    if (!opened) return this.#closing ?? Promise.resolve()
    this.#opened = undefined
    const closing = opened
      .then(
        it => it.close(),
        () => {}
      )
      .finally(() => {
        if (this.#closing === closing) this.#closing = undefined
      })
    this.#closing = closing
    return closing
  }

  async #openAnew(): Promise<T> {
    await this.#closing?.catch(() => {})
    return this.#open()
  }
}
