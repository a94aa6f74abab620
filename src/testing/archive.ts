import { crc32, deflateRawSync } from 'node:zlib'

/** One member of an archive to be made. */
export interface ZipEntry {
  readonly name: string
  readonly bytes: Uint8Array
  /** @default 'deflate' */
  readonly method?: 'deflate' | 'store' | undefined
}

export interface ZipOptions {
  /** Sizes and CRC after each member, in a signed descriptor, as a writer does that cannot seek back. @default false */
  readonly dataDescriptors?: boolean | undefined
  /** Name of a member whose CRC is written wrong, everywhere it is written. */
  readonly breakCrcOf?: string | undefined
  /** Comment at the end of the archive, ASCII. @default '' */
  readonly comment?: string | undefined
  /** Deflate level, 1 to 9. @default 6 */
  readonly level?: number | undefined
}

/** Writes a ZIP archive: local headers with their members, the central directory, the end record. */
export function makeZip(entries: readonly ZipEntry[], options: ZipOptions = {}): Buffer {
  const { dataDescriptors = false, breakCrcOf, comment = '', level = 6 } = options
  const parts: Buffer[] = []
  const directory: Buffer[] = []
  let offset = 0
  for (const entry of entries) {
    const member = pack(entry, level, entry.name === breakCrcOf, dataDescriptors)
    const written = [
      localHeader(member, dataDescriptors),
      member.packed,
      dataDescriptors ? descriptor(member) : Buffer.alloc(0)
    ]
    parts.push(...written)
    directory.push(directoryHeader(member, offset))
    offset += written.reduce((sum, part) => sum + part.length, 0)
  }
  const directoryBytes = Buffer.concat(directory)
  return Buffer.concat([...parts, directoryBytes, endRecord(entries.length, directoryBytes.length, offset, comment)])
}

interface Member {
  readonly name: Buffer
  readonly packed: Buffer
  readonly size: number
  readonly crc: number
  readonly method: 0 | 8
  readonly flags: number
}

// Bit 3: a descriptor follows. Bit 11: the name is UTF-8.
const descriptorFlag = 0x0008
const utf8Flag = 0x0800
// 2025-07-15 06:41:12 as MS-DOS writes it; any moment would do, the same one keeps archives reproducible.
const dosTime = (6 << 11) | (41 << 5) | (12 / 2)
const dosDate = ((2025 - 1980) << 9) | (7 << 5) | 15

function pack({ name, bytes, method }: ZipEntry, level: number, breakCrc: boolean, dataDescriptors: boolean): Member {
  return {
    name: Buffer.from(name),
    packed: method === 'store' ? Buffer.from(bytes) : deflateRawSync(bytes, { level }),
    size: bytes.length,
    crc: (crc32(bytes) ^ (breakCrc ? 1 : 0)) >>> 0,
    method: method === 'store' ? 0 : 8,
    flags: utf8Flag | (dataDescriptors ? descriptorFlag : 0)
  }
}

function localHeader(member: Member, dataDescriptors: boolean): Buffer {
  const header = Buffer.alloc(30)
  header.writeUInt32LE(0x04034b50, 0)
  writeCommon(header, 4, member)
  if (dataDescriptors) header.fill(0, 14, 26)
  return Buffer.concat([header, member.name])
}

function descriptor({ crc, packed, size }: Member): Buffer {
  const bytes = Buffer.alloc(16)
  bytes.writeUInt32LE(0x08074b50, 0)
  bytes.writeUInt32LE(crc, 4)
  bytes.writeUInt32LE(packed.length, 8)
  bytes.writeUInt32LE(size, 12)
  return bytes
}

function directoryHeader(member: Member, offset: number): Buffer {
  const header = Buffer.alloc(46)
  header.writeUInt32LE(0x02014b50, 0)
  header.writeUInt16LE(20, 4)
  writeCommon(header, 6, member)
  header.writeUInt32LE(offset, 42)
  return Buffer.concat([header, member.name])
}

/** The 24 bytes that a local header and a directory header share, from the version needed to the name's length. */
function writeCommon(header: Buffer, at: number, { name, packed, size, crc, method, flags }: Member): void {
  header.writeUInt16LE(20, at)
  header.writeUInt16LE(flags, at + 2)
  header.writeUInt16LE(method, at + 4)
  header.writeUInt16LE(dosTime, at + 6)
  header.writeUInt16LE(dosDate, at + 8)
  header.writeUInt32LE(crc, at + 10)
  header.writeUInt32LE(packed.length, at + 14)
  header.writeUInt32LE(size, at + 18)
  header.writeUInt16LE(name.length, at + 22)
}

function endRecord(entries: number, directoryBytes: number, directoryAt: number, comment: string): Buffer {
  const record = Buffer.alloc(22)
  record.writeUInt32LE(0x06054b50, 0)
  record.writeUInt16LE(entries, 8)
  record.writeUInt16LE(entries, 10)
  record.writeUInt32LE(directoryBytes, 12)
  record.writeUInt32LE(directoryAt, 16)
  record.writeUInt16LE(comment.length, 20)
  return Buffer.concat([record, Buffer.from(comment, 'latin1')])
}
