import type { RowCode } from '../../errors.ts'
import { BlockClock, type GreenButtonClock, type Placed, placeOnLocalDay } from './clock.ts'
import type { FeedEntry, FeedIndex } from './feed.ts'
import { type GreenButtonCode, type RawReading, type ReadingTraits, unitsOf } from './format.ts'

/**
 * Readings and blocks that may wait for what stands behind them. SMT writes the ReadingType last, and keeps two years of
 * a meter: 140,000 readings in two directions. This many take about 60 MB.
 */
const MOST_WAITING = 250_000
/** Readings that a block with its entry is as big as. */
const BLOCK = 10

/** One reading of a Green Button file. */
export interface GreenButtonReading {
  /** 17 or 22 digits. */
  readonly esiid: string
  /** UTC epoch milliseconds of its first instant. */
  readonly start: number
  /** How long it is. SMT's are 15 minutes. */
  readonly minutes: 15 | 30 | 60
  /** Energy, an exact whole number of 0.00001 kWh. */
  readonly units: number
  readonly estimated: boolean
  /** 0 consumption (flowDirection 1), 1 surplus generation (flowDirection 19). */
  readonly direction: 0 | 1
}

/** What became of one `IntervalReading`. */
export interface GreenButtonOutcome {
  /** Line of its tag, from 1. */
  readonly line: number
  /** Byte offset of its tag, from 0. */
  readonly offset: number
  /** A reading; or the code of what is wrong with it; or one without a value, in an hour that exists or that does not. */
  readonly result: GreenButtonReading | RowCode | 'missing' | 'placeholder'
}

/** An `IntervalBlock` whose readings are not all given yet. */
export class Block {
  readonly clock = new BlockClock()
  readonly readings: RawReading[] = []
  readonly entry: FeedEntry
  readonly line: number
  isClosed = false
  known: Known | undefined

  constructor(entry: FeedEntry, line: number) {
    this.entry = entry
    this.line = line
  }
}

/** What has to be known of a block before its readings can be given. */
interface Known {
  readonly esiid: string
  readonly traits: ReadingTraits
  readonly clock: GreenButtonClock
}

/** What a queue asks of its reader. */
interface BlockQueueOptions {
  readonly feed: FeedIndex
  /** How the epochs are meant, when that is settled beforehand. */
  readonly clock: GreenButtonClock | undefined
  /** Throws the error of a file. */
  readonly fail: (code: GreenButtonCode, what: string, line?: number) => never
}

/**
 * The blocks of a feed, in file order, each until enough is known to give its readings.
 *
 * Memory: a reading, where everything stands before the blocks that it is needed for; else {@link MOST_WAITING} of them.
 */
export class BlockQueue {
  readonly #options: BlockQueueOptions
  #clock: GreenButtonClock | undefined
  readonly #blocks: Block[] = []
  /** Readings that wait, and blocks at what they are worth in readings. */
  #count = 0
  #given: GreenButtonOutcome[] = []

  constructor(options: BlockQueueOptions) {
    this.#options = options
  }

  open(entry: FeedEntry, line: number): Block {
    const block = new Block(entry, line)
    this.#blocks.push(block)
    this.#hold(BLOCK)
    return block
  }

  add(block: Block, reading: RawReading): void {
    block.readings.push(reading)
    block.clock.note(reading.start)
    this.#hold(1)
    this.#flush(false)
  }

  close(block: Block): void {
    block.isClosed = true
    this.#clockOf(block)
    this.#flush(false)
  }

  /** All has come: what is not known now never will be. */
  end(): void {
    this.#flush(true)
  }

  /** The outcomes given since the last time. */
  take(): readonly GreenButtonOutcome[] {
    const given = this.#given
    this.#given = []
    return given
  }

