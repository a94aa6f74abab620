import { splitCells } from '../cells.ts'
import { NEAR } from '../unopened.ts'
import { type BoundReport, bindReport, isMeterInfo } from './layouts.ts'

/** What an entry beside intervals is, by its header or by its name. */
export type OtherKind = 'daily-reads' | 'monthly-bills' | 'meter-info' | 'enrolment' | 'unknown'

/** Lines that may stand before a report's header. */
const LEADING_LINES = 20

/** A report's header, wherever it stands. */
export interface ReportHead {
  readonly cells: readonly string[]
  /** Its line, from 1. */
  readonly number: number
  /** Offset of the first byte after the line's end. */
  readonly next: number
  /** The layout that it has; undefined for meter information. */
  readonly bound: BoundReport | undefined
}

/**
 * Looks for the header of a report among an entry's first lines: some say that titles stand before it. The first four
 * kilobytes decide, of which more bytes change nothing. `text` has a character for each byte.
 */
export function findReportHead(text: string): ReportHead | undefined {
  const near = text.slice(0, NEAR)
  let from = near.startsWith('\u00ef\u00bb\u00bf') ? 3 : 0
  for (let number = 1; number <= LEADING_LINES && from < near.length; number++) {
    const { end, next } = lineAt(text, from)
    // One that ends no sooner than what is looked at may go on: in its last byte stands perhaps half a CR LF.
    if (next >= NEAR && text.length >= NEAR) return undefined
    const cells = splitCells(near.slice(from, end))
    const bound = cells && bindReport(cells)
    if (cells && (bound || isMeterInfo(cells))) return { cells, number, next, bound }
    from = next
  }
  return undefined
}

/** Where a line ends, at LF, CR LF or CR alone or with the text, and where the next one begins. */
export function lineAt(text: string, from: number): { readonly end: number; readonly next: number } {
  lineEnd.lastIndex = from
  const found = lineEnd.exec(text)
  return found ? { end: found.index, next: lineEnd.lastIndex } : { end: text.length, next: text.length }
}

const lineEnd = /\r\n?|\n/g

/** How the names of files promise other reports, after the folder and the time that some systems put before them. */
const promises: readonly (readonly [kind: OtherKind, name: RegExp])[] = [
  ['daily-reads', /^(\d{8}T\d{6}_)?DailyMeterUsage/i],
  ['monthly-bills', /^(\d{8}T\d{6}_)?MonthlyBilling/i],
  ['meter-info', /^(\d{8}T\d{6}_)?Meter_?Info/i],
  ['enrolment', /enroll?ment/i]
]

/** What the name of an entry promises, or the folder of its file. */
export function kindByName(name: string, file: string | undefined): OtherKind {
  const last = name.slice(Math.max(name.lastIndexOf('/'), name.lastIndexOf('\\')) + 1)
  // What macOS puts beside each member of its archives bears the member's name, too.
  if (last.startsWith('._')) return 'unknown'
  const found = promises.find(([, pattern]) => pattern.test(last))
  if (found) return found[0]
  return file !== undefined && /(^|[\\/])enroll?mentreports[\\/][^\\/]*$/i.test(file) ? 'enrolment' : 'unknown'
}

/** What an entry is that was left: what was not known of it then may be known now. */
export function kindNow(
  { kind, name, header }: { readonly kind: OtherKind; readonly name: string; readonly header: string | null },
  file: string | undefined
): { readonly kind: OtherKind; readonly isReadable: boolean } {
  const cells = splitCells(header ?? '') ?? []
  const bound = bindReport(cells)
  if (bound) return { kind: bound.layout.kind, isReadable: true }
  if (kind !== 'unknown') return { kind, isReadable: false }
  const now = isMeterInfo(cells) ? 'meter-info' : kindByName(name, file)
  // Versions that knew nothing of reports wrote down the first line, which need not have been the header.
  return { kind: now, isReadable: now === 'daily-reads' || now === 'monthly-bills' }
}
