/** What is known of the signature inside a message; of several the first that is valid, or else the first. */
export interface MessageSignature {
  /**
   * `valid`: one of the allowed signers made it, and of this very content. `unknown-signer`: somebody else made it,
   * whose key is not here. `unverified`: signers are not given, or signatures are to be ignored.
   */
  readonly state: 'valid' | 'unknown-signer' | 'unverified'
  /** Id of the key that made it, by its own account, upper-case hex; zeros when it does not say. */
  readonly keyId: string
  /** Of a valid one: fingerprint of the signer's primary key, upper-case hex. */
  readonly fingerprint?: string
  /** Of a valid one: when it was made, by its own account, in UTC epoch milliseconds. */
  readonly createdAt?: number
}

/** What became of one file's bytes on their way through the decryptor. */
export type Opened =
  | {
      /** It was no OpenPGP message: the payload is the file as fetched. */
      readonly encrypted: false
    }
  | {
      readonly encrypted: true
      /** Bytes of the payload, before any unzip. */
      readonly bytes: number
      /** SHA-256 of the payload, lower-case hex: the same for the same report encrypted anew. */
      readonly sha256: string
      /** Id of the key it was opened with, upper-case hex; none when the message hides its recipients. */
      readonly keyId?: string
      /** The signature inside the message; none when it has none. */
      readonly signature?: MessageSignature
    }

const notes = new WeakMap<object, Opened>()

/** What the decryptor saw of a file, once a stream of it came to its clean end. */
export function openedOf(file: object): Opened | undefined {
  return notes.get(file)
}

/** Keeps what was seen at the clean end of a stream. */
export function noteOpened(file: object | undefined, opened: Opened): void {
  if (file !== undefined) notes.set(file, opened)
}

/** A new reading begins; what an earlier one saw proves nothing about it. */
export function forgetOpened(file: object | undefined): void {
  if (file !== undefined) notes.delete(file)
}
