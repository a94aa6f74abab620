import { parse } from 'csv-parse/sync'

/**
 * The slow and obvious reader that the real one is compared with: csv-parse for the cells, Intl for the clock, plain
 * code for the rest. It shares nothing with src, reads a whole file at once and looks at each row's whole past.
 */

interface PlainInterval {
  readonly esiid: string
  /** UTC epoch milliseconds. */
  readonly start: number
  /** As the file has it. */
  readonly kwh: string
  readonly estimated: boolean
  readonly direction: 'consumption' | 'surplus-generation'
  readonly revision: number | null
  readonly minutes: number
  readonly line: number
}

export interface PlainReading {
  readonly intervals: readonly PlainInterval[]
  readonly rejects: readonly { readonly code: string; readonly line: number; readonly offset: number }[]
  readonly rows: Readonly<Record<'read' | 'placeholder' | 'missing' | 'repeatedHeader', number>>
  readonly ambiguousHourAssumed: number
  readonly repeats: Readonly<Record<'duplicates' | 'conflicts' | 'overlaps' | 'unchecked', number>>
}

const names = [
  'ESIID',
  'USAGE_DATE',
  'REVISION_DATE',
  'USAGE_START_TIME',
  'USAGE_END_TIME',
  'USAGE_KWH',
  'ESTIMATED_ACTUAL',
  'CONSUMPTION_SURPLUSGENERATION'
] as const

type Cells = Record<(typeof names)[number], string>
class Rejected {
  readonly code: string
  constructor(code: string) {
    this.code = code
  }
}
type Outcome = Omit<PlainInterval, 'line'> | Rejected | 'placeholder' | 'missing'

/** Reads one interval CSV whose header is known to be good. Intervals may be so many minutes long. */
export function readPlainly(bytes: Buffer, allowed: readonly number[] = [15]): PlainReading {
  // One character for each byte, so that positions in the text are offsets in the file.
  const text = bytes.toString('latin1')
  const lines = text.startsWith(byteOrderMark) ? linesOf(text.slice(3), 3) : linesOf(text, 0)
  const filled = lines.filter(({ text }) => text.trim() !== '')
  const header = cellsOf(filled[0]!.text)!.map(cell => cell.toUpperCase())
  const past = new Past()
  const intervals: PlainInterval[] = []
  const rejects: { code: string; line: number; offset: number }[] = []
  const rows = { read: 0, placeholder: 0, missing: 0, repeatedHeader: 0 }
  for (const { text, line, offset } of filled.slice(1)) {
    rows.read++
    const cells = cellsOf(text)
    if (cells?.join().toUpperCase() === header.join()) rows.repeatedHeader++
    else {
      const outcome = outcomeOf(cells, { header, past, allowed })
      if (outcome instanceof Rejected) rejects.push({ code: outcome.code, line, offset })
      else if (typeof outcome === 'string') rows[outcome]++
      else intervals.push({ ...outcome, line })
    }
  }
  return { intervals, rejects, rows, ambiguousHourAssumed: past.assumed(), repeats: countRepeats(intervals) }
}

/** A line ends at LF, CR LF or a CR alone, quotation marks or not. */
function linesOf(text: string, offset: number): { text: string; line: number; offset: number }[] {
  const lines: { text: string; line: number; offset: number }[] = []
  for (const [i, part] of text.split(/(\r\n|\n|\r)/).entries()) {
    if (i % 2 === 0) lines.push({ text: part, line: i / 2 + 1, offset })
    offset += part.length
  }
  return lines
}

const byteOrderMark = '\u00ef\u00bb\u00bf'

function cellsOf(line: string): string[] | undefined {
  try {
    const [cells] = parse(line.replace(byteOrderMark, ''), { trim: true }) as string[][]
    return cells!.map(cell => cell.trim())
  } catch {
    return undefined
  }
}

/** What a row is read with. */
interface Reading {
  readonly header: readonly string[]
  readonly past: Past
  readonly allowed: readonly number[]
}

function outcomeOf(cells: string[] | undefined, reading: Reading): Outcome {
  const { header } = reading
  try {
    if (cells === undefined) throw new Rejected('ROW_UNCLOSED_QUOTE')
    if (cells.length !== header.length) throw new Rejected('ROW_CELL_COUNT')
    const named = Object.fromEntries(names.map(name => [name, cells[header.indexOf(name)] ?? ''])) as Cells
    return readRow(named, reading)
  } catch (thrown) {
    if (thrown instanceof Rejected) return thrown
    throw thrown
  }
}

