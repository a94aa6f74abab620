import { DecryptError, type ErrorPlace } from '../errors.ts'

const begin = '-----BEGIN PGP MESSAGE-----'
const end = '-----END PGP MESSAGE-----'
/** Armor headers are a line or two; a line beyond this is not one. */
const maxLine = 65_536
/** As much of a line after the message as can tell that another one begins. */
const maxBegin = 128
const dash = 0x2d
const equals = 0x3d

/** The six bits of each base64 character in the four places of a group, -1 for every other byte. */
const [place0, place1, place2, place3] = [18, 12, 6, 0].map(shift => {
  const table = new Int32Array(256).fill(-1)
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
  for (let i = 0; i < 64; i++) table[alphabet.charCodeAt(i)] = i << shift
  return table
}) as [Int32Array, Int32Array, Int32Array, Int32Array]

/**
 * Takes the armor off a message, RFC 9580 §6: a BEGIN line, headers, an empty line, base64, a checksum perhaps, an END
 * line. Strict where leniency could hide a loss: a byte that does not belong in the base64, or an END line that never
 * comes, is an error. The checksum is not compared (the RFC forbids to reject by it; the message has a better one).
 */
export class Dearmor {
  readonly #place: ErrorPlace
  #part: 'before' | 'headers' | 'body' | 'padding' | 'checksum' | 'end' | 'after' = 'before'
  /** What is there of a line that a chunk cut, in the parts that are read by lines. */
  #line = ''
  /** Bits and characters of a base64 group that a chunk or a line end cut. */
  #bits = 0
  #count = 0
  /** Characters of the padding or of the checksum that are still to come. */
  #owed = 0

  constructor(place: ErrorPlace) {
    this.#place = place
  }

  /** Takes the next bytes and gives what they decode to; nothing, often. */
  push(bytes: Uint8Array): Uint8Array {
    const out = new Uint8Array(Math.ceil(((bytes.length + this.#count) / 4) * 3))
    let o = 0
    let i = 0
    while (i < bytes.length) {
      if (this.#part !== 'body') {
        i = this.#part === 'padding' || this.#part === 'checksum' ? this.#pushTail(bytes, i) : this.#pushLine(bytes, i)
        continue
      }
      if (this.#count === 0) {
        const last = bytes.length - 3
        while (i < last) {
          const group = place0[bytes[i]!]! | place1[bytes[i + 1]!]! | place2[bytes[i + 2]!]! | place3[bytes[i + 3]!]!
          if (group < 0) break
          out[o] = group >> 16
          out[o + 1] = group >> 8
          out[o + 2] = group
          o += 3
          i += 4
        }
        if (i >= bytes.length) break
      }
      o = this.#pushCharacter(bytes[i]!, out, o)
      // The END line is read from its first dash.
      if (bytes[i] !== dash) i++
    }
    return out.subarray(0, o)
  }

  /** Takes note that nothing follows. */
  end(): void {
    if (this.#part === 'after' || (this.#part === 'end' && this.#line.trimEnd() === end)) {
      this.#endLine()
      return
    }
    if (this.#part === 'end' && !end.startsWith(this.#line)) throw this.#corrupt('an armor line is wrong')
    throw new DecryptError('DECRYPT_TRUNCATED', 'the armored message ends before its END line', this.#place)
  }

  /** One byte of the body where no whole group lies ahead. */
  #pushCharacter(byte: number, out: Uint8Array, o: number): number {
    const six = place3[byte]!
    if (six >= 0) {
      this.#bits = (this.#bits << 6) | six
      if (++this.#count < 4) return o
      out[o] = this.#bits >> 16
      out[o + 1] = this.#bits >> 8
      out[o + 2] = this.#bits
      this.#bits = this.#count = 0
      return o + 3
    }
    if (isSpace(byte)) return o
    if (byte === equals) return this.#pad(out, o)
    if (byte !== dash) throw this.#corrupt('a byte of the armor is not base64')
    if (this.#count !== 0) throw this.#corrupt('the base64 of the armor ends amid a group')
    this.#part = 'end'
    return o
  }

  /** `=` in the body: the last group has one or two bytes, or the checksum begins. */
  #pad(out: Uint8Array, o: number): number {
    const count = this.#count
    const bits = this.#bits
    this.#bits = this.#count = 0
    if (count === 0) {
      this.#part = 'checksum'
      this.#owed = 4
      return o
    }
    const rest = count === 2 ? bits & 0x0f : bits & 0x03
    if (count === 1 || rest !== 0) throw this.#corrupt('the base64 of the armor ends amid a group')
    this.#part = 'padding'
    this.#owed = count === 2 ? 1 : 0
    if (count === 2) {
      out[o] = bits >> 4
      return o + 1
    }
    out[o] = bits >> 10
    out[o + 1] = bits >> 2
    return o + 2
  }

  /** After the last group: the rest of its padding, then `=` and four characters of checksum, then the END line. */
  #pushTail(bytes: Uint8Array, i: number): number {
    const byte = bytes[i]!
    if (isSpace(byte)) return i + 1
    if (byte === dash && this.#owed === 0) {
      this.#part = 'end'
      return i
    }
    if (this.#part === 'padding' && byte === equals) {
      if (this.#owed > 0) this.#owed--
      else {
        this.#part = 'checksum'
        this.#owed = 4
      }
      return i + 1
    }
    if (this.#part !== 'checksum' || this.#owed === 0 || place3[byte]! < 0) {
      throw this.#corrupt('a byte of the armor is not base64')
    }
    this.#owed--
    return i + 1
  }

  #pushLine(bytes: Uint8Array, i: number): number {
    const newline = bytes.indexOf(0x0a, i)
    const stop = newline < 0 ? bytes.length : newline
    // What follows the END line means nothing, however long: enough of each line is kept to see a BEGIN.
    const keep = this.#part === 'after' ? Math.min(stop, i + Math.max(0, maxBegin - this.#line.length)) : stop
    this.#line += Buffer.from(bytes.buffer, bytes.byteOffset + i, keep - i).toString('latin1')
    if (this.#line.length > maxLine) throw this.#corrupt('a line of the armor is too long')
    if (newline < 0) return stop
    this.#endLine()
    return newline + 1
  }

  #endLine(): void {
    const line = this.#line.replace(byteOrderMark, '').trim()
    this.#line = ''
    switch (this.#part) {
      case 'before':
        if (line === begin) this.#part = 'headers'
        else if (line !== '') throw this.#corrupt('an armor line is wrong')
        return
      case 'headers':
        if (line === '') this.#part = 'body'
        else if (!/^[^:]+:/.test(line)) throw this.#corrupt('the armor has no empty line before its base64')
        return
      case 'end':
        if (line !== end) throw this.#corrupt('an armor line is wrong')
        this.#part = 'after'
        return
      default:
        // To read the first message and forget the second would lose a report.
        if (line.startsWith('-----BEGIN PGP ')) throw this.#corrupt('a second armored block follows the message')
    }
  }

  #corrupt(what: string): DecryptError {
    return new DecryptError('DECRYPT_CORRUPT', what, this.#place)
  }
}

/** A UTF-8 byte-order mark, as latin1 shows it. */
const byteOrderMark = /^\u00ef\u00bb\u00bf/

function isSpace(byte: number): boolean {
  return byte === 0x20 || (byte >= 0x09 && byte <= 0x0d)
}
