import { crc32 } from 'node:zlib'
import { withoutReturn } from '../without-return.ts'
import { type Budget, MemberWeight } from './archive-limits.ts'
import type { ByteReader } from './byte-reader.ts'
import { descriptorLength, LONGEST_DESCRIPTOR, type Measured } from './descriptor.ts'
import { EndOfArchive, inflated, isInflateError, stored, type Unpacking } from './inflate.ts'
import { type ArchivePlace, ZipCursor } from './zip-cursor.ts'
import { readDirectory, type SeenMember } from './zip-directory.ts'
import { CENTRAL, LOCAL, type MemberHeader, readLocal, STORED, unreadable } from './zip-format.ts'

/** One member, while it streams by. */
export interface ZipMember {
  /** Its name, behind those of the archives that it is in. */
  readonly name: string
  /** The unpacked bytes. Sizes and CRC have been compared when it ends. */
  readonly chunks: AsyncIterable<Uint8Array>
  /** What came of it so far, for the members in it. */
  readonly weight: MemberWeight
  /** Known when `chunks` has ended. */
  measured(): Measured | undefined
}

/** Where an archive stands, and what may come of it. */
export interface Archive extends ArchivePlace {
  readonly budget: Budget
  /** Of the member that the archive is, when it stands in another one. */
  readonly weight: MemberWeight | undefined
}

/**
 * Reads a ZIP front to back, without seeking.
 *
 * A member's data ends where its deflate stream says so, never at something that looks like a signature. Its CRC-32 and
 * sizes are compared with what came out, and at the end the directory must list exactly the members that streamed by.
 *
 * In: bytes of one archive. Out: its members, in order; each must be read to its end before the next.
 * Memory: one chunk in, one chunk out, and about 200 bytes for each member.
 */
export async function* readZip(bytes: ByteReader, archive: Archive): AsyncGenerator<ZipMember, void> {
  const cursor = new ZipCursor(bytes, archive)
  const seen: SeenMember[] = []
  for (let offset = bytes.position; (await cursor.signature()) === LOCAL; offset = bytes.position) {
    const header = readLocal(await cursor.header(LOCAL))
    const tooMany = archive.budget.addEntry()
    if (tooMany) cursor.fail('ZIP_LIMIT', tooMany)
    const refused = unreadable(header)
    if (refused) cursor.fail(refused.code, refused.what, header.name)
    const unpacking = begin(bytes, header)
    const weight = new MemberWeight(archive.budget, unpacking.packed, archive.weight)
    let measured: Measured | undefined
    const chunks = unpack(cursor, header, unpacking, weight, done => {
      measured = done
    })
    try {
      yield { name: cursor.label(header.name), chunks: withoutReturn(chunks), weight, measured: () => measured }
      // Whoever asks for the next member may not have read this one: its checks run all the same.
      for await (const _ of chunks);
    } finally {
      unpacking.stop()
      // Not waited for: a member that is left in the middle may wait for bytes that never come.
      chunks.return().catch(() => {})
    }
    const { rawName, method, flags } = header
    seen.push({ rawName, method, flags, offset, ...measured! })
  }
  await readDirectory(cursor, seen)
}

function begin(bytes: ByteReader, header: MemberHeader): Unpacking {
  // Nothing tells where stored data ends that a descriptor follows, but a search for a signature, which the data itself may
  // hold. Only where there are none is it sound: zip writes empty files and folders into a pipe like that.
  if (header.method === STORED) return stored(bytes, header.hasDescriptor ? 0 : header.size)
  return inflated(bytes, header.hasDescriptor ? undefined : header)
}

async function* unpack(
  cursor: ZipCursor,
  header: MemberHeader,
  { chunks, packed }: Unpacking,
  weight: MemberWeight,
  done: (measured: Measured) => void
): AsyncGenerator<Uint8Array, void> {
  let crc = 0
  let size = 0
  try {
    for await (const chunk of chunks) {
      crc = crc32(chunk, crc)
      size += chunk.length
      const tooMuch = weight.add(chunk.length)
      if (tooMuch) cursor.fail('ZIP_LIMIT', tooMuch, header.name)
      yield chunk
    }
  } catch (cause) {
    if (cause instanceof EndOfArchive) cursor.fail('ZIP_TRUNCATED', 'the archive ends inside a member', header.name)
    if (isInflateError(cause)) cursor.fail('ZIP_CORRUPT', 'a member cannot be unpacked', header.name, cause)
    // Whatever broke upstream comes out as it went in.
    throw cause
  }
  const measured = { crc32: crc, size, compressedSize: packed() }
  await compare(cursor, header, measured)
  done(measured)
}

async function compare(cursor: ZipCursor, header: MemberHeader, measured: Measured): Promise<void> {
  if (header.hasDescriptor) {
    const following = await cursor.bytes.peek(LONGEST_DESCRIPTOR + 4)
    // At least a descriptor of 12 bytes, a directory and an end record of 22 must follow.
    if (following.length < LONGEST_DESCRIPTOR + 4) {
      cursor.fail('ZIP_TRUNCATED', 'the archive ends behind a member', header.name)
    }
    const length = descriptorLength(following, measured)
    const next = length === undefined ? undefined : following.readUInt32LE(length)
    if (header.method === STORED && next !== LOCAL && next !== CENTRAL) {
      cursor.fail('ZIP_UNSUPPORTED', 'a stored member of unknown length', header.name)
    }
    if (length !== undefined) return cursor.bytes.skip(length)
    cursor.fail('ZIP_CRC', 'checksum or sizes of a member do not match', header.name)
  }
  if (measured.size !== header.size || measured.compressedSize !== header.compressedSize) {
    const sizes = `${measured.size} bytes instead of ${header.size}`
    cursor.fail('ZIP_SIZE', `a member unpacks to ${sizes}`, header.name)
  }
  if (measured.crc32 !== header.crc32) cursor.fail('ZIP_CRC', 'the checksum of a member does not match', header.name)
}
