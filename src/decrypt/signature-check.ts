import { createHash, type Hash } from 'node:crypto'
import type { PublicKey, SignaturePacket, VerifyMessageResult } from 'openpgp'
import { DecryptError, type ErrorPlace } from '../errors.ts'
import { loadOpenPgp, openpgpConfig, plain } from './library.ts'
import type { MessageSignature } from './opened.ts'

/** What is to be done about signatures. */
export interface SignaturePolicy {
  /** Who may sign; none when signatures are not to be verified. */
  readonly signers: readonly PublicKey[] | undefined
  readonly isRequired: boolean
}

/** More signatures than this are nobody's: each one that is verified costs a hash of the whole payload. */
const maxSignatures = 16

/** What Node calls the hashes that are good enough for a signature, by their numbers in RFC 9580 §9.5. */
const hashes: { readonly [algorithm: number]: string } = {
  8: 'sha256',
  9: 'sha384',
  10: 'sha512',
  11: 'sha224',
  12: 'sha3-256',
  14: 'sha3-512'
}
const weakHashes: { readonly [algorithm: number]: string } = { 1: 'MD5', 2: 'SHA-1', 3: 'RIPEMD-160' }

/** A signature as it is known before the data that it signs. */
interface Expected {
  /** Lower-case hex. */
  readonly keyId: string
  readonly type: number
  readonly hashAlgorithm: number
  /** Of version 6 only, hashed before the data. */
  readonly salt: Uint8Array | undefined
  /** None when nobody will ask for it. */
  readonly digest: Digest | undefined
}

interface Received {
  readonly bytes: Uint8Array
  readonly expected: Expected | undefined
}

/**
 * Judges the signatures of one message while its payload passes by. What {@link SignatureCheck.settle} says counts only
 * once the integrity of the message is known: before, an altered byte may look like anything.
 *
 * In: signature packets, and the payload between them. Out: what is to be noted of them.
 * Memory: the signatures, and the state of one hash for each that is to be verified.
 */
export class SignatureCheck {
  readonly #policy: SignaturePolicy
  readonly #place: ErrorPlace
  /** Announced before the data, the one whose signature comes first on top. */
  readonly #announced: Expected[] = []
  readonly #received: Received[] = []
  readonly #digests: Digest[] = []
  #results: VerifyMessageResult['signatures'] = []
  #hasBegun = false

  constructor(policy: SignaturePolicy, place: ErrorPlace) {
    this.#policy = policy
    this.#place = place
  }

