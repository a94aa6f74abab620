import { centralDay, centralInstant, type DayOptions, quarterHours } from './central-days.ts'
import { type Direction, type MeterDay, missingReading, spoiledReading } from './meter-days.ts'
import { type ExpectedInterval, expectedIntervals, type ReportTotals, totalsOf } from './reports.ts'

/** How a Green Button feed is written. By default as the standard has it. */
export interface GreenButtonFeedOptions extends Pick<DayOptions, 'placeholders'> {
  /**
   * How the elements of ESPI are told from Atom's: each with a default namespace of its own, or by prefixes; `swapped`
   * gives Atom the prefix that others give ESPI. @default 'default'
   */
  readonly prefixes?: 'default' | 'espi' | 'ns0' | 'swapped' | undefined
  /** Where the ESIID stands. @default 'title' */
  readonly esiid?: 'title' | 'link' | 'name' | 'nowhere' | undefined
  /** Whether meter and types stand before the blocks or, as SMT writes the types, behind them. @default 'first' */
  readonly order?: 'first' | 'last' | undefined
  /**
   * `utc`: starts are instants. `smt`: each block is a day that begins at 00:00 of the wall clock, taken for UTC; starts
   * are where quarter hours end on that clock, but for the first. @default 'utc'
   */
  readonly clock?: 'utc' | 'smt' | undefined
  /** Readings are times ten to this power, in Wh: whole numbers all the same. @default 0 */
  readonly power?: 0 | -3 | undefined
  /** Whether an estimated reading says so. Without, the file does not tell. @default true */
  readonly quality?: boolean | undefined
}

/** A feed with its truth. */
export interface GreenButtonFeed {
  /** The XML text, ASCII. */
  readonly bytes: Buffer
  readonly totals: ReportTotals
  /** The intervals that reading must give, in file order: one direction after the other. Made anew at each call. */
  expected(): Generator<ExpectedInterval, void>
}

/** Writes the days of one meter as a Green Button feed: a MeterReading per direction, and in it a block per day. */
export function makeGreenButton(meterDays: readonly MeterDay[], options: GreenButtonFeedOptions = {}): GreenButtonFeed {
  // Green Button knows no revisions; and its skipped hour has no rows, unless it is asked for on SMT's clock.
  const days = meterDays.map(day => ({ ...day, revision: null }))
  const placeholders = options.clock === 'smt' && options.placeholders === true
  return {
    bytes: Buffer.concat([...greenButtonChunks(days, options)]),
    totals: totalsOf(quality(days, options), { placeholders }),
    *expected() {
      const intervals = [...expectedIntervals(quality(days, options))]
      for (const wanted of directionsOf(days)) yield* intervals.filter(({ direction }) => direction === wanted)
    }
  }
}

/** The bytes of a feed, one chunk per entry, for files too big to be held whole. */
export function* greenButtonChunks(
  meterDays: readonly MeterDay[],
  options: GreenButtonFeedOptions = {}
): Generator<Buffer, void> {
  const esiids = new Set(meterDays.map(day => day.esiid))
  if (esiids.size !== 1) throw new RangeError(`a feed is of one meter, not of ${esiids.size}`)
  const feed = new FeedWriter([...esiids][0]!, options)
  const directions = directionsOf(meterDays)
  const about = [feed.usagePoint(), ...directions.flatMap(d => [feed.meterReading(d), feed.readingType(d)])]
  yield Buffer.from(feed.head())
  if (options.order !== 'last') yield* about.map(text => Buffer.from(text))
  for (const direction of directions) {
    for (const day of meterDays) {
      const block = feed.block(day, direction)
      if (block !== '') yield Buffer.from(block)
    }
  }
  if (options.order === 'last') yield* about.map(text => Buffer.from(text))
  yield Buffer.from(feed.foot())
}

/** Numbers of ESPI. */
const flowDirections = { consumption: 1, 'surplus-generation': 19 }
const estimatedByReferenceDay = 8
const wattHours = 72

class FeedWriter {
  readonly #esiid: string
  readonly #options: GreenButtonFeedOptions
  /** Prefixes, with their colon. */
  readonly #atom: string
  readonly #espi: string
  readonly #ownNamespace: string
  #entries = 0

  constructor(esiid: string, options: GreenButtonFeedOptions) {
    const { prefixes = 'default' } = options
    this.#esiid = esiid
    this.#options = options
    this.#atom = prefixes === 'swapped' ? 'espi:' : ''
    this.#espi = prefixes === 'swapped' ? 'atom:' : prefixes === 'default' ? '' : `${prefixes}:`
    this.#ownNamespace = prefixes === 'default' ? ' xmlns="http://naesb.org/espi"' : ''
  }

  head(): string {
    const atom = this.#atom
    const espi = this.#espi === '' ? '' : ` xmlns:${this.#espi.slice(0, -1)}="http://naesb.org/espi"`
    return [
      '<?xml version="1.0" encoding="UTF-8"?>',
      `<${atom}feed xmlns${atom && `:${atom.slice(0, -1)}`}="http://www.w3.org/2005/Atom"${espi}>`,
      `  <${atom}id>urn:uuid:00000000-0000-4000-8000-000000000000</${atom}id>`,
      `  <${atom}title>Green Button Report: Interval</${atom}title>`,
      ''
    ].join('\n')
  }

  foot(): string {
    return `</${this.#atom}feed>\n`
  }

