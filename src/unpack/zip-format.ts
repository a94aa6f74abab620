/**
 * The ZIP grammar (APPNOTE.TXT 6.3), as far as it can be read front to back. Numbers are little-endian.
 *
 *   [local header, data, (descriptor)]*  [central header]*  (zip64 end, zip64 locator)  end of directory
 */

export const LOCAL = 0x04034b50
const DESCRIPTOR = 0x08074b50
export const CENTRAL = 0x02014b50
export const ZIP64_END = 0x06064b50
export const ZIP64_LOCATOR = 0x07064b50
export const END = 0x06054b50

export const STORED = 0
export const DEFLATED = 8

const UINT32_MAX = 0xffffffff

/** What a local or central header says about a member. */
export interface MemberHeader {
  readonly name: string
  readonly method: number
  readonly encrypted: boolean
  /** Sizes and CRC follow the data instead of standing here. */
  readonly hasDescriptor: boolean
  readonly zip64: boolean
  readonly crc32: number
  readonly compressedSize: number
  readonly size: number
}

/** Bytes that the fixed part of a header of this signature has, and where the lengths of its variable parts stand. */
const shapes = {
  [LOCAL]: { fixed: 30, flags: 6, lengths: [26, 28] as readonly number[] },
  [CENTRAL]: { fixed: 46, flags: 8, lengths: [28, 30, 32] as readonly number[] }
}

/** Length of the fixed part. */
export function fixedLength(signature: typeof LOCAL | typeof CENTRAL): number {
  return shapes[signature].fixed
}

/** Length of the whole header, from its fixed part. */
export function headerLength(signature: typeof LOCAL | typeof CENTRAL, fixed: Buffer): number {
  const { fixed: length, lengths } = shapes[signature]
  return lengths.reduce((sum, at) => sum + fixed.readUInt16LE(at), length)
}

/** Reads a whole header. */
export function readHeader(signature: typeof LOCAL | typeof CENTRAL, bytes: Buffer): MemberHeader {
  const { fixed, flags: at, lengths } = shapes[signature]
  const flags = bytes.readUInt16LE(at)
  const nameEnd = fixed + bytes.readUInt16LE(lengths[0]!)
  const extra = bytes.subarray(nameEnd, nameEnd + bytes.readUInt16LE(lengths[1]!))
  const sizes = { compressedSize: bytes.readUInt32LE(at + 12), size: bytes.readUInt32LE(at + 16) }
  return {
    // Bit 11: UTF-8. Without it CP437, which for the names we know is ASCII.
    // No name has a NUL, and databases take no text with one.
    name: bytes.toString((flags & 0x800) !== 0 ? 'utf8' : 'latin1', fixed, nameEnd).replaceAll('\0', '\ufffd'),
    method: bytes.readUInt16LE(at + 2),
    encrypted: (flags & 0x2041) !== 0,
    hasDescriptor: (flags & 8) !== 0,
    crc32: bytes.readUInt32LE(at + 8),
    ...readZip64(extra, sizes)
  }
}

/** Sizes over 4 GiB stand in extra field 1, in this order, each only where the 32-bit one is all ones. */
function readZip64(extra: Buffer, sizes: { compressedSize: number; size: number }) {
  let at = 0
  while (at + 4 <= extra.length) {
    const [id, length] = [extra.readUInt16LE(at), extra.readUInt16LE(at + 2)]
    const field = extra.subarray(at + 4, at + 4 + length)
    if (id === 1) {
      let next = 0
      const wide = (value: number) => {
        if (value !== UINT32_MAX || next + 8 > field.length) return value
        next += 8
        return Number(field.readBigUInt64LE(next - 8))
      }
      const size = wide(sizes.size)
      return { size, compressedSize: wide(sizes.compressedSize), zip64: true }
    }
    at += 4 + length
  }
  return { ...sizes, zip64: false }
}

/** What was measured while a member was unpacked. */
export interface Measured {
  readonly crc32: number
  readonly compressedSize: number
  readonly size: number
}

/**
 * The length of the descriptor behind a member, found by what it must say: with or without a signature, with 4- or
 * 8-byte sizes. Undefined: none of the four fits. `bytes` holds at least 24, or all there are.
 */
export function descriptorLength(bytes: Buffer, measured: Measured): number | undefined {
  for (const signed of [true, false]) {
    if (signed && (bytes.length < 4 || bytes.readUInt32LE(0) !== DESCRIPTOR)) continue
    for (const wide of [false, true]) {
      const from = signed ? 4 : 0
      const length = from + (wide ? 20 : 12)
      if (bytes.length < length || bytes.readUInt32LE(from) !== measured.crc32) continue
      const read = (at: number) => (wide ? Number(bytes.readBigUInt64LE(at)) : bytes.readUInt32LE(at))
      if (read(from + 4) === measured.compressedSize && read(from + (wide ? 12 : 8)) === measured.size) return length
    }
  }
  return undefined
}
