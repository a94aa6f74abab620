import { ParseError, showable } from '../errors.ts'
import { splitCells } from './cells.ts'
import { looksLikeGreenButton } from './green-button/recognise.ts'
import { type BoundLayout, bindLayout, type IntervalLayout, showHeader, unverifiedLayout } from './layouts.ts'
import { isJson, looksLikeReadList, READ_LIST_HEAD } from './read-list/recognise.ts'
import type { BoundReport } from './reports/layouts.ts'
import { findReportHead, kindByName, type OtherKind, type ReportHead } from './reports/recognise.ts'
import { NEAR, unopened } from './unopened.ts'

const [LF, CR] = [10, 13]

/** Bytes within which a header must end. */
const LONGEST_HEAD = 64 * 1024

/** Bytes of XML within which its first element must begin. A comment of some kilobytes may stand before it. */
const XML_HEAD = 16 * 1024

/** The beginning of an entry, up to the end of its first line. */
export interface EntryHead {
  /** First line that is not blank, without its end and without a byte-order mark. */
  readonly line: string
  /** Its number, from 1. */
  readonly number: number
  /** Offset of the first byte after the line's end. */
  readonly next: number
}

/** What an entry turned out to be. */
export type EntryKind =
  | { readonly kind: 'intervals'; readonly layout: BoundLayout; readonly head: EntryHead }
  | { readonly kind: 'green-button' }
  | { readonly kind: 'read-list' }
  | { readonly kind: 'other'; readonly is: OtherKind; readonly header: string; readonly report?: FoundReport }

/** A report beside intervals that can be read. */
export interface FoundReport {
  readonly head: ReportHead
  readonly bound: BoundReport
}

/** Where an entry stands, for errors and for what its name promises. */
export interface EntryPlace {
  readonly name: string
  readonly file: string | undefined
  /** Whether it stood in an archive, beside others. */
  readonly packed: boolean
  /** The layouts that its header may have. */
  readonly layouts: readonly IntervalLayout[]
}

/** The first line that is not blank, when the bytes hold all of it (or no more of it is wanted). */
function findHead(bytes: Uint8Array, enough: boolean): EntryHead | undefined {
  let from = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0
  for (let number = 1; ; number++) {
    const end = findLineEnd(bytes, from)
    // A CR at the very end may be half of a CR LF.
    const whole = end < bytes.length && (bytes[end] === LF || end + 1 < bytes.length)
    if (!whole && !enough) return undefined
    const line = latin1(bytes.subarray(from, end))
    const next = Math.min(bytes.length, bytes[end] === CR && bytes[end + 1] === LF ? end + 2 : end + 1)
    if (line.trim() !== '' || (enough && next === bytes.length)) return { line, number, next }
    from = next
  }
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}

/** Where a line ends: at LF, CR LF or CR alone; or where the bytes end. */
function findLineEnd(bytes: Uint8Array, from: number): number {
  let end = from
  while (end < bytes.length && bytes[end] !== LF && bytes[end] !== CR) end++
  return end
}

/**
 * Classifies an entry by its first bytes: by its header first, then by its name. One that neither looks nor is named
 * like intervals is left alone; one that is, but cannot be read, fails its file with the reason. Undefined: more bytes
 * are needed to tell. How many come at a time changes nothing.
 */