  /** The keys with which a library that reads the whole message is to verify it. */
  get keys(): PublicKey[] {
    return [...(this.#policy.signers ?? [])]
  }

  /** Takes the packet that announces a signature, RFC 9580 §5.4. */
  announce(body: Uint8Array): void {
    const [version, type = -1, hashAlgorithm = -1, , saltLength = 0] = body
    const salt = version === 6 ? body.subarray(5, 5 + saltLength) : undefined
    // A key id is the beginning of a fingerprint of version 6.
    const id = salt ? body.subarray(5 + saltLength, 13 + saltLength) : body.subarray(4, 12)
    this.#announced.push(this.#expect({ keyId: hex(id), type, hashAlgorithm, salt }))
  }

  /** Takes a signature: the one that was announced last, or one that stands before its data. */
  async receive(body: Uint8Array): Promise<void> {
    if (this.#hasBegun) {
      this.#received.push({ bytes: body, expected: this.#announced.pop() })
      return
    }
    const packet = await readPacket(body).catch(() => undefined)
    const expected = packet && {
      keyId: packet.issuerKeyID.toHex(),
      type: packet.signatureType ?? -1,
      hashAlgorithm: packet.hashAlgorithm ?? -1,
      salt: saltOf(packet)
    }
    this.#received.push({ bytes: body, expected: expected && this.#expect(expected) })
  }

  /** Takes note that the data begins. */
  begin(): void {
    this.#hasBegun = true
  }

  /** Takes the next bytes of the payload. */
  update(bytes: Uint8Array): void {
    for (const digest of this.#digests) digest.update(bytes)
  }

  /** Takes what the library found, where the library reads the whole message. */
  takeResults(results: VerifyMessageResult['signatures']): void {
    this.#results = results
  }

  /** What is to be noted of the signatures, now that all of the message was read; nothing when it has none. */
  async settle(): Promise<MessageSignature | undefined> {
    const found: MessageSignature[] = []
    for (const received of this.#received) found.push(await this.#judge(received))
    for (const result of this.#results) found.push(await this.#judgeResult(result))
    const owed = this.#announced.find(({ keyId }) => this.#signerOf(keyId))
    if (owed) throw this.#bad(owed.keyId, 'it is announced and missing')
    const best = found.find(({ state }) => state === 'valid') ?? found[0]
    if (this.#policy.isRequired && best?.state !== 'valid') {
      const what = best
        ? `the message is signed by key 0x${best.keyId}, which is not allowed to`
        : 'the message is not signed'
      throw new DecryptError('DECRYPT_NO_SIGNATURE', what, this.#place)
    }
    return best
  }

  #expect(signature: Omit<Expected, 'digest'>): Expected {
    const name = hashes[signature.hashAlgorithm]
    if (name === undefined || !this.#signerOf(signature.keyId)) return { ...signature, digest: undefined }
    if (this.#digests.length === maxSignatures) {
      throw new DecryptError(
        'DECRYPT_UNSUPPORTED',
        `the message has more than ${maxSignatures} signatures`,
        this.#place
      )
    }
    const digest = new Digest(name, signature)
    this.#digests.push(digest)
    return { ...signature, digest }
  }

  async #judge({ bytes, expected }: Received): Promise<MessageSignature> {
    const packet = await readPacket(bytes).catch(cause => cause as Error)
    const keyId = packet instanceof Error ? (expected?.keyId ?? issuerOf(bytes)) : packet.issuerKeyID.toHex()
    const signer = this.#signerOf(keyId)
    if (signer === undefined) return this.#foreign(keyId)
    const weak = weakHashes[expected?.hashAlgorithm ?? -1]
    if (weak) throw this.#bad(keyId, `its hash is too weak, ${weak}`)
    if (packet instanceof Error) throw this.#bad(keyId, 'it is of a kind that is not supported', packet)
    if (expected?.digest === undefined || !isAnnounced(packet, expected)) {
      throw this.#bad(keyId, 'it is not the one that was announced')
    }
    try {
      await verify(packet, expected.digest.end(packet), signer)
    } catch (cause) {
      throw this.#bad(keyId, reasonOf(cause), cause)
    }
    return valid(packet, signer)
  }

  async #judgeResult({
    keyID,
    verified,
    signature
  }: VerifyMessageResult['signatures'][number]): Promise<MessageSignature> {
    const keyId = keyID.toHex()
    const signer = this.#signerOf(keyId)
    if (signer === undefined) return this.#foreign(keyId)
    try {
      await verified
      return valid((await signature).packets[0]!, signer)
    } catch (cause) {
      throw this.#bad(keyId, reasonOf(cause), cause)
    }
  }

  #signerOf(keyId: string): PublicKey | undefined {
    return this.#policy.signers?.find(key => key.getKeys().some(part => part.getKeyID().toHex() === keyId))
  }

  #foreign(keyId: string): MessageSignature {
    return { state: this.#policy.signers ? 'unknown-signer' : 'unverified', keyId: keyId.toUpperCase() }
  }

  #bad(keyId: string, reason: string, cause?: unknown): DecryptError {
    const what = `the signature of key 0x${keyId.toUpperCase()} is not valid, ${reason}`
    return new DecryptError('DECRYPT_SIGNATURE', what, { ...this.#place, cause })
  }
}

/** The hash of what a signature signs: salt, data, and the signature's own hashed part, RFC 9580 §5.2.4. */
class Digest {
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
async function verify(packet: SignaturePacket, hashed: Uint8Array, signer: PublicKey): Promise<void> {
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

function isAnnounced(packet: SignaturePacket, { keyId, type, hashAlgorithm, salt }: Expected): boolean {
  return (
    (type === 0 || type === 1) &&
    packet.signatureType === type &&
    packet.hashAlgorithm === hashAlgorithm &&
    packet.issuerKeyID.toHex() === keyId &&
    Buffer.compare(saltOf(packet) ?? Buffer.alloc(0), salt ?? Buffer.alloc(0)) === 0
  )
}

async function readPacket(body: Uint8Array): Promise<SignaturePacket> {
  const { SignaturePacket } = await loadOpenPgp()
  const packet = new SignaturePacket()
  packet.read(plain(body))
  return packet
}

function saltOf(packet: SignaturePacket): Uint8Array | undefined {
  return (packet as unknown as { readonly salt: Uint8Array | null }).salt ?? undefined
}

/** The key id in a signature of version 3, which the library does not read. */
function issuerOf(body: Uint8Array): string {
  return body[0] === 3 && body.length >= 15 ? hex(body.subarray(7, 15)) : '0'.repeat(16)
}

function valid(packet: SignaturePacket, signer: PublicKey): MessageSignature {
  return {
    state: 'valid',
    keyId: packet.issuerKeyID.toHex().toUpperCase(),
    fingerprint: signer.getFingerprint().toUpperCase(),
    createdAt: packet.created!.getTime()
  }
}

/** The library's errors have no codes; their words are all there is. */
function reasonOf(cause: unknown): string {
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

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
