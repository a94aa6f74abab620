import { readFile } from 'node:fs/promises'
import * as z from 'zod'
import { ConfigError } from '../errors.ts'
import { type Credential, credential, milliseconds, settle } from '../options.ts'
import { type DisposeOption, disposeOption, elsewhere, movedTo } from './disposal.ts'
import { standingFiles } from './listing.ts'
import { defaultIgnore, type NamePattern, nameFilter, namePatterns } from './name-filter.ts'
import { type HostKeyPins, joinPins, pinsOfKnownHosts, readHostKey } from './sftp/host-key.ts'
import { SftpLink } from './sftp/link.ts'
import { plainPath, SftpLister } from './sftp/lister.ts'
import { type KeyboardInteractive, readPrivateKey } from './sftp/login.ts'
import type { FilesOptions, IngestFile, Source } from './source.ts'

export interface SftpSourceOptions {
  /** Name or address of the server. */
  readonly host: string
  /** @default 22 */
  readonly port?: number | undefined
  readonly username: string
  /** Private key in OpenSSH, PEM or PuTTY form, or a function that fetches it. */
  readonly privateKey?: Credential<string | Uint8Array> | undefined
  /** Opens an encrypted `privateKey`. */
  readonly passphrase?: Credential<string | Uint8Array> | undefined
  /** Also answers the hidden questions of a keyboard-interactive login. */
  readonly password?: Credential<string | Uint8Array> | undefined
  /** Socket path of an SSH agent; on Windows also `pageant`. */
  readonly agent?: string | undefined
  /** Answers the questions of a keyboard-interactive login. */
  readonly keyboardInteractive?: KeyboardInteractive | undefined
  /**
   * The server's key: a `SHA256:…` fingerprint, a public key (`ssh-ed25519 AAAA…`), or a line of ssh-keyscan. Give
   * several while the server's owner rotates keys. Without it and `knownHosts` no login is tried.
   */
  readonly hostKey?: string | readonly string[] | undefined
  /** Path or content of an OpenSSH known_hosts file. A path is read at each connection. */
  readonly knownHosts?: string | undefined
  /** Remote directories, read with all below them. */
  readonly directories: readonly string[]
  /**
   * Pause between the two looks that a file must survive unchanged, in milliseconds.
   * @default 2000
   */
  readonly settleMs?: number | undefined
  /**
   * Names to leave out, files and directories. Replaces the default.
   * @default ['.*', 'pgp_tmp.*', '*.part*', '*.tmp', '*.filepart']
   */
  readonly ignore?: readonly NamePattern[] | undefined
  /** Names of files to take; without it all that are not ignored. */
  readonly include?: readonly NamePattern[] | undefined
  /**
   * What becomes of a file once the store has it. A directory that files are moved to is made when missing.
   * @default 'keep'
   */
  readonly dispose?: DisposeOption | undefined
  /**
   * Greatest time from dialing to a finished login, per attempt, in milliseconds.
   * @default 20000
   */
  readonly connectTimeoutMs?: number | undefined
  /**
   * How often to dial before giving up. A refused login is never repeated.
   * @default 3
   */
  readonly connectAttempts?: number | undefined
  /**
   * Greatest time that the server may leave a request without any answer, in milliseconds.
   * @default 30000
   */
  readonly operationTimeoutMs?: number | undefined
  /**
   * How often in a row a broken connection is made anew while files are listed and read, where nothing is gained in
   * between. The rest of a file is read on from where it was.
   * @default 3
   */
  readonly reconnects?: number | undefined
  /**
   * Bytes per second that a server must give while they are waited for, over each `operationTimeoutMs`; 0 for any.
   * @default 1000
   */
  readonly minBytesPerSecond?: number | undefined
  /**
   * Sessions that this process may have with the server at a time, by all sources. Each `files()` loop has one.
   * @default 4
   */
  readonly maxSessions?: number | undefined
  /**
   * Channels of a session over which one large file is read from a server that is far away. One gives 2 MiB in a round
   * trip; servers that give no second one are read over the first.
   * @default 4
   */
  readonly channels?: number | undefined
  /**
   * Read requests kept in flight on a channel, at most. Servers that announce nothing of themselves get 16 at most.
   * @default 64
   */
  readonly requests?: number | undefined
  /**
   * Bytes per read request, at most. Servers may answer with less.
   * @default what the server announces, or 31744
   */
  readonly requestBytes?: number | undefined
}

