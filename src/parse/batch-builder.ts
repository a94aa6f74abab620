import { type EntryLabel, IntervalBatch } from '../batch.ts'

/** Fills the columns of one batch after another. */
export class BatchBuilder {
  readonly #entry: EntryLabel
  readonly capacity: number
  length = 0
  start!: Float64Array
  kwh!: Float64Array
  estimated!: Uint8Array
  direction!: Uint8Array
  revision!: Float64Array
  line!: Uint32Array
  meter!: Uint32Array
  #esiids!: string[]
  #positions!: Map<string, number>

  constructor(entry: EntryLabel, capacity: number) {
    this.#entry = entry
    this.capacity = capacity
    this.#renew()
  }

  /** The position of a meter in the batch under way. It holds until {@link BatchBuilder.take}. */
  meterOf(esiid: string): number {
    let position = this.#positions.get(esiid)
    if (position === undefined) {
      position = this.#esiids.push(esiid) - 1
      this.#positions.set(esiid, position)
    }
    return position
  }

  /** The rows so far as a batch; undefined when there are none. A new one begins. */
  take(): IntervalBatch | undefined {
    const n = this.length
    if (n === 0) return undefined
    const batch = new IntervalBatch(this.#entry, {
      start: this.start.subarray(0, n),
      kwh: this.kwh.subarray(0, n),
      estimated: this.estimated.subarray(0, n),
      direction: this.direction.subarray(0, n),
      revision: this.revision.subarray(0, n),
      line: this.line.subarray(0, n),
      meter: this.meter.subarray(0, n),
      esiids: this.#esiids
    })
    this.#renew()
    return batch
  }

  #renew(): void {
    this.length = 0
    this.start = new Float64Array(this.capacity)
    this.kwh = new Float64Array(this.capacity)
    this.estimated = new Uint8Array(this.capacity)
    this.direction = new Uint8Array(this.capacity)
    this.revision = new Float64Array(this.capacity)
    this.line = new Uint32Array(this.capacity)
    this.meter = new Uint32Array(this.capacity)
    this.#esiids = []
    this.#positions = new Map()
  }
}
