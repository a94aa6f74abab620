import { DecryptError } from '../errors.ts'
import { withoutReturn } from '../without-return.ts'
import type { OpenPgpKind } from './openpgp-format.ts'
import { PacketReader, type StreamedPacket } from './packets.ts'
import { recognize } from './recognize.ts'

/** One packet, as its header and its first bytes tell it. */
export interface PacketInfo {
  /** Its number in RFC 9580 §5: 1, 18, … */
  readonly tag: number
  /** What it is: `session key for a public key`, `encrypted data with integrity protection`, … */
  readonly name: string
  /** Version of the packet, null when its kind has none or it is empty. */
  readonly version: number | null
  /**
   * How its length is given: `definite`, at once; `partial`, in parts that each have their own; `indeterminate`, not at
   * all, and it ends with the file.
   */
  readonly length: 'definite' | 'partial' | 'indeterminate'
  /** Bytes of its body, null unless the length is definite. */
  readonly bytes: number | null
}

/** Whom a message was made for. */
export type MessageRecipient =
  | {
      readonly kind: 'key'
      /** Id of the key, `0x` and 16 upper-case hex digits, or `hidden` when the sender left it out. */
      readonly keyId: string
      /** Algorithm of the key: `RSA`, `ECDH`, `X25519`, … */
      readonly algorithm: string
    }
  | {
      readonly kind: 'password'
      /** Cipher of the session key: `AES-256`, … */
      readonly cipher: string
    }

/** What a file tells of itself without any key. */
export interface MessageInfo {
  /** What the file is; `none` when it is no OpenPGP at all. All below is only told of messages. */
  readonly kind: Exclude<OpenPgpKind, 'armored-message'>
  /** Whether the message is text between a BEGIN and an END line. */
  readonly isArmored: boolean
  /** The packets in order, up to the first that holds data. */
  readonly packets: readonly PacketInfo[]
  /** Whom it was made for, in the sender's order. */
  readonly recipients: readonly MessageRecipient[]
  /**
   * What shows that the data was altered: `mdc`, a packet at its end (SEIPD version 1); `aead`, a tag on each chunk;
   * `none`, nothing, and `AscDecryptor` refuses it. Null when nothing is encrypted.
   */
  readonly integrity: 'mdc' | 'aead' | 'none' | null
  /** Cipher of the data, null where it stands only inside the session key, as with `mdc`. */
  readonly cipher: string | null
  /** `EAX`, `OCB` or `GCM`, null without AEAD. */
  readonly aead: string | null
  /** Bytes of each AEAD chunk, null without AEAD. */
  readonly chunkBytes: number | null
}

/** No message has more before its data; nor has any so many bytes there. */
const maxPackets = 4096
const maxLeadBytes = 1_048_576

/**
 * Tells what an OpenPGP message is without any key: its packets, its recipients, how it is protected. Nothing is
 * decrypted, and nothing after the beginning of the data is read; a stream is closed then.
 *
 * @param message - The file: all its bytes or its beginning, or a stream of them.
 * @throws {@link DecryptError} `DECRYPT_CORRUPT` or `DECRYPT_TRUNCATED` when it is damaged before its data.
 */
export async function inspectMessage(message: Uint8Array | AsyncIterable<Uint8Array>): Promise<MessageInfo> {
  const chunks = (message instanceof Uint8Array ? once(message) : message)[Symbol.asyncIterator]()
  try {
    const { kind, isArmored, bytes } = await recognize(withoutReturn({ [Symbol.asyncIterator]: () => chunks }), {})
    const isMessage = kind === 'encrypted-message' || kind === 'unencrypted-message'
    const info: MessageInfo = { kind, isArmored, ...unknown, packets: [], recipients: [] }
    return isMessage ? { ...info, ...(await readLead(new PacketReader(bytes, {}))) } : info
  } finally {
    await chunks.return?.()
  }
}

const unknown = { integrity: null, cipher: null, aead: null, chunkBytes: null }

