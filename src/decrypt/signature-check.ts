import type { PublicKey, VerifyMessageResult } from 'openpgp'
import { DecryptError, type ErrorPlace } from '../errors.ts'
import type { MessageSignature } from './opened.ts'
import {
  Digest,
  type Expected,
  hashes,
  hex,
  isAnnounced,
  issuerOf,
  readPacket,
  reasonOf,
  saltOf,
  valid,
  verify,
  weakHashes
} from './signature.ts'

/** What is to be done about signatures. */
export interface SignaturePolicy {
  /** Who may sign; none when signatures are not to be verified. */
  readonly signers: readonly PublicKey[] | undefined
  readonly isRequired: boolean
}

/** More signatures than this are nobody's: each one that is verified costs a hash of the whole payload. */
const maxSignatures = 16

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
