import { SaxesParser, type SaxesTagNS } from 'saxes'
import { IngestError } from '../../errors.ts'
import { type GreenButtonCode, greenButtonError } from './format.ts'

/** Bytes that are decoded and read at a time. */
const SLICE = 16 * 1024
/** Characters between one element or text and the next: comments, and a tag with its attributes. */
const LONGEST_PIECE = 256 * 1024
/** Elements inside elements. Green Button needs ten. */
const DEEPEST = 32
/** What is given as the text of an element that has elements inside. No number and no name reads like it. */
const NOT_TEXT = '<>'

/** Whoever listens to an {@link XmlReader}. */
interface XmlListener {
  open(tag: SaxesTagNS): void
  /** `text` is the element's own, character references resolved. */
  close(text: string): void
}

/**
 * XML from bytes, strictly: UTF-8 only, well-formed, no DOCTYPE (so no entities but the five of XML itself), and nothing
 * longer or deeper than a report can be. Whatever goes wrong is thrown as a ParseError that knows its line.
 *
 * Memory: one slice of the chunk, and the one piece of XML under way.
 */
export class XmlReader {
  readonly #place: { readonly file: string | undefined; readonly entry: string | undefined }
  readonly #listener: XmlListener
  readonly #parser = new SaxesParser({ xmlns: true })
  // The byte-order mark is left to saxes, so that it is counted like any other character.
  readonly #decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  readonly #slice = new Slice()
  #depth = 0
  #text = ''
  #isLeaf = false
  /** Where in the text the last event was: what comes after is held in memory. */
  #lastEvent = 0
  #isEnding = false

  constructor(listener: XmlListener, place: { file?: string | undefined; entry?: string | undefined }) {
    this.#listener = listener
    this.#place = { file: place.file, entry: place.entry }
    // No more than six handlers: with the seventh V8 makes a dictionary of the parser, and it reads at a fifth of its speed.
    // Without one for errors, it throws them.
    const parser = this.#parser
    parser.on('doctype', () => this.#fail('PARSE_XML_REFUSED', 'the XML has a DOCTYPE, which no report needs'))
    parser.on('opentag', tag => this.#open(tag))
    parser.on('text', text => this.#gather(text))
    parser.on('cdata', text => this.#gather(text))
    parser.on('closetag', () => this.#close())
  }

  /** Reads the next bytes. */
  push(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += SLICE) {
      const slice = bytes.subarray(at, at + SLICE)
      this.#read(this.#decode(() => this.#decoder.decode(slice, { stream: true })))
    }
  }

  /** Ends the document: whatever is open now was cut off. */
  end(): void {
    this.#isEnding = true
    this.#read(this.#decode(() => this.#decoder.decode()))
    this.#guarded(() => this.#parser.close())
  }

  /** Line (from 1) and byte offset (from 0) of the tag being opened. */
  tagPlace(): { readonly line: number; readonly offset: number } {
    const { tag, offset } = this.#slice.tagBefore(this.#parser.position)
    return { line: this.#parser.line - (tag.match(/\r\n?|\n/g)?.length ?? 0), offset }
  }

  /** Line that is being read, from 1. */
  get line(): number {
    return this.#parser.line
  }

  #decode(decode: () => string): string {
    try {
      return decode()
    } catch (cause) {
      return this.#fail('PARSE_XML', 'the XML is not UTF-8', cause)
    }
  }

  #read(text: string): void {
    if (text === '') return
    this.#slice.next(text)
    this.#guarded(() => this.#parser.write(text))
    if (this.#parser.position - this.#lastEvent > LONGEST_PIECE) this.#tooLong()
  }

  /** Whatever saxes throws is told as our error. */
  #guarded(work: () => void): void {
    try {
      work()
    } catch (cause) {
      if (cause instanceof IngestError) throw cause
      // saxes begins with line and column, which the error says in its own way.
      const reason = cause instanceof Error ? cause.message.replace(/^\d+:\d+: |\.$/g, '').slice(0, 120) : String(cause)
      const what = this.#isEnding ? 'the XML ends too early' : 'the XML is not well-formed'
      this.#fail('PARSE_XML', `${what} (${reason})`, cause)
    }
  }

  #open(tag: SaxesTagNS): void {
    if (this.#depth === 0) this.#checkEncoding()
    if (++this.#depth > DEEPEST) this.#fail('PARSE_XML_REFUSED', `elements stand more than ${DEEPEST} deep`)
    this.#lastEvent = this.#parser.position
    this.#text = ''
    this.#isLeaf = true
    this.#listener.open(tag)
  }

  #gather(text: string): void {
    this.#lastEvent = this.#parser.position
    this.#text += text
    if (this.#text.length > LONGEST_PIECE) this.#tooLong()
  }

  #close(): void {
    this.#lastEvent = this.#parser.position
    this.#depth--
    const text = this.#isLeaf ? this.#text : NOT_TEXT
    this.#text = ''
    this.#isLeaf = false
    this.#listener.close(text)
  }

  /** Digits are the same in all of these; letters that are not UTF-8 fail when they come. */
  #checkEncoding(): void {
    const { encoding } = this.#parser.xmlDecl
    if (encoding === undefined || /^(utf-?8|us-ascii|iso-8859-1|windows-1252)$/i.test(encoding)) return
    this.#fail('PARSE_XML', `the XML says that it is ${encoding.slice(0, 40)}, not UTF-8`)
  }

  #tooLong(): never {
    this.#fail('PARSE_XML_REFUSED', `a text, a comment or a tag is longer than ${LONGEST_PIECE} characters`)
  }

  #fail(code: GreenButtonCode, what: string, cause?: unknown): never {
    throw greenButtonError(code, what, { ...this.#place, line: this.#parser.line, cause })
  }
}

/** The text being read, to tell byte offsets from its positions, which count UTF-16 units. */
class Slice {
  #text = ''
  /** Position and byte offset of its first character. */
  #position = 0
  #byte = 0
  /** The last tag that began before it: its text so far, and its byte offset. */
  #cut = { tag: '', offset: 0 }
  /** A place in it whose byte offset is known: counting goes on from there. */
  #known = { index: 0, byte: 0 }

  next(text: string): void {
    const tag = this.#text.lastIndexOf('<')
    if (tag >= 0) this.#cut = { tag: this.#text.slice(tag), offset: this.#byteAt(tag) }
    else this.#cut.tag += this.#text
    this.#byte = this.#byteAt(this.#text.length)
    this.#position += this.#text.length
    this.#text = text
    this.#known = { index: 0, byte: this.#byte }
  }

  /** The tag that ends at a position. `<` stands in no attribute, so the last one is where it begins. */
  tagBefore(position: number): { readonly tag: string; readonly offset: number } {
    const end = position - this.#position
    const tag = this.#text.lastIndexOf('<', end - 1)
    if (tag < 0) return { tag: this.#cut.tag + this.#text.slice(0, end), offset: this.#cut.offset }
    return { tag: this.#text.slice(tag, end), offset: this.#byteAt(tag) }
  }

  /** Byte offset of a place that is not before the one asked for last. */
  #byteAt(index: number): number {
    const known = this.#known
    known.byte += Buffer.byteLength(this.#text.slice(known.index, index))
    known.index = index
    return known.byte
  }
}
