import {
  esiidsIn,
  type GreenButtonCode,
  meterReadingOf,
  type ReadingTraits,
  readingTypeOf,
  readTraits
} from './format.ts'

/** MeterReadings and ReadingTypes that are kept. A portal's export has one or two of each. */
const MOST_ENTRIES = 10_000
/** Of names that must be one, two are as good as many. */
const TWO = 2

/** Throws the error of a file. */
type Fail = (code: GreenButtonCode, what: string) => never

/** One Atom entry, as far as it ties readings to their type and their meter. */
export class FeedEntry {
  /** What its content is: `UsagePoint`, `MeterReading`, `ReadingType`. */
  readonly kinds = new Set<string>()
  /** Fields of its `ReadingType`, by local name. */
  readonly field = new Map<string, string>()
  /** Numbers in its texts and links that have the form of an ESIID. */
  readonly esiids = new Set<string>()
  /** ReadingTypes that its links name. */
  readonly readingTypes = new Set<string>()
  /** The MeterReading that it is, or lies below. */
  meterReading: string | undefined
  #rel = ''

  /** Takes an Atom link: `self` tells best what an entry is, then `up`, then the others. */
  link(rel: string, href: string): void {
    this.read(href)
    const type = readingTypeOf(href)
    if (type !== undefined && this.readingTypes.size < TWO) this.readingTypes.add(type)
    if (this.#rel === 'self' || (this.#rel === 'up' && rel !== 'self')) return
    const meterReading = meterReadingOf(href)
    if (meterReading === undefined) return
    this.meterReading = meterReading
    this.#rel = rel
  }

  /** Looks for ESIIDs in a text. */
  read(text: string): void {
    for (const esiid of esiidsIn(text)) if (this.esiids.size < TWO) this.esiids.add(esiid)
  }
}

/**
 * What the entries of a feed say about its blocks: which meter they are of, and of which type their readings are.
 *
 * ESPI ties them by the hrefs of links. A block's `self` and `up` lie below its MeterReading, whose `related` names a
 * ReadingType; all three are REST paths. A host before them, or none, makes no difference.
 */
export class FeedIndex {
  /** The meter, once it is known. */
  esiid: string | undefined
  readonly #fail: Fail
  readonly #typesOf = new Map<string, Set<string>>()
  readonly #types = new Map<string, ReadingTraits | string>()
  #kept = 0

  constructor(esiid: string | undefined, fail: Fail) {
    this.esiid = esiid
    this.#fail = fail
  }

  /** Takes an entry that is complete. */
  add(entry: FeedEntry): void {
    if (entry.kinds.has('UsagePoint')) this.name(entry.esiids)
    if (entry.kinds.has('MeterReading')) this.#addMeterReading(entry)
    if (entry.kinds.has('ReadingType')) this.#addType(entry)
  }

  /** Takes ESIIDs that the feed names. Every reading of a file goes to one meter: a second one would get the other's. */
  name(esiids: Iterable<string>): void {
    for (const esiid of esiids) {
      this.esiid ??= esiid
      if (this.esiid === esiid) continue
      this.#fail('PARSE_GREEN_BUTTON_METER', `the feed is of meter ${esiid}, and of ${this.esiid} as well`)
    }
  }

  /**
   * The type of the readings of a block; undefined while it has not come. When all has come, a block whose links lead
   * nowhere is of the only type there is.
   */
  traitsOf(entry: FeedEntry, isComplete: boolean): ReadingTraits | undefined {
    const { meterReading, readingTypes } = entry
    const linked = readingTypes.size > 0 || !meterReading ? readingTypes : this.#typesOf.get(meterReading)
    const [name] = linked?.size === 1 ? linked : []
    const found = name === undefined ? undefined : this.#types.get(name)
    const [only] = isComplete && this.#types.size === 1 ? this.#types.values() : []
    const traits = found ?? only
    if (typeof traits === 'string') this.#fail('PARSE_GREEN_BUTTON_TYPE', `the ReadingType cannot be taken: ${traits}`)
    return traits
  }

  #addMeterReading({ meterReading, readingTypes }: FeedEntry): void {
    if (meterReading === undefined) return
    this.#keep()
    const known = this.#typesOf.get(meterReading) ?? new Set()
    if (known.size > 0 && ![...readingTypes].every(type => known.has(type))) {
      this.#fail('PARSE_GREEN_BUTTON_TYPE', 'a MeterReading is of one ReadingType, and of another as well')
    }
    for (const type of readingTypes) known.add(type)
    this.#typesOf.set(meterReading, known)
  }

  #addType({ field, readingTypes }: FeedEntry): void {
    this.#keep()
    const [name = `unnamed ${this.#kept}`] = readingTypes
    const traits = readTraits(field)
    const known = this.#types.get(name) ?? traits
    if (JSON.stringify(known) !== JSON.stringify(traits)) {
      this.#fail('PARSE_GREEN_BUTTON_TYPE', 'two ReadingTypes of one name differ')
    }
    this.#types.set(name, traits)
  }

  #keep(): void {
    if (++this.#kept <= MOST_ENTRIES) return
    this.#fail('PARSE_XML_REFUSED', `the feed has more than ${MOST_ENTRIES} MeterReadings and ReadingTypes`)
  }
}
