import { accessSync, constants } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { AscDecryptor, type AscDecryptorOptions } from '../decrypt/asc-decryptor.ts'
import { ConfigError } from '../errors.ts'
import { IntervalParser } from '../parse/interval-parser.ts'
import type { DuckDbSink } from '../sink/duckdb.ts'
import type { PostgresSink, PostgresSinkOptions } from '../sink/postgres.ts'
import type { Sink } from '../sink/sink.ts'
import { DirectorySource } from '../source/directory-source.ts'
import type { DisposeOption } from '../source/disposal.ts'
import { SftpSource } from '../source/sftp-source.ts'
import type { Source } from '../source/source.ts'

/** Flags that open OpenPGP messages. */
export interface KeyFlags {
  readonly key?: readonly string[]
  readonly passphraseFile?: string
  readonly signer?: readonly string[]
  /** `ignore`, `optional` or `required`. */
  readonly signature?: string
}

/** Flags of how files are read. */
export interface ParserFlags {
  /** Daily reads and monthly bills: `read` or `leave`. */
  readonly reports?: 'read' | 'leave' | undefined
}

/** Flags that reach a source. */
export interface SourceFlags {
  readonly from?: readonly string[]
  readonly identity?: string
  readonly passwordFile?: string
  readonly hostKey?: readonly string[]
  readonly knownHosts?: string
  /** `keep`, `delete`, or `move:DIR`. */
  readonly after?: string
}

/** A store that can be asked. */
type Database = DuckDbSink | PostgresSink

type Env = NodeJS.ProcessEnv

/** The decryptor that flags and environment ask for. Without a key, plain files still pass. */
export function buildDecryptor(flags: KeyFlags, env: Env): AscDecryptor {
  const paths = flags.key ?? list(env.SMT_PGP_KEY)
  const passphraseFile = flags.passphraseFile ?? env.SMT_PGP_PASSPHRASE_FILE
  for (const path of paths) demand(path, 'the OpenPGP key (--key or SMT_PGP_KEY)')
  if (passphraseFile) demand(passphraseFile, 'the passphrase (--passphrase-file or SMT_PGP_PASSPHRASE_FILE)')
  const signers = flags.signer ?? list(env.SMT_PGP_SIGNERS)
  for (const path of signers) demand(path, 'the signer’s key (--signer or SMT_PGP_SIGNERS)')
  const signature = signatureOf(flags.signature ?? env.SMT_PGP_SIGNATURE, signers)
  return new AscDecryptor({
    ...(paths.length > 0 && { privateKey: paths.map(path => () => readFile(path)) }),
    ...(passphraseFile && { passphrase: () => readSecret(passphraseFile) }),
    ...(signers.length > 0 && { signers: signers.map(path => () => readFile(path)) }),
    signature
  })
}

/** The parser that flags ask for. */
export function buildParser({ reports }: ParserFlags): IntervalParser {
  return new IntervalParser({ reports })
}

function signatureOf(signature: string | undefined, signers: readonly string[]): AscDecryptorOptions['signature'] {
  if (!signature) return undefined
  if (signature !== 'ignore' && signature !== 'optional' && signature !== 'required') {
    throw new ConfigError('CONFIG_INVALID', `--signature is ignore, optional or required, got ${signature}`)
  }
  if (signature !== 'ignore' && signers.length === 0) {
    throw new ConfigError('CONFIG_INVALID', `--signature ${signature} needs --signer, or set SMT_PGP_SIGNERS`)
  }
  return signature
}

/** The sources, each with its address: one for each `--from`, or the one that the environment names. */
export function buildSources(flags: SourceFlags, env: Env): readonly Source[] {
  if (flags.from) return flags.from.map(from => buildSource(from, flags, env))
  if (env.SMT_HOST) return [sftpOfEnv(flags, env)]
  if (env.SMT_LOCAL_DIR) return [new DirectorySource({ directories: [env.SMT_LOCAL_DIR], dispose: disposeOf(flags) })]
  throw new ConfigError('CONFIG_INVALID', 'no source: give --from, or set SMT_HOST')
}

/** A store, as an address names it. */
export type Store = { readonly kind: 'ndjson'; readonly path: string } | DatabaseAddress

type DatabaseAddress =
  | { readonly kind: 'duckdb'; readonly path: string }
  | { readonly kind: 'postgres'; readonly options: PostgresSinkOptions }

