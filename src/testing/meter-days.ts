import { addDays, centralDay, quarterHours } from './central-days.ts'

/** Which of a meter's two series. */
export type Direction = 'consumption' | 'surplus-generation'

/** One direction of one meter on one day; both arrays have 92, 96 or 100 places, one per real quarter hour. */
export interface Series {
  readonly direction: Direction
  /** Thousandths of a kWh, or {@link missingReading}, or {@link spoiledReading}. */
  readonly milliKwh: Int32Array
  /** 1 where the reading is estimated. */
  readonly estimated: Uint8Array
}

/** Everything a report says about one meter on one local day. */
export interface MeterDay {
  readonly esiid: string
  /** `YYYY-MM-DD`, local. */
  readonly date: string
  /** `YYYY-MM-DD HH:MM:SS`, local; null leaves the column blank. */
  readonly revision: string | null
  /** One series, or two whose rows alternate. */
  readonly series: readonly Series[]
}

/** In place of a reading: its row is written with blank kWh and blank flag. */
export const missingReading = -1
/** In place of a reading: its row is written with letters for kWh, which nobody can read. */
export const spoiledReading = -2

export interface MeterDayOptions {
  readonly esiid: string
  /** `YYYY-MM-DD`, local. */
  readonly date: string
  /** The same seed, ESIID and day give the same readings. @default 1 */
  readonly seed?: number | undefined
  /** `YYYY-MM-DD HH:MM:SS`, or null for blank. By default some minute between 6 and 9 on the next morning. */
  readonly revision?: string | null | undefined
  /** A roof with panels: both directions. @default false */
  readonly solar?: boolean | undefined
  /** One block of 16 estimated quarter hours. @default false */
  readonly estimated?: boolean | undefined
  /** How many quarter hours in a row have no reading. @default 0 */
  readonly missing?: number | undefined
}

/** Makes a plausible day of one meter: quiet at night, busy in the evening, now and then a real zero. */
export function makeMeterDay(options: MeterDayOptions): MeterDay {
  const { esiid, date, seed = 1, solar = false, estimated = false, missing = 0 } = options
  const random = randomFrom(seed, esiid, date)
  const size = 0.4 + 1.2 * randomFrom(seed, esiid)()
  const revision = options.revision === undefined ? morningAfter(date, random) : options.revision
  const consumption = emptySeries('consumption', date)
  const surplus = emptySeries('surplus-generation', date)
  const sky = 0.3 + 0.7 * random()

  const quarters = centralDay(date).filter(slot => slot.start !== null)
  for (const [i, { startLabel }] of quarters.entries()) {
    const load = Math.round(loadByHour[Number(startLabel.slice(0, 2))]! * size * (0.6 + 0.8 * random()))
    const sun = solar ? Math.round(1400 * sky * sunAt(i) * (0.7 + 0.3 * random())) : 0
    consumption.milliKwh[i] = random() < 0.001 ? 0 : Math.max(0, load - sun)
    surplus.milliKwh[i] = Math.max(0, sun - load)
  }

  const series = solar ? [consumption, surplus] : [consumption]
  if (estimated) for (const { estimated } of series) estimated.fill(1, 32, 48)
  if (missing > 0) for (const { milliKwh } of series) milliKwh.fill(missingReading, 60, 60 + missing)
  return { esiid, date, revision, series }
}

/** The same day issued again under a newer revision: estimated readings became actual ones, with other kWh. */
export function reissueMeterDay(day: MeterDay, revision: string): MeterDay {
  const series = day.series.map(({ direction, milliKwh, estimated }) => ({
    direction,
    milliKwh: milliKwh.map((milli, i) => (milli < 0 ? 100 : estimated[i] ? milli + 7 + (i % 5) : milli)),
    estimated: new Uint8Array(estimated.length)
  }))
  return { ...day, revision, series }
}

/** An invented ESIID: `1044372…` with 17 digits or `1008901…` with 22. No such meter exists. */
export function makeEsiid(number: number, digits: 17 | 22 = 17): string {
  return digits === 17
    ? `1044372${String(9_999_000 + number).padStart(10, '0')}`
    : `1008901${String(9_999_999_900_000 + number).padStart(15, '0')}`
}

/** A pseudo-random sequence in [0, 1) that depends on nothing but its seeds (mulberry32 over an FNV-1a hash). */
export function randomFrom(...seeds: readonly (string | number)[]): () => number {
  let state = 0x811c9dc5
  for (const char of seeds.join(' ')) state = Math.imul(state ^ char.charCodeAt(0), 0x01000193)
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** Thousandths of a kWh in a quarter hour of a middling house in Texas, by local hour. */
const loadByHour = [
  140, 120, 110, 100, 105, 130, 210, 290, 260, 230, 240, 270, 310, 340, 380, 430, 520, 640, 720, 700, 610, 480, 330, 210
]

/** From 0 at night to 1 at noon; the sun takes no notice of the clock, and half past six stands for every sunrise. */
function sunAt(quarter: number): number {
  return quarter < 26 || quarter > 78 ? 0 : Math.sin((Math.PI * (quarter - 26)) / 52)
}

function emptySeries(direction: Direction, date: string): Series {
  const length = quarterHours(date)
  return { direction, milliKwh: new Int32Array(length), estimated: new Uint8Array(length) }
}

function morningAfter(date: string, random: () => number): string {
  const two = (n: number) => String(n).padStart(2, '0')
  const second = 6 * 3600 + Math.floor(random() * 3 * 3600)
  return `${addDays(date, 1)} ${two(Math.floor(second / 3600))}:${two(Math.floor(second / 60) % 60)}:${two(second % 60)}`
}
