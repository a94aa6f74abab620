import { Tokenizer, TokenParser, TokenType } from '@streamparser/json'
import { ParseError } from '../../errors.ts'

/** Bytes that are read at a time. */
const SLICE = 16 * 1024
/** Bytes from the end of one list to the end of the next. Real ones have a kilobyte. */
const LONGEST_PIECE = 256 * 1024
/** Values inside values. An answer needs four. */
const DEEPEST = 32
/** Characters of lists that may wait for their meter: ten years of one in two directions. */
const MOST_WAITING = 16 * 1024 * 1024

/** One element of `energyData`: a day of one meter in one direction. What should be text is given as it stands there. */
export interface DayList {
  readonly esiid: unknown
  /** `DT` */
  readonly date: unknown
  /** `RevTS` */
  readonly revision: unknown
  /** `RT` */
  readonly type: unknown
  /** `RD`, with a comma between one position and the next. */
  readonly readings: string
  /** Byte offset of the first position. */
  readonly offset: number
}

/** Where an answer stands, for errors. */
interface AnswerPlace {
  readonly file?: string | undefined
  readonly entry?: string | undefined
}

/**
 * Reads SMT's JSON answer of interval reads: bytes in, the lists of one day, meter and direction out, in file order. One
 * answer is an object with `esiid` and `energyData`; a list of such objects is taken too. Other keys are passed over. An
 * element of `energyData` that names a meter itself belongs to that one.
 *
 * Memory: a slice of the chunk and one list; where the meter is named behind its lists, those: 16 MB at most.
 */
export class ReadListReader {
  readonly #place: AnswerPlace
  readonly #tokens = new Tokenizer()
  #values: TokenParser | undefined
  #depth = 0
  /** How deep the keys of an answer stand: 1, or 2 in a list of answers. */
  #answerDepth = 1
  /** Of the answer that is open, and of its element. */
  readonly #answer = new Map<string, unknown>()
  readonly #element = new Map<string, unknown>()
  /** Of the token being taken, and of the readings of the element that is open. */
  #offset = 0
  #readingsAt = 0
  #waiting: DayList[] = []
  #waitingLength = 0
  #given: DayList[] = []
  #bytes = 0
  /** Where the last list ended: all that came since may be held in memory. */
  #lastEnd = 0

  constructor(place: AnswerPlace = {}) {
    this.#place = { file: place.file, entry: place.entry }
    this.#tokens.onToken = token => this.#take(token)
  }

  /** Takes the next bytes; gives the lists that can be told by now. */
  push(bytes: Uint8Array): readonly DayList[] {
    for (let at = 0; at < bytes.length; at += SLICE) {
      const slice = bytes.subarray(at, at + SLICE)
      this.#read(slice)
      this.#bytes += slice.length
      this.#checkLength(this.#bytes)
    }
    const given = this.#given
    this.#given = []
    return given
  }

  /** Ends the answer: whatever is open now was cut off. */
  end(): void {
    if (!this.#values?.isEnded) this.#fail('PARSE_JSON', 'the JSON ends too early')
  }

  /** Whatever the library throws is told as our error, without its words: they quote what they stumbled over. */
  #read(slice: Uint8Array): void {
    try {
      this.#tokens.write(slice)
    } catch (error) {
      if (error instanceof ParseError) throw error
      const what = error instanceof TypeError ? 'the JSON is not UTF-8' : 'the JSON is not well-formed'
      this.#fail('PARSE_JSON', `${what} behind byte ${this.#offset}`)
    }
  }

  #take(token: Parameters<Tokenizer['onToken']>[0]): void {
    const { token: type, offset } = token
    this.#offset = offset
    const values = (this.#values ??= this.#begin(type))
    const opens = type === TokenType.LEFT_BRACE || type === TokenType.LEFT_BRACKET
    if (opens && ++this.#depth > DEEPEST) this.#fail('PARSE_JSON', `values stand more than ${DEEPEST} deep`)
    values.write(token)
    const closes = type === TokenType.RIGHT_BRACE || type === TokenType.RIGHT_BRACKET
    if (closes && this.#depth-- === this.#answerDepth) this.#endAnswer()
  }

  /** The grammar is the library's. It gives the keys of answers and of their elements one by one, and keeps nothing. */
  #begin(first: TokenType): TokenParser {
    const isList = first === TokenType.LEFT_BRACKET
    if (isList) this.#answerDepth = 2
    const paths = ['esiid', 'ESIID', 'energyData.*', 'energyData.*.*'].map(path => `${isList ? '$.*' : '$'}.${path}`)
    const values = new TokenParser({ paths, keepStack: false })
    values.onValue = ({ key, value, stack }) => {
      const depth = stack.length - this.#answerDepth
      if (depth === 0) this.#note(this.#answer, String(key), value)
      else if (depth === 2) this.#note(this.#element, String(key), value)
      else this.#endElement()
    }
    return values
  }

  #note(object: Map<string, unknown>, key: string, value: unknown): void {
    if (object.has(key)) this.#fail('PARSE_READ_LIST', `the key ${key.slice(0, 40)} stands twice in one object`)
    object.set(key, value)
    if (key === 'RD') this.#readingsAt = this.#offset + 1
  }

  #endElement(): void {
    this.#checkLength(this.#offset)
    this.#lastEnd = this.#offset
    const element = this.#element
    const readings = element.get('RD')
    if (typeof readings !== 'string') {
      this.#fail('PARSE_READ_LIST', `an element of energyData has no list of readings (RD), at byte ${this.#offset}`)
    }
    const list = {
      esiid: meterOf(element) ?? meterOf(this.#answer),
      date: element.get('DT'),
      revision: element.get('RevTS'),
      type: element.get('RT'),
      readings,
      offset: this.#readingsAt
    }
    element.clear()
    if (list.esiid !== undefined) this.#given.push(list)
    else this.#wait(list)
  }

  #wait(list: DayList): void {
    this.#waiting.push(list)
    this.#waitingLength += list.readings.length
    if (this.#waitingLength > MOST_WAITING) {
      this.#fail('PARSE_READ_LIST', 'too many lists stand before the meter that they belong to')
    }
  }

  #endAnswer(): void {
    const esiid = meterOf(this.#answer)
    if (esiid === undefined && this.#waiting.length > 0) {
      this.#fail('PARSE_READ_LIST', `no esiid stands beside energyData, up to byte ${this.#offset}`)
    }
    for (const list of this.#waiting) this.#given.push({ ...list, esiid })
    this.#waiting = []
    this.#waitingLength = 0
    this.#answer.clear()
  }

  #checkLength(offset: number): void {
    if (offset - this.#lastEnd <= LONGEST_PIECE) return
    this.#fail('PARSE_JSON', `more than ${LONGEST_PIECE} bytes stand between one list and the next`)
  }

  #fail(code: 'PARSE_JSON' | 'PARSE_READ_LIST', what: string): never {
    throw new ParseError(code, what, this.#place)
  }
}

/** SMT spells it in both ways. */
function meterOf(object: ReadonlyMap<string, unknown>): unknown {
  return object.get('esiid') ?? object.get('ESIID') ?? undefined
}