export function classify(bytes: Uint8Array, complete: boolean, place: EntryPlace): EntryKind | undefined {
  const start = bytes.subarray(0, LONGEST_HEAD)
  const enough = complete || bytes.length >= LONGEST_HEAD
  const head = findHead(start, enough)
  if (head === undefined) return undefined
  const cells = splitCells(head.line) ?? [head.line]
  const unverified = unverifiedLayout(cells)
  if (unverified) throw headError(place, 'LAYOUT_UNVERIFIED', `the layout is ${unverified}`)
  const bound = bindLayout(cells, place.layouts)
  if ('layout' in bound) return { kind: 'intervals', layout: bound, head }
  const wanted = head.line.trimStart().startsWith('<') ? XML_HEAD : isJson(head.line) ? READ_LIST_HEAD : NEAR
  if (!enough && bytes.length < wanted) return undefined
  refuseOtherKinds(start, head.line, place)
  if (looksLikeGreenButton(latin1(start.subarray(0, XML_HEAD)))) return { kind: 'green-button' }
  if (looksLikeReadList(latin1(start.subarray(0, READ_LIST_HEAD)))) return { kind: 'read-list' }
  const separator = otherSeparator(head.line, place.layouts)
  if (separator) {
    throw headError(place, 'PARSE_SEPARATOR', `columns are separated by ${separator}, not by commas`)
  }
  if (bound.intervals) throw headError(place, bound.code, bound.what)
  const report = findReportHead(latin1(start))
  if (report) return otherReport(report)
  if (promisesIntervals(place.name)) throw headError(place, bound.code, bound.what)
  return { kind: 'other', is: kindByName(place.name, place.file), header: showable(showHeader(cells)) }
}

function otherReport(head: ReportHead): EntryKind {
  const { cells, bound } = head
  const header = showable(showHeader(cells))
  return bound
    ? { kind: 'other', is: bound.layout.kind, header, report: { head, bound } }
    : { kind: 'other', is: 'meter-info', header }
}

/** Fails what is no text with a header, and holds intervals all the same or was meant to. */
function refuseOtherKinds(start: Uint8Array, line: string, place: EntryPlace): void {
  const matters = promisesIntervals(place.name) || !place.packed
  if (place.packed && /^(\[Content_Types\]\.xml|xl\/.*)$/i.test(place.name)) {
    throw headError(place, 'PARSE_SPREADSHEET', 'the file is an Excel workbook')
  }
  if (matters && isHtml(line)) throw headError(place, 'PARSE_HTML', 'the file is a web page')
  const container = place.packed ? undefined : unopened(start)
  if (container) throw headError(place, 'PARSE_UNOPENED', `the file is ${container} that nobody has opened`)
  if (isUtf16(start) && (matters || /E\0?S\0?I\0?I\0?D/.test(line))) {
    throw headError(place, 'PARSE_UTF16', 'the text is UTF-16')
  }
}

function headError(place: EntryPlace, code: ConstructorParameters<typeof ParseError>[0], what: string): ParseError {
  return new ParseError(code, what, { file: place.file, entry: place.packed ? place.name : undefined })
}

/** Whether a name promises intervals: `IntervalMeterUsage…`, `IntervalData…`, in any case of letters. */
export function promisesIntervals(name: string): boolean {
  const last = name.slice(Math.max(name.lastIndexOf('/'), name.lastIndexOf('\\')) + 1)
  // What macOS puts beside each member of its archives bears the member's name, too: `__MACOSX/._IntervalData.csv`.
  return /interval/i.test(last) && !last.startsWith('._')
}

/** A UTF-16 byte-order mark, or a zero beside every letter. */
function isUtf16(bytes: Uint8Array): boolean {
  const mark = (bytes[0]! << 8) | bytes[1]!
  if (mark === 0xfffe || mark === 0xfeff) return true
  const zeros = bytes.subarray(0, 64).reduce((sum, byte) => sum + (byte === 0 ? 1 : 0), 0)
  const letters = bytes.subarray(0, 64).reduce((sum, byte) => sum + (byte >= 32 && byte < 127 ? 1 : 0), 0)
  return zeros >= 8 && zeros + letters >= Math.min(64, bytes.length) - 4
}

function isHtml(line: string): boolean {
  return /^\s*(<!doctype html|<html|<head|<body|<\?xml[^>]*>\s*<html)/i.test(line)
}

/** The separator that would make this an interval header. */
function otherSeparator(line: string, layouts: readonly IntervalLayout[]): string | undefined {
  const separators = { ';': 'semicolons', '\t': 'tabs', '|': 'vertical bars' }
  for (const [separator, name] of Object.entries(separators)) {
    const bound = bindLayout(line.split(separator), layouts)
    if ('layout' in bound || bound.intervals) return name
  }
  return undefined
}
