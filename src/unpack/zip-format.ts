/**
 * The ZIP grammar (APPNOTE.TXT 6.3), as far as it can be read front to back. Numbers are little-endian.
 *
 *   [local header, data, (descriptor)]*  [central header]*  (zip64 end, zip64 locator)  end of directory
 */

import { extraField } from './extra-field.ts'
import { memberName } from './member-name.ts'

export const LOCAL = 0x04034b50
export const DESCRIPTOR = 0x08074b50
export const CENTRAL = 0x02014b50
export const ZIP64_END = 0x06064b50
export const ZIP64_LOCATOR = 0x07064b50
export const END = 0x06054b50
/** Stands before a directory that is encrypted as a whole. */
export const ARCHIVE_EXTRA_DATA = 0x08064b50

export const STORED = 0
const DEFLATED = 8
/** What WinZip writes for the method of a member it encrypts by AES. */
const AES = 99

/** All flags but hints for the packer, and that a descriptor follows, which some writers say in the local header alone. */
const TELLING_FLAGS = 0xfff1

const UINT16_MAX = 0xffff
const UINT32_MAX = 0xffffffff
const ZIP64_EXTRA = 1

/** What a local or central header says about a member. */
export interface MemberHeader {
  readonly name: string
  /** Its bytes, one character each. */
  readonly rawName: string
  readonly method: number
  /** Those that both headers must agree on. */
  readonly flags: number
  /** Sizes and CRC follow the data instead of standing here. */
  readonly hasDescriptor: boolean
  readonly crc32: number
  readonly compressedSize: number
  readonly size: number
}

/** What only the directory says: where the local header stands. */
export interface CentralHeader extends MemberHeader {
  readonly disk: number
  readonly offset: number
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

/** Reads a whole local header. */
export function readLocal(bytes: Buffer): MemberHeader {
  const { extra, ...header } = readShared(LOCAL, bytes)
  return { ...header, ...widened(extra, header) }
}

/** Reads a whole header of the directory. */
export function readCentral(bytes: Buffer): CentralHeader {
  const { extra, ...header } = readShared(CENTRAL, bytes)
  const place = { disk: bytes.readUInt16LE(34), offset: bytes.readUInt32LE(42) }
  return { ...header, ...widened(extra, { ...header, ...place }) }
}

function readShared(signature: typeof LOCAL | typeof CENTRAL, bytes: Buffer) {
  const { fixed, flags: at, lengths } = shapes[signature]
  const flags = bytes.readUInt16LE(at)
  const nameEnd = fixed + bytes.readUInt16LE(lengths[0]!)
  const raw = bytes.subarray(fixed, nameEnd)
  const extra = bytes.subarray(nameEnd, nameEnd + bytes.readUInt16LE(lengths[1]!))
  return {
    name: memberName(raw, flags, extra),
    rawName: raw.toString('latin1'),
    method: bytes.readUInt16LE(at + 2),
    flags: flags & TELLING_FLAGS,
    hasDescriptor: (flags & 8) !== 0,
    crc32: bytes.readUInt32LE(at + 8),
    compressedSize: bytes.readUInt32LE(at + 12),
    size: bytes.readUInt32LE(at + 16),
    extra
  }
}

/** Numbers that a header has no room for stand in extra field 1, in this order, each only where its own is all ones. */
function widened<Numbers extends { compressedSize: number; size: number; offset?: number; disk?: number }>(
  extra: Buffer,
  numbers: Numbers
) {
  const field = extraField(extra, ZIP64_EXTRA)
  if (field === undefined) return numbers
  let next = 0
  const wide = (value: number) => {
    if (value !== UINT32_MAX || next + 8 > field.length) return value
    next += 8
    return Number(field.readBigUInt64LE(next - 8))
  }
  const size = wide(numbers.size)
  const compressedSize = wide(numbers.compressedSize)
  if (numbers.offset === undefined) return { ...numbers, size, compressedSize }
  const offset = wide(numbers.offset)
  const disk = numbers.disk === UINT16_MAX && next + 4 <= field.length ? field.readUInt32LE(next) : numbers.disk
  return { ...numbers, size, compressedSize, offset, disk }
}

/** Packing methods by number, where they have a name. */
const methods: Readonly<Record<number, string>> = {
  1: 'Shrink',
  6: 'Implode',
  9: 'Deflate64',
  12: 'bzip2',
  14: 'LZMA',
  20: 'Zstandard',
  93: 'Zstandard',
  95: 'xz',
  98: 'PPMd'
}

/** Why a member cannot be read front to back, if that is so. */
export function unreadable({ flags, method }: MemberHeader) {
  // Bit 0: a password. Bit 6: strong encryption. Bit 13: its header is masked, because the directory is encrypted.
  if ((flags & 0x2041) !== 0 || method === AES) return { code: 'ZIP_ENCRYPTED', what: 'a member is encrypted' } as const
  const refused = (what: string) => ({ code: 'ZIP_UNSUPPORTED', what }) as const
  if ((flags & 0x20) !== 0) return refused('a member is a patch of another file')
  if (method !== STORED && method !== DEFLATED) {
    return refused(`a member is packed by ${methods[method] ?? 'an unknown method'} (method ${method})`)
  }
  return undefined
}

/**
 * Whether a member begins as an archive does that can be opened: a local header with a name or a version, and with
 * numbers that make sense. A signature alone may stand in any file. `bytes` holds 30, or all there are.
 */
export function looksLikeArchive(bytes: Buffer): boolean {
  if (bytes.length < shapes[LOCAL].fixed || bytes.readUInt32LE(0) !== LOCAL) return false
  const [version, method, nameLength] = [bytes[4]!, bytes.readUInt16LE(8), bytes.readUInt16LE(26)]
  return version <= 63 && method <= AES && (version >= 10 || nameLength > 0)
}
