import { createHash } from 'node:crypto'
import type { Duplex } from 'node:stream'
import * as z from 'zod'
import { DecryptError, type ErrorCode, type ErrorPlace, findIngestError } from '../errors.ts'
import { type Credential, settle } from '../options.ts'
import type { FileLabel } from '../source/source.ts'
import { StageStream } from '../stage-stream.ts'
import { Dearmor } from './armor.ts'
import { type Keyring, openKeyring } from './keyring.ts'
import { explain, openSessionKey, readSealed, unseal } from './message.ts'
import { forgetOpened, noteOpened } from './opened.ts'
import { type OpenPgpKind, sniffOpenPgp, sniffPackets } from './openpgp-format.ts'

export interface AscDecryptorOptions {
  /**
   * OpenPGP private keys, armored or binary, or functions that fetch them. One block may hold several keys; give
   * several while keys are being rotated. Without any, files that are not encrypted still pass.
   */
  readonly privateKey?: Credential<string | Uint8Array> | readonly Credential<string | Uint8Array>[] | undefined
  /** Opens those private keys that are locked; asked for only then. */
  readonly passphrase?: Credential<string> | undefined
}

const isFunction = (value: unknown) => typeof value === 'function'
const isKey = (value: unknown) =>
  isFunction(value) || ((typeof value === 'string' || value instanceof Uint8Array) && value.length > 0)

// `z.custom`, for a schema of functions would hand out wrappers instead of those that were given.
const schema = z.strictObject({
  privateKey: z
    .custom<NonNullable<AscDecryptorOptions['privateKey']>>(
      value => (Array.isArray(value) ? value.every(isKey) : isKey(value)),
      'must be a key (text or bytes), a function that gives one, or an array of these'
    )
    .optional(),
  passphrase: z
    .custom<Credential<string>>(
      value => isFunction(value) || typeof value === 'string',
      'must be text or a function that gives it'
    )
    .optional()
})

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
  #keyring: Promise<Keyring> | undefined

  constructor(options: AscDecryptorOptions = {}) {
    const { privateKey, passphrase } = settle('AscDecryptor', schema, options)
    this.#privateKeys = privateKey === undefined ? [] : [privateKey].flat()
    this.#passphrase = passphrase
  }

  /** Reads and opens the private keys, so that a wrong key or passphrase shows before any file is fetched. */
  async open(): Promise<void> {
    await this.#openKeyring()
  }

  /** One file's stream: bytes in, bytes out. `file` names errors and keeps what was opened. */
  stream(file?: FileLabel, options: { readonly signal?: AbortSignal | undefined } = {}): Duplex {
    const stream = new StageStream<Uint8Array, Uint8Array>((chunks, signal) => this.#decrypt(chunks, signal, file))
    return stream.obey(options.signal, { file: file?.path })
  }

  /** Forgets the opened keys. Streams that run go on; one that is made later opens the keys anew. */
  async close(): Promise<void> {
    this.#keyring = undefined
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** Opens the keys once, however many streams ask at the same time; a failure is not kept. */
  #openKeyring(): Promise<Keyring> {
    if (this.#keyring !== undefined) return this.#keyring
    const opening = openKeyring(this.#privateKeys, this.#passphrase)
    opening.catch(() => {
      if (this.#keyring === opening) this.#keyring = undefined
    })
    this.#keyring = opening
    return opening
  }

  async *#decrypt(chunks: AsyncIterable<Uint8Array>, signal: AbortSignal, file: FileLabel | undefined) {
    const place = { file: file?.path }
    forgetOpened(file)
    let { kind, bytes } = await peek(chunks, sniffOpenPgp)
    if (kind === 'armored-message') {
      const inside = await peek(dearmor(bytes, place), sniffPackets)
      bytes = inside.bytes
      // What armor calls a message is one, however odd; what is wrong with it shows when it is opened.
      kind = inside.kind === 'none' ? 'encrypted-message' : inside.kind
    }
    const refusal = refusals[kind]
    if (refusal !== undefined) throw new DecryptError(...refusal, place)
    if (kind === 'none') {
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
      const keyring = await unlessAborted(this.#openKeyring(), signal)
      const { sessionKey, keyId } = await openSessionKey(message, keyring, place)
      for await (const chunk of unseal(message, sessionKey, place)) {
        if (chunk.length === 0) continue
        hash.update(chunk)
        length += chunk.length
        yield chunk
      }
      noteOpened(file, { encrypted: true, bytes: length, sha256: hash.digest('hex'), ...(keyId && { keyId }) })
    } catch (cause) {
      // An error keeps the stage it was born in: what broke upstream comes out as it went in.
      throw upstream.broken()?.error ?? findIngestError(cause) ?? explain(cause, place)
    }
  }
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
