import { addDays, centralInstant, quarterHours } from './central-days.ts'
import type { DeliveryManifest } from './manifest.ts'
import {
  type MeterDay,
  makeEsiid,
  makeMeterDay,
  missingReading,
  randomFrom,
  reissueMeterDay,
  type Series,
  spoiledReading
} from './meter-days.ts'
import { Post, usagePath, type WriteFile } from './post.ts'
import { addTotals, emptyTotals, totalsOf } from './reports.ts'

export interface DeliveryOptions {
  /** Armored OpenPGP public key that every file is encrypted to. */
  readonly publicKey: string
  /** Puts one file where it is to be found. Called one by one, `modifiedAt` in whole seconds and ascending. */
  readonly write: WriteFile
  /** At least 2. @default 200 */
  readonly meters?: number | undefined
  /** Local days around each of the two clock changes of 2025, 1 to 180. @default 31 */
  readonly days?: number | undefined
  /** @default 1 */
  readonly seed?: number | undefined
}

const clockChanges = ['2025-03-09', '2025-11-02']

/**
 * Makes weeks of deliveries as SMT's server shows them, planted trouble included, and tells the truth about them:
 * a file per usage day around both clock changes, days issued again under a newer revision, the same bytes under
 * another name, the same report encrypted anew, a damaged message, a row nobody can read, an unfinished upload.
 *
 * Memory: the readings and the text of one file, and the few meter-days that are issued again.
 */
export async function makeDelivery(options: DeliveryOptions): Promise<DeliveryManifest> {
  const { publicKey, write, meters: count = 200, days = 31, seed = 1 } = options
  if (!(count >= 2 && days >= 1 && days <= 180)) throw new RangeError('at least 2 meters, and 1 to 180 days')
  const meters = makeMeters(count)
  const post = new Post(publicKey, write)
  const sum = emptyTotals()

  const { lastDate, toRevise, first, last } = await postDays(post, meters, days, seed, sum)
  await postTrouble(post, addDays(lastDate, 3), meters, seed, first.bytes, last.zip)
  const revised = await postRevisions(post, addDays(lastDate, 18), toRevise, sum)

  const { rows: _, ...store } = sum
  const watched = {
    esiid: meters[0]!.esiid,
    days: clockChanges.map(date => ({ date, instants: quarterHours(date) }))
  }
  return { seed, meters: count, days, files: post.files, store: { ...store, meters: count, ...revised, watched } }
}

type Totals = ReturnType<typeof emptyTotals>
type Packed = Awaited<ReturnType<Post['report']>>

/** A file per usage day; what will not be issued again goes into the sum at once. */
async function postDays(post: Post, meters: readonly Meter[], days: number, seed: number, sum: Totals) {
  const dates = clockChanges.flatMap(change => around(change, days))
  const toRevise = new Map<string, MeterDay[]>()
  const spoilt = Math.min(3, days - 1)
  let first: Packed | undefined
  let last: Packed | undefined
  for (const [i, date] of dates.entries()) {
    const revised = isRevised(i, days)
    const meterDays = meters.map(meter => baseDay(meter, date, seed, revised))
    if (i === spoilt) meterDays[1]!.series[0]!.milliKwh[40] = spoiledReading
    const note = i === spoilt ? 'one row has letters for kWh' : undefined
    last = await post.report(meterDays, centralInstant(addDays(date, 1), '09:12:00'), note)
    first ??= last
    const again = revised ? meterDays.filter(day => day.series.some(hasEstimates)) : []
    if (again.length > 0) toRevise.set(date, again)
    addTotals(sum, totalsOf(meterDays.filter(day => !again.includes(day))))
  }
  return { lastDate: dates.at(-1)!, toRevise, first: first!, last: last! }
}

