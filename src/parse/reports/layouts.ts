import type { ReportKind, ReportRows } from '../../report-batch.ts'
import { columnName } from '../layouts.ts'

/** What a column of a report holds: a field of its rows. */
type Field<Kind extends ReportKind> = keyof ReportRows[Kind] & string

/** A report as it is thought to look. */
export interface ReportLayout<Kind extends ReportKind = ReportKind> {
  readonly kind: Kind
  /** Stands in the account of every entry that has it. */
  readonly name: string
  /** The names that a field's column may have, compared whole, trimmed, in any case of letters. */
  readonly columns: { readonly [field in Field<Kind>]: readonly string[] }
  /** Fields without which it is no such report. */
  readonly required: readonly Field<Kind>[]
  /** Of these at least one must be there: a report of nothing is none. */
  readonly values: readonly Field<Kind>[]
}

const common = {
  esiid: ['ESIID', 'ESI_ID', 'ESI ID', 'ESIID_NUMBER'],
  revision: ['REVISION_DATE', 'REVISION DATE', 'REVISIONDATE']
} as const

/**
 * Nobody could show a real file of either kind. The names are those of SMT's REST answers (`readDate`, `actualkWh`) and
 * what they become as the columns of a CSV. Their layouts are called unverified until a real file has been seen.
 */
export const reportLayouts: readonly (ReportLayout<'daily-reads'> | ReportLayout<'monthly-bills'>)[] = [
  {
    kind: 'daily-reads',
    name: 'daily-reads-unverified',
    columns: {
      ...common,
      date: ['READ_DATE', 'READ DATE', 'READDATE', 'USAGE_DATE'],
      startReading: ['START_READING', 'START READING', 'STARTREADING'],
      endReading: ['END_READING', 'END READING', 'ENDREADING'],
      kwh: ['USAGE_KWH', 'KWH', 'ENERGY_DATA_KWH', 'ENERGYDATAKWH']
    },
    required: ['esiid', 'date'],
    values: ['startReading', 'endReading', 'kwh']
  },
  {
    kind: 'monthly-bills',
    name: 'monthly-bills-unverified',
    columns: {
      ...common,
      startDate: ['START_DATE', 'START DATE', 'STARTDATE', 'SERVICE_PERIOD_START'],
      endDate: ['END_DATE', 'END DATE', 'ENDDATE', 'SERVICE_PERIOD_END'],
      actualKwh: ['ACTUAL_KWH', 'ACTUAL KWH', 'ACTUALKWH'],
      meteredKw: ['METERED_KW', 'METERED KW', 'METEREDKW'],
      billedKw: ['BILLED_KW', 'BILLED KW', 'BILLEDKW'],
      meteredKva: ['METERED_KVA', 'METERED KVA', 'METEREDKVA'],
      billedKva: ['BILLED_KVA', 'BILLED KVA', 'BILLEDKVA']
    },
    required: ['esiid', 'startDate', 'endDate'],
    values: ['actualKwh', 'meteredKw', 'billedKw', 'meteredKva', 'billedKva']
  }
]

/** A layout laid over one file's header. */
export interface BoundReport {
  readonly layout: (typeof reportLayouts)[number]
  /** The field of each column. */
  readonly fields: readonly string[]
  /** The header's names, to recognise it when it is repeated. */
  readonly header: readonly string[]
}

/**
 * Lays a report's layout over a header. Where nothing is verified nothing is passed over either: a column that no layout
 * knows may be one that tells two rows of a day apart, so a header that has one is not taken.
 */
export function bindReport(cells: readonly string[]): BoundReport | undefined {
  const header = cells.map(columnName)
  for (const layout of reportLayouts) {
    const names = Object.entries(layout.columns)
    const fields = header.map(name => names.find(([, aliases]) => aliases.includes(name))?.[0])
    const has = (field: string) => fields.includes(field)
    const isWhole = fields.every((field, i): field is string => field !== undefined && fields.indexOf(field) === i)
    if (isWhole && layout.required.every(has) && layout.values.some(has)) return { layout, fields, header }
  }
  return undefined
}

/** Names of the REST answer about a meter, as the columns of a CSV, without what parts their words. */
const meterFields = new Set([
  ...['UTILITYCOMPANYID', 'METERSERIALNUMBER', 'UTILITYMETERID', 'KWHMETERMULTIPLIER', 'CONFIGUREDCHANNELS'],
  ...['MANUFACTURERNAME', 'METERCLASS', 'INTERVALSETTING', 'REVERSEFLOWHANDLING', 'DGCHANNEL', 'METERSTATUS'],
  ...['METERPHASES', 'METERMODEL', 'TESTDATE', 'INSTALLATIONDATE', 'INITIALPROVISIONDATE', 'COMMUNICATIONINDICATOR'],
  ...['INSTRUMENTRATED', 'CURRENTTRANSFORMERSRATIO', 'POTENTIALTRANSFORMERSRATIO', 'ESIFIRMWAREVERSION']
])

/** Columns of that kind which make a header one of meter information. */
const ENOUGH_METER_FIELDS = 3

/** Whether a header is that of meter information, of which nothing is read here. */
export function isMeterInfo(cells: readonly string[]): boolean {
  const known = cells.map(cell => columnName(cell).replace(/[ _]/g, '')).filter(name => meterFields.has(name))
  return new Set(known).size >= ENOUGH_METER_FIELDS
}
