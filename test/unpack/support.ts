import { type ReadEntriesOptions, readEntries } from '../../src/unpack/read-entries.ts'

/** One entry, read to its end. */
export interface ReadEntry {
  readonly index: number
  readonly name: string
  readonly packed: boolean
  readonly text: string
  readonly crc32: number | undefined
}

/** Every entry of a file, read to its end. */
export async function unpack(
  bytes: Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  options?: ReadEntriesOptions
): Promise<ReadEntry[]> {
  const entries: ReadEntry[] = []
  for await (const entry of readEntries(bytes instanceof Uint8Array ? chunked([bytes]) : chunked(bytes), options)) {
    const { index, name, packed } = entry
    const text = await textOf(entry)
    entries.push({ index, name, packed, text, crc32: entry.crc32 })
  }
  return entries
}

/** All bytes of an entry, one character each. */
export async function textOf(entry: AsyncIterable<Uint8Array>): Promise<string> {
  let text = ''
  for await (const chunk of entry) text += Buffer.from(chunk).toString('latin1')
  return text
}

/** Leaves the first entry behind its first chunk, and the file with it; gives the bytes that were read. */
export async function leaveInTheMiddle(bytes: AsyncIterable<Uint8Array>): Promise<number> {
  let read = 0
  for await (const entry of readEntries(bytes)) {
    for await (const chunk of entry) {
      read += chunk.length
      break
    }
    break
  }
  return read
}

export async function* chunked(
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>
): AsyncGenerator<Uint8Array, void> {
  yield* chunks
}

/** Names and contents alone. */
export const contents = (entries: readonly ReadEntry[]) => entries.map(({ name, text }) => [name, text])

/** Every way to cut bytes in two, and one byte at a time. */
export function* cuts(bytes: Uint8Array): Generator<Uint8Array[]> {
  for (let at = 0; at <= bytes.length; at++) yield [bytes.subarray(0, at), bytes.subarray(at)]
  yield Array.from(bytes, (_, i) => bytes.subarray(i, i + 1))
}

/** Bytes in pieces of one length. */
export function pieces(bytes: Uint8Array, length: number): Uint8Array[] {
  return Array.from({ length: Math.ceil(bytes.length / length) }, (_, i) =>
    bytes.subarray(i * length, (i + 1) * length)
  )
}

/** Where the directory begins, as the end record says. */
export function directoryAt(zip: Buffer): number {
  return zip.readUInt32LE(zip.lastIndexOf(Buffer.from([80, 75, 5, 6])) + 16)
}
