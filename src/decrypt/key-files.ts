import { DecryptError, findIngestError } from '../errors.ts'
import { type Credential, resolveCredential } from '../options.ts'
import { loadOpenPgp, plain } from './library.ts'
import { sniffOpenPgp } from './openpgp-format.ts'

type Library = Awaited<ReturnType<typeof loadOpenPgp>>

/** A block of keys as the library takes it: bytes, or text. Its types want to know which. */
type KeyBlock = { readonly binaryKeys: Uint8Array } & { readonly armoredKeys: string }

/** Which half of a key is wanted, and how errors speak of it. */
export interface KeyHalf<Key> {
  readonly half: 'private' | 'public'
  /** `the private key`. */
  readonly name: string
  /** The option that gives it. */
  readonly option: string
  readonly code: 'KEY_UNREADABLE' | 'SIGNER_UNREADABLE'
  read(library: Library, block: KeyBlock): Promise<Key[]>
}

/** The keys of some files, each of which may hold several. */
export async function readKeyFiles<Key>(
  credentials: readonly Credential<string | Uint8Array>[],
  wanted: KeyHalf<Key>
): Promise<Key[]> {
  return (await Promise.all(credentials.map(async given => readKeys(await fetchKey(given, wanted), wanted)))).flat()
}

async function fetchKey(
  credential: Credential<string | Uint8Array>,
  { name, code }: KeyHalf<unknown>
): Promise<string | Uint8Array> {
  try {
    return await resolveCredential(credential)
  } catch (cause) {
    throw findIngestError(cause) ?? new DecryptError(code, `${name} was not given`, { cause })
  }
}

async function readKeys<Key>(
  given: string | Uint8Array,
  { half, name, option, code, read }: KeyHalf<Key>
): Promise<Key[]> {
  const bytes = typeof given === 'string' ? Buffer.from(given) : given
  const kind = bytes instanceof Uint8Array ? sniffOpenPgp(bytes, true) : 'none'
  const other = half === 'private' ? 'public' : 'private'
  if (kind === `${other}-key`) {
    throw new DecryptError(code, `this is a ${other} key, and the ${half} one is needed: ${option}`)
  }
  if (kind !== `${half}-key`) throw new DecryptError(code, `this is not an OpenPGP ${half} key: ${option}`)
  const library = await loadOpenPgp()
  try {
    return (await Promise.all(blocksOf(bytes).map(block => read(library, block)))).flat()
  } catch (cause) {
    throw new DecryptError(code, `${name} is damaged: ${option}`, { cause })
  }
}

function blocksOf(bytes: Uint8Array): KeyBlock[] {
  if (bytes[0]! >= 0x80 && bytes[0] !== 0xef) return [{ binaryKeys: plain(bytes) } as KeyBlock]
  // The library reads the first armored block of a text and forgets the others. Environment variables often carry
  // line ends as a backslash and an n, neither of which armor knows.
  const text = Buffer.from(bytes).toString().replaceAll('\\n', '\n')
  const blocks = text.split(/(?=^[ \t]*-----BEGIN PGP )/m).filter(block => block.trim().startsWith('-----BEGIN'))
  return blocks.map(armoredKeys => ({ armoredKeys }) as KeyBlock)
}
