import { type ChildProcess, spawn } from 'node:child_process'
import { accessSync, constants, existsSync } from 'node:fs'
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import net from 'node:net'
import { userInfo } from 'node:os'
import { delimiter, isAbsolute, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { makeSshKey, type SshKey } from '../keys.ts'

export interface OpenSshServerOptions {
  /** Absolute path of a folder for its configuration, keys and log. Made when it is not there. */
  readonly directory: string
  /** A line of `authorized_keys` that may log in as well. */
  readonly authorizedKey?: string | undefined
}

/** A running `sshd` of this machine. Paths it serves are those of the file system. */
export interface OpenSshServer {
  readonly host: string
  readonly port: number
  readonly username: string
  /** A key that may log in. */
  readonly privateKey: string
  /** Its host keys, Ed25519 first. */
  readonly hostKeys: readonly SshKey[]
  /** The fingerprint of the first host key: `SHA256:…`. */
  readonly fingerprint: string
  readonly logPath: string
  close(): Promise<void>
}

/** Why there is no server. */
export interface OpenSshUnavailable {
  readonly unavailable: string
}

const host = '127.0.0.1'

/** Starts the machine's own `sshd` as the present user, or says why that cannot be. Touches nothing outside its folder. */
export async function startOpenSshServer(options: OpenSshServerOptions): Promise<OpenSshServer | OpenSshUnavailable> {
  const { directory, authorizedKey } = options
  if (!isAbsolute(directory)) throw new TypeError(`sshd needs an absolute path: ${directory}`)
  const sshd = findSshd()
  if (sshd === undefined) return { unavailable: 'sshd is not installed' }
  if (!existsSync('/run/sshd')) return { unavailable: 'sshd needs the folder /run/sshd' }

  await mkdir(directory, { recursive: true })
  const user = makeSshKey()
  const hostKeys = [makeSshKey({ type: 'ed25519' }), makeSshKey({ type: 'rsa' })]
  const hostKeyPaths = hostKeys.map((_, i) => join(directory, `host_key_${i}`))
  for (const [i, path] of hostKeyPaths.entries()) await writeSecret(path, hostKeys[i]!.privateKey)
  await writeSecret(join(directory, 'authorized_keys'), `${user.publicKey}\n${authorizedKey ?? ''}\n`)
  const port = await freePort()
  const configPath = join(directory, 'sshd_config')
  const logPath = join(directory, 'sshd.log')
  await writeFile(configPath, configuration(directory, port, hostKeyPaths))

  const child = spawn(sshd, ['-D', '-f', configPath, '-E', logPath], { stdio: 'ignore' })
  const kill = () => child.kill('SIGKILL')
  process.once('exit', kill)
  if (!(await answers(child, port))) {
    kill()
    process.off('exit', kill)
    return { unavailable: `sshd did not start: ${(await readFile(logPath, 'utf8').catch(() => '')).trim()}` }
  }
  return {
    host,
    port,
    username: userInfo().username,
    privateKey: user.privateKey,
    hostKeys,
    fingerprint: hostKeys[0]!.fingerprint,
    logPath,
    async close() {
      process.off('exit', kill)
      await stop(child)
    }
  }
}

/** Its folder is on nobody's PATH but root's. sshd must be started by its full path. */
function findSshd(): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin', '/sbin']
  return folders.map(folder => join(folder, 'sshd')).find(path => isAbsolute(path) && isExecutable(path))
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

function configuration(directory: string, port: number, hostKeyPaths: readonly string[]): string {
  return [
    `ListenAddress ${host}`,
    `Port ${port}`,
    ...hostKeyPaths.map(path => `HostKey "${path}"`),
    `PidFile "${join(directory, 'sshd.pid')}"`,
    `AuthorizedKeysFile "${join(directory, 'authorized_keys')}"`,
    'AuthenticationMethods publickey',
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    'PermitRootLogin prohibit-password',
    'StrictModes no',
    'UsePAM no',
    'UseDNS no',
    'PrintMotd no',
    'LogLevel VERBOSE',
    'Subsystem sftp internal-sftp',
    ''
  ].join('\n')
}

async function writeSecret(path: string, text: string): Promise<void> {
  await writeFile(path, text.endsWith('\n') ? text : `${text}\n`, { mode: 0o600 })
  await chmod(path, 0o600)
}

async function freePort(): Promise<number> {
  const server = net.createServer()
  await new Promise<void>(resolve => server.listen(0, host, resolve))
  const { port } = server.address() as net.AddressInfo
  await new Promise<void>(resolve => server.close(() => resolve()))
  return port
}

/** Waits for the server's first words, as long as the child lives and five seconds at most. */
async function answers(child: ChildProcess, port: number): Promise<boolean> {
  child.once('error', () => {})
  for (let tries = 0; tries < 100 && child.exitCode === null && child.pid !== undefined; tries++) {
    if (await greets(port)) return true
    await pause(50)
  }
  return false
}

function greets(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = net.connect({ host, port })
    const end = (greeted: boolean) => {
      socket.destroy()
      resolve(greeted)
    }
    socket.setTimeout(1_000, () => end(false))
    socket.once('error', () => end(false))
    socket.once('data', () => end(true))
  })
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = new Promise<void>(resolve => child.once('exit', () => resolve()))
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), 2_000)
  await exited
  clearTimeout(timer)
}