function readRow(cells: Cells, { header, past, allowed }: Reading): Outcome {
  const esiid = readEsiid(cells.ESIID)
  const date = readDate(cells.USAGE_DATE, 'ROW_BAD_DATE')
  const revision = readRevision(cells.REVISION_DATE)
  const hasDirection = header.includes('CONSUMPTION_SURPLUSGENERATION')
  const direction = hasDirection ? readDirection(cells.CONSUMPTION_SURPLUSGENERATION) : 'consumption'
  const start = readMinutes(cells.USAGE_START_TIME)
  let end = readMinutes(cells.USAGE_END_TIME) || 1440
  const instants = instantsOf(date)
  // Where 02:00 is called 03:00, a row may end at either name.
  if (!instants.has(120) && end === 180 && start < 120) end = 120
  const repeats = [...instants.values()].some(at => at.length === 2)
  const marker = repeats && start === 120 && end === 75
  const minutes = marker ? 15 : end - start
  if (![15, 30, 60].includes(minutes) || start % minutes !== 0) throw new Rejected('ROW_NOT_15_MINUTES')
  if (!allowed.includes(minutes)) throw new Rejected('ROW_OTHER_LENGTH')
  const starts = instants.get(end - minutes) ?? []
  const group = [esiid, date, direction, revision].join()
  const pass = repeats ? past.pass(group, { end, minutes, marker }) : 0
  if (starts.length === 2 && pass === undefined) throw new Rejected('ROW_AMBIGUOUS_HOUR')

  const flag = cells.ESTIMATED_ACTUAL.toUpperCase()
  const kwh = cells.USAGE_KWH
  if (kwh === '') {
    if (!['', 'A', 'E'].includes(flag)) throw new Rejected('ROW_BAD_FLAG')
    return starts.length === 0 ? 'placeholder' : 'missing'
  }
  checkKwh(kwh)
  if (flag !== 'A' && flag !== 'E') throw new Rejected('ROW_BAD_FLAG')
  if (starts.length === 0) throw new Rejected('ROW_NONEXISTENT_HOUR')
  const at = starts.length === 2 ? starts[pass!]! : starts[0]!
  return { esiid, start: at, kwh, estimated: flag === 'E', direction, revision, minutes }
}

function readEsiid(cell: string): string {
  const digits = cell.replaceAll("'", '').trim()
  if (/^\d\.?\d*E\+?\d+$/i.test(digits)) throw new Rejected('ROW_ESIID_AS_NUMBER')
  const right = /^\d+$/.test(digits) && digits.startsWith('10') && [17, 22].includes(digits.length)
  if (!right) throw new Rejected('ROW_BAD_ESIID')
  return digits
}

/** As `YYYY-MM-DD`. */
function readDate(cell: string, code: string): string {
  const parts = cell.split('/')
  if (parts.length !== 3 || parts.some(part => !/^\d+$/.test(part))) throw new Rejected(code)
  const [month, day, year] = parts as [string, string, string]
  if (month.length > 2 || day.length > 2) throw new Rejected(code)
  if (year.length === 2) throw new Rejected('ROW_TWO_DIGIT_YEAR')
  const date = `${year}-${month.padStart(2, '0')}-${day.padStart(2, '0')}`
  if (year.length !== 4 || year < '1970' || year > '2199' || !isDate(date)) throw new Rejected(code)
  return date
}

function isDate(date: string): boolean {
  const at = new Date(`${date}T00:00Z`)
  return !Number.isNaN(at.getTime()) && at.toISOString().startsWith(date)
}

function readRevision(cell: string): number | null {
  if (cell === '') return null
  const [date, time, more] = cell.split(/\s+/)
  if (more !== undefined && /^[ap]\.?m/i.test(more)) throw new Rejected('ROW_TWELVE_HOUR_CLOCK')
  const parts = time?.split(':') ?? []
  const bad = parts.length < 2 || parts.length > 3 || parts.some(part => !/^\d{1,2}$/.test(part))
  if (more !== undefined || bad) throw new Rejected('ROW_BAD_REVISION')
  const [hours = 0, minutes = 0, seconds = 0] = parts.map(Number)
  if (hours > 23 || minutes > 59 || seconds > 59) throw new Rejected('ROW_BAD_REVISION')
  const instants = instantsOf(readDate(date!, 'ROW_BAD_REVISION'))
  const minute = hours * 60 + minutes
  const quarter = minute - (minute % 15)
  const at = instants.get(quarter)?.[0] ?? instants.get(quarter - 60)![0]! + 3_600_000
  return at + (minute - quarter) * 60_000 + seconds * 1000
}

function readDirection(cell: string): 'consumption' | 'surplus-generation' {
  const letters = cell.toLowerCase().replace(/\s/g, '')
  if (letters === 'consumption') return 'consumption'
  if (letters === 'surplusgeneration') return 'surplus-generation'
  throw new Rejected('ROW_BAD_DIRECTION')
}

