import { Readable, type Transform } from 'node:stream'
import { createInflate, createInflateRaw } from 'node:zlib'
import { DecryptError, type ErrorPlace } from '../errors.ts'
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
      case 11: {
        if (found || layers === maxLayers) throw damaged(place)
        found = true
        const content = packet.tag === 8 ? decompress(packet.body, place) : literal(packet.body, place)
        yield* packet.tag === 8 ? payloadOf(content, place, layers + 1) : content
        break
      }
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

async function* decompress(
  body: AsyncGenerator<Uint8Array, void>,
  place: ErrorPlace
): AsyncGenerator<Uint8Array, void> {
  let first = await body.next()
  while (!first.done && first.value.length === 0) first = await body.next()
  if (first.done) throw damaged(place)
  const algorithm = first.value[0]!
  const rest = prepend(first.value.subarray(1), body)
  switch (algorithm) {
    case 0:
      return yield* rest
    case 1:
      return yield* inflate(rest, createInflateRaw(inflateOptions))
    case 2:
      return yield* inflate(rest, createInflate(inflateOptions))
    case 3:
      return yield* bunzip(rest)
    default:
      throw new DecryptError('DECRYPT_UNSUPPORTED', 'the message is compressed in an unknown way', place)
  }
}
