import { type ErrorCode, type ErrorPlace, ParseError, type RowCode } from '../../errors.ts'

/** What fails a Green Button file. */
export type GreenButtonCode = Extract<ErrorCode, `PARSE_XML${string}` | `PARSE_GREEN_BUTTON_${string}`>

export function greenButtonError(code: GreenButtonCode, what: string, place: ErrorPlace): ParseError {
  return new ParseError(code, what, place)
}

/** One `IntervalReading` as it stands in the file. */
export interface RawReading {
  /** Line of its tag, from 1, and the tag's byte offset, from 0. */
  readonly line: number
  readonly offset: number
  /** Epoch seconds; NaN when unreadable, undefined when missing. */
  start: number | undefined
  /** Seconds; NaN when unreadable, undefined when missing. */
  duration: number | undefined
  value: RawValue | undefined
  quality: Quality | undefined
}

/** A reading's number before its unit is known: an integer of no more than 15 digits. */
type RawValue = number | 'missing' | RowCode

/** What the `ReadingQuality` elements of a reading say, the worst of them. */
export type Quality = 'actual' | 'estimated' | 'unknown'

/** What a `ReadingType` says of the readings that belong to it. */
export interface ReadingTraits {
  /** 0 consumption, 1 surplus generation. */
  readonly direction: 0 | 1
  /** Readings are times ten to this power, in Wh. */
  readonly power: number
  /** Seconds of a reading that does not say how long it is. */
  readonly duration: number | undefined
  /** Quality of a reading that does not say. */
  readonly quality: Quality
}

// NAESB ESPI, QualityOfReading. The estimated: 8 by a reference day, 9 by interpolation, 12 projected, 13 mixed (some of
// it is one of the others), 15 normalized for weather. None of these is what the meter measured. The others are, or
// somebody answers for them: 0 valid, 7 manually edited, 10 questionable, 11 derived, 14 raw, 16 other, 17 validated,
// 18 verified, 19 revenue quality.
const actualCodes = new Set(['0', '7', '10', '11', '14', '16', '17', '18', '19'])
const estimatedCodes = new Set(['8', '9', '12', '13', '15'])
const worst: readonly Quality[] = ['unknown', 'estimated', 'actual']

/** A quality code beside those seen before. */
export function readQuality(text: string, before?: Quality): Quality {
  const code = text.trim()
  const quality = estimatedCodes.has(code) ? 'estimated' : actualCodes.has(code) ? 'actual' : 'unknown'
  return worst.find(one => one === quality || one === before)!
}

/** A whole number as XML Schema writes it; NaN for anything else. */
export function readInteger(text: string): number {
  const trimmed = text.trim()
  return /^[+-]?\d{1,15}$/.test(trimmed) ? Number(trimmed) : Number.NaN
}

/** Epoch seconds between 1970 and 2286. Longer numbers are milliseconds or nonsense. */
export function readEpoch(text: string): number {
  const seconds = readInteger(text)
  return seconds >= 0 && seconds < 1e10 ? seconds : Number.NaN
}

/** The text of a `value`. The schema knows whole numbers only (Int48): a decimal would not be in the declared unit. */
export function readValue(text: string): RawValue {
  const trimmed = text.trim()
  if (trimmed === '') return 'missing'
  const match = /^([+-]?)0*(\d+)$/.exec(trimmed)
  if (!match) return 'ROW_BAD_KWH'
  return match[2]!.length > 15 ? 'ROW_KWH_OUT_OF_RANGE' : Number(match[1]! + match[2]!)
}

/** DECIMAL(12,5) in 0.00001 kWh. */
const MOST_UNITS = 999_999_999_999

/** `value` times ten to the `power`, in Wh, as an exact number of 0.00001 kWh. */
export function unitsOf(value: number, power: number): number | RowCode {
  // One Wh is a hundred units. All of these are whole numbers below 2^53, or powers of ten that doubles hold exactly.
  const size = Math.abs(value)
  const shift = power + 2
  const units = shift >= 0 ? size * 10 ** shift : size / 10 ** -shift
  if (units > MOST_UNITS || (shift < 0 && size % 10 ** -shift !== 0)) return 'ROW_KWH_OUT_OF_RANGE'
  return value < 0 ? 'ROW_NEGATIVE_KWH' : units
}

// AccumulationKind: 1 bulk quantity (a register's dial), 2 and 3 cumulative, 12 instantaneous, 13 latching, 14 bounded.
// Such numbers are not the energy of one interval.
const notEnergyOfAnInterval = new Set(['1', '2', '3', '12', '13', '14'])

/** The fields of a `ReadingType` that matter. */
export const typeFields: ReadonlySet<string> = new Set([
  'accumulationBehaviour',
  'defaultQuality',
  'flowDirection',
  'intervalLength',
  'powerOfTenMultiplier',
  'uom'
])

/** The fields of a `ReadingType` understood, or what is wrong with them. */
export function readTraits(field: ReadonlyMap<string, string>): ReadingTraits | string {
  const {
    uom,
    flowDirection,
    powerOfTenMultiplier = '0',
    accumulationBehaviour,
    intervalLength,
    defaultQuality
  } = Object.fromEntries(field)
  if (uom !== '72') return `its unit (uom) is ${uom ?? 'not given'}, not 72 (Wh)`
  if (accumulationBehaviour !== undefined && notEnergyOfAnInterval.has(accumulationBehaviour)) {
    return `its accumulationBehaviour is ${accumulationBehaviour}, not 4 (the energy of each interval)`
  }
  if (flowDirection !== '1' && flowDirection !== '19') {
    return `its flowDirection is ${flowDirection ?? 'not given'}, neither 1 (delivered) nor 19 (received)`
  }
  const power = readInteger(powerOfTenMultiplier)
  if (!(Math.abs(power) <= 12)) return `its powerOfTenMultiplier is ${powerOfTenMultiplier}`
  return {
    direction: flowDirection === '1' ? 0 : 1,
    power,
    duration: intervalLength === undefined ? undefined : readInteger(intervalLength),
    quality: defaultQuality === undefined ? 'actual' : readQuality(defaultQuality)
  }
}

/** Longest href that is looked at; real ones have a hundred characters. */
const LONGEST_HREF = 2000

/** The MeterReading that an ESPI href is or lies below: `…/UsagePoint/01/MeterReading/01/IntervalBlock/173`. */
export function meterReadingOf(href: string): string | undefined {
  if (href.length > LONGEST_HREF) return undefined
  return /(?:UsagePoint\/[^/?#]+\/)?MeterReading\/[^/?#]+/.exec(href)?.[0]
}

/** The ReadingType that an ESPI href names: `…/ReadingType/07`. */
export function readingTypeOf(href: string): string | undefined {
  return href.length > LONGEST_HREF ? undefined : /ReadingType\/[^/?#]+/.exec(href)?.[0]
}

/** Every number in a text that has the form of an ESIID. */
export function esiidsIn(text: string): readonly string[] {
  return text.match(/(?<!\d)10(?:\d{20}|\d{15})(?!\d)/g) ?? []
}
