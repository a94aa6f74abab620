import type { ErrorPlace } from '../errors.ts'
import { Dearmor } from './armor.ts'
import { type OpenPgpKind, sniffOpenPgp, sniffPackets } from './openpgp-format.ts'

/** A file, known by its first bytes. */
export interface Recognized {
  readonly kind: Exclude<OpenPgpKind, 'armored-message'>
  readonly isArmored: boolean
  /** All its bytes; of an armored message those inside the armor. */
  readonly bytes: AsyncIterable<Uint8Array>
}

/** Reads as much of a file as tells what it is, and takes the armor off a message. */
export async function recognize(chunks: AsyncIterable<Uint8Array>, place: ErrorPlace): Promise<Recognized> {
  const { kind, bytes } = await peek(chunks, sniffOpenPgp)
  if (kind !== 'armored-message') return { kind, isArmored: false, bytes }
  const inside = await peek(dearmor(bytes, place), sniffPackets)
  // What armor calls a message is one, however odd; what is wrong with it shows when it is opened.
  const named = inside.kind === 'none' || inside.kind === 'armored-message' ? 'encrypted-message' : inside.kind
  return { kind: named, isArmored: true, bytes: inside.bytes }
}

/** Reads until the first bytes have told what they are; gives the kind, and all the bytes again. */
async function peek(
  chunks: AsyncIterable<Uint8Array>,
  sniff: (bytes: Uint8Array, ended: boolean) => OpenPgpKind | undefined
): Promise<{ kind: OpenPgpKind; bytes: AsyncIterable<Uint8Array> }> {
  const rest = chunks[Symbol.asyncIterator]()
  const head: Uint8Array[] = []
  let kind: OpenPgpKind | undefined
  for (let ended = false; kind === undefined; ) {
    const { done, value } = await rest.next()
    ended = done === true
    if (!ended) head.push(value)
    kind = sniff(Buffer.concat(head), ended)
  }
  return { kind, bytes: replay(head, { [Symbol.asyncIterator]: () => rest }) }
}

async function* replay(head: Iterable<Uint8Array>, rest: AsyncIterable<Uint8Array>) {
  yield* head
  yield* rest
}

async function* dearmor(chunks: AsyncIterable<Uint8Array>, place: ErrorPlace) {
  const armor = new Dearmor(place)
  for await (const chunk of chunks) yield armor.push(chunk)
  armor.end()
}
