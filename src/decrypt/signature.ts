import { createHash, type Hash } from 'node:crypto'
import type { PublicKey, SignaturePacket } from 'openpgp'
import { loadOpenPgp, openpgpConfig, plain } from './library.ts'
import type { MessageSignature } from './opened.ts'

/** What Node calls the hashes that are good enough for a signature, by their numbers in RFC 9580 §9.5. */
export const hashes: { readonly [algorithm: number]: string } = {
  8: 'sha256',
  9: 'sha384',
  10: 'sha512',
  11: 'sha224',
  12: 'sha3-256',
  14: 'sha3-512'
}
export const weakHashes: { readonly [algorithm: number]: string } = { 1: 'MD5', 2: 'SHA-1', 3: 'RIPEMD-160' }

/** A signature as it is known before the data that it signs. */
export interface Expected {
  /** Lower-case hex. */
  readonly keyId: string
  readonly type: number
  readonly hashAlgorithm: number
  /** Of version 6 only, hashed before the data. */
  readonly salt: Uint8Array | undefined
  /** None when nobody will ask for it. */
  readonly digest: Digest | undefined
}

/** The hash of what a signature signs: salt, data, and the signature's own hashed part, RFC 9580 §5.2.4. */
export class Digest {
  readonly #hash: Hash
  readonly #isText: boolean
  /** Last byte so far: a line end may be cut in two. */
  #last = 0

  constructor(name: string, { type, salt }: Omit<Expected, 'digest'>) {
    this.#hash = createHash(name)
    this.#isText = type === 1
    if (salt) this.#hash.update(salt)
  }

  update(bytes: Uint8Array): void {
    if (!this.#isText) {
      this.#hash.update(bytes)
      return
    }
    // Text is signed with CR LF at the end of each line, however its lines end.
    let from = 0
    for (let at = bytes.indexOf(0x0a); at >= 0; at = bytes.indexOf(0x0a, at + 1)) {
      if ((at > 0 ? bytes[at - 1] : this.#last) === 0x0d) continue
      this.#hash.update(bytes.subarray(from, at)).update('\r\n')
      from = at + 1
    }
    this.#hash.update(bytes.subarray(from))
    this.#last = bytes.at(-1) ?? this.#last
  }

  end({ version, signatureData }: SignaturePacket): Uint8Array {
    const hashed = signatureData!
    const trailer = Buffer.from([version, 0xff, 0, 0, 0, 0])
    trailer.writeUInt32BE(hashed.length, 2)
    return plain(this.#hash.update(hashed).update(trailer).digest())
  }
}

/** Verifies by the library, which is told the hash as it is where it reads a message by itself. */
export async function verify(packet: SignaturePacket, hashed: Uint8Array, signer: PublicKey): Promise<void> {
  const { config: defaults } = await loadOpenPgp()
  const config = { ...defaults, ...openpgpConfig }
  const part = signer.getKeys(packet.issuerKeyID)[0]!
  Object.assign(packet, { hashed })
  // Without the hash it would ask for data, of which there is none: nothing passes by mistake.
  await packet.verify(part.keyPacket, packet.signatureType!, new Uint8Array(0), new Date(), false, config)
  const made = packet.created!
  if (part.getCreationTime() > made) throw new Error('Key is newer than the signature')
  try {
    await signer.getSigningKey(packet.issuerKeyID, made, undefined, config)
  } catch (cause) {
    // Whoever prolongs a key signs it anew; what was signed before is older than that and stays good.
    if (!String(cause).includes('Signature creation time is in the future')) throw cause
    await signer.getSigningKey(packet.issuerKeyID, new Date(), undefined, config)
  }
}

export function isAnnounced(packet: SignaturePacket, { keyId, type, hashAlgorithm, salt }: Expected): boolean {
  return (
    (type === 0 || type === 1) &&
    packet.signatureType === type &&
    packet.hashAlgorithm === hashAlgorithm &&
    packet.issuerKeyID.toHex() === keyId &&
    Buffer.compare(saltOf(packet) ?? Buffer.alloc(0), salt ?? Buffer.alloc(0)) === 0
  )
}

export async function readPacket(body: Uint8Array): Promise<SignaturePacket> {
  const { SignaturePacket } = await loadOpenPgp()
  const packet = new SignaturePacket()
  packet.read(plain(body))
  return packet
}

export function saltOf(packet: SignaturePacket): Uint8Array | undefined {
  return (packet as unknown as { readonly salt: Uint8Array | null }).salt ?? undefined
}

/** The key id in a signature of version 3, which the library does not read. */
export function issuerOf(body: Uint8Array): string {
  return body[0] === 3 && body.length >= 15 ? hex(body.subarray(7, 15)) : '0'.repeat(16)
}

export function valid(packet: SignaturePacket, signer: PublicKey): MessageSignature {
  return {
    state: 'valid',
    keyId: packet.issuerKeyID.toHex().toUpperCase(),
    fingerprint: signer.getFingerprint().toUpperCase(),
    createdAt: packet.created!.getTime()
  }
}

/** The library's errors have no codes; their words are all there is. */
export function reasonOf(cause: unknown): string {
  const words = String(cause)
  const weak = /Insecure (?:message )?hash algorithm: (\w+)/.exec(words)?.[1]
  if (weak) return `its hash is too weak, ${weak}`
  if (/digest did not match|verification failed/.test(words)) return 'it is not of this content'
  if (/Signature is expired/.test(words)) return 'it has expired'
  if (/in the future/.test(words)) return 'it is dated in the future'
  if (/newer than the signature/.test(words)) return 'it is older than its key'
  if (/expired/.test(words)) return 'its key had expired when it was made'
  if (/revoked/.test(words)) return 'its key was revoked'
  return 'it cannot be verified'
}

export const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
