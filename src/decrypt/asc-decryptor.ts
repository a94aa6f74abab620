import { createHash } from 'node:crypto'
import type { Duplex } from 'node:stream'
import * as z from 'zod'
import { ConfigError, DecryptError, type ErrorCode, findIngestError } from '../errors.ts'
import { type Credential, settle } from '../options.ts'
import type { FileLabel } from '../source/source.ts'
import { StageStream } from '../stage-stream.ts'
import { type Keyring, openKeyring } from './keyring.ts'
import { explain, openSessionKey, readSealed, unseal } from './message.ts'
import { forgetOpened, noteOpened } from './opened.ts'
import type { OpenPgpKind } from './openpgp-format.ts'
import { tooLarge } from './payload.ts'
import { recognize } from './recognize.ts'
import { SignatureCheck, type SignaturePolicy } from './signature-check.ts'
import { openSigners } from './signers.ts'

export interface AscDecryptorOptions {
  /**
   * OpenPGP private keys, armored or binary, or functions that fetch them. One block may hold several keys; give
   * several while keys are being rotated. Without any, files that are not encrypted still pass.
   */
  readonly privateKey?: Credential<string | Uint8Array> | readonly Credential<string | Uint8Array>[] | undefined
  /** Opens those private keys that are locked; asked for only then. */
  readonly passphrase?: Credential<string> | undefined
  /**
   * OpenPGP public keys of those who may sign, armored or binary, or functions that fetch them; one block may hold
   * several keys. Without any, a signature is noted and not verified.
   */
  readonly signers?: Credential<string | Uint8Array> | readonly Credential<string | Uint8Array>[] | undefined
  /**
   * What becomes of signatures inside messages. `optional`: one of an allowed signer must hold, others are noted.
   * `required`: a file without a valid one of an allowed signer is refused (`DECRYPT_NO_SIGNATURE`), a plain file too.
   * `ignore`: noted and not verified.
   *
   * @default 'optional' with `signers`, 'ignore' without
   */
  readonly signature?: 'ignore' | 'optional' | 'required' | undefined
  /**
   * Bytes that the payload of a message may have, before any unzip: what a small message unpacks to may be without end.
   * The default is about what all meters of Texas read in one day, as CSV; no file comes near it.
   *
   * @default 68_719_476_736 (64 GiB)
   */
  readonly maxPayloadBytes?: number | undefined
}

const isFunction = (value: unknown) => typeof value === 'function'
const isKey = (value: unknown) =>
  isFunction(value) || ((typeof value === 'string' || value instanceof Uint8Array) && value.length > 0)

// `z.custom`, for a schema of functions would hand out wrappers instead of those that were given.
const keys = z
  .custom<NonNullable<AscDecryptorOptions['privateKey']>>(
    value => (Array.isArray(value) ? value.every(isKey) : isKey(value)),
    'must be a key (text or bytes), a function that gives one, or an array of these'
  )
  .optional()
const schema = z.strictObject({
  privateKey: keys,
  signers: keys,
  signature: z.enum(['ignore', 'optional', 'required']).optional(),
  maxPayloadBytes: z.number().int().positive().default(68_719_476_736),
  passphrase: z
    .custom<Credential<string>>(
      value => isFunction(value) || typeof value === 'string',
      'must be text or a function that gives it'
    )
    .optional()
})

/** Keys, read and open. */
interface Opening {
  readonly keyring: Keyring
  readonly policy: SignaturePolicy
}

/** What a file is refused for before any key is asked for. */
const refusals: { readonly [kind in OpenPgpKind]?: readonly [ErrorCode, string] } = {
  'unencrypted-message': ['DECRYPT_NOT_ENCRYPTED', 'the OpenPGP message is not encrypted'],
  'cleartext-signed': ['DECRYPT_NOT_ENCRYPTED', 'the text is signed and not encrypted'],
  'public-key': ['DECRYPT_IS_KEY', 'this is an OpenPGP public key'],
  'private-key': ['DECRYPT_IS_KEY', 'this is an OpenPGP private key'],
  signature: ['DECRYPT_IS_SIGNATURE', 'this is an OpenPGP signature without its data'],
  'other-armor': ['DECRYPT_UNSUPPORTED', 'this kind of OpenPGP armor is not supported']
}

/**
 * Opens OpenPGP messages; passes everything else through, byte for byte.
 *
 * In: bytes of one file, armored or binary or no OpenPGP at all. Out: bytes of its payload, in order. They are
 * provisional until the stream has ended well: most messages carry their integrity check at the very end.
 * Memory: the opened keys, and per stream a few chunks. Of a message in AEAD chunks a few of those, 4 MiB each at most.
 * Of one in a cipher that Node does not have (CAST5, Blowfish, Twofish) all of it, 256 MiB at most.
 */
