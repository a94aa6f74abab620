import { checkKwh, instantsOf, Rejected, readDate, readEsiid, readRevision } from './plain-reader.ts'

/** What a position became: a reading in the words of the parser but for the digits of its kWh, or why it is none. */
export interface PlainPosition {
  readonly outcome: string
  readonly interval?: {
    readonly esiid: string
    readonly start: number
    readonly kwh: string
    readonly estimated: boolean
    readonly direction: 'consumption' | 'surplus-generation'
    readonly revision: number | null
  }
}

interface Answer {
  readonly esiid: unknown
  readonly energyData: readonly { DT?: unknown; RevTS?: unknown; RT?: unknown; RD: string }[]
}

/**
 * The slow and obvious reader of SMT's JSON answers: the whole text at once, position by position, every place worked out
 * from what the clock of Texas shows. Shares nothing with src.
 */
export function readAnswerPlainly(text: string): PlainPosition[] {
  const answers = [JSON.parse(text) as Answer | Answer[]].flat()
  return answers.flatMap(({ esiid, energyData }) =>
    energyData.flatMap(list => {
      const texts = list.RD.split(',').map(position => position.trim())
      return texts.map((_, i) => positionOf(esiid, list, texts, i))
    })
  )
}

function positionOf(meter: unknown, list: Answer['energyData'][number], texts: string[], i: number): PlainPosition {
  try {
    if (typeof meter === 'number') throw new Rejected('ROW_ESIID_AS_NUMBER')
    const esiid = readEsiid(String(meter))
    const date = readDate(typeof list.DT === 'string' ? list.DT.trim() : '', 'ROW_BAD_DATE')
    const revision = readRevision(typeof list.RevTS === 'string' ? list.RevTS.trim() : '')
    if (list.RT !== 'C' && list.RT !== 'G') throw new Rejected('ROW_BAD_DIRECTION')
    const [, kwh = '', flag = ''] = /^(.*?)(?:-([^-]*))?$/.exec(texts[i]!)!
    const isBlank = kwh.trim() === ''
    if (!/^[ae]$/i.test(flag.trim()) && !(isBlank && flag.trim() === '')) {
      if (!isBlank) checkKwh(kwh.trim())
      throw new Rejected('ROW_BAD_FLAG')
    }
    const instant = instantOf(date, texts.map(isFilled), i)
    if (isBlank) return { outcome: instant === 'none' ? 'placeholder' : 'missing' }
    checkKwh(kwh.trim())
    if (instant === 'none') throw new Rejected('ROW_NONEXISTENT_HOUR')
    if (instant === 'unknown') throw new Rejected('ROW_BAD_LIST')
    const direction = list.RT === 'C' ? 'consumption' : 'surplus-generation'
    const interval = {
      esiid,
      start: instant,
      kwh: kwh.trim(),
      estimated: /e/i.test(flag),
      direction,
      revision
    } as const
    return { outcome: 'accepted', interval }
  } catch (thrown) {
    if (thrown instanceof Rejected) return { outcome: thrown.code }
    throw thrown
  }
}

/** Nothing, a dash, or a dash and a flag: no reading. */
function isFilled(text: string): boolean {
  return !/^(-?|-\s*[ae])$/i.test(text)
}

const hours = (pattern: string) =>
  pattern.replace(/\d+[x.]/g, run => (run.endsWith('x') ? 'xxxx' : '....').repeat(parseInt(run, 10)))
/** Hours, full or empty, of a spring day that counts its 92 quarter hours on. */
const countingOn = new Set(['2x1.21x1.', '3x1.20x1.', '23x2.', '23x1.'].map(hours))

function instantOf(date: string, filled: boolean[], i: number): number | 'none' | 'unknown' {
  const clock = instantsOf(date)
  const all = [...clock.values()].flat().sort((a, b) => a - b)
  const pattern = filled.map(isFilled => (isFilled ? 'x' : '.')).join('')
  const isSpring = all.length === 92
  if (isSpring && filled.length === 92) return all[i]!
  if (filled.length !== 100 && filled.length !== 96) return 'unknown'
  if (isSpring && pattern.endsWith('....') && pattern.slice(8, filled.length - 84).includes('x')) {
    if (countingOn.has(pattern)) return filled[i] ? all[pattern.slice(0, i).replaceAll('.', '').length]! : 'none'
    return i < 8 ? all[i]! : 'unknown'
  }
  // What the wall clock shows at a position: of 100, four are for the second time that it shows 01:00 to 02:00.
  const isSecond = filled.length === 100 && i >= 8 && i < 12
  const shift = filled.length === 100 && i >= 8 ? 4 : 0
  return clock.get((i - shift) * 15)?.[isSecond ? 1 : 0] ?? 'none'
}