const schema = z
  .strictObject({
    host: z.string().min(1),
    port: z.number().int().min(1).max(65535).default(22),
    username: z.string().min(1),
    privateKey: credential.optional(),
    passphrase: credential.optional(),
    password: credential.optional(),
    agent: z.string().min(1).optional(),
    keyboardInteractive: z.custom<KeyboardInteractive>(isFunction, 'must be a function').optional(),
    hostKey: z.union([z.string(), z.array(z.string()).min(1)], 'must be a string or an array of strings').optional(),
    knownHosts: z.string().min(1).optional(),
    directories: z.array(z.string().min(1).transform(plainPath)).min(1),
    settleMs: z.number().int().nonnegative().default(2_000),
    ignore: namePatterns.default([...defaultIgnore]),
    include: namePatterns.optional(),
    dispose: disposeOption
      .transform(how => (typeof how === 'string' ? how : { moveTo: plainPath(how.moveTo) }))
      .default('keep'),
    connectTimeoutMs: milliseconds.default(20_000),
    connectAttempts: z.number().int().min(1).max(10).default(3),
    operationTimeoutMs: milliseconds.default(30_000),
    reconnects: z.number().int().min(0).max(100).default(3),
    minBytesPerSecond: z.number().int().min(0).default(1_000),
    maxSessions: z.number().int().min(1).max(64).default(4),
    channels: z.number().int().min(1).max(16).default(4),
    requests: z.number().int().min(1).max(1024).default(64),
    requestBytes: z.number().int().min(512).max(262_144).optional()
  })
  .refine(
    ({ privateKey, password, agent, keyboardInteractive }) => privateKey ?? password ?? agent ?? keyboardInteractive,
    {
      path: ['privateKey'],
      message: 'is missing; give it, or password, agent, or keyboardInteractive'
    }
  )
  .refine(...elsewhere)

type Settings = z.output<typeof schema>

/**
 * Files of an SFTP server.
 *
 * In: remote directories. Out: files that stood still between two looks, oldest first.
 * Memory: two listings, and 2 MiB per open stream and channel.
 */
export class SftpSource implements Source {
  readonly #settings: Settings
  readonly #hostKey: HostKeyPins
  /** Ends the loops that run. */
  readonly #running = new Set<AbortController>()

  constructor(options: SftpSourceOptions) {
    this.#settings = settle('SftpSource', schema, options)
    this.#hostKey = readHostKeys(this.#settings)
    checkKey(this.#settings)
  }

  /** The server as files and errors name it: `sftp://user@host:22`. */
  get address(): string {
    const { host, port, username } = this.#settings
    return `sftp://${encodeURIComponent(username)}@${host.includes(':') ? `[${host}]` : host}:${port}`
  }

  async *files(options: FilesOptions = {}): AsyncGenerator<IngestFile, void> {
    const { ignore, include, settleMs, dispose } = this.#settings
    const running = new AbortController()
    const signal = options.signal ? AbortSignal.any([options.signal, running.signal]) : running.signal
    this.#running.add(running)
    let link: SftpLink | undefined
    try {
      const settings = { ...this.#settings, address: this.address }
      link = await SftpLink.open(settings, () => this.#sessionSettings(), signal)
      const lister = new SftpLister(link, this.address, this.#settings)
      const rules = { filter: nameFilter(ignore, include), settleMs, movedTo: movedTo(dispose) }
      yield* standingFiles(lister, rules, { ...options, signal })
    } finally {
      this.#running.delete(running)
      await link?.close()
    }
  }

  /** Ends the loops that run, and their sessions. */
  async close(): Promise<void> {
    for (const running of this.#running) running.abort(new Error('the source was closed'))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #sessionSettings() {
    const { username, privateKey, passphrase, password, agent, keyboardInteractive, ...rest } = this.#settings
    const login = { username, privateKey, passphrase, password, agent, keyboardInteractive }
    const pins = joinPins([this.#hostKey, await readKnownHosts(this.#settings)])
    return { ...rest, address: this.address, login, pins }
  }
}

function isFunction(value: unknown): boolean {
  return typeof value === 'function'
}

/** The pins of `hostKey`. What was given is not quoted: somebody may have pasted a private key. */
function readHostKeys({ hostKey = [], host, port }: Settings): HostKeyPins {
  const pins = [hostKey].flat().map(text => readHostKey(text, host, port))
  if (!pins.includes(undefined)) return joinPins(pins as HostKeyPins[])
  const what = 'is neither a SHA256 fingerprint nor a public key of a supported type'
  throw new ConfigError('CONFIG_INVALID', `SftpSource option \`hostKey\` ${what}`)
}

async function readKnownHosts({ knownHosts, host, port }: Settings): Promise<HostKeyPins> {
  if (knownHosts === undefined) return joinPins([])
  // A path is one word on one line; a line of known_hosts has three.
  if (/\n|\S\s+\S+\s+AAAA/.test(knownHosts)) return pinsOfKnownHosts(knownHosts, host, port)
  try {
    return pinsOfKnownHosts(await readFile(knownHosts, 'utf8'), host, port)
  } catch (cause) {
    const what = `SftpSource option \`knownHosts\` names a file that cannot be read: ${knownHosts}`
    throw new ConfigError('CONFIG_INVALID', what, { cause })
  }
}

/** A key that is at hand is read at once; one that a function fetches, when it is needed. */
function checkKey({ privateKey, passphrase }: Settings): void {
  if (privateKey === undefined || typeof privateKey === 'function' || typeof passphrase === 'function') return
  readPrivateKey(privateKey, passphrase)
}