export class AscDecryptor {
  readonly #privateKeys: readonly Credential<string | Uint8Array>[]
  readonly #passphrase: Credential<string> | undefined
  readonly #signers: readonly Credential<string | Uint8Array>[]
  readonly #signature: 'ignore' | 'optional' | 'required'
  readonly #maxBytes: number
  #opened: Promise<Opening> | undefined

  constructor(options: AscDecryptorOptions = {}) {
    const { privateKey, passphrase, signers, signature, maxPayloadBytes } = settle('AscDecryptor', schema, options)
    this.#privateKeys = privateKey === undefined ? [] : [privateKey].flat()
    this.#passphrase = passphrase
    this.#maxBytes = maxPayloadBytes
    this.#signers = signers === undefined ? [] : [signers].flat()
    this.#signature = signature ?? (this.#signers.length > 0 ? 'optional' : 'ignore')
    if (this.#signature !== 'ignore' && this.#signers.length === 0) {
      throw new ConfigError(
        'CONFIG_INVALID',
        `AscDecryptor option \`signature\` is ${signature} and \`signers\` is empty`
      )
    }
  }

  /** Reads the signers' keys, and reads and opens the private ones, so that a wrong key or passphrase shows before any file is fetched. */
  async open(): Promise<void> {
    await this.#openKeys()
  }

  /** One file's stream: bytes in, bytes out. `file` names errors and keeps what was opened. */
  stream(file?: FileLabel, options: { readonly signal?: AbortSignal | undefined } = {}): Duplex {
    const stream = new StageStream<Uint8Array, Uint8Array>((chunks, signal) => this.#decrypt(chunks, signal, file))
    return stream.obey(options.signal, { file: file?.path })
  }

  /** Forgets the opened keys. Streams that run go on; one that is made later opens the keys anew. */
  async close(): Promise<void> {
    this.#opened = undefined
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** Opens the keys once, however many streams ask at the same time; a failure is not kept. */
  #openKeys(): Promise<Opening> {
    if (this.#opened !== undefined) return this.#opened
    const opening = this.#readKeys()
    opening.catch(() => {
      if (this.#opened === opening) this.#opened = undefined
    })
    this.#opened = opening
    return opening
  }

  async #readKeys(): Promise<Opening> {
    const keyring = await openKeyring(this.#privateKeys, this.#passphrase)
    const signers = this.#signature === 'ignore' ? undefined : await openSigners(this.#signers)
    return { keyring, policy: { signers, isRequired: this.#signature === 'required' } }
  }

  async *#decrypt(chunks: AsyncIterable<Uint8Array>, signal: AbortSignal, file: FileLabel | undefined) {
    const place = { file: file?.path }
    forgetOpened(file)
    const { kind, bytes } = await recognize(chunks, place)
    const refusal = refusals[kind]
    if (refusal !== undefined) throw new DecryptError(...refusal, place)
    if (kind === 'none') {
      if (this.#signature === 'required') {
        throw new DecryptError('DECRYPT_NO_SIGNATURE', 'the file is no OpenPGP message, so nobody signed it', place)
      }
      yield* bytes
      noteOpened(file, { encrypted: false })
    } else {
      yield* this.#open(bytes, signal, file)
    }
  }

  async *#open(bytes: AsyncIterable<Uint8Array>, signal: AbortSignal, file: FileLabel | undefined) {
    const place = { file: file?.path }
    const upstream = watch(bytes)
    const hash = createHash('sha256')
    let length = 0
    try {
      const message = await readSealed(upstream.bytes, place)
      const { keyring, policy } = await unlessAborted(this.#openKeys(), signal)
      const { sessionKey, keyId } = await openSessionKey(message, keyring, place)
      const signatures = new SignatureCheck(policy, place)
      const reading = { place, signatures, maxBytes: this.#maxBytes }
      for await (const chunk of unseal(message, sessionKey, reading)) {
        if (chunk.length === 0) continue
        if (length + chunk.length > this.#maxBytes) throw tooLarge(reading)
        hash.update(chunk)
        signatures.update(chunk)
        length += chunk.length
        yield chunk
      }
      const signature = await signatures.settle()
      const sha256 = hash.digest('hex')
      noteOpened(file, {
        encrypted: true,
        bytes: length,
        sha256,
        ...(keyId && { keyId }),
        ...(signature && { signature })
      })
    } catch (cause) {
      // An error keeps the stage it was born in: what broke upstream comes out as it went in.
      throw upstream.broken()?.error ?? findIngestError(cause) ?? explain(cause, place)
    }
  }
}

/** The bytes, and the error they broke with if they did: what stands in between may wrap it, or lose it. */
function watch(chunks: AsyncIterable<Uint8Array>) {
  let broken: { readonly error: unknown } | undefined
  const bytes = (async function* () {
    try {
      yield* chunks
    } catch (error) {
      broken = { error }
      throw error
    }
  })()
  return { bytes, broken: () => broken }
}

/** Waits for work that others share, and no longer than the stream lives. */
function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason)
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    work.then(resolve, reject)
  })
}
