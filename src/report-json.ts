import type { DailyReadRow, MonthlyBillRow, ReportBatch } from './report-batch.ts'

/** What `type` says of a line: an interval has none. */
const types = { 'daily-reads': 'daily-read', 'monthly-bills': 'monthly-bill' } as const

/** Rows of a report as lines of NDJSON: days as local dates, the version as UTC ISO text, decimals as the numbers they are. */
export function reportLines({ kind, rows }: ReportBatch): string {
  let text = ''
  for (const row of rows) text += `{"type":"${types[kind]}",${fields(row)}}\n`
  return text
}

/** Decimals are put in as the text they are: as a double one might be written otherwise. */
function fields({ esiid, revision, ...cells }: DailyReadRow | MonthlyBillRow): string {
  const parts = [`"esiid":"${esiid}"`]
  for (const [name, value] of Object.entries(cells)) {
    parts.push(`"${name}":${value !== null && /date$/i.test(name) ? `"${value}"` : value}`)
  }
  parts.push(`"revision":${revision === null ? null : `"${new Date(revision).toISOString()}"`}`)
  return parts.join(',')
}