/** The sink that `--to` or SMT_STORE asks for. */
export async function buildSink(to: string | undefined, env: Env): Promise<Sink> {
  const store = storeOf('--to', to, env)
  if (store.kind !== 'ndjson') return openDatabase(store)
  return new (await import('../sink/ndjson.ts')).NdjsonSink({ directory: store.path })
}

/** The database that `--from` or SMT_STORE asks for. One that is a file must be there. */
export async function buildDatabase(from: string | undefined, env: Env): Promise<Database> {
  const store = storeOf('--from', from, env)
  if (store.kind === 'ndjson')
    throw new ConfigError('CONFIG_INVALID', '--from is duckdb:FILE or postgres://user@host/db, got ndjson:')
  if (store.kind === 'duckdb') demand(store.path, 'the store (--from or SMT_STORE)')
  return openDatabase(store)
}

async function openDatabase(store: DatabaseAddress): Promise<Database> {
  if (store.kind === 'duckdb') return new (await import('../sink/duckdb.ts')).DuckDbSink({ path: store.path })
  return new (await import('../sink/postgres.ts')).PostgresSink(store.options)
}

/** The tables of a store, as SQL. */
export async function schemaOf(store: Store): Promise<string> {
  switch (store.kind) {
    case 'duckdb':
      return (await import('../sink/duckdb/schema.ts')).schemaText()
    case 'ndjson':
      throw new ConfigError('CONFIG_INVALID', 'an NDJSON folder has no tables')
    case 'postgres': {
      const { schema, layout } = store.options
      return (await import('../sink/postgres/schema.ts')).schemaText(schema, layout)
    }
  }
}

