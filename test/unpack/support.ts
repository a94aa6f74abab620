import { crc32, deflateRawSync } from 'node:zlib'
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

/** What a member written by hand says, where it is not the plain truth. */
export interface Handmade {
  readonly name?: string
  readonly content?: string
  readonly method?: number
  readonly flags?: number
  /** Deflate level; 0 leaves the bytes as they are, inside a deflate stream. */
  readonly level?: number
  /** Sizes in an extra field of 64 bits. */
  readonly zip64?: boolean
  /** Sizes and CRC behind the data. */
  readonly descriptor?: { readonly signed: boolean; readonly wide: boolean }
  readonly lie?: { readonly crc?: number; readonly packedSize?: number; readonly size?: number }
}

/** One archive as some other writer makes it: a local header, data, directory and end. */
export function handmadeZip(...members: Handmade[]): Buffer {
  const made = members.map(handmade)
  const directory = made.map(member => member.central)
  const zip64 = members.some(member => member.zip64)
  const end = numbers([4, 0x06054b50], [4, 0], [2, made.length], [2, made.length], [8, 0], [2, 0])
  const wideEnd = [numbers([4, 0x06064b50], [8, 44], [44, 0]), numbers([4, 0x07064b50], [16, 0])]
  return Buffer.concat([...made.map(member => member.local), ...directory, ...(zip64 ? wideEnd : []), end])
}

function handmade({ name = 'a.csv', content = 'hello', method = 8, ...more }: Handmade) {
  const { flags = 0, level = 6, zip64 = false, descriptor, lie = {} } = more
  const bytes = Buffer.from(content, 'latin1')
  const packed = method === 8 ? deflateRawSync(bytes, { level }) : bytes
  const { crc = crc32(bytes), packedSize = packed.length, size = bytes.length } = lie
  const all = descriptor ? flags | 8 : flags
  const [shownPacked, shownSize] = zip64 ? [0xffffffff, 0xffffffff] : [packedSize, size]
  const extra = zip64 ? numbers([2, 0xcafe], [2, 1], [1, 7], [2, 1], [2, 16], [8, size], [8, packedSize]) : numbers()
  const lengths = numbers([2, name.length], [2, extra.length])
  const head = numbers([2, 45], [2, all], [2, method], [4, 0])
  const sums = numbers([4, crc], [4, shownPacked], [4, shownSize])
  const nothing = numbers([12, 0])
  const tail = descriptor
    ? Buffer.concat([
        descriptor.signed ? numbers([4, 0x08074b50]) : numbers(),
        descriptor.wide ? numbers([4, crc], [8, packedSize], [8, size]) : numbers([4, crc], [4, packedSize], [4, size])
      ])
    : numbers()
  const label = Buffer.from(name, 'latin1')
  return {
    local: Buffer.concat([
      numbers([4, 0x04034b50]),
      head,
      descriptor ? nothing : sums,
      lengths,
      label,
      extra,
      packed,
      tail
    ]),
    central: Buffer.concat([numbers([4, 0x02014b50], [2, 45]), head, sums, lengths, numbers([14, 0]), label, extra])
  }
}

/** Numbers of so many bytes each, the lowest byte first. */
function numbers(...fields: readonly (readonly [bytes: number, value: number])[]): Buffer {
  const parts = fields.map(([length, value]) => {
    const part = Buffer.alloc(length)
    if (length < 8) part.writeUIntLE(value, 0, Math.min(length, 6))
    else part.writeBigUInt64LE(BigInt(value))
    return part
  })
  return Buffer.concat(parts)
}
