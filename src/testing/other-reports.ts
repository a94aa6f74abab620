import { addDays } from './central-days.ts'
import { randomFrom } from './meter-days.ts'
import { usDate, usStamp } from './reports.ts'

/** Invented after the field names of the REST API: nobody has shown a real one. */
export const monthlyHeader =
  'ESIID,START_DATE,END_DATE,REVISION_DATE,ACTUAL_KWH,METERED_KW,BILLED_KW,METERED_KVA,BILLED_KVA'
/** The same. */
export const meterInfoHeader =
  'ESIID,METER_SERIAL_NUMBER,UTILITY_METER_ID,KWH_METER_MULTIPLIER,CONFIGURED_CHANNELS,INTERVAL_SETTING,METER_STATUS'

/** What a monthly report says of one period. Numbers are the text that stands in the file. */
export interface Bill {
  readonly esiid: string
  /** `YYYY-MM-DD`, local. */
  readonly startDate: string
  /** `YYYY-MM-DD`, local: the day on which the next period begins. */
  readonly endDate: string
  /** `YYYY-MM-DD HH:MM:SS`, local; null leaves the column blank. */
  readonly revision: string | null
  readonly actualKwh: string
  readonly meteredKw: string
  readonly billedKw: string
  readonly meteredKva: string
  readonly billedKva: string
}

export interface BillOptions {
  readonly esiid: string
  /** The day on which the first period begins, `YYYY-MM-DD`. */
  readonly from: string
  /** Periods of 29 to 33 days, one after the other. @default 1 */
  readonly periods?: number | undefined
  /** The same seed, ESIID and day give the same bills. @default 1 */
  readonly seed?: number | undefined
}

/** Makes plausible bills of one meter. */
export function makeBills({ esiid, from, periods = 1, seed = 1 }: BillOptions): Bill[] {
  const random = randomFrom(seed, 'bills', esiid, from)
  const bills: Bill[] = []
  for (let startDate = from; bills.length < periods; ) {
    const endDate = addDays(startDate, 29 + Math.floor(random() * 5))
    bills.push({
      esiid,
      startDate,
      endDate,
      revision: `${addDays(endDate, 1)} 0${6 + Math.floor(random() * 3)}:12:44`,
      actualKwh: String(600 + Math.floor(random() * 1200)),
      meteredKw: (4 + random() * 6).toFixed(2),
      billedKw: '0',
      meteredKva: '0',
      billedKva: '0'
    })
    startDate = endDate
  }
  return bills
}

/** Writes a report of monthly bills. */
export function makeMonthlyReport(bills: Iterable<Bill>): Buffer {
  let text = monthlyHeader
  for (const { esiid, startDate, endDate, revision, actualKwh, ...demand } of bills) {
    const { meteredKw, billedKw, meteredKva, billedKva } = demand
    const days = [usDate(startDate), usDate(endDate), revision === null ? '' : usStamp(revision)]
    text += `\n'${esiid},${[...days, actualKwh, meteredKw, billedKw, meteredKva, billedKva].join(',')}`
  }
  return Buffer.from(`${text}\n`, 'latin1')
}

/** Writes what is known of some meters: one line for each. */
export function makeMeterInfo(esiids: Iterable<string>): Buffer {
  let text = meterInfoHeader
  for (const esiid of esiids) text += `\n'${esiid},${esiid.slice(-9)}LG,M${esiid.slice(-4)},1,4,15,Active`
  return Buffer.from(`${text}\n`, 'latin1')
}
