import { crc32, createInflateRaw } from 'node:zlib'
import { type ErrorCode, UnpackError } from '../errors.ts'
import { type ByteReader, withoutReturn } from './byte-reader.ts'
import {
  CENTRAL,
  DEFLATED,
  descriptorLength,
  END,
  fixedLength,
  headerLength,
  LOCAL,
  type Measured,
  type MemberHeader,
  readHeader,
  STORED,
  ZIP64_END,
  ZIP64_LOCATOR
} from './zip-format.ts'

/** Where bench/parse stops improving: bigger pieces, fewer trips to the thread pool. */
const INFLATE_CHUNK = 256 * 1024

/** The Zip64 end record has 44 bytes and, rarely, a few for extensions. */
const LONGEST_ZIP64_END = 64 * 1024

/** One member, while it streams by. */
export interface ZipMember {
  readonly index: number
  readonly name: string
  /** The unpacked bytes. Sizes and CRC have been compared when it ends. */
  readonly chunks: AsyncIterable<Uint8Array>
  /** Known when `chunks` has ended. */
  measured(): Measured | undefined
}

/**
 * Reads a ZIP front to back, without seeking.
 *
 * A member's data ends where its deflate stream says so, never at something that looks like a signature. Its CRC-32 and
 * sizes are compared with what came out, and at the end the directory must list exactly the members that streamed by.
 *
 * In: bytes of one archive. Out: its members, in order; each must be read to its end before the next.
 * Memory: one chunk in, one chunk out, and about a hundred bytes for each member.
 */
export async function* readZip(bytes: ByteReader, file: string | undefined): AsyncGenerator<ZipMember, void> {
  const seen: (MemberHeader & Measured)[] = []
  const fail = (code: ErrorCode, what: string, entry?: string, cause?: unknown): never => {
    throw new UnpackError(code, what, { file, entry, cause })
  }
  while ((await signature()) === LOCAL) {
    const header = await readWhole(LOCAL)
    refuseUnreadable(header)
    let measured: Measured | undefined
    const chunks = unpack(header, done => {
      measured = done
    })
    try {
      yield { index: seen.length, name: header.name, chunks: withoutReturn(chunks), measured: () => measured }
      // Whoever asks for the next member may not have read this one: its checks run all the same.
      for await (const _ of chunks);
    } finally {
      await chunks.return()
    }
    seen.push({ ...header, ...measured! })
  }
  await readDirectory()

  async function signature(): Promise<number> {
    const start = await bytes.peek(4)
    return start.length < 4 ? fail('ZIP_TRUNCATED', 'the archive ends before its directory') : start.readUInt32LE(0)
  }

  async function readWhole(kind: typeof LOCAL | typeof CENTRAL): Promise<MemberHeader> {
    const fixed = await bytes.peek(fixedLength(kind))
    if (fixed.length < fixedLength(kind)) return fail('ZIP_TRUNCATED', 'the archive ends inside a header')
    const length = headerLength(kind, fixed)
    const whole = await bytes.peek(length)
    if (whole.length < length) return fail('ZIP_TRUNCATED', 'the archive ends inside a header')
    bytes.skip(length)
    return readHeader(kind, whole)
  }

  function refuseUnreadable({ name, encrypted, method, hasDescriptor }: MemberHeader): void {
    if (encrypted) fail('ZIP_ENCRYPTED', 'a member is encrypted', name)
    if (method !== STORED && method !== DEFLATED) fail('ZIP_UNSUPPORTED', `packing method ${method}`, name)
    // Nothing tells where such data ends but a search for a signature that the data itself may hold.
    if (method === STORED && hasDescriptor) fail('ZIP_UNSUPPORTED', 'a stored member of unknown length', name)
  }

  async function* unpack(header: MemberHeader, done: (measured: Measured) => void): AsyncGenerator<Uint8Array, void> {
    let crc = 0
    let size = 0
    const source =
      header.method === STORED ? stored(bytes, header.size) : inflated(bytes, header.hasDescriptor ? undefined : header)
    let compressedSize = 0
    try {
      for (;;) {
        const { done: ended, value } = await source.next()
        if (ended) {
          compressedSize = value
          break
        }
        crc = crc32(value, crc)
        size += value.length
        yield value
      }
    } catch (cause) {
      if (cause instanceof EndOfArchive) fail('ZIP_TRUNCATED', 'the archive ends inside a member', header.name)
      if (isInflateError(cause)) fail('ZIP_CORRUPT', 'a member cannot be unpacked', header.name, cause)
      // Whatever broke upstream comes out as it went in.
      throw cause
    } finally {
      await source.return(0)
    }
    await compare(header, { crc32: crc, size, compressedSize })
    done({ crc32: crc, size, compressedSize })
  }

  async function compare(header: MemberHeader, measured: Measured): Promise<void> {
    if (header.hasDescriptor) {
      const following = await bytes.peek(24)
      const length = descriptorLength(following, measured)
      if (length !== undefined) return bytes.skip(length)
      // At least a descriptor of 12 bytes and an end record of 22 must follow.
      if (following.length < 24) fail('ZIP_TRUNCATED', 'the archive ends behind a member', header.name)
      fail('ZIP_CRC', 'checksum or sizes of a member do not match', header.name)
    }
    if (measured.size !== header.size || measured.compressedSize !== header.compressedSize) {
      const sizes = `${measured.size} bytes instead of ${header.size}`
      fail('ZIP_SIZE', `a member unpacks to ${sizes}`, header.name)
    }
    if (measured.crc32 !== header.crc32) fail('ZIP_CRC', 'the checksum of a member does not match', header.name)
  }

  /** The directory must list what streamed by, in order; whatever else stands behind the data is refused. */
  async function readDirectory(): Promise<void> {
    let listed = 0
    while ((await signature()) === CENTRAL) {
      const entry = await readWhole(CENTRAL)
      const member = seen[listed++]
      const same = member && entry.name === member.name && entry.crc32 === member.crc32 && entry.size === member.size
      if (!same) fail('ZIP_DIRECTORY', 'the directory does not match the members', entry.name)
    }
    if (listed !== seen.length) fail('ZIP_DIRECTORY', `the directory lists ${listed} of ${seen.length} members`)
    if ((await signature()) === ZIP64_END) {
      const length = Number((await need(12)).readBigUInt64LE(4))
      if (length > LONGEST_ZIP64_END) fail('ZIP_CORRUPT', 'the end record of the directory is not one')
      await skip(12 + length)
    }
    if ((await signature()) === ZIP64_LOCATOR) await skip(20)
    if ((await signature()) !== END) fail('ZIP_CORRUPT', 'bytes that belong to no member')
    await skip(22 + (await need(22)).readUInt16LE(20))
    if ((await bytes.peek(1)).length > 0) fail('ZIP_CORRUPT', 'bytes behind the end of the archive')
  }

  async function need(n: number): Promise<Buffer> {
    const piece = await bytes.peek(n)
    return piece.length < n ? fail('ZIP_TRUNCATED', 'the archive ends inside its directory') : piece
  }

  async function skip(n: number): Promise<void> {
    await need(n)
    bytes.skip(n)
  }
}

