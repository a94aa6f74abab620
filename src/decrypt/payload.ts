import { pipeline, Readable, type Transform } from 'node:stream'
import { createInflate, createInflateRaw } from 'node:zlib'
import { DecryptError, type ErrorPlace } from '../errors.ts'
import { withoutReturn } from '../without-return.ts'
import { bytesOf, loadOpenPgp, webStreamOf } from './library.ts'
import { PacketReader } from './packets.ts'
import type { SignatureCheck } from './signature-check.ts'

/** Above 256 KiB a larger buffer inflates no faster worth its memory. */
const inflateOptions = { chunkSize: 262_144 }
/** GnuPG nests one layer; who nests many means no good. */
const maxLayers = 4
/** No signature comes near this; one of RSA-16384 needs about 2 KiB. */
const maxSignatureBytes = 65_536

/** What one message is read with. */
export interface Reading {
  readonly place: ErrorPlace
  /** Hears of every signature. The payload itself is shown to it by whoever reads this. */
  readonly signatures: SignatureCheck
  /** Bytes that the payload may have. */
  readonly maxBytes: number
}

/**
 * What may come out of a compressed packet: the payload, and the packets' own bytes around it. In parts of one byte
 * each, which nobody writes, those are as many again.
 */
export const maxUnpackedBytes = ({ maxBytes }: Reading): number => 2 * maxBytes + 1_048_576

/**
 * The data inside opened packets: a literal, under compression and between signatures perhaps, RFC 9580 §10.3.
 * It ends only after the last packet, so that the end of `bytes` was seen.
 */
export async function* payloadOf(
  bytes: AsyncIterable<Uint8Array>,
  reading: Reading,
  layers = 0
): AsyncGenerator<Uint8Array, void> {
  const { place, signatures } = reading
  const reader = new PacketReader(bytes, place)
  let found = false
  for (let packet = await reader.next(); packet !== undefined; packet = await reader.next()) {
    switch (packet.tag) {
      case 8:
      case 11:
        if (found || layers === maxLayers) throw damaged(place)
        found = true
        yield* packet.tag === 8 ? compressed(packet.body, reading, layers + 1) : literal(packet.body, reading)
        break
      case 2: // signature
        await signatures.receive(await whole(packet.body, place))
        break
      case 4: // announcement of one
        signatures.announce(await whole(packet.body, place))
        break
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
async function* literal(body: AsyncGenerator<Uint8Array, void>, { place, signatures }: Reading) {
  signatures.begin()
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
async function* compressed(body: AsyncGenerator<Uint8Array, void>, reading: Reading, layers: number) {
  const { place } = reading
  const reader = new PacketReader(body, place)
  const [algorithm] = await reader.exactly(1)
  const rest = reader.rest()
  switch (algorithm) {
    case 0:
      return yield* payloadOf(rest, reading, layers)
    case 1:
      return yield* payloadOf(inflate(rest, createInflateRaw(inflateOptions), reading), reading, layers)
    case 2:
      return yield* payloadOf(inflate(rest, createInflate(inflateOptions), reading), reading, layers)
    case 3:
      return yield* bunzip(rest, reading)
    default:
      throw new DecryptError('DECRYPT_UNSUPPORTED', 'the message is compressed in an unknown way', place)
  }
}

async function* inflate(bytes: AsyncGenerator<Uint8Array, void>, inflater: Transform, reading: Reading) {
  // Without `return`: the inflater's end is not the end of the bytes, and those have to be read to theirs.
  const source = Readable.from(withoutReturn(bytes), { objectMode: false })
  // An error of the source comes out of the inflater, unchanged.
  pipeline(source, inflater, () => {})
  let left = maxUnpackedBytes(reading)
  for await (const part of inflater as AsyncIterable<Uint8Array>) {
    left -= part.length
    if (left < 0) throw tooLarge(reading)
    yield part
  }
  source.destroy()
  for await (const _ of bytes);
}

/** BZIP2, which Node does not have: the library does it, given the packet again. */
async function* bunzip(bytes: AsyncGenerator<Uint8Array, void>, reading: Reading) {
  const { signatures } = reading
  signatures.begin()
  const { readMessage, verify } = await loadOpenPgp()
  const config = { maxDecompressedMessageSize: maxUnpackedBytes(reading) }
  const message = await readMessage({ binaryMessage: webStreamOf(prepend(Uint8Array.of(0xa3, 3), bytes)), config })
  const { data, signatures: results } = await verify({ message, verificationKeys: signatures.keys, format: 'binary' })
  yield* bytesOf(data)
  signatures.takeResults(results)
}

/** The body of a small packet. */
async function whole(body: AsyncGenerator<Uint8Array, void>, place: ErrorPlace): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  let length = 0
  for await (const part of body) {
    length += part.length
    if (length > maxSignatureBytes) throw damaged(place)
    parts.push(part)
  }
  return Buffer.concat(parts)
}

async function* prepend(first: Uint8Array, rest: AsyncIterable<Uint8Array>) {
  yield first
  yield* rest
}

/** What is longer than it may be. */
export function tooLarge({ place, maxBytes }: Reading): DecryptError {
  const what = `the message holds more than ${maxBytes.toLocaleString('en-US')} bytes`
  return new DecryptError('DECRYPT_TOO_LARGE', what, place)
}

/** What is not as a message has to be. */
export function damaged(place: ErrorPlace): DecryptError {
  return new DecryptError('DECRYPT_CORRUPT', 'the message was altered or damaged', place)
}
