import type { KeyID, SessionKey } from 'openpgp'
import { DecryptError, type ErrorCode, type ErrorPlace } from '../errors.ts'
import { isHidden, type Keyring, showKeyId } from './keyring.ts'
import { bytesOf, loadOpenPgp, openpgpConfig, plain, webStreamOf } from './library.ts'
import { PacketReader } from './packets.ts'
import { damaged, maxUnpackedBytes, payloadOf, type Reading } from './payload.ts'
import { openRsaSessionKey } from './rsa.ts'
import { canUnseal, SealedData } from './sealed-data.ts'

/** Room for the session keys of thousands of recipients. */
const maxSessionKeyBytes = 1_048_576
/** Packets before the data: one for each recipient. */
const maxPackets = 4096
/** 4 MiB, the largest chunk that RFC 9580 §5.13.2 allows; GnuPG writes this one. */
const maxAeadChunk = 16
/** What may be held of a message that cannot be opened as it flows. */
const maxHeldBytes = 268_435_456

/** A message, read up to its encrypted data. */
export interface SealedMessage {
  /** The packets before the data: session keys, made for keys or passwords. */
  readonly sessionKeys: Uint8Array
  /** How the data is protected: by an integrity packet at its end, or chunk by chunk. */
  readonly protection: 'integrity-packet' | 'aead'
  /** The encrypted data, and at its end the assurance that nothing stands behind it. */
  data(): AsyncGenerator<Uint8Array, void>
  /** The whole message, from its first byte; instead of `data`. */
  whole(): AsyncGenerator<Uint8Array, void>
}

/** Reads a message as far as it stands open, and refuses it by its packets alone. */
export async function readSealed(bytes: AsyncIterable<Uint8Array>, place: ErrorPlace): Promise<SealedMessage> {
  const reader = new PacketReader(bytes, place)
  const head = reader.keep()
  // How many of the kept pieces belong to the packets before the data.
  let pieces = 0
  let length = 0
  for (let packets = 0; packets < maxPackets; packets++) {
    const packet = await reader.next()
    switch (packet?.tag) {
      case 1: // session key for a public key
      case 3: // session key from a password
      case 10: // marker
      case 21: // padding
        for await (const part of packet.body) {
          length += part.length
          if (length > maxSessionKeyBytes) throw damaged(place)
        }
        pieces = head.length
        break
      case 18: // encrypted data with integrity protection
      case 20: {
        // encrypted data of GnuPG 2.3
        const body = new PacketReader(packet.body, place)
        const [version] = await body.exactly(1)
        const protection = packet.tag === 18 && version === 1 ? 'integrity-packet' : 'aead'
        if (protection === 'aead' && (await body.exactly(3))[2]! > maxAeadChunk) {
          throw new DecryptError('DECRYPT_UNSUPPORTED', 'the message is in chunks of more than 4 MiB', place)
        }
        return {
          sessionKeys: Buffer.concat(head.slice(0, pieces)),
          protection,
          async *data() {
            reader.forget()
            yield* body.rest()
            await expectEnd(reader, place)
          },
          async *whole() {
            reader.forget()
            yield* head
            yield* reader.rest()
          }
        }
      }
      case 9:
        throw new DecryptError('DECRYPT_NO_INTEGRITY', 'the message has no integrity protection', place)
      case undefined:
        throw new DecryptError('DECRYPT_TRUNCATED', 'the message ends before its encrypted data', place)
      default:
        throw damaged(place)
    }
  }
  throw damaged(place)
}

/** Opens a message's session key, by those private keys that it was made for. */
export async function openSessionKey(message: SealedMessage, keyring: Keyring, place: ErrorPlace) {
  const { readMessage, decryptSessionKeys, enums } = await loadOpenPgp()
  if (message.sessionKeys.length === 0) throw noKey([], keyring, place)
  const sealed = await readMessage({ binaryMessage: plain(message.sessionKeys) })
  const madeFor = sealed.getEncryptionKeyIDs()
  const known = madeFor.find(id => keyring.ids.some(own => own.equals(id)))
  if (known === undefined && (keyring.ids.length === 0 || !madeFor.some(isHidden))) {
    throw noKey(madeFor, keyring, place)
  }
  const packets = sealed.packets.filterByTag(enums.packet.publicKeyEncryptedSessionKey)
  const opened = openByRsa(
    packets.map(packet => packet.write()),
    keyring
  )
  if (opened) return opened
  try {
    const decryptionKeys = [...keyring.keys]
    const [sessionKey] = await decryptSessionKeys({ message: sealed, decryptionKeys, config: openpgpConfig })
    // Its type leaves out that a message in AEAD chunks names the cipher in its data and not here.
    return { sessionKey: sessionKey as SessionKey, keyId: known?.toHex().toUpperCase() }
  } catch (cause) {
    // A hidden recipient is found by trying; that no key fits is then no damage.
    if (known === undefined && codeFor(cause) === 'DECRYPT_CORRUPT') throw noKey(madeFor, keyring, place, cause)
    throw cause
  }
}

/** Opens the first session key, of the form of RFC 9580 §5.1.1, that was made for an RSA key of the ring. */
function openByRsa(packets: readonly Uint8Array[], keyring: Keyring) {
  for (const packet of packets) {
    const [version, algorithm] = [packet[0], packet[9]]
    if (version !== 3 || (algorithm !== 1 && algorithm !== 2)) continue
    const id = Buffer.from(packet.subarray(1, 9)).toString('hex')
    const key = keyring.rsa.get(id)
    // A number of OpenPGP has the count of its bits before it.
    const sessionKey = key && openRsaSessionKey(packet.subarray(12), key)
    if (sessionKey) return { sessionKey, keyId: id.toUpperCase() }
  }
  return undefined
}

