/** What the first bytes of a file say it is. */
export type OpenPgpKind =
  /** `-----BEGIN PGP MESSAGE-----`; what it holds is seen only after the armor is off. */
  | 'armored-message'
  /** Packets that hold encrypted data. */
  | 'encrypted-message'
  /** Packets of a message that is only signed, packed or wrapped. */
  | 'unencrypted-message'
  | 'cleartext-signed'
  | 'public-key'
  | 'private-key'
  | 'signature'
  /** Armor of another kind: a message in parts, a first line that is damaged. */
  | 'other-armor'
  /** Not OpenPGP. */
  | 'none'

/** A file whose first 64 KiB are white space is not armor any more. */
const maxLead = 65_536
/** Longer than any first line of armor: `-----BEGIN PGP MESSAGE, PART 12/34-----` has 39 bytes. */
const maxBeginLine = 64
/** Holds the header of one packet and every byte of its body that is looked at. */
/** Markers and signatures that may stand before what matters. */
const maxLeadPackets = 16
const packetSample = 128
/** No key, signature or session key comes near this; RSA-16384 needs about 2 KiB. */
const maxSmallPacket = 32_768

const begin = '-----BEGIN PGP '

/** Judges a file by the bytes it begins with; `undefined` asks for more of them, unless the file has `ended`. */
export function sniffOpenPgp(bytes: Uint8Array, ended: boolean): OpenPgpKind | undefined {
  const first = bytes[0]
  if (first === undefined) return ended ? 'none' : undefined
  // Every packet begins with a set high bit. So does the UTF-8 byte-order mark, which may stand before armor.
  if (first >= 0x80 && first !== 0xef) return sniffPackets(bytes, ended)
  return sniffArmor(bytes, ended)
}

/** Judges packets without armor: like {@link sniffOpenPgp}, for bytes that no armor surrounds. */
export function sniffPackets(bytes: Uint8Array, ended: boolean): OpenPgpKind | undefined {
  let signed = false
  let from = 0
  for (let n = 0; n < maxLeadPackets; n++) {
    if (!ended && bytes.length < from + packetSample) return undefined
    const packet = packetAt(bytes, from)
    if (packet === undefined) return signed ? 'signature' : 'none'
    const kind = kindOf(packet)
    // A marker is to be skipped; a signature alone is detached, one before a message (PGP 2 wrote them so) is not.
    if (kind === 'signature') signed = true
    else if (kind !== 'marker') return signed && kind !== 'unencrypted-message' ? 'signature' : kind
    from = packet.end
  }
  // OpenPGP without doubt, and no message that anybody means well with: refused when it is opened.
  return 'encrypted-message'
}

function sniffArmor(bytes: Uint8Array, ended: boolean): OpenPgpKind | undefined {
  let at = 0
  for (const byte of [0xef, 0xbb, 0xbf]) {
    if (bytes[at] !== byte) break
    at++
  }
  if (at > 0 && at < 3 && (ended || at < bytes.length)) return 'none'
  while (isSpace(bytes[at])) at++
  if (at >= maxLead) return 'none'
  const line = latin1(bytes.subarray(at, at + maxBeginLine))
  if (line.length < begin.length && begin.startsWith(line)) {
    if (!ended) return undefined
    // Five dashes and nothing else: no CSV ends so, an armored file that was cut short does.
    return line.length < 5 ? 'none' : 'armored-message'
  }
  if (!line.startsWith(begin)) return 'none'
  const close = line.indexOf('-----', begin.length)
  if (close >= 0) return kindOfArmor(line.slice(begin.length, close))
  if (line.length === maxBeginLine) return 'other-armor'
  if (!ended) return undefined
  return 'MESSAGE-----'.startsWith(line.slice(begin.length)) ? 'armored-message' : 'other-armor'
}

function kindOfArmor(label: string): OpenPgpKind {
  switch (label) {
    case 'MESSAGE':
      return 'armored-message'
    case 'SIGNED MESSAGE':
      return 'cleartext-signed'
    case 'SIGNATURE':
      return 'signature'
    case 'PUBLIC KEY BLOCK':
      return 'public-key'
    case 'PRIVATE KEY BLOCK':
    case 'SECRET KEY BLOCK':
      return 'private-key'
    default:
      return 'other-armor'
  }
}

/** One packet as its header tells it. */
interface Packet {
  readonly tag: number
  /** Bytes of the body; those of its first part when `open`. */
  readonly length: number
  /** The length is partial (more parts follow) or indeterminate (it ends with the file). */
  readonly open: boolean
  /** As much of the body as was sampled. */
  readonly body: Uint8Array
  /** Where the next packet begins. */
  readonly end: number
}

/**
 * A packet header, RFC 9580 §4.2. Old format: `10 tttt ll`, then 1, 2, 4 or no length bytes.
 * New format: `11 tttttt`, then a length of one, two or five bytes, or a partial one (a power of two).
 */
