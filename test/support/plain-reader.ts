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
export class Rejected {
  readonly code: string
  constructor(code: string) {
    this.code = code
  }
}
type Outcome = (Omit<PlainInterval, 'line'> & Pick<Told, 'after'>) | Rejected | 'placeholder' | 'missing'

/** Reads one interval CSV whose header is known to be good. Intervals may be so many minutes long. */
export function readPlainly(bytes: Buffer, allowed: readonly number[] = [15]): PlainReading {
  // One character for each byte, so that positions in the text are offsets in the file.
  const text = bytes.toString('latin1')
  const lines = text.startsWith(byteOrderMark) ? linesOf(text.slice(3), 3) : linesOf(text, 0)
  const filled = lines.filter(({ text }) => text.trim() !== '')
  const header = cellsOf(filled[0]!.text)!.map(cell => cell.toUpperCase())
  const autumn = new AutumnDays()
  const reading = { header, autumn, allowed }
  for (const { text, line } of filled.slice(1)) outcomeOf(cellsOf(text), { ...reading, isFirst: true, line })
  autumn.judge()
  const intervals: PlainInterval[] = []
  const places: (Pick<Told, 'after'> & { interval: PlainInterval })[] = []
  const rejects: { code: string; line: number; offset: number }[] = []
  const rows = { read: 0, placeholder: 0, missing: 0, repeatedHeader: 0 }
  for (const { text, line, offset } of filled.slice(1)) {
    rows.read++
    const cells = cellsOf(text)
    if (cells?.join().toUpperCase() === header.join()) rows.repeatedHeader++
    else {
      const outcome = outcomeOf(cells, { ...reading, isFirst: false, line })
      if (outcome instanceof Rejected) rejects.push({ code: outcome.code, line, offset })
      else if (typeof outcome === 'string') rows[outcome]++
      else {
        const { after, ...cells } = outcome
        intervals.push({ ...cells, line })
        places.push({ after, interval: intervals.at(-1)! })
      }
    }
  }
  // Rows of the repeated hour are compared with others when they are told.
  const placed = places.toSorted(({ after: [a, c] }, { after: [b, d] }) => (a === b ? c - d : a - b))
  const repeats = countRepeats(placed.map(({ interval }) => interval))
  return { intervals, rejects, rows, ambiguousHourAssumed: autumn.assumed, repeats }
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
  readonly autumn: AutumnDays
  /** Rows are only met, to see in what order they stand. */
  readonly isFirst: boolean
  readonly line: number
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

function readRow(cells: Cells, { header, autumn, allowed, isFirst, line }: Reading): Outcome {
  const esiid = readEsiid(cells.ESIID)
  const date = readDate(cells.USAGE_DATE, 'ROW_BAD_DATE')
  const revision = readRevision(cells.REVISION_DATE)
  const hasDirection = header.includes('CONSUMPTION_SURPLUSGENERATION')
  const direction = hasDirection ? readDirection(cells.CONSUMPTION_SURPLUSGENERATION) : 'consumption'
  const start = readMinutes(cells.USAGE_START_TIME)
  if (start === 1440) throw new Rejected('ROW_BAD_TIME')
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
  if (repeats && isFirst) autumn.meet(group, { end, minutes, marker, line })
  const told = starts.length === 2 && !isFirst ? autumn.tell(group, line) : { pass: 0, after: [line, line] as const }
  if (told === undefined) throw new Rejected('ROW_AMBIGUOUS_HOUR')

  const flag = cells.ESTIMATED_ACTUAL.toUpperCase()
  const kwh = cells.USAGE_KWH
  if (kwh === '') {
    if (!['', 'A', 'E'].includes(flag)) throw new Rejected('ROW_BAD_FLAG')
    return starts.length === 0 ? 'placeholder' : 'missing'
  }
  checkKwh(kwh)
  if (flag !== 'A' && flag !== 'E') throw new Rejected('ROW_BAD_FLAG')
  if (starts.length === 0) throw new Rejected('ROW_NONEXISTENT_HOUR')
  const at = starts[told.pass]!
  return { esiid, start: at, kwh, estimated: flag === 'E', direction, revision, minutes, after: told.after }
}

export function readEsiid(cell: string): string {
  const digits = cell.replaceAll("'", '').trim()
  if (/^\d\.?\d*E\+?\d+$/i.test(digits)) throw new Rejected('ROW_ESIID_AS_NUMBER')
  const right = /^\d+$/.test(digits) && digits.startsWith('10') && [17, 22].includes(digits.length)
  if (!right) throw new Rejected('ROW_BAD_ESIID')
  return digits
}

/** As `YYYY-MM-DD`. */
export function readDate(cell: string, code: string): string {
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

export function readRevision(cell: string): number | null {
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

export function checkKwh(cell: string): void {
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
type MetRow = RowLabels & { readonly line: number }

/** A row of the hour that can be told, and after which line and which row of its hour that is. */
interface Told {
  readonly pass: number
  readonly after: readonly [line: number, first: number]
}

/** The rows of each group of an autumn day: met once to see in what order they stand, and again to be told. */
class AutumnDays {
  readonly #groups = new Map<string, { rows: MetRow[]; told: Map<number, Told> }>()
  /** Listings of a group that have the hour once. */
  assumed = 0

  meet(group: string, row: MetRow): void {
    const { rows } = this.#groups.get(group) ?? { rows: [] }
    this.#groups.set(group, { rows: [...rows, row], told: new Map() })
  }

  judge(): void {
    for (const { rows, told } of this.#groups.values()) {
      for (const { hour, after } of hoursOf(rows)) {
        const passes = passesOf(hour)
        if (passes?.at(-1) === 0) this.assumed++
        for (const [i, { line }] of hour.entries()) {
          if (passes) told.set(line, { pass: passes[i]!, after: [after, hour[0]!.line] })
        }
      }
    }
  }

  /** Undefined when nobody can tell which pass the row of a line belongs to. */
  tell(group: string, line: number): Told | undefined {
    return this.#groups.get(group)!.told.get(line)
  }
}

const isInHour = ({ end }: RowLabels) => end > 60 && end <= 120
const minutesOf = (rows: readonly RowLabels[]) => rows.reduce((sum, { minutes }) => sum + minutes, 0)

/** The rows of the hour for each time that the day is listed, up to what is out of order; and when all are known. */
function hoursOf(rows: readonly MetRow[]): { hour: MetRow[]; after: number }[] {
  const hours: { hour: MetRow[]; after: number }[] = []
  let hour: MetRow[] = []
  /** Where the listing began, and the latest end in it. */
  let since = 0
  let latest = 0
  for (const [i, row] of rows.entries()) {
    const end = (after: number) => {
      hours.push({ hour, after })
      hour = []
    }
    if (isInHour(row)) {
      if (latest > 120) return hours
      hour.push(row)
      latest = Math.max(latest, row.end)
      const isWhole = passesOf(hour)?.at(-1) === 1 && row.end === 120 && minutesOf(hour) === 120
      if (isWhole) {
        latest = 121
        end(row.line - 0.5)
      }
      continue
    }
    const again = latest === 1440 && row.end === row.minutes && hour.length === 0
    if (row.end <= latest && !again) return hours
    if (again) since = i
    latest = row.end
    const isListed = row.end === 1440 && minutesOf(rows.slice(since, i + 1)) >= 80 * 15
    if (isListed && hour.length > 0) end(row.line)
  }
  if (hour.length > 0) hours.push({ hour, after: Number.POSITIVE_INFINITY })
  return hours
}

/** The pass of each row of the hour, if the rows stand in the order of two passes. */
function passesOf(rows: readonly RowLabels[]): number[] | undefined {
  const passes: number[] = []
  let reached = 0
  const lost: number[] = []
  for (const [i, { end, minutes, marker }] of rows.entries()) {
    const before = rows[i - 1]?.end ?? 0
    if (end === before && end < 120) return undefined
    passes.push((passes.at(-1) ?? 0) + (marker || end <= before ? 1 : 0))
    const pass = passes.at(-1)!
    if (pass > 1) return undefined
    const from = pass * 60 + end - minutes - 60
    const passedOver = [0, 15, 30, 45, 60, 75, 90, 105].filter(quarter => quarter >= reached && quarter < from)
    lost.push(...passedOver)
    reached = pass * 60 + end - 60
    const moved = passedOver.length > 0 && lost.some(quarter => quarter < 60) && lost.length > 2
    if (moved && pass === 1 && !marker) return undefined
  }
  const all = [...lost, ...[0, 15, 30, 45, 60, 75, 90, 105].filter(quarter => quarter >= reached)]
  const isSure = passes.at(-1) === 0 || rows.some(({ marker }) => marker) || all.length <= 2
  return isSure ? passes : undefined
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
export function instantsOf(date: string): Map<number, number[]> {
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
