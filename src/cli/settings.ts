import { accessSync, constants } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { AscDecryptor } from '../decrypt/asc-decryptor.ts'
import { ConfigError } from '../errors.ts'
import type { DuckDbSink } from '../sink/duckdb.ts'
import type { PostgresSink, PostgresSinkOptions } from '../sink/postgres.ts'
import type { Sink } from '../sink/sink.ts'
import { DirectorySource } from '../source/directory-source.ts'
import { SftpSource } from '../source/sftp-source.ts'
import type { Source } from '../source/source.ts'

/** Flags that open OpenPGP messages. */
export interface KeyFlags {
  readonly key?: readonly string[]
  readonly passphraseFile?: string
}

/** Flags that reach a source. */
export interface SourceFlags {
  readonly from?: readonly string[]
  readonly identity?: string
  readonly passwordFile?: string
  readonly hostKey?: readonly string[]
  readonly knownHosts?: string
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
  return new AscDecryptor({
    ...(paths.length > 0 && { privateKey: paths.map(path => () => readFile(path)) }),
    ...(passphraseFile && { passphrase: () => readSecret(passphraseFile) })
  })
}

/** The sources, each with its address: one for each `--from`, or the one that the environment names. */
export function buildSources(flags: SourceFlags, env: Env): readonly Source[] {
  if (flags.from) return flags.from.map(from => buildSource(from, flags, env))
  if (env.SMT_HOST) return [sftpOfEnv(flags, env)]
  if (env.SMT_LOCAL_DIR) return [new DirectorySource({ directories: [env.SMT_LOCAL_DIR] })]
  throw new ConfigError('CONFIG_INVALID', 'no source: give --from, or set SMT_HOST')
}

/** The sink that `--to` or SMT_STORE asks for. */
export async function buildSink(to: string | undefined, env: Env): Promise<Sink> {
  const address = storeAddress('--to', to, env)
  const database = await findDatabase(address)
  if (database) return database
  const [, directory] = /^ndjson:(.+)$/.exec(address.store) ?? []
  if (directory) return new (await import('../sink/ndjson.ts')).NdjsonSink({ directory })
  throw unknownStore(address, 'duckdb:FILE, ndjson:DIR or postgres://user@host/db')
}

/** The database that `--from` or SMT_STORE asks for. One that is a file must be there. */
export async function buildDatabase(from: string | undefined, env: Env): Promise<Database> {
  const address = storeAddress('--from', from, env)
  const [, file] = duckDbPattern.exec(address.store) ?? []
  if (file) demand(file, 'the store (--from or SMT_STORE)')
  const database = await findDatabase(address)
  if (database) return database
  throw unknownStore(address, 'duckdb:FILE or postgres://user@host/db')
}

/** A store’s address, and the flag that gives it. */
interface StoreAddress {
  readonly flag: string
  readonly store: string
  /** It stands where no other user of the machine sees it. */
  readonly mayHavePassword: boolean
}

function storeAddress(flag: string, given: string | undefined, env: Env): StoreAddress {
  const store = given ?? env.SMT_STORE
  if (!store) throw new ConfigError('CONFIG_INVALID', `no store: give ${flag}, or set SMT_STORE`)
  return { flag, store, mayHavePassword: given === undefined }
}

const duckDbPattern = /^duckdb:(.+)$/

/** The database that an address names, if it names one. */
async function findDatabase(address: StoreAddress): Promise<Database | undefined> {
  if (/^postgres(ql)?:\/\//.test(address.store)) {
    const options = postgresOf(address)
    return new (await import('../sink/postgres.ts')).PostgresSink(options)
  }
  const [, path] = duckDbPattern.exec(address.store) ?? []
  return path ? new (await import('../sink/duckdb.ts')).DuckDbSink({ path }) : undefined
}

function unknownStore({ flag, store }: StoreAddress, known: string): ConfigError {
  const kind = /^[a-z]+:/i.exec(store)?.[0] ?? 'none of them'
  return new ConfigError('CONFIG_INVALID', `${flag} is ${known}, got ${kind}`)
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
  // A command line is seen by every user of the machine.
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
  if (!/^[a-z][a-z0-9+.-]+:\/\//i.test(from)) return new DirectorySource({ directories: [from] })
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
function demand(path: string, what: string): void {
  try {
    accessSync(path, constants.R_OK)
  } catch (cause) {
    throw new ConfigError('CONFIG_INVALID', `${what} cannot be read`, { file: path, cause })
  }
}

/** A secret kept in a file; the line end that editors add is not part of it. */
async function readSecret(path: string): Promise<string> {
  return (await readFile(path, 'utf8')).replace(/\r?\n$/, '')
}