function readMinutes(cell: string): number {
  if (/[ap]\.?m\.?$/i.test(cell)) throw new Rejected('ROW_TWELVE_HOUR_CLOCK')
  const [hours, minutes, more] = cell.split(':')
  const good = /^\d{1,2}$/.test(hours ?? '') && /^\d{2}$/.test(minutes ?? '') && more === undefined
  const sum = Number(hours) * 60 + Number(minutes)
  if (!good || Number(minutes) > 59 || sum > 1440) throw new Rejected('ROW_BAD_TIME')
  return sum
}

function checkKwh(cell: string): void {
  const [whole, decimals = '', more] = cell.replace(/^[+-]/, '').split('.')
  const digits = `${whole}${decimals}`
  if (more !== undefined || !/^\d+$/.test(digits)) throw new Rejected('ROW_BAD_KWH')
  if (BigInt(whole || '0') > 9_999_999n || /[1-9]/.test(decimals.slice(5))) throw new Rejected('ROW_KWH_OUT_OF_RANGE')
  if (cell.startsWith('-') && /[1-9]/.test(digits)) throw new Rejected('ROW_NEGATIVE_KWH')
}

/** When a row ends, in minutes of the day, how long it is, and whether it says 02:00,01:15. */
interface RowLabels {
  readonly end: number
  readonly minutes: number
  readonly marker: boolean
}

/** What came before in each group of an autumn day: enough to tell the two passes of the repeated hour apart. */
class Past {
  readonly #groups = new Map<string, (RowLabels & { pass: number | undefined })[]>()

  /** Which pass a row belongs to, from all rows of its group so far; undefined when they stand in no such order. */
  pass(group: string, labels: RowLabels): number | undefined {
    const rows = this.#groups.get(group) ?? []
    this.#groups.set(group, rows)
    const row = { ...labels, pass: undefined as number | undefined }
    rows.push(row)
    let pass = 0
    for (const [i, { end, minutes, marker }] of rows.entries()) {
      const before = rows[i - 1]?.end ?? 0
      if (!marker && end > before) continue
      const again = before === 1440 && end === minutes
      const sorted = end === before && end < 120
      const second = end > 60 && end <= 120 && before <= 120 && pass === 0 && !sorted
      if (!again && !second) return undefined
      pass = again ? 0 : 1
    }
    return (row.pass = pass)
  }

  /** Groups that have rows in the hour, all of them in the first pass. */
  assumed(): number {
    const inHour = [...this.#groups.values()].map(rows =>
      rows.filter(({ end, pass }) => end > 60 && end <= 120 && pass !== undefined)
    )
    return inHour.filter(rows => rows.length > 0 && rows.every(({ pass }) => pass === 0)).length
  }
}

/** How many rows cover a quarter hour that a row before them covers: from what stands there, row by row. */
function countRepeats(intervals: readonly PlainInterval[]): PlainReading['repeats'] {
  const repeats = { duplicates: 0, conflicts: 0, overlaps: 0, unchecked: 0 }
  /** By meter, direction and quarter hour: the row that was there last, of each revision. */
  const covered = new Map<string, Map<number | null, PlainInterval>>()
  for (const row of intervals) {
    const keys = [0, 15, 30, 45]
      .filter(minute => minute < row.minutes)
      .map(minute => [row.esiid, row.direction, row.start + minute * 60_000].join())
    const same = covered.get(keys[0]!)?.get(row.revision)
    const alike = same?.start === row.start && same.minutes === row.minutes && same.estimated === row.estimated
    if (alike && Number(same.kwh) === Number(row.kwh)) repeats.duplicates++
    else if (alike) repeats.conflicts++
    else if (keys.some(key => covered.has(key))) repeats.overlaps++
    for (const key of keys) covered.set(key, (covered.get(key) ?? new Map()).set(row.revision, row))
  }
  return repeats
}

const clock = new Intl.DateTimeFormat('en-CA', {
  timeZone: 'America/Chicago',
  dateStyle: 'short',
  timeStyle: 'short',
  hourCycle: 'h23'
})
const days = new Map<string, Map<number, number[]>>()

/** The instants at which a local day's clock shows each quarter hour: one, none (spring) or two (autumn). */
function instantsOf(date: string): Map<number, number[]> {
  let instants = days.get(date)
  if (instants === undefined) {
    days.set(date, (instants = new Map()))
    const from = Date.parse(`${date}T00:00Z`)
    for (let at = from; at < from + 31 * 3_600_000; at += 900_000) {
      const [day, time] = clock.format(at).split(', ') as [string, string]
      if (day !== date) continue
      const [hours, minutes] = time.split(':').map(Number) as [number, number]
      const minute = hours * 60 + minutes
      instants.set(minute, [...(instants.get(minute) ?? []), at])
    }
  }
  return instants
}
