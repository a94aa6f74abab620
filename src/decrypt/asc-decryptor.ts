import { createHash } from 'node:crypto'
import type { Duplex } from 'node:stream'
import { ReadableStream, type ReadableStreamDefaultReader } from 'node:stream/web'
import type { KeyID, Message, SessionKey } from 'openpgp'
import { z } from 'zod'
import { AbortError, DecryptError, type ErrorCode, type ErrorPlace, findIngestError } from '../errors.ts'
import { type Credential, settle } from '../options.ts'
import type { IngestFile } from '../source/source.ts'
import { StageStream } from '../stage-stream.ts'
import { Dearmor } from './armor.ts'
import { isHidden, type Keyring, loadOpenPgp, openKeyring, openpgpConfig, showKeyId } from './keyring.ts'
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

const key = z.custom<Credential<string | Uint8Array>>(
  value =>
    typeof value === 'function' || ((typeof value === 'string' || value instanceof Uint8Array) && value.length > 0),
  'must be a key (text or bytes), a function that gives one, or an array of these'
)
const schema = z.strictObject({
  privateKey: z
    .custom<AscDecryptorOptions['privateKey']>(
      value => value === undefined || (Array.isArray(value) ? value : [value]).every(one => key.safeParse(one).success),
      'must be a key (text or bytes), a function that gives one, or an array of these'
    )
    .optional(),
  passphrase: z
    .custom<Credential<string>>(
      value => value === undefined || typeof value === 'function' || typeof value === 'string',
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
 * Memory: the opened keys, and per stream a few chunks; of a message in AEAD chunks, some of those (4 MiB at most,
 * as GnuPG writes them).
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
  stream(file?: IngestFile, options: { readonly signal?: AbortSignal | undefined } = {}): Duplex {
    const stream = new StageStream<Uint8Array, Uint8Array>((chunks, signal) => this.#decrypt(chunks, signal, file))
    if (options.signal !== undefined) obey(options.signal, stream, { file: file?.path })
    return stream
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

  async *#decrypt(chunks: AsyncIterable<Uint8Array>, signal: AbortSignal, file: IngestFile | undefined) {
    const place = { file: file?.path }
    forgetOpened(file)
    let { kind, bytes } = await peek(chunks, sniffOpenPgp)
    if (kind === 'armored-message') {
      const inside = await peek(dearmor(bytes, place), sniffPackets)
      bytes = inside.bytes
      // What armor calls a message is one, however odd: the library says what is wrong with it.
      kind = inside.kind === 'none' ? 'encrypted-message' : inside.kind
    }
    const refusal = refusals[kind]
    if (refusal !== undefined) throw new DecryptError(...refusal, place)
    if (kind === 'none') {
      yield* bytes
      noteOpened(file, { encrypted: false })
    } else {
      yield* this.#decryptMessage(bytes, signal, file)
    }
  }

  async *#decryptMessage(bytes: AsyncIterable<Uint8Array>, signal: AbortSignal, file: IngestFile | undefined) {
    const place = { file: file?.path }
    const { readMessage, decrypt } = await loadOpenPgp()
    const feed = feedFrom(bytes)
    let reader: ReadableStreamDefaultReader<Uint8Array> | undefined
    try {
      const message = await readMessage({ binaryMessage: feed.stream, config: openpgpConfig })
      await checkMessage(message, place)
      const keyring = await unlessAborted(this.#openKeyring(), signal)
      const { sessionKeys, keyId } = await openSessionKeys(message, keyring, place)
      const { data } = await decrypt({ message, sessionKeys, format: 'binary', config: openpgpConfig })
      reader = (data as ReadableStream<Uint8Array>).getReader()
      const hash = createHash('sha256')
      let length = 0
      // Only `done` proves the message: an altered one gives all its bytes and fails here, after the last of them.
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        const chunk = part.value!
        hash.update(chunk)
        length += chunk.length
        if (chunk.length > 0) yield chunk
      }
      noteOpened(file, { encrypted: true, bytes: length, sha256: hash.digest('hex'), ...(keyId && { keyId }) })
    } catch (cause) {
      // An error keeps the stage it was born in: what broke upstream comes out as it went in.
      throw feed.broken()?.error ?? findIngestError(cause) ?? explain(cause, place)
    } finally {
      // Not awaited: inside the library it waits for a twin of this stream that nobody reads any more.
      reader?.cancel().catch(() => {})
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

/**
 * The bytes as the kind of stream that the library reads, pulled one chunk at a time. Made by hand, for
 * `Readable.toWeb` buffers ahead and, given text, ends the process from inside.
 */
function feedFrom(bytes: AsyncIterable<Uint8Array>) {
  const iterator = bytes[Symbol.asyncIterator]()
  let broken: { readonly error: unknown } | undefined
  const stream = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          let next = await iterator.next()
          // The library takes an empty chunk for a byte that is not there.
          while (!next.done && next.value.length === 0) next = await iterator.next()
          if (next.done) controller.close()
          else controller.enqueue(next.value)
        } catch (error) {
          broken = { error }
          controller.error(error)
        }
      },
      async cancel() {
        await iterator.return?.()
      }
    },
    { highWaterMark: 0 }
  )
  return { stream, broken: () => broken }
}

type StreamedMessage = Message<ReadableStream<Uint8Array>>

/** Refuses a message by its packets alone. */
async function checkMessage(message: StreamedMessage, place: ErrorPlace): Promise<void> {
  const { enums } = await loadOpenPgp()
  const { packet } = enums
  if (message.packets.findPacket(packet.symmetricallyEncryptedData) !== undefined) {
    throw new DecryptError('DECRYPT_NO_INTEGRITY', 'the message has no integrity protection', place)
  }
  const sealed = [packet.symEncryptedIntegrityProtectedData, packet.aeadEncryptedData]
  if (sealed.every(tag => message.packets.findPacket(tag) === undefined)) {
    throw new DecryptError('DECRYPT_TRUNCATED', 'the message ends before its encrypted data', place)
  }
}

/** Opens what holds the message's own key, by those private keys that it was made for. */
async function openSessionKeys(message: StreamedMessage, keyring: Keyring, place: ErrorPlace) {
  const { decryptSessionKeys } = await loadOpenPgp()
  const madeFor = message.getEncryptionKeyIDs()
  const known = madeFor.find(id => keyring.ids.some(own => own.equals(id)))
  if (known === undefined && (keyring.ids.length === 0 || !madeFor.some(isHidden))) {
    throw noKey(madeFor, keyring, place)
  }
  try {
    const decryptionKeys = [...keyring.keys]
    const sessionKeys = await decryptSessionKeys({ message, decryptionKeys, config: openpgpConfig })
    // Its type leaves out that a message in AEAD chunks names the cipher in the data, and so not in the session key.
    return { sessionKeys: sessionKeys as SessionKey[], keyId: known?.toHex().toUpperCase() }
  } catch (cause) {
    // A hidden recipient is found by trying; that no key fits is then no damage.
    if (known === undefined && codeFor(cause) === 'DECRYPT_CORRUPT') throw noKey(madeFor, keyring, place, cause)
    throw explain(cause, place)
  }
}

function noKey(madeFor: readonly KeyID[], keyring: Keyring, place: ErrorPlace, cause?: unknown): DecryptError {
  const named = madeFor.filter(id => !isHidden(id)).map(showKeyId)
  const wanted = [
    ...(named.length > 0 ? [`key ${named.join(', ')}`] : []),
    ...(named.length < madeFor.length ? ['a hidden recipient'] : []),
    ...(madeFor.length === 0 ? ['a password, not for a key'] : [])
  ].join(' and ')
  const given = keyring.ids.length > 0 ? `given ${keyring.ids.map(showKeyId).join(', ')}` : 'no private key given'
  return new DecryptError('DECRYPT_NO_KEY', `made for ${wanted}; ${given}`, { ...place, cause })
}

/** The library's errors have no codes; their names and words are all there is. What none of these says is damage. */
const meanings: readonly (readonly [ErrorCode, RegExp])[] = [
  ['DECRYPT_TRUNCATED', /Unexpected end of packet/],
  ['DECRYPT_UNSUPPORTED', /^UnsupportedError|^UnknownPacketError/m],
  // Not just "Unsupported": a wrong tag of Node's own reads "Unsupported state or unable to authenticate data".
  ['DECRYPT_UNSUPPORTED', /Unsupported (?:cipher|AEAD|public|ECDH|curve)|not supported|non-preferred|enum value/]
]
const what: { readonly [code in ErrorCode]?: string } = {
  DECRYPT_TRUNCATED: 'the message ends too early',
  DECRYPT_UNSUPPORTED: 'the message uses a cipher or packet that is not supported',
  DECRYPT_CORRUPT: 'the message was altered or damaged'
}

function codeFor(cause: unknown): ErrorCode {
  const words: string[] = []
  for (let e = cause; e instanceof Error && words.length < 20; e = e.cause) words.push(`${e.name}: ${e.message}`)
  return meanings.find(([, sign]) => sign.test(words.join('\n')))?.[0] ?? 'DECRYPT_CORRUPT'
}

function explain(cause: unknown, place: ErrorPlace): DecryptError {
  const code = codeFor(cause)
  return new DecryptError(code, what[code] ?? 'the message could not be opened', { ...place, cause })
}

/** Waits for work that others share, and no longer than the stream lives. */
function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    work.then(resolve, reject)
  })
}

/** Ends a stream when its signal says so. */
function obey(signal: AbortSignal, stream: Duplex, place: ErrorPlace): void {
  const stop = () => stream.destroy(new AbortError({ ...place, cause: signal.reason }))
  if (signal.aborted) return void stop()
  signal.addEventListener('abort', stop, { once: true })
  stream.once('close', () => signal.removeEventListener('abort', stop))
}