async function readLead(reader: PacketReader) {
  const packets: PacketInfo[] = []
  const recipients: MessageRecipient[] = []
  let left = maxLeadBytes
  while (packets.length < maxPackets) {
    const packet = await reader.next()
    if (packet === undefined) return { packets, recipients }
    const { tag, form, bytes = null } = packet
    const isData = dataTags.has(tag)
    const head = await headOf(packet, isData)
    const version = versioned.has(tag) ? (head[0] ?? null) : null
    packets.push({ tag, name: packetNames[tag] ?? 'unknown', version, length: form, bytes })
    if (isData) return { packets, recipients, ...protectionOf(tag, head) }
    if (tag === 1) recipients.push(keyOf(head))
    if (tag === 3) recipients.push({ kind: 'password', cipher: cipherOf(head[version === 6 ? 2 : 1]) })
    left -= head.length
    for await (const part of packet.body) {
      left -= part.length
      if (left < 0) break
    }
    if (left < 0) break
  }
  throw new DecryptError('DECRYPT_CORRUPT', 'too much stands before the data of the message')
}

/** Enough to hold a version, a fingerprint and an algorithm. */
const headBytes = 64

/** The first bytes of a packet's body. Of data no more than what is asked for is read. */
async function headOf({ body }: StreamedPacket, isData: boolean): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  let length = 0
  const enough = isData ? 4 : headBytes
  while (length < enough) {
    const { done, value } = await body.next()
    if (done) break
    parts.push(value)
    length += value.length
  }
  return Buffer.concat(parts)
}

function keyOf(head: Uint8Array): MessageRecipient {
  const isNew = (head[0] ?? 0) >= 6
  const end = isNew ? 2 + (head[1] ?? 0) : 9
  // An id is the end of a fingerprint of version 4, and the beginning of one of version 6.
  const id = !isNew || head[2] !== 6 ? head.subarray(Math.max(isNew ? 3 : 1, end - 8), end) : head.subarray(3, 11)
  const hex = Buffer.from(id).toString('hex').toUpperCase()
  const keyId = /^0*$/.test(hex) ? 'hidden' : `0x${hex}`
  return { kind: 'key', keyId, algorithm: nameIn(keyAlgorithms, head[end]) }
}

function protectionOf(tag: number, head: Uint8Array): Partial<MessageInfo> {
  if (tag === 9) return { integrity: 'none' }
  if (tag === 18 && head[0] === 1) return { integrity: 'mdc' }
  if (tag !== 18 && tag !== 20) return {}
  const [, cipher, aead, chunk = 0] = head
  return { integrity: 'aead', cipher: cipherOf(cipher), aead: nameIn(aeads, aead), chunkBytes: 2 ** (chunk + 6) }
}

const cipherOf = (number: number | undefined) => nameIn(ciphers, number)
const nameIn = (names: { readonly [number: number]: string }, number = -1) => names[number] ?? `unknown (${number})`

const dataTags = new Set([8, 9, 11, 18, 20])
const versioned = new Set([1, 2, 3, 4, 18, 20])

const packetNames: { readonly [tag: number]: string } = {
  1: 'session key for a public key',
  2: 'signature',
  3: 'session key for a password',
  4: 'announcement of a signature',
  8: 'compressed data',
  9: 'encrypted data without integrity protection',
  10: 'marker',
  11: 'literal data',
  12: 'trust',
  18: 'encrypted data with integrity protection',
  20: 'encrypted data of GnuPG 2.3',
  21: 'padding'
}

const keyAlgorithms: { readonly [number: number]: string } = {
  1: 'RSA',
  2: 'RSA',
  16: 'ElGamal',
  18: 'ECDH',
  25: 'X25519',
  26: 'X448'
}

const ciphers: { readonly [number: number]: string } = {
  1: 'IDEA',
  2: '3DES',
  3: 'CAST5',
  4: 'Blowfish',
  7: 'AES-128',
  8: 'AES-192',
  9: 'AES-256',
  10: 'Twofish',
  11: 'Camellia-128',
  12: 'Camellia-192',
  13: 'Camellia-256'
}

const aeads: { readonly [number: number]: string } = { 1: 'EAX', 2: 'OCB', 3: 'GCM' }

async function* once(bytes: Uint8Array) {
  yield bytes
}
