import { addDays } from '../central-days.ts'
import { type MeterDay, makeMeterDay } from '../meter-days.ts'

/** A meter that SMT knows. */
export interface FakeMeter {
  readonly esiid: string
  /** @default 'M' and the last six digits of the ESIID */
  readonly meterNumber?: string | undefined
  /** A roof with panels: both series. @default false */
  readonly solar?: boolean | undefined
  /** Whether an agreement lets the company read it. `FakeSmt`'s records keep that, once they are made. @default true */
  readonly agreed?: boolean | undefined
}

/** What SMT has of a meter's day: its versions, the oldest first; none where it has nothing. */
export type DaysOf = (meter: FakeMeter, date: string) => readonly MeterDay[]

/** One version of every day. */
export const everyDay: DaysOf = ({ esiid, solar }, date) => [makeMeterDay({ esiid, date, solar })]

/** Which meter-days a call asks for. */
interface Asked {
  readonly meters: readonly FakeMeter[]
  readonly from: string
  readonly to: string
  /** `A` all versions, `L` the latest. */
  readonly version: unknown
  /** `C` consumption, `G` generation, `A` both. */
  readonly readingType: unknown
}

/** The meter-days, meter by meter, with no more series than were asked for. */
export function meterDaysOf({ meters, from, to, version, readingType }: Asked, daysOf: DaysOf): MeterDay[] {
  const found: MeterDay[] = []
  for (const meter of meters) {
    for (let date = from; date <= to; date = addDays(date, 1)) {
      const versions = daysOf(meter, date)
      for (const day of version === 'L' ? versions.slice(-1) : versions) {
        const series = day.series.filter(({ direction }) => letterOf(direction) === readingType || readingType === 'A')
        if (series.length > 0) found.push({ ...day, series })
      }
    }
  }
  return found
}

function letterOf(direction: MeterDay['series'][number]['direction']): 'C' | 'G' {
  return direction === 'consumption' ? 'C' : 'G'
}

export function meterNumberOf({ esiid, meterNumber }: FakeMeter): string {
  return meterNumber ?? `M${esiid.slice(-6)}`
}