/** The store that a flag or SMT_STORE names. */
export function storeOf(flag: string, given: string | undefined, env: Env): Store {
  const store = given ?? env.SMT_STORE
  if (!store) throw new ConfigError('CONFIG_INVALID', `no store: give ${flag}, or set SMT_STORE`)
  // A command line is seen by every user of the machine, the environment is not.
  const address = { flag, store, mayHavePassword: given === undefined }
  if (/^postgres(ql)?:\/\//.test(store)) return { kind: 'postgres', options: postgresOf(address) }
  const [, kind, path] = /^(duckdb|ndjson):(.+)$/.exec(store) ?? []
  if (kind) return { kind: kind as 'duckdb' | 'ndjson', path: path! }
  const got = /^[a-z]+:/i.exec(store)?.[0] ?? 'none of them'
  const known = `duckdb:FILE, ${flag === '--to' ? 'ndjson:DIR ' : ''}or postgres://user@host/db`
  throw new ConfigError('CONFIG_INVALID', `${flag} is ${known}, got ${got}`)
}

/** A store’s address, and the flag that gives it. */
interface StoreAddress {
  readonly flag: string
  readonly store: string
  readonly mayHavePassword: boolean
}

/** The two parameters `schema` and `layout` are ours; all else of the URL is for `pg`. */
function postgresOf({ flag, store, mayHavePassword }: StoreAddress): PostgresSinkOptions {
  const url = URL.canParse(store) ? new URL(store) : undefined
  // What is not escaped may have cut a password in two: none of it is quoted.
  if (url === undefined || url.hash !== '') {
    const what = `${flag} is not a URL that can be read: # / ? @ in a name are %23 %2F %3F %40`
    throw new ConfigError('CONFIG_INVALID', what)
  }
  for (const part of [url.username, url.password, url.pathname]) decode(part, flag)
  const { searchParams: parameters } = url
  if (!mayHavePassword && (url.password !== '' || parameters.has('password'))) {
    throw new ConfigError('CONFIG_INVALID', `no password in ${flag}: use PGPASSWORD or ~/.pgpass`)
  }
  const schema = parameters.get('schema') ?? undefined
  const layout = parameters.get('layout') ?? 'days'
  if (layout !== 'days' && layout !== 'rows') {
    throw new ConfigError('CONFIG_INVALID', `the layout in ${flag} is days or rows, got ${layout || 'nothing'}`)
  }
  for (const name of ['schema', 'layout']) parameters.delete(name)
  return { connectionString: url.href, layout, ...(schema !== undefined && { schema }) }
}

function buildSource(from: string, flags: SourceFlags, env: Env): Source {
  if (!/^[a-z][a-z0-9+.-]+:\/\//i.test(from)) {
    return new DirectorySource({ directories: [from], dispose: disposeOf(flags) })
  }
  const url = parseUrl(from)
  return buildSftp(
    {
      host: url.hostname.replace(/^\[|\]$/g, ''),
      port: url.port === '' ? 22 : Number(url.port),
      username: decode(url.username, '--from') || env.SMT_USER || '',
      directories: [remotePath(url)]
    },
    flags,
    env
  )
}

/** What `--after` asks for. */
function disposeOf({ after = 'keep' }: SourceFlags): DisposeOption {
  const [, moveTo] = /^move:(.+)$/.exec(after) ?? []
  if (moveTo) return { moveTo }
  if (after === 'keep' || after === 'delete') return after
  throw new ConfigError('CONFIG_INVALID', `--after is keep, delete or move:DIR, got ${after}`)
}

function parseUrl(from: string): URL {
  if (!URL.canParse(from)) throw new ConfigError('CONFIG_INVALID', '--from is not a URL that can be read')
  const url = new URL(from)
  if (url.protocol !== 'sftp:') {
    throw new ConfigError('CONFIG_INVALID', `--from is a folder or an sftp:// URL, got ${url.protocol}//`)
  }
  if (url.search !== '' || url.hash !== '') {
    throw new ConfigError('CONFIG_INVALID', 'a ? or # in the path of --from is written %3F or %23')
  }
  // A command line is seen by every user of the machine.
  if (url.password !== '') throw new ConfigError('CONFIG_INVALID', 'no password in --from: use --password-file')
  return url
}

/** `/~/dir` is relative to where the login ends, anything else starts at the root. */
function remotePath({ pathname }: URL): string {
  const path = decode(pathname, '--from')
  return path.startsWith('/~/') ? path.slice(3) || '.' : path || '/'
}

function decode(part: string, flag: string): string {
  try {
    return decodeURIComponent(part)
  } catch (cause) {
    throw new ConfigError('CONFIG_INVALID', `${flag} has a % that begins no %XX; a plain one is %25`, { cause })
  }
}

function sftpOfEnv(flags: SourceFlags, env: Env): SftpSource {
  const directories = list(env.SMT_REMOTE_DIR)
  return buildSftp(
    {
      host: env.SMT_HOST!,
      port: Number(env.SMT_SFTP_PORT || 22),
      username: env.SMT_USER ?? '',
      directories: directories.length > 0 ? directories : ['/adhocusage', '/EnrollmentReports']
    },
    flags,
    env
  )
}

interface Server {
  readonly host: string
  readonly port: number
  readonly username: string
  readonly directories: readonly string[]
}

function buildSftp(server: Server, flags: SourceFlags, env: Env): SftpSource {
  const identity = flags.identity ?? (flags.passwordFile ? undefined : env.SMT_KEY)
  const hostKey = flags.hostKey ?? list(env.SMT_HOST_KEY)
  const knownHosts = flags.knownHosts ?? env.SMT_KNOWN_HOSTS
  const agent = identity || flags.passwordFile ? undefined : env.SSH_AUTH_SOCK
  if (!identity && !flags.passwordFile && !agent) {
    throw new ConfigError('CONFIG_INVALID', 'no way to log in: give --identity or --password-file, or set SMT_KEY')
  }
  if (server.username === '') {
    throw new ConfigError('CONFIG_INVALID', 'no user name: give --from sftp://user@host/dir, or set SMT_USER')
  }
  if (identity) demand(identity, 'the SSH key (--identity or SMT_KEY)')
  if (flags.passwordFile) demand(flags.passwordFile, 'the password (--password-file)')
  return new SftpSource({
    ...server,
    dispose: disposeOf(flags),
    ...(identity && { privateKey: () => readFile(identity) }),
    ...(flags.passwordFile && { password: () => readSecret(flags.passwordFile!) }),
    ...(agent && { agent }),
    ...(hostKey.length > 0 && { hostKey }),
    ...(knownHosts && { knownHosts: resolve(knownHosts) })
  })
}

function list(text: string | undefined): readonly string[] {
  return (text ?? '')
    .split(',')
    .map(part => part.trim())
    .filter(part => part !== '')
}

/** A file that is read late, where its content is needed; that it is missing is told before anything is done. */
export function demand(path: string, what: string): void {
  try {
    accessSync(path, constants.R_OK)
  } catch (cause) {
    throw new ConfigError('CONFIG_INVALID', `${what} cannot be read`, { file: path, cause })
  }
}

/** A secret kept in a file; the line end that editors add is not part of it. */
export async function readSecret(path: string): Promise<string> {
  return (await readFile(path, 'utf8')).replace(/\r?\n$/, '')
}
