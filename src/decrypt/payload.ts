import { pipeline, Readable, type Transform } from 'node:stream'
import { createInflate, createInflateRaw } from 'node:zlib'
import { DecryptError, type ErrorPlace } from '../errors.ts'
import { bytesOf, loadOpenPgp, webStreamOf } from './library.ts'
import { PacketReader } from './packets.ts'

/** Above 256 KiB a larger buffer inflates no faster worth its memory. */
const inflateOptions = { chunkSize: 262_144 }
/** GnuPG nests one layer; who nests many means no good. */
const maxLayers = 4

/**
 * The data inside opened packets: a literal, under compression and between signatures perhaps, RFC 9580 §10.3.
 * Signatures are passed over: whose they are is not known here, and the integrity check has another source.
 * It ends only after the last packet, so that the end of `bytes` was seen.
 */
export async function* payloadOf(
  bytes: AsyncIterable<Uint8Array>,
  place: ErrorPlace,
  layers = 0
): AsyncGenerator<Uint8Array, void> {
  const reader = new PacketReader(bytes, place)
  let found = false
  for (let packet = await reader.next(); packet !== undefined; packet = await reader.next()) {
    switch (packet.tag) {
      case 8:
      case 11:
        if (found || layers === maxLayers) throw damaged(place)
        found = true
        yield* packet.tag === 8 ? compressed(packet.body, place, layers + 1) : literal(packet.body, place)
        break
      case 2: // signature
      case 4: // announcement of one
      case 10: // marker
      case 12: // trust
      case 21: // padding
        for await (const _ of packet.body);
        break
      default:
        throw damaged(place)
    }
  }
  if (!found) throw damaged(place)
}

/** Literal data: format, length of the name, name, date, and then the bytes themselves. */
async function* literal(body: AsyncGenerator<Uint8Array, void>, place: ErrorPlace) {
  let skip: number | undefined
  let head: Uint8Array = new Uint8Array(0)
  for await (const part of body) {
    if (skip === 0) {
      yield part
      continue
    }
    head = Buffer.concat([head, part])
    skip = head.length < 2 ? undefined : 6 + head[1]!
    if (skip === undefined || head.length < skip) continue
    yield head.subarray(skip)
    skip = 0
  }
  if (skip !== 0) throw damaged(place)
}

/** Compressed data: one byte that tells how, then packets again. */
async function* compressed(body: AsyncGenerator<Uint8Array, void>, place: ErrorPlace, layers: number) {
  const reader = new PacketReader(body, place)
  const [algorithm] = await reader.exactly(1)
  const rest = reader.rest()
  switch (algorithm) {
    case 0:
      return yield* payloadOf(rest, place, layers)
    case 1:
      return yield* payloadOf(inflate(rest, createInflateRaw(inflateOptions)), place, layers)
    case 2:
      return yield* payloadOf(inflate(rest, createInflate(inflateOptions)), place, layers)
    case 3:
      return yield* bunzip(rest)
    default:
      throw new DecryptError('DECRYPT_UNSUPPORTED', 'the message is compressed in an unknown way', place)
  }
}

async function* inflate(bytes: AsyncGenerator<Uint8Array, void>, inflater: Transform) {
  // Without `return`: the inflater's end is not the end of the bytes, and those have to be read to theirs.
  const source = Readable.from({ [Symbol.asyncIterator]: () => ({ next: () => bytes.next() }) }, { objectMode: false })
  // An error of the source comes out of the inflater, unchanged.
  pipeline(source, inflater, () => {})
  yield* inflater as AsyncIterable<Uint8Array>
  source.destroy()
  for await (const _ of bytes);
}

/** BZIP2, which Node does not have: the library does it, given the packet again. */
async function* bunzip(bytes: AsyncGenerator<Uint8Array, void>) {
  const { readMessage, verify } = await loadOpenPgp()
  const message = await readMessage({ binaryMessage: webStreamOf(prepend(Uint8Array.of(0xa3, 3), bytes)) })
  const { data } = await verify({ message, verificationKeys: [], format: 'binary' })
  yield* bytesOf(data)
}

async function* prepend(first: Uint8Array, rest: AsyncIterable<Uint8Array>) {
  yield first
  yield* rest
}

/** What is not as a message has to be. */
export function damaged(place: ErrorPlace): DecryptError {
  return new DecryptError('DECRYPT_CORRUPT', 'the message was altered or damaged', place)
}
