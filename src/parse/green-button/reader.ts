import type { SaxesTagNS } from 'saxes'
import { type Block, BlockQueue, type GreenButtonOutcome } from './blocks.ts'
import type { GreenButtonClock } from './clock.ts'
import { FeedEntry, FeedIndex } from './feed.ts'
import {
  type GreenButtonCode,
  greenButtonError,
  type RawReading,
  readEpoch,
  readInteger,
  readQuality,
  readValue,
  typeFields
} from './format.ts'
import { ATOM, ESPI } from './recognise.ts'
import { XmlReader } from './xml.ts'

export type { GreenButtonOutcome, GreenButtonReading } from './blocks.ts'

/** Where a Green Button file comes from, and what is known of it beforehand. */
export interface GreenButtonOptions {
  /** The meter's ESIID, 17 or 22 digits. A feed that names another one fails. By default the one that the feed names. */
  readonly esiid?: string | undefined
  /** How the epochs are meant. By default found out from the blocks; a file that leaves it open fails. */
  readonly clock?: GreenButtonClock | undefined
  /** Path of the file, for errors. */
  readonly file?: string | undefined
  /** Name of the entry, for errors. */
  readonly entry?: string | undefined
}

/**
 * Reads Green Button XML (NAESB ESPI in an Atom feed) as Smart Meter Texas's portal exports it: bytes in, outcomes out,
 * one per `IntervalReading`, in file order. Knows nothing of streams or promises. Elements are told by namespace and
 * local name. LocalTimeParameters are left alone: ESPI's epochs do without, and SMT's give an offset of the wrong sign.
 *
 * Outcomes hold only when {@link GreenButtonReader.end} has returned: a feed may contradict itself at its very end.
 *
 * Memory: a slice of the chunk and one reading. A block on SMT's clock is held until it ends; and where meter or type
 * stand behind the blocks, as SMT writes them, so are all readings before them: 250,000 (60 MB) at most.
 */
export class GreenButtonReader {
  readonly #options: GreenButtonOptions
  readonly #xml: XmlReader
  readonly #feed: FeedIndex
  readonly #blocks: BlockQueue
  /** Names of the open elements: ESPI's plain, Atom's with `atom:` before, others empty. */
  readonly #path: string[] = []
  /** What stands outside of every entry. */
  readonly #root = new FeedEntry()
  #entry = this.#root
  #block: Block | undefined
  #reading: RawReading | undefined

  constructor(options: GreenButtonOptions = {}) {
    const { esiid, clock, file, entry } = options
    const fail = (code: GreenButtonCode, what: string, line?: number) => this.#fail(code, what, line)
    this.#options = { ...options }
    this.#feed = new FeedIndex(esiid, fail)
    this.#blocks = new BlockQueue({ feed: this.#feed, clock, fail })
    this.#xml = new XmlReader({ open: tag => this.#open(tag), close: text => this.#close(text) }, { file, entry })
  }

  /** Takes the next bytes; gives the outcomes that can be told by now. */
  push(bytes: Uint8Array): readonly GreenButtonOutcome[] {
    this.#xml.push(bytes)
    return this.#blocks.take()
  }

  /** Ends the file; gives the outcomes that waited for its end. */
  end(): readonly GreenButtonOutcome[] {
    this.#xml.end()
    this.#feed.add(this.#root)
    this.#blocks.end()
    return this.#blocks.take()
  }

  #open(tag: SaxesTagNS): void {
    const name = tag.uri === ESPI ? tag.local : tag.uri === ATOM ? `atom:${tag.local}` : ''
    this.#path.push(name)
    if (name === 'IntervalReading') this.#openReading()
    else if (name === 'IntervalBlock') this.#openBlock()
    else if (name === 'atom:entry') this.#entry = new FeedEntry()
    else if (name === 'atom:link') this.#link(tag.attributes.rel?.value ?? '', tag.attributes.href?.value ?? '')
    else if (name === 'UsagePoint' || name === 'MeterReading' || name === 'ReadingType') this.#openKind(name)
  }

  #close(text: string): void {
    const name = this.#path.pop()!
    const parent = this.#path.at(-1)
    if (this.#reading) this.#closeInReading(this.#reading, name, parent, text)
    else if (this.#block) this.#closeInBlock(this.#block, name, parent, text)
    else if (name === 'atom:entry') this.#closeEntry()
    else {
      this.#entry.read(text)
      if (parent === 'ReadingType' && typeFields.has(name)) this.#entry.field.set(name, text.trim().slice(0, 100))
      if (this.#entry === this.#root) this.#feed.name(this.#root.esiids)
    }
  }

  #link(rel: string, href: string): void {
    this.#entry.link(rel, href)
    if (this.#entry === this.#root) this.#feed.name(this.#root.esiids)
  }

  #openKind(kind: string): void {
    if (kind === 'ReadingType' && this.#entry.kinds.has(kind)) {
      this.#fail('PARSE_GREEN_BUTTON_SHAPE', 'an entry has two ReadingTypes')
    }
    this.#entry.kinds.add(kind)
  }

  #closeEntry(): void {
    this.#feed.add(this.#entry)
    this.#entry = this.#root
  }

  #openBlock(): void {
    if (this.#block) this.#fail('PARSE_GREEN_BUTTON_SHAPE', 'an IntervalBlock stands inside another')
    this.#block = this.#blocks.open(this.#entry, this.#xml.tagPlace().line)
  }

  #closeInBlock(block: Block, name: string, parent: string | undefined, text: string): void {
    if (name === 'start' && parent === 'interval') block.clock.start ??= readEpoch(text) || undefined
    else if (name === 'duration' && parent === 'interval') block.clock.duration ??= readInteger(text)
    else if (name === 'IntervalBlock') {
      this.#block = undefined
      this.#blocks.close(block)
    }
  }

  #openReading(): void {
    if (!this.#block || this.#path.at(-2) !== 'IntervalBlock') {
      this.#fail('PARSE_GREEN_BUTTON_SHAPE', 'an IntervalReading stands outside of an IntervalBlock')
    }
    const { line, offset } = this.#xml.tagPlace()
    this.#reading = { line, offset, start: undefined, duration: undefined, value: undefined, quality: undefined }
  }

  /** Start, duration, value and quality are this reading's own. What stands in it twice is as bad as unreadable. */
  #closeInReading(reading: RawReading, name: string, parent: string | undefined, text: string): void {
    if (name === 'start' && parent === 'timePeriod') {
      reading.start = reading.start === undefined ? readEpoch(text) : Number.NaN
    } else if (name === 'duration' && parent === 'timePeriod') {
      reading.duration = reading.duration === undefined ? readInteger(text) : Number.NaN
    } else if (name === 'value' && parent === 'IntervalReading') {
      reading.value = reading.value === undefined ? readValue(text) : 'ROW_BAD_KWH'
    } else if (name === 'quality' && parent === 'ReadingQuality') {
      reading.quality = readQuality(text, reading.quality)
    } else if (name === 'IntervalReading') {
      this.#reading = undefined
      this.#blocks.add(this.#block!, reading)
    }
  }

  #fail(code: GreenButtonCode, what: string, line = this.#xml.line): never {
    throw greenButtonError(code, what, { file: this.#options.file, entry: this.#options.entry, line })
  }
}
