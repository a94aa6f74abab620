import * as z from 'zod'
import { ParseError, UnpackError } from '../errors.ts'
import { settle } from '../options.ts'
import { type ArchiveLimits, archiveLimitsSchema, Budget } from './archive-limits.ts'
import { ByteReader } from './byte-reader.ts'
import { DESCRIPTOR, END, LOCAL, looksLikeArchive } from './zip-format.ts'
import { type Archive, readZip, type ZipMember } from './zip-reader.ts'

/** One member of an opened file, or the file itself when it is no archive. */
export interface Entry extends AsyncIterable<Uint8Array> {
  /** Position in the file, from 0. */
  readonly index: number
  /**
   * As the archive has it, behind the names of the archives that it is in (`2025.zip/july.csv`), or the file's name.
   * Never to be used as a path on this machine, and only to be printed with its control characters replaced.
   */
  readonly name: string
  /** Whether it stood in a ZIP. */
  readonly packed: boolean
  /** CRC-32 of the unpacked bytes, compared with the archive's. Known once the entry was read to its end. */
  readonly crc32: number | undefined
}

/** How the entries of a file are labelled, and how much may come of an archive. */
export interface ReadEntriesOptions {
  /** The file's name, for the entry of a file that is no archive. */
  readonly name?: string | undefined
  /** The file's path, for errors. */
  readonly file?: string | undefined
  /**
   * What an archive may unpack to.
   * @default 10,000 members, 100 GB, 200 times the packed size, 2 archives deep
   */
  readonly archiveLimits?: ArchiveLimits | undefined
}

const schema = z.strictObject({
  name: z.string().default('file'),
  file: z.string().optional(),
  archiveLimits: archiveLimitsSchema.prefault({})
})

/** Bytes that a local header has before its name: enough to tell an archive in an archive. */
const HEAD = 30

/** Documents that are ZIP archives inside. Nobody means their parts. */
const documents = /\.(xls[xmb]|doc[xm]|ppt[xm]|od[tspg]|epub|kmz|jar|apk)$/i

/**
 * The entries of an opened file: a ZIP is told by its first bytes, anything else is one entry. A member that is a ZIP
 * itself is opened in its turn.
 *
 * In: opened bytes, let go of when the loop ends. Out: entries, one after another; each is read before the next begins.
 * Memory: one chunk in, one chunk out; about 200 bytes for each member; as much again for an archive in an archive.
 * @throws UnpackError, with a `ZIP_` code, where an archive is damaged, cannot be read as a stream or breaks a limit;
 * ParseError `PARSE_EMPTY` where there is nothing; ConfigError, before anything is read, where an option cannot work.
 */
export function readEntries(
  bytes: AsyncIterable<Uint8Array>,
  options: ReadEntriesOptions = {}
): AsyncGenerator<Entry, void> {
  return releasing(new ByteReader(bytes), settle('readEntries', schema, options))
}

async function* releasing(reader: ByteReader, options: z.output<typeof schema>): AsyncGenerator<Entry, void> {
  try {
    yield* entriesOf(reader, options)
  } finally {
    reader.release()
  }
}

async function* entriesOf(
  reader: ByteReader,
  { name, file, archiveLimits }: z.output<typeof schema>
): AsyncGenerator<Entry, void> {
  const start = await reader.peek(4)
  if (start.length === 0) throw new ParseError('PARSE_EMPTY', 'the file is empty', { file })
  const signature = start.length < 4 ? undefined : start.readUInt32LE(0)
  if (signature === DESCRIPTOR) {
    throw new UnpackError('ZIP_UNSUPPORTED', 'the archive is the first part of several', { file })
  }
  if (signature !== LOCAL && signature !== END) {
    yield entry(0, name, reader)
    return
  }
  const budget = new Budget(archiveLimits)
  let index = 0
  for await (const { member, bytes } of membersOf(reader, { file, within: undefined, budget, weight: undefined }, 0)) {
    yield entry(index++, member.name, bytes, member)
  }
  if (index === 0) throw new ParseError('PARSE_EMPTY', 'the archive has no members', { file })
}

function entry(index: number, name: string, bytes: ByteReader, member?: ZipMember): Entry {
  return {
    index,
    name,
    packed: member !== undefined,
    get crc32() {
      return member?.measured()?.crc32
    },
    async *[Symbol.asyncIterator]() {
      for (let chunk = await bytes.next(); chunk; chunk = await bytes.next()) yield chunk
    }
  }
}

/** The members of an archive; in place of one that is an archive itself, those that it has. */
async function* membersOf(
  bytes: ByteReader,
  archive: Archive,
  depth: number
): AsyncGenerator<{ member: ZipMember; bytes: ByteReader }, void> {
  const { file, budget } = archive
  for await (const member of readZip(bytes, archive)) {
    const { name, chunks, weight } = member
    const inside = new ByteReader(chunks)
    if (documents.test(name) || !looksLikeArchive(await inside.peek(HEAD))) {
      yield { member, bytes: inside }
      continue
    }
    const { maxDepth } = budget.limits
    if (depth >= maxDepth) {
      const what = `archives in archives, more than ${maxDepth} deep (maxDepth)`
      throw new UnpackError('ZIP_LIMIT', what, { file, entry: name })
    }
    yield* membersOf(inside, { file, within: name, budget, weight }, depth + 1)
  }
}