/** What must change nothing, or be kept out. */
async function postTrouble(
  post: Post,
  date: string,
  meters: readonly Meter[],
  seed: number,
  earlierBytes: Buffer,
  earlierZip: Buffer
): Promise<void> {
  const [first, second, third, fourth] = [0, 5, 10, 15].map(
    minute => centralInstant(date, '10:00:00') + minute * 60_000
  )
  await post.file(usagePath(first!, 'EnrollmentReports'), earlierBytes, first!, {
    expect: 'duplicate',
    note: 'the bytes of an earlier file under another name'
  })
  await post.file(usagePath(second!), await post.encrypt(earlierZip), second!, {
    expect: 'duplicate',
    note: 'the report of an earlier file, encrypted anew'
  })
  const strangers = meters.slice(0, 10).map(meter => baseDay(meter, date, seed, false))
  await post.file(usagePath(third!), flipOne(await post.encrypt(post.pack(strangers, third!))), third!, {
    expect: 'quarantined',
    note: 'one letter of the message is another one; its rows are in no other file'
  })
  const unfinished = usagePath(fourth!).replace('/', '/.').concat('.tmp')
  await post.file(unfinished, earlierBytes.subarray(0, earlierBytes.length >> 1), fourth!, {
    expect: 'ignored',
    note: 'an upload that never ended'
  })
}

/** A file per day that is issued again, all on one later morning. */
async function postRevisions(post: Post, date: string, toRevise: Map<string, MeterDay[]>, sum: Totals) {
  const count = { revised: 0, changed: 0 }
  let delivered = centralInstant(date, '07:30:00')
  for (const [usageDate, base] of toRevise) {
    const newer = base.map(day => reissueMeterDay(day, `${date} 06:41:12`))
    // A blank in a newer revision must leave the older reading where it is.
    newer[0]!.series[0]!.milliKwh[20] = missingReading
    await post.report(newer, delivered, `newer revision of ${usageDate}`)
    addTotals(sum, totalsOf(newer.map((day, i) => winnerOf(base[i]!, day, count))))
    delivered += 60_000
  }
  return count
}

/** What is left of a day and its newer revision: reading by reading the newer one, unless that is blank. */
function winnerOf(base: MeterDay, newer: MeterDay, count: { revised: number; changed: number }): MeterDay {
  const series = base.series.map((old, s) => {
    const { milliKwh, estimated } = newer.series[s]!
    const winner = { ...old, milliKwh: milliKwh.slice(), estimated: estimated.slice() }
    for (let i = 0; i < milliKwh.length; i++) {
      if (milliKwh[i]! < 0) {
        winner.milliKwh[i] = old.milliKwh[i]!
        winner.estimated[i] = old.estimated[i]!
      } else if (old.milliKwh[i]! >= 0) {
        count.revised += 1
        if (old.milliKwh[i] !== milliKwh[i] || old.estimated[i] !== estimated[i]) count.changed += 1
      }
    }
    return winner
  })
  return { ...newer, series }
}

interface Meter {
  readonly number: number
  readonly esiid: string
  readonly solar: boolean
}

function makeMeters(count: number): Meter[] {
  return Array.from({ length: count }, (_, number) => ({
    number,
    esiid: makeEsiid(number + 1, number % 10 === 4 ? 22 : 17),
    solar: number % 7 === 1
  }))
}

/** A meter's day as first delivered. Meter 0 is the watched one and has every reading; meter 1 always has estimates. */
function baseDay({ number, esiid, solar }: Meter, date: string, seed: number, revised: boolean): MeterDay {
  const luck = randomFrom(seed, 'luck', esiid, date)()
  const estimated = luck < 0.03 || (number === 1 && revised)
  const missing = number > 1 && luck > 0.995 ? 4 : 0
  return makeMeterDay({ esiid, date, seed, solar, estimated, missing })
}

function hasEstimates(series: Series): boolean {
  return series.estimated.includes(1)
}

function around(change: string, days: number): string[] {
  return Array.from({ length: days }, (_, i) => addDays(change, i - Math.floor(days / 2)))
}

/** The day of a clock change, and every fifth one before and after it, is issued again later. */
function isRevised(index: number, days: number): boolean {
  return ((index % days) - Math.floor(days / 2)) % 5 === 0
}

/** Changes one letter in the middle of an armored message into another letter of its alphabet. */
function flipOne(armored: Buffer): Buffer {
  const flipped = Buffer.from(armored)
  let middle = armored.length >> 1
  while (!/[A-Za-z]/.test(String.fromCharCode(flipped[middle]!))) middle += 1
  flipped[middle]! ^= 0x20
  return flipped
}
