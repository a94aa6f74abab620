import type { Measured } from './descriptor.ts'
import type { ZipCursor } from './zip-cursor.ts'
import {
  ARCHIVE_EXTRA_DATA,
  CENTRAL,
  type CentralHeader,
  END,
  type MemberHeader,
  readCentral,
  ZIP64_END,
  ZIP64_LOCATOR
} from './zip-format.ts'

/** The Zip64 end record has 44 bytes behind its length and, rarely, a few for extensions. */
const [SHORTEST_ZIP64_END, LONGEST_ZIP64_END] = [44, 64 * 1024]

const [UINT16_MAX, UINT32_MAX] = [0xffff, 0xffffffff]

/** A member that streamed by: its local header, where that stood, and what came out. */
export interface SeenMember extends Measured, Pick<MemberHeader, 'rawName' | 'method' | 'flags'> {
  readonly offset: number
}

/**
 * The directory must list what streamed by, in order, and the records at the end must say where it stands and how long
 * it is. Whoever begins at the end, as most unpackers do, then sees the very members that were given here.
 */
export async function readDirectory(cursor: ZipCursor, seen: readonly SeenMember[]): Promise<void> {
  const at = cursor.bytes.position
  let listed = 0
  while ((await cursor.signature()) === CENTRAL) {
    const entry = readCentral(await cursor.header(CENTRAL))
    if (entry.disk !== 0) cursor.fail('ZIP_UNSUPPORTED', 'the archive is split over several files', entry.name)
    const difference = differenceOf(entry, seen[listed++])
    if (difference) cursor.fail('ZIP_DIRECTORY', `the directory lists ${difference}`, entry.name)
  }
  if ((await cursor.signature()) === ARCHIVE_EXTRA_DATA) cursor.fail('ZIP_ENCRYPTED', 'the directory is encrypted')
  if (listed !== seen.length) cursor.fail('ZIP_DIRECTORY', `the directory lists ${listed} of ${seen.length} members`)
  const directory = { members: listed, size: cursor.bytes.position - at, at }
  const isWide = (await cursor.signature()) === ZIP64_END
  if (isWide) await readWideEnd(cursor, directory)
  await readEnd(cursor, directory, isWide)
}

/** What the directory says of a member that is not so. */
function differenceOf(entry: CentralHeader, member: SeenMember | undefined): string | undefined {
  if (member === undefined) return 'a member that is not there'
  if (entry.rawName !== member.rawName) return 'another name than the member has'
  if (entry.method !== member.method) return 'another packing method than the member has'
  if (entry.flags !== member.flags) return 'other flags than the member has'
  if (entry.crc32 !== member.crc32) return 'another checksum than the member has'
  if (entry.compressedSize !== member.compressedSize) return 'another packed size than the member has'
  if (entry.size !== member.size) return 'another size than the member has'
  return entry.offset === member.offset ? undefined : 'a member in another place'
}

interface Directory {
  readonly members: number
  readonly size: number
  readonly at: number
}

async function readWideEnd(cursor: ZipCursor, { members, size, at }: Directory): Promise<void> {
  const start = cursor.bytes.position
  const length = Number((await cursor.need(12)).readBigUInt64LE(4))
  if (length < SHORTEST_ZIP64_END || length > LONGEST_ZIP64_END) {
    cursor.fail('ZIP_CORRUPT', 'the end record of the directory is not one')
  }
  const record = await cursor.take(12 + length)
  const said = (from: number) => Number(record.readBigUInt64LE(from))
  const isSplit = record.readUInt32LE(16) !== 0 || record.readUInt32LE(20) !== 0
  if ((await cursor.signature()) !== ZIP64_LOCATOR)
    cursor.fail('ZIP_CORRUPT', 'the locator of the end record is missing')
  const locator = await cursor.take(20)
  // Some writers count no disk where there is one.
  if (isSplit || locator.readUInt32LE(4) !== 0 || locator.readUInt32LE(16) > 1) {
    cursor.fail('ZIP_UNSUPPORTED', 'the archive is split over several files')
  }
  const isTrue = said(24) === members && said(32) === members && said(40) === size && said(48) === at
  if (!isTrue || Number(locator.readBigUInt64LE(8)) !== start) {
    cursor.fail('ZIP_DIRECTORY', 'the 64-bit end record describes another directory')
  }
}

/** With 64-bit records before it, each number of the end record may be all ones instead. */
async function readEnd(cursor: ZipCursor, { members, size, at }: Directory, isWide: boolean): Promise<void> {
  if ((await cursor.signature()) !== END) cursor.fail('ZIP_CORRUPT', 'bytes that belong to no member')
  const record = await cursor.take(22)
  const comment = await cursor.take(record.readUInt16LE(20), 'its comment')
  if ((await cursor.bytes.peek(1)).length > 0) cursor.fail('ZIP_CORRUPT', 'bytes behind the end of the archive')
  const short = (from: number, truth: number) => says(record.readUInt16LE(from), truth, isWide && UINT16_MAX)
  const long = (from: number, truth: number) => says(record.readUInt32LE(from), truth, isWide && UINT32_MAX)
  if (!short(4, 0) || !short(6, 0)) cursor.fail('ZIP_UNSUPPORTED', 'the archive is split over several files')
  // `zip -fz` into a pipe writes all ones for the place, and no 64-bit record that has it.
  const isThere = long(16, at) || record.readUInt32LE(16) === UINT32_MAX
  if (!short(8, members) || !short(10, members) || !long(12, size) || !isThere) {
    cursor.fail('ZIP_DIRECTORY', 'the end record describes another directory')
  }
  if (holdsEnd(comment)) cursor.fail('ZIP_DIRECTORY', 'the comment holds the end of another archive')
}

function says(value: number, truth: number, elsewhere: number | false): boolean {
  return value === truth || value === elsewhere
}

/** Unpackers look for the end record from the back, and would take one in the comment whose own comment ends with it. */
function holdsEnd(comment: Buffer): boolean {
  for (let at = comment.length - 22; at >= 0; at--) {
    if (comment.readUInt32LE(at) === END && comment.readUInt16LE(at + 20) === comment.length - at - 22) return true
  }
  return false
}