/** The payload of a message; provisional until the generator has ended. */
export async function* unseal(
  message: SealedMessage,
  sessionKey: SessionKey,
  reading: Reading
): AsyncGenerator<Uint8Array, void> {
  if (message.protection === 'aead' || !canUnseal(sessionKey.algorithm)) {
    yield* unsealByLibrary(message, sessionKey, reading)
    return
  }
  const packets = packetsOf(message, new SealedData(sessionKey.algorithm, sessionKey.data), reading.place)
  try {
    yield* payloadOf(packets, reading)
  } catch (error) {
    // Altered data may look like anything. Whether it was altered is known only at its end.
    for await (const _ of packets);
    throw error
  }
}

/**
 * The packets inside, as they are opened. Not left to the library: told to stream such data it waits for ever when an
 * altered byte makes the first packet one that it does not know, and told not to it holds the payload back whole.
 */
async function* packetsOf(message: SealedMessage, sealed: SealedData, place: ErrorPlace) {
  for await (const part of message.data()) yield sealed.push(part)
  if (!sealed.isIntact()) throw damaged(place)
}

/** AEAD chunks, each proven before it is given; and ciphers that Node does not have, proven and then given whole. */
async function* unsealByLibrary(message: SealedMessage, sessionKey: SessionKey, reading: Reading) {
  const { place, signatures } = reading
  const { readMessage, decrypt } = await loadOpenPgp()
  const held = message.protection === 'aead' ? Number.POSITIVE_INFINITY : maxHeldBytes
  const stream = webStreamOf(limit(message.whole(), held, place))
  const sealed = await readMessage({ binaryMessage: stream })
  const verificationKeys = signatures.keys
  const config = { maxDecompressedMessageSize: maxUnpackedBytes(reading) }
  const opened = await decrypt({ message: sealed, sessionKeys: sessionKey, verificationKeys, format: 'binary', config })
  yield* bytesOf(opened.data)
  signatures.takeResults(opened.signatures)
}

async function* limit(bytes: AsyncIterable<Uint8Array>, max: number, place: ErrorPlace) {
  let length = 0
  for await (const part of bytes) {
    length += part.length
    if (length > max) {
      throw new DecryptError('DECRYPT_UNSUPPORTED', 'the message is too long for its outdated cipher', place)
    }
    yield part
  }
}

async function expectEnd(reader: PacketReader, place: ErrorPlace): Promise<void> {
  for (let packet = await reader.next(); packet !== undefined; packet = await reader.next()) {
    // To read the first message and forget the second would lose a report.
    if (packet.tag !== 10 && packet.tag !== 21) throw damaged(place)
    for await (const _ of packet.body);
  }
}

function noKey(madeFor: readonly KeyID[], keyring: Keyring, place: ErrorPlace, cause?: unknown): DecryptError {
  const named = madeFor.filter(id => !isHidden(id)).map(showKeyId)
  const wanted = [
    ...(named.length > 0 ? [`key ${named.join(', ')}`] : []),
    ...(named.length < madeFor.length ? ['a hidden recipient'] : []),
    ...(madeFor.length === 0 ? ['a password, not for a key'] : [])
  ].join(' and ')
  const given = keyring.ids.length > 0 ? `you gave ${keyring.ids.map(showKeyId).join(', ')}` : 'you gave no private key'
  return new DecryptError('DECRYPT_NO_KEY', `made for ${wanted}; ${given}`, { ...place, cause })
}

/** The library's errors have no codes; their names and words are all there is. What none of these says is damage. */
const meanings: readonly (readonly [ErrorCode, RegExp])[] = [
  ['DECRYPT_TOO_LARGE', /Maximum decompressed (?:message )?size exceeded/],
  ['DECRYPT_TRUNCATED', /Unexpected end of packet/],
  ['DECRYPT_UNSUPPORTED', /^UnsupportedError|^UnknownPacketError/m],
  // Not just "Unsupported": a wrong tag of Node's own reads "Unsupported state or unable to authenticate data".
  ['DECRYPT_UNSUPPORTED', /Unsupported (?:cipher|AEAD|public|ECDH|curve)|not supported|non-preferred|enum value/]
]
const texts: { readonly [code in ErrorCode]?: string } = {
  DECRYPT_TOO_LARGE: 'the message holds more bytes than are allowed',
  DECRYPT_TRUNCATED: 'the message ends too early',
  DECRYPT_UNSUPPORTED: 'the message uses a cipher or packet that is not supported',
  DECRYPT_CORRUPT: 'the message was altered or damaged'
}

function codeFor(cause: unknown): ErrorCode {
  const words: string[] = []
  for (let e = cause; e instanceof Error && words.length < 20; e = e.cause) words.push(`${e.name}: ${e.message}`)
  return meanings.find(([, sign]) => sign.test(words.join('\n')))?.[0] ?? 'DECRYPT_CORRUPT'
}

export function explain(cause: unknown, place: ErrorPlace): DecryptError {
  const code = codeFor(cause)
  return new DecryptError(code, texts[code] ?? 'the message could not be opened', { ...place, cause })
}
