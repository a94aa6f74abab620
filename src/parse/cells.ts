/** The cells of one line: split at the separator, trimmed, quotes opened (RFC 4180). Undefined: a quote stays open. */
export function splitCells(line: string, separator = ','): string[] | undefined {
  if (!line.includes('"')) return line.split(separator).map(cell => cell.trim())
  const cells: string[] = []
  let at = 0
  for (;;) {
    while (line[at] === ' ' || line[at] === '\t') at++
    if (line[at] === '"') {
      const quoted = readQuoted(line, at)
      if (quoted === undefined) return undefined
      const end = line.indexOf(separator, quoted.end)
      const rest = line.slice(quoted.end, end < 0 ? undefined : end)
      cells.push((quoted.text + rest).trim())
      if (end < 0) return cells
      at = end + 1
    } else {
      const end = line.indexOf(separator, at)
      cells.push(line.slice(at, end < 0 ? undefined : end).trim())
      if (end < 0) return cells
      at = end + 1
    }
  }
}

function readQuoted(line: string, open: number): { text: string; end: number } | undefined {
  let text = ''
  let from = open + 1
  for (;;) {
    const close = line.indexOf('"', from)
    if (close < 0) return undefined
    text += line.slice(from, close)
    if (line[close + 1] !== '"') return { text, end: close + 1 }
    text += '"'
    from = close + 2
  }
}

/** Milliseconds-free clock and calendar cells as SMT writes them. */
export type CellProblem = 'bad' | 'twelve-hour' | 'two-digit-year'

/** A calendar date, before anybody looks whether the calendar has it. */
export interface DateCell {
  readonly year: number
  readonly month: number
  readonly day: number
}

/** `MM/DD/YYYY` or `M/D/YYYY`. */
export function readDate(cell: string): DateCell | CellProblem {
  const match = /^(\d{1,2})\/(\d{1,2})\/(\d{4}|\d{2})$/.exec(cell)
  if (!match) return 'bad'
  if (match[3]!.length === 2) return 'two-digit-year'
  return { year: Number(match[3]), month: Number(match[1]), day: Number(match[2]) }
}

/** `HH:MM` or `H:MM`, 00:00 to 24:00, as minutes of the day. */
export function readTime(cell: string): number | CellProblem {
  const match = /^(\d{1,2}):(\d{2})$/.exec(cell)
  if (!match) return /\d\s*[ap]\.?m\.?$/i.test(cell) ? 'twelve-hour' : 'bad'
  const minutes = Number(match[1]) * 60 + Number(match[2])
  return Number(match[2]) > 59 || minutes > 1440 ? 'bad' : minutes
}

/** The time of a revision stamp, `HH:MM:SS` or `H:MM`, as seconds of the day. */
export function readClock(cell: string): number | CellProblem {
  const match = /^(\d{1,2}):(\d{2})(?::(\d{2}))?$/.exec(cell)
  if (!match) return /\d\s*[ap]\.?m\.?$/i.test(cell) ? 'twelve-hour' : 'bad'
  const [hours, minutes, seconds] = [Number(match[1]), Number(match[2]), Number(match[3] ?? 0)]
  return hours > 23 || minutes > 59 || seconds > 59 ? 'bad' : (hours * 60 + minutes) * 60 + seconds
}

/** A date and a time of day in one cell: on the local clock, or as an instant where an offset says so. */
export type DateTimeCell = { readonly date: DateCell; readonly minute: number } | { readonly instant: number }

/** `2025-07-14T00:15`, with a blank for the `T`, with seconds of 00, with `Z` or an offset; or `07/14/2025 00:15`. */
export function readDateTime(cell: string): DateTimeCell | CellProblem {
  const iso = /^(\d{4})-(\d{2})-(\d{2})[T ](\d{2}:\d{2})(?::00(?:\.0+)?)?\s*(Z|[+-]\d{2}:?\d{2})?$/i.exec(cell)
  if (!iso) return readUsDateTime(cell)
  const [, year, month, day, time, offset] = iso
  const minute = readTime(time!)
  if (typeof minute === 'string') return minute
  if (offset === undefined) return { date: { year: Number(year), month: Number(month), day: Number(day) }, minute }
  const midnight = Date.UTC(Number(year), Number(month) - 1, Number(day))
  // A date that the calendar does not have would be counted on to another.
  const counted = new Date(midnight)
  if (counted.getUTCMonth() + 1 !== Number(month) || counted.getUTCDate() !== Number(day)) return 'bad'
  return { instant: midnight + (minute - minutesAhead(offset)) * 60_000 }
}

/** `Z`, `-05:00` or `-0500` as minutes ahead of UTC. */
function minutesAhead(offset: string): number {
  const [, sign, hours, minutes] = /^([+-])(\d{2}):?(\d{2})$/.exec(offset) ?? [offset, '+', '0', '0']
  return (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes))
}

function readUsDateTime(cell: string): DateTimeCell | CellProblem {
  const space = cell.indexOf(' ')
  if (space < 0) return 'bad'
  const date = readDate(cell.slice(0, space))
  if (typeof date === 'string') return date
  const minute = readTime(
    cell
      .slice(space)
      .trim()
      .replace(/^(\d{1,2}:\d{2}):00$/, '$1')
  )
  return typeof minute === 'string' ? minute : { date, minute }
}

/**
 * kWh as an exact number of 0.00001 kWh, which is what DECIMAL(12,5) can hold. A plus sign says nothing and may stand
 * there; exponents and thousands separators are signs of a program that shows less than it was given.
 */
export function readKwh(cell: string): number | 'bad' | 'negative' | 'out-of-range' {
  const match = /^([+-]?)(\d*)(?:\.(\d*))?$/.exec(cell)
  if (!match || `${match[2]}${match[3] ?? ''}` === '') return 'bad'
  const whole = match[2]!.replace(/^0+/, '')
  const decimals = withoutEnd(match[3] ?? '', '0')
  if (whole.length > 7 || decimals.length > 5) return 'out-of-range'
  const units = Number(whole) * 100_000 + Number(decimals.padEnd(5, '0'))
  return match[1] === '-' && units > 0 ? 'negative' : units
}

/**
 * A decimal as exact text, without the zeros that say nothing: `24002.915`. Of DECIMAL(14,5): nine digits before the point
 * and five behind it, few enough for a double to keep them too.
 */
export function readDecimal(cell: string): { readonly text: string } | 'bad' | 'negative' | 'out-of-range' {
  const match = /^([+-]?)(\d*)(?:\.(\d*))?$/.exec(cell)
  if (!match || `${match[2]}${match[3] ?? ''}` === '') return 'bad'
  const whole = match[2]!.replace(/^0+/, '')
  const decimals = withoutEnd(match[3] ?? '', '0')
  if (whole.length > 9 || decimals.length > 5) return 'out-of-range'
  if (match[1] === '-' && whole + decimals !== '') return 'negative'
  return { text: `${whole || '0'}${decimals && `.${decimals}`}` }
}

/** Text without the letters of one kind at its end. A regular expression would try each of them anew. */
export function withoutEnd(text: string, letter: string): string {
  let end = text.length
  while (end > 0 && text[end - 1] === letter) end--
  return text.slice(0, end)
}