function packetAt(bytes: Uint8Array, at: number): Packet | undefined {
  const header = bytes[at]
  if (header === undefined || header < 0x80) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const left = bytes.length - at
  const made = (tag: number, headerBytes: number, length: number, open = false): Packet | undefined => {
    if (left <= headerBytes) return undefined
    const start = at + headerBytes
    return {
      tag,
      length,
      open,
      body: bytes.subarray(start, Math.min(bytes.length, start + length)),
      end: start + length
    }
  }
  if (header < 0xc0) {
    const tag = (header >> 2) & 0x0f
    switch (header & 3) {
      case 0:
        return left < 2 ? undefined : made(tag, 2, view.getUint8(at + 1))
      case 1:
        return left < 3 ? undefined : made(tag, 3, view.getUint16(at + 1))
      case 2:
        return left < 5 ? undefined : made(tag, 5, view.getUint32(at + 1))
      default:
        return made(tag, 1, Number.POSITIVE_INFINITY, true)
    }
  }
  const tag = header & 0x3f
  if (left < 2) return undefined
  const length = view.getUint8(at + 1)
  if (length < 192) return made(tag, 2, length)
  if (length < 224) return left < 3 ? undefined : made(tag, 3, ((length - 192) << 8) + view.getUint8(at + 2) + 192)
  if (length === 255) return left < 6 ? undefined : made(tag, 6, view.getUint32(at + 2))
  // The first part of a packet in parts has at least 512 bytes.
  return length < 224 + 9 ? undefined : made(tag, 2, 2 ** (length & 0x1f), true)
}

/**
 * What a first packet makes of a file. Strict, for any byte with the high bit set is also the beginning of a text in
 * UTF-8 or Windows-1252: every case asks for bytes that text never has, in their places.
 */
function kindOf(packet: Packet): OpenPgpKind | 'marker' {
  const { tag, length, open, body } = packet
  const [b0 = -1, b1 = -1, b2 = -1, b3 = -1] = body
  const small = !open && length <= maxSmallPacket
  switch (tag) {
    case 1: // session key for a public key
      if (small && length >= 12 && (b0 === 2 || b0 === 3) && isKeyAlgorithm(body[9])) return 'encrypted-message'
      return small && length >= 12 && b0 === 6 && (b1 === 0 || b1 === 21 || b1 === 33) ? 'encrypted-message' : 'none'
    case 3: // session key from a password
      return small && length >= 4 && length < 256 && b0 >= 4 && b0 <= 6 ? 'encrypted-message' : 'none'
    case 18: // encrypted data with integrity protection
      if (length >= 33 && b0 === 1) return 'encrypted-message'
      return length >= 36 && b0 === 2 && isCipher(b1) && isAead(b2) && b3 <= 56 ? 'encrypted-message' : 'none'
    case 20: // encrypted data of GnuPG 2.3 and later
      return length >= 36 && b0 === 1 && isCipher(b1) && isAead(b2) && b3 <= 56 ? 'encrypted-message' : 'none'
    case 9: // encrypted data without integrity; nothing but noise, and noise has bytes that text has not
      return length >= 192 && Number.isFinite(length) && body.length >= 64 && body.some(isControl)
        ? 'encrypted-message'
        : 'none'
    case 10:
      return length === 3 && latin1(body) === 'PGP' ? 'marker' : 'none'
    case 8: // compressed data: raw deflate, zlib, bzip2
      if (b0 === 1) return b1 >= 0 && (b1 & 6) !== 6 ? 'unencrypted-message' : 'none'
      if (b0 === 2) return (b1 & 0x0f) === 8 && ((b1 << 8) | b2) % 31 === 0 ? 'unencrypted-message' : 'none'
      return b0 === 3 && latin1(body.subarray(1, 4)) === 'BZh' ? 'unencrypted-message' : 'none'
    case 11: // literal data: format, name, date
      return 'btul1m'.includes(String.fromCharCode(b0 & 0xff)) &&
        b1 >= 0 &&
        length >= 6 + b1 &&
        body.subarray(1, 6 + b1).some(isControl)
        ? 'unencrypted-message'
        : 'none'
    case 4: // what announces a signature that follows its data
      if (small && length === 13 && b0 === 3 && b1 <= 1 && isHash(b2) && isKeyAlgorithm(b3))
        return 'unencrypted-message'
      return small && length >= 38 && b0 === 6 && b1 <= 1 && isHash(b2) ? 'unencrypted-message' : 'none'
    case 2: // signature
      if (small && length >= 19 && b0 === 3 && b1 === 5) return 'signature'
      return small && length >= 8 && b0 >= 4 && b0 <= 6 && isKeyAlgorithm(b2) && isHash(b3) ? 'signature' : 'none'
    case 5:
    case 6: {
      const algorithm = b0 === 2 || b0 === 3 ? body[7] : b0 >= 4 && b0 <= 6 ? body[5] : undefined
      if (!small || length < 12 || !isKeyAlgorithm(algorithm)) return 'none'
      return tag === 5 ? 'private-key' : 'public-key'
    }
    default:
      return 'none'
  }
}

// Registries of RFC 9580 §9, with room for what is being added to them.
const isKeyAlgorithm = (byte: number | undefined) => byte !== undefined && byte >= 1 && byte <= 40
const isCipher = (byte: number) => byte >= 1 && byte <= 13
const isAead = (byte: number) => byte >= 1 && byte <= 3
const isHash = (byte: number) => byte >= 1 && byte <= 14

const isSpace = (byte: number | undefined) => byte === 0x20 || (byte !== undefined && byte >= 0x09 && byte <= 0x0d)
const isControl = (byte: number) => byte < 0x20 && !isSpace(byte)
const latin1 = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