  #hold(count: number): void {
    this.#count += count
    if (this.#count <= MOST_WAITING) return
    this.#options.fail(
      'PARSE_GREEN_BUTTON_SHAPE',
      `more than ${MOST_WAITING} readings wait for a meter, a ReadingType or a clock that nothing before them tells`
    )
  }

  /** Gives the readings of every block of which enough is known, up to the first of which it is not. */
  #flush(isComplete: boolean): void {
    let done = 0
    for (const block of this.#blocks) {
      if (!block.isClosed || block.readings.length > 0) {
        block.known ??= this.#learn(block, isComplete)
        if (!block.known) break
        this.#give(block, block.known)
      }
      if (!block.isClosed) break
      done++
    }
    if (done > 0) this.#blocks.splice(0, done)
    this.#count -= done * BLOCK
  }

  #learn(block: Block, isComplete: boolean): Known | undefined {
    const { feed, fail } = this.#options
    const traits = feed.traitsOf(block.entry, isComplete)
    const clock = this.#clockOf(block)
    if (feed.esiid !== undefined && traits && clock) return { esiid: feed.esiid, traits, clock }
    if (!isComplete) return undefined
    if (feed.esiid === undefined) {
      fail('PARSE_GREEN_BUTTON_METER', 'no ESIID stands in the feed’s title, links or UsagePoint', block.line)
    }
    if (!traits) fail('PARSE_GREEN_BUTTON_TYPE', 'no ReadingType is tied to the IntervalBlock', block.line)
    fail('PARSE_GREEN_BUTTON_CLOCK', 'nothing shows whether times are UTC or the wall clock of Texas', block.line)
  }

  /** The clock of a block, once it is certain: on SMT's, not before all of the block's readings are there. */
  #clockOf(block: Block): GreenButtonClock | undefined {
    const given = this.#options.clock
    if (given === 'utc') return given
    const { proven } = block.clock
    const clock = (this.#clock ??= given ?? proven)
    if (given === undefined && proven !== undefined && proven !== clock) {
      this.#options.fail('PARSE_GREEN_BUTTON_CLOCK', 'IntervalBlocks differ in the clock of their times', block.line)
    }
    if (block.isClosed && clock !== undefined && !block.clock.fits(clock)) {
      this.#options.fail('PARSE_GREEN_BUTTON_CLOCK', 'an IntervalBlock contradicts the clock of the feed', block.line)
    }
    return clock === 'smt' && !block.isClosed ? undefined : clock
  }

  #give(block: Block, known: Known): void {
    const { readings, clock } = block
    const places = known.clock === 'smt' ? placeOnLocalDay(clock.date ?? Number.NaN, readings) : readings.map(inUtc)
    for (const [i, reading] of readings.entries()) {
      const { line, offset } = reading
      this.#given.push({ line, offset, result: resultOf(reading, known, places[i]!) })
    }
    this.#count -= readings.length
    readings.length = 0
  }
}

/** A start as ESPI has it. */
function inUtc({ start }: RawReading): Placed {
  return start === undefined || Number.isNaN(start) ? 'ROW_BAD_TIME' : start * 1000
}

function resultOf(raw: RawReading, { esiid, traits, clock }: Known, place: Placed): GreenButtonOutcome['result'] {
  if (typeof place === 'string' && place !== 'skipped') return place
  const duration = raw.duration ?? traits.duration
  const minutes = duration === 900 ? 15 : duration === 1800 ? 30 : duration === 3600 ? 60 : undefined
  if (minutes === undefined || raw.start! % duration! !== 0 || (clock === 'smt' && minutes !== 15)) {
    return 'ROW_NOT_15_MINUTES'
  }
  const value = raw.value ?? 'missing'
  if (value === 'missing') return place === 'skipped' ? 'placeholder' : 'missing'
  const units = typeof value === 'number' ? unitsOf(value, traits.power) : value
  if (typeof units !== 'number') return units
  const quality = raw.quality ?? traits.quality
  if (quality === 'unknown') return 'ROW_BAD_FLAG'
  if (place === 'skipped') return 'ROW_NONEXISTENT_HOUR'
  return { esiid, start: place, minutes, units, estimated: quality === 'estimated', direction: traits.direction }
}