/** Raised where the bytes end and the member does not. */
class EndOfArchive extends Error {}

/** zlib's own: `Z_DATA_ERROR`, `Z_BUF_ERROR` and the like. */
function isInflateError(error: unknown): boolean {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('Z_')
}

async function* stored(bytes: ByteReader, size: number): AsyncGenerator<Uint8Array, number> {
  let left = size
  while (left > 0) {
    const piece = await bytes.next(left)
    if (piece === undefined) throw new EndOfArchive()
    left -= piece.length
    yield piece
  }
  return size
}

/**
 * Inflates one member and gives back what does not belong to it. zlib stops by itself at the end of the deflate
 * stream, and `bytesWritten` tells how much it took. One chunk is under way at a time, so that only its rest can be left.
 */
async function* inflated(bytes: ByteReader, known: MemberHeader | undefined): AsyncGenerator<Uint8Array, number> {
  const inflater = createInflateRaw({ chunkSize: INFLATE_CHUNK })
  let ended = false
  const settled = new Promise<void>(resolve => {
    inflater
      .once('end', resolve)
      .once('error', () => resolve())
      .once('close', resolve)
  }).then(() => {
    ended = true
  })
  const feeding = feed().catch(error => {
    inflater.destroy(error)
  })
  try {
    for await (const chunk of inflater) yield chunk as Buffer
    await feeding
    return inflater.bytesWritten
  } finally {
    inflater.destroy()
  }

  async function feed(): Promise<void> {
    let fed = 0
    let left = known?.compressedSize ?? Number.POSITIVE_INFINITY
    while (!ended) {
      if (left === 0) {
        inflater.end()
        return
      }
      const piece = await bytes.next(left)
      if (piece === undefined) throw new EndOfArchive()
      left -= piece.length
      await Promise.race([new Promise<void>(written => inflater.write(piece, () => written())), settled])
      const taken = inflater.bytesWritten - fed
      if (taken < piece.length) {
        // The deflate stream ended inside this piece. Its 'end' comes later, when all output was read.
        bytes.unread(piece.subarray(taken))
        return
      }
      fed += piece.length
    }
  }
}
