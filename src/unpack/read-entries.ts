import { ParseError } from '../errors.ts'
import { ByteReader } from './byte-reader.ts'
import { END, LOCAL } from './zip-format.ts'
import { readZip } from './zip-reader.ts'

/** One member of an opened file, or the file itself when it is no archive. */
export interface Entry extends AsyncIterable<Uint8Array> {
  /** Position in the file, from 0. */
  readonly index: number
  /** As the archive has it, or the file's name. Never to be used as a path on this machine. */
  readonly name: string
  /** Whether it stood in a ZIP. */
  readonly packed: boolean
  /** CRC-32 of the unpacked bytes, compared with the archive's. Known once the entry was read to its end. */
  readonly crc32: number | undefined
}

/** How the entries of a file are labelled. */
export interface ReadEntriesOptions {
  /** The file's name, for the entry of a file that is no archive. */
  readonly name?: string | undefined
  /** The file's path, for errors. */
  readonly file?: string | undefined
}

/**
 * The entries of an opened file: a ZIP is told by its first bytes, anything else is one entry.
 *
 * In: opened bytes, let go of when the loop ends. Out: entries, one after another; each is read before the next begins.
 * Memory: one chunk in, one chunk out.
 */
export async function* readEntries(
  bytes: AsyncIterable<Uint8Array>,
  options: ReadEntriesOptions = {}
): AsyncGenerator<Entry, void> {
  const reader = new ByteReader(bytes)
  try {
    yield* entriesOf(reader, options)
  } finally {
    reader.release()
  }
}

async function* entriesOf(
  reader: ByteReader,
  { name = 'file', file }: ReadEntriesOptions
): AsyncGenerator<Entry, void> {
  const start = await reader.peek(4)
  if (start.length === 0) throw new ParseError('PARSE_EMPTY', 'the file is empty', { file })
  if (!isZip(start)) {
    yield {
      index: 0,
      name,
      packed: false,
      crc32: undefined,
      async *[Symbol.asyncIterator]() {
        for (let chunk = await reader.next(); chunk; chunk = await reader.next()) yield chunk
      }
    }
    return
  }
  let members = 0
  for await (const { index, name, chunks, measured } of readZip(reader, file)) {
    members++
    yield {
      index,
      name,
      packed: true,
      get crc32() {
        return measured()?.crc32
      },
      [Symbol.asyncIterator]: () => chunks[Symbol.asyncIterator]()
    }
  }
  if (members === 0) throw new ParseError('PARSE_EMPTY', 'the archive has no members', { file })
}

function isZip(start: Buffer): boolean {
  if (start.length < 4) return false
  const signature = start.readUInt32LE(0)
  return signature === LOCAL || signature === END
}