  usagePoint(): string {
    const { esiid = 'title' } = this.#options
    const name = esiid === 'name' ? this.#in('ServiceDeliveryPoint', this.#in('name', this.#esiid)) : ''
    const content = this.#in('ServiceCategory', this.#in('kind', '0')) + name
    const related = [`${this.#usagePointPath}/MeterReading`]
    const title = esiid === 'title' ? `ESIID ${this.#esiid}` : 'Home'
    return this.#entry(title, this.#usagePointPath, related, 'UsagePoint', content)
  }

  meterReading(direction: Direction): string {
    const path = this.#meterReadingPath(direction)
    const related = [`${path}/IntervalBlock`, typePath(direction)]
    return this.#entry('Fifteen minutes', path, related, 'MeterReading', '')
  }

  readingType(direction: Direction): string {
    const { power = 0 } = this.#options
    const fields = {
      accumulationBehaviour: 4,
      commodity: 1,
      flowDirection: flowDirections[direction],
      intervalLength: 900,
      powerOfTenMultiplier: power,
      uom: wattHours
    }
    const content = Object.entries(fields).map(([name, value]) => this.#in(name, String(value)))
    return this.#entry('Energy (Wh)', typePath(direction), [], 'ReadingType', content.join(''))
  }

  /** One direction of one day; nothing when the meter has none. */
  block({ date, series }: MeterDay, direction: Direction): string {
    const written = series.find(one => one.direction === direction)
    if (!written) return ''
    const { clock = 'utc', placeholders = false, power = 0, quality = true } = this.#options
    const midnight = clock === 'utc' ? centralInstant(date, '00:00:00') : Date.parse(`${date}T00:00Z`)
    const hours = clock === 'utc' ? quarterHours(date) / 4 : 24
    const readings = centralDay(date, { placeholders: clock === 'smt' && placeholders }).map(slot => {
      const milli = slot.start === null ? missingReading : written.milliKwh[slot.ordinal]!
      const start = clock === 'utc' ? slot.start! : midnight + wallMinutes(slot) * 60_000
      const isEstimated = quality && slot.start !== null && written.estimated[slot.ordinal] === 1
      return this.#reading(start, valueText(milli, power), isEstimated)
    })
    const interval = this.#in(
      'interval',
      this.#in('duration', String(hours * 3600)) + this.#in('start', seconds(midnight))
    )
    const path = `${this.#meterReadingPath(direction)}/IntervalBlock/${date}`
    return this.#entry('', path, [], 'IntervalBlock', `${interval}\n${readings.join('\n')}\n`)
  }

  #reading(start: number, value: string, isEstimated: boolean): string {
    const quality = isEstimated ? this.#in('ReadingQuality', this.#in('quality', String(estimatedByReferenceDay))) : ''
    const period = this.#in('timePeriod', this.#in('duration', '900') + this.#in('start', seconds(start)))
    return `    ${this.#in('IntervalReading', quality + period + value.replace(/.+/, text => this.#in('value', text)))}`
  }

  #entry(title: string, self: string, related: readonly string[], kind: string, content: string): string {
    const atom = this.#atom
    const up = self.slice(0, self.lastIndexOf('/'))
    const links = [['self', self], ['up', up], ...related.map(path => ['related', path])]
    return [
      `  <${atom}entry>`,
      `    <${atom}id>urn:uuid:00000000-0000-4000-8000-${String(++this.#entries).padStart(12, '0')}</${atom}id>`,
      ...links.map(([rel, href]) => `    <${atom}link rel="${rel}" href="/espi/1_1/resource/${href}"/>`),
      `    <${atom}title>${title}</${atom}title>`,
      `    <${atom}content>`,
      `    <${this.#espi}${kind}${this.#ownNamespace}>${content}</${this.#espi}${kind}>`,
      `    </${atom}content>`,
      `  </${atom}entry>`,
      ''
    ].join('\n')
  }

  #in(name: string, content: string): string {
    return `<${this.#espi}${name}>${content}</${this.#espi}${name}>`
  }

  get #usagePointPath(): string {
    return `RetailCustomer/1/UsagePoint/${this.#options.esiid === 'link' ? this.#esiid : '01'}`
  }

  #meterReadingPath(direction: Direction): string {
    return `${this.#usagePointPath}/MeterReading/${flowDirections[direction]}`
  }
}

function typePath(direction: Direction): string {
  return `ReadingType/${flowDirections[direction]}`
}

/** Minutes of the day where SMT says that a quarter hour starts: where it ends, but for the day's first. */
function wallMinutes({ endLabel, ordinal }: { endLabel: string; ordinal: number }): number {
  const [hours, minutes] = endLabel.split(':').map(Number)
  return ordinal === 0 ? 0 : hours! * 60 + minutes! || 24 * 60
}

/** A reading in Wh, or in thousandths of it; empty when there is none. */
function valueText(milli: number, power: number): string {
  if (milli === missingReading) return ''
  return milli === spoiledReading ? 'n/a' : String(power === 0 ? milli : milli * 1000)
}

function seconds(instant: number): string {
  return String(instant / 1000)
}

function directionsOf(meterDays: readonly MeterDay[]): readonly Direction[] {
  const present = new Set(meterDays.flatMap(({ series }) => series.map(({ direction }) => direction)))
  return (['consumption', 'surplus-generation'] as const).filter(direction => present.has(direction))
}

/** The days as a file can tell them that says nothing of estimates. */
function quality(days: readonly MeterDay[], { quality = true }: GreenButtonFeedOptions): readonly MeterDay[] {
  if (quality) return days
  return days.map(day => ({
    ...day,
    series: day.series.map(one => ({ ...one, estimated: new Uint8Array(one.estimated.length) }))
  }))
}
