import net from 'node:net'
import ssh2, { type AuthContext, type Connection, type SFTPWrapper } from 'ssh2'
import { makeSshKey, type SshKey } from '../keys.ts'
import { answerSftp, type SftpFaults } from './answers.ts'
import { type ServedFile, type Tree, treeOfDirectory, treeOfMap } from './tree.ts'

/** Who may log in, and how. Every way given here opens the door alone. */
export interface FakeUser {
  readonly username: string
  readonly password?: string | undefined
  /** One line, as in `authorized_keys`. */
  readonly publicKey?: string | undefined
  /** The answer to the one hidden question of a keyboard-interactive login. */
  readonly keyboardInteractive?: string | undefined
}

export interface FakeSftpServerOptions {
  /** Files by absolute path. `server.files` is the same map and may be changed. @default none */
  readonly files?: Iterable<readonly [string, ServedFile]> | undefined
  /** Serves this local folder as `/` instead. */
  readonly directory?: string | undefined
  /** @default one user `smt` whose key is in `server.login` */
  readonly users?: readonly FakeUser[] | undefined
  /** @default one Ed25519 key */
  readonly hostKeys?: readonly SshKey[] | undefined
  /** How the server names its software; a name that begins with `OpenSSH_` makes ssh2 ask for larger pieces. */
  readonly ident?: string | undefined
  readonly faults?: SftpFaults | undefined
}

/**
 * An SFTP server on a free port of this machine, for tests and demonstrations. Takes no uploads.
 *
 * Memory: one answer per request.
 */
export class FakeSftpServer {
  readonly host = '127.0.0.1'
  readonly hostKeys: readonly SshKey[]
  readonly files: Map<string, ServedFile>
  readonly faults: SftpFaults
  /** Connections since the start. */
  connections = 0
  /** `user method` of each attempt to log in, the methods that carry nothing left out. */
  readonly logins: string[] = []
  /** What `SftpSource` needs to log in as the default user. */
  readonly login: { readonly username: string; readonly privateKey: string }
  readonly #users: readonly FakeUser[]
  readonly #tree: Tree
  readonly #listener: net.Server
  readonly #sockets = new Set<net.Socket>()
  readonly #clients = new Set<Connection>()
  #sentBytes = 0

  static async start(options: FakeSftpServerOptions = {}): Promise<FakeSftpServer> {
    const server = new FakeSftpServer(options)
    await new Promise<void>((resolve, reject) => {
      server.#listener.once('error', reject)
      server.#listener.listen(0, server.host, resolve)
    })
    return server
  }

  private constructor(options: FakeSftpServerOptions) {
    const key = makeSshKey()
    this.login = { username: 'smt', privateKey: key.privateKey }
    this.#users = options.users ?? [{ username: 'smt', publicKey: key.publicKey }]
    this.hostKeys = options.hostKeys ?? [makeSshKey()]
    this.files = new Map(options.files)
    this.faults = { ...options.faults }
    this.#tree = options.directory === undefined ? treeOfMap(this.files) : treeOfDirectory(options.directory)
    const ssh = new ssh2.Server(
      {
        hostKeys: this.hostKeys.map(({ privateKey }) => privateKey),
        ...(options.ident !== undefined && { ident: options.ident })
      },
      connection => this.#welcome(connection)
    )
    // Sockets of our own: Nagle must be off on this side too, and a cut must be a cut.
    this.#listener = net.createServer({ noDelay: true }, socket => {
      this.connections++
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
      ssh.injectSocket(socket)
    })
  }

  get port(): number {
    return (this.#listener.address() as net.AddressInfo).port
  }

  /** The fingerprint of the first host key: `SHA256:…`. */
  get fingerprint(): string {
    return this.hostKeys[0]!.fingerprint
  }

  /** Asks every client for new session keys, as servers do after an hour or a gigabyte. */
  rekey(): void {
    for (const client of this.#clients) client.rekey()
  }

  /** Connections that are open now. */
  get open(): number {
    return this.#sockets.size
  }

  /** Cuts every connection, without a good-bye. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  async close(): Promise<void> {
    this.cut()
    await new Promise<void>(resolve => this.#listener.close(() => resolve()))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #welcome(connection: Connection): void {
    // A client that hangs up is no trouble here.
    connection.on('error', () => {})
    this.#clients.add(connection)
    connection.on('close', () => this.#clients.delete(connection))
    connection.on('authentication', context => this.#authenticate(context))
    let channels = 0
    connection.on('session', (acceptSession, rejectSession) => {
      if (++channels > (this.faults.mostChannels ?? Number.POSITIVE_INFINITY)) return rejectSession()
      acceptSession().on('sftp', (acceptSftp: () => SFTPWrapper) => {
        answerSftp(acceptSftp(), this.#tree, this.faults, bytes => this.#count(bytes))
      })
    })
  }

  /** Whether bytes may still be sent. */
  #count(bytes: number): boolean {
    this.#sentBytes += bytes
    if (this.#sentBytes <= (this.faults.cutAfterBytes ?? Number.POSITIVE_INFINITY)) return true
    this.cut()
    return false
  }

  #authenticate(context: AuthContext): void {
    const user = this.#users.find(({ username }) => username === context.username)
    if (context.method !== 'none') this.logins.push(`${context.username} ${context.method}`)
    const decide = (accepted: boolean) => (accepted ? context.accept() : context.reject(waysOf(user)))
    if (context.method === 'publickey') decide(isSignedBy(user?.publicKey, context))
    else if (context.method === 'password') decide(isRight(context.password, user?.password))
    else if (context.method === 'keyboard-interactive' && user?.keyboardInteractive !== undefined) {
      const ask = [{ prompt: 'Password: ', echo: false }]
      context.prompt(ask, answers => decide(isRight(answers[0], user.keyboardInteractive)))
    } else decide(false)
  }
}

function isRight(given: string | undefined, expected: string | undefined): boolean {
  return expected !== undefined && given === expected
}

function waysOf(user: FakeUser | undefined) {
  return [
    user?.publicKey !== undefined && ('publickey' as const),
    user?.password !== undefined && ('password' as const),
    user?.keyboardInteractive !== undefined && ('keyboard-interactive' as const)
  ].filter(way => way !== false)
}

function isSignedBy(publicKey: string | undefined, context: Extract<AuthContext, { method: 'publickey' }>): boolean {
  if (publicKey === undefined) return false
  const key = ssh2.utils.parseKey(publicKey)
  if (key instanceof Error || !key.getPublicSSH().equals(context.key.data)) return false
  // Without a signature the client only asks whether this key would do.
  if (context.signature === undefined || context.blob === undefined) return true
  return key.verify(context.blob, context.signature, context.hashAlgo) === true
}
