import { execFile, spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { inspect, promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { SftpSource, type SftpSourceOptions } from '../../src/source/sftp-source.ts'
import type { IngestFile } from '../../src/source/source.ts'
import { makeSshKey } from '../../src/testing/keys.ts'
import type { OpenSshServer } from '../../src/testing/sftp/openssh-server.ts'
import { FakeSftpServer, type FakeSftpServerOptions } from '../../src/testing/sftp/server.ts'
import { describeSource, listAll, readAll } from '../conformance/source.ts'
import { findReal, requireReal } from '../support/real.ts'
import { requireSshd, startSshd } from '../support/sshd.ts'

describeSource('SftpSource on a scripted server', async folder => {
  const server = await FakeSftpServer.start({ directory: dirname(folder) })
  return {
    root: `/${basename(folder)}`,
    source: options => new SftpSource({ ...reach(server), ...options }),
    close: () => server.close()
  }
})

describe.skipIf(!requireSshd())('with the real sshd', () => {
  let server: OpenSshServer
  let directory: string

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'smt-sshd-'))
    server = await startSshd(directory)
  })
  afterAll(async () => {
    await server.close()
    await rm(directory, { recursive: true, force: true })
  })

  const connectToIt = (options: Pick<SftpSourceOptions, 'directories'> & Partial<SftpSourceOptions>) => {
    const { host, port, username, privateKey, fingerprint } = server
    return new SftpSource({ host, port, username, privateKey, hostKey: fingerprint, ...options })
  }

  describeSource('SftpSource on OpenSSH', async folder => ({ root: folder, source: connectToIt }))

  test('finds the pinned RSA key of a server that presents an Ed25519 key first', async () => {
    const rsa = server.hostKeys[1]!
    for (const hostKey of [rsa.fingerprint, rsa.publicKey]) {
      const { files } = await listAll(connectToIt({ hostKey, directories: [directory], settleMs: 0 }))
      expect(files.map(({ name }) => name)).toContain('sshd_config')
    }
  })

  test('I10: a wrong pin is refused before any login', async () => {
    const source = connectToIt({ hostKey: makeSshKey().fingerprint, directories: [directory] })
    const error = await failure(source)
    expect(error).toMatchObject({ code: 'SFTP_HOST_KEY_MISMATCH' })
    for (const { fingerprint } of server.hostKeys) expect(error.message).toContain(fingerprint)
  })

  test('a wrong key is a refused login', async () => {
    const { privateKey } = makeSshKey()
    expect(await failure(connectToIt({ privateKey, directories: [directory] }))).toMatchObject({ code: 'SFTP_AUTH' })
  })
})

const content = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * 7) % 253))
const report = { content, modifiedAt: 1_700_000_000_000 }
const servers: { close(): Promise<void> }[] = []

afterEach(async () => {
  for (const server of servers.splice(0)) await server.close()
})

async function serve(options: FakeSftpServerOptions = {}): Promise<FakeSftpServer> {
  const server = await FakeSftpServer.start({ files: [['/in/a.asc', report]], ...options })
  servers.push(server)
  return server
}

/** What it takes to reach a server of ours. */
function reach(server: FakeSftpServer): SftpSourceOptions {
  const { host, port, login, fingerprint } = server
  return { host, port, ...login, hostKey: fingerprint, directories: ['/in'], settleMs: 0, connectAttempts: 1 }
}

/** A source with some options changed; undefined takes one away. */
function connectTo(server: FakeSftpServer, options: Partial<SftpSourceOptions> = {}): SftpSource {
  return new SftpSource({ ...reach(server), ...options })
}

const failure = (source: SftpSource) =>
  listAll(source).then(
    () => expect.unreachable('it was accepted'),
    error => error
  )

describe('the host key', () => {
  test('I10: without a pin nothing is sent, and the message holds type, fingerprint and the option to add', async () => {
    const server = await serve()
    const error = await failure(connectTo(server, { hostKey: undefined }))
    expect(error).toMatchObject({ code: 'SFTP_HOST_KEY_UNKNOWN', retryable: false })
    expect(error.message).toContain(`ssh-ed25519 ${server.fingerprint}`)
    expect(error.message).toContain(`hostKey: '${server.fingerprint}'`)
    expect(error.message).toContain(`: sftp://smt@127.0.0.1:${server.port}`)
    expect(server.logins).toEqual([])
  })

  test('I10: another key than the pinned one is refused before any login', async () => {
    const server = await serve({ hostKeys: [makeSshKey(), makeSshKey({ type: 'ecdsa' })] })
    const pinned = makeSshKey().fingerprint
    const error = await failure(connectTo(server, { hostKey: pinned, connectAttempts: 3 }))
    expect(error).toMatchObject({ code: 'SFTP_HOST_KEY_MISMATCH', retryable: false })
    for (const { fingerprint } of server.hostKeys) expect(error.message).toContain(`add hostKey: '${fingerprint}'`)
    expect(error.message).toContain(pinned)
    expect(server.logins).toEqual([])
  })

  test('I10: a key of another type than any the server has is refused, and the message tells what it has', async () => {
    const server = await serve()
    const error = await failure(connectTo(server, { hostKey: makeSshKey({ type: 'ecdsa' }).publicKey }))
    expect(error).toMatchObject({ code: 'SFTP_HOST_KEY_TYPE', retryable: false })
    expect(error.message).toContain('no host key of type ecdsa-sha2-nistp256')
    expect(error.message).toContain(`it presents ssh-ed25519 ${server.fingerprint}`)
    expect(server.logins).toEqual([])
  })

  test('I10: a revoked key is refused although it is pinned', async () => {
    const server = await serve()
    const knownHosts = `@revoked * ${server.hostKeys[0]!.publicKey}`
    const error = await failure(connectTo(server, { knownHosts }))
    expect(error).toMatchObject({ code: 'SFTP_HOST_KEY_MISMATCH', message: expect.stringContaining('revoked') })
    expect(server.logins).toEqual([])
  })

  test('a bare fingerprint is found among the server’s keys of every type', async () => {
    const server = await serve({ hostKeys: [makeSshKey(), makeSshKey({ type: 'ecdsa' })] })
    const { files } = await listAll(connectTo(server, { hostKey: server.hostKeys[1]!.fingerprint }))
    expect(files).toHaveLength(1)
    expect(server.connections).toBe(2)
  })

  test('a whole public key is asked for by its type, in one connection', async () => {
    const server = await serve({ hostKeys: [makeSshKey(), makeSshKey({ type: 'ecdsa' })] })
    await listAll(connectTo(server, { hostKey: server.hostKeys[1]!.publicKey }))
    expect(server.connections).toBe(1)
  })

  test('several pins let the server’s owner rotate keys', async () => {
    const server = await serve()
    const { files } = await listAll(connectTo(server, { hostKey: [makeSshKey().publicKey, server.fingerprint] }))
    expect(files).toHaveLength(1)
  })

  test('known_hosts may be given as text or as a path', async () => {
    const server = await serve()
    const text = `[127.0.0.1]:${server.port} ${server.hostKeys[0]!.publicKey}`
    const folder = await mkdtemp(join(tmpdir(), 'smt-known-hosts-'))
    try {
      const path = join(folder, 'known hosts')
      await writeFile(path, `# mine\n${text}\n`)
      for (const knownHosts of [text, `${text}\n`, path]) {
        expect((await listAll(connectTo(server, { hostKey: undefined, knownHosts }))).files).toHaveLength(1)
      }
      const elsewhere = connectTo(server, {
        hostKey: undefined,
        knownHosts: `other.example ${server.hostKeys[0]!.publicKey}`
      })
      expect(await failure(elsewhere)).toMatchObject({ code: 'SFTP_HOST_KEY_UNKNOWN' })
      const nowhere = connectTo(server, { hostKey: undefined, knownHosts: join(folder, 'none') })
      expect(await failure(nowhere)).toMatchObject({
        code: 'CONFIG_INVALID',
        message: expect.stringContaining('knownHosts')
      })
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })
})

describe('the login', () => {
  const password = 'correct horse'
  const none = { privateKey: undefined }

  test('with a password, a function that fetches it, and bytes', async () => {
    const server = await serve({ users: [{ username: 'smt', password }] })
    for (const given of [password, () => password, async () => Buffer.from(password)]) {
      expect((await listAll(connectTo(server, { ...none, password: given }))).files).toHaveLength(1)
    }
    expect(server.logins).toEqual(['smt password', 'smt password', 'smt password'])
  })

  test('a password also answers a keyboard-interactive login', async () => {
    const server = await serve({ users: [{ username: 'smt', keyboardInteractive: password }] })
    expect((await listAll(connectTo(server, { ...none, password }))).files).toHaveLength(1)
    expect(server.logins).toEqual(['smt keyboard-interactive'])
  })

  test('a function answers a keyboard-interactive login', async () => {
    const server = await serve({ users: [{ username: 'smt', keyboardInteractive: password }] })
    const keyboardInteractive = vi.fn(async () => [password])
    expect((await listAll(connectTo(server, { ...none, keyboardInteractive }))).files).toHaveLength(1)
    expect(keyboardInteractive).toHaveBeenCalledWith([{ prompt: 'Password: ', echo: false }])
  })

  test.skipIf(!requireReal('ssh-keygen'))('with an encrypted key and its passphrase', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'smt-key-'))
    try {
      const path = join(folder, 'key')
      await promisify(execFile)(findReal('ssh-keygen')!, ['-q', '-t', 'ed25519', '-N', 'open sesame', '-f', path])
      const server = await serve({ users: [{ username: 'smt', publicKey: await readFile(`${path}.pub`, 'utf8') }] })
      const privateKey = await readFile(path)
      const options = { privateKey, passphrase: () => 'open sesame' }
      expect((await listAll(connectTo(server, options))).files).toHaveLength(1)
      for (const passphrase of ['wrong', undefined]) {
        expect(() => connectTo(server, { privateKey, passphrase })).toThrow(
          '`passphrase` does not open the private key'
        )
      }
      const late = connectTo(server, { privateKey: () => privateKey, passphrase: 'wrong' })
      expect(await failure(late)).toMatchObject({
        code: 'CONFIG_INVALID',
        message: expect.stringContaining('passphrase')
      })
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })

  test.skipIf(!requireReal('ssh-agent') || !requireReal('ssh-add'))('with the real ssh-agent', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'smt-agent-'))
    const agent = join(folder, 'agent')
    const child = spawn(findReal('ssh-agent')!, ['-D', '-a', agent], { stdio: 'ignore' })
    try {
      const server = await serve()
      const path = join(folder, 'key')
      await writeFile(path, server.login.privateKey, { mode: 0o600 })
      const add = () => promisify(execFile)('ssh-add', [path], { env: { ...process.env, SSH_AUTH_SOCK: agent } })
      await vi.waitFor(add, { timeout: 5_000 })
      expect((await listAll(connectTo(server, { ...none, agent }))).files).toHaveLength(1)
    } finally {
      child.kill()
      await rm(folder, { recursive: true, force: true })
    }
  })

  test('an agent that does not answer is said so', async () => {
    const server = await serve()
    const error = await failure(connectTo(server, { ...none, agent: join(tmpdir(), 'no-such-agent') }))
    expect(error).toMatchObject({ code: 'SFTP_AUTH', message: expect.stringContaining('agent') })
  })

  test('a refused login is not repeated, and names what was tried', async () => {
    const server = await serve({ users: [{ username: 'smt', password, publicKey: makeSshKey().publicKey }] })
    const error = await failure(connectTo(server, { password: 'wrong', connectAttempts: 3 }))
    expect(error).toMatchObject({ code: 'SFTP_AUTH', retryable: false })
    expect(error.message).toContain('tried: private key, password')
    expect(server.connections).toBe(1)
  })

  test('a way the server does not take is not tried', async () => {
    const server = await serve({ users: [{ username: 'smt', keyboardInteractive: password }] })
    const error = await failure(connectTo(server))
    expect(error).toMatchObject({
      code: 'SFTP_AUTH',
      message: expect.stringContaining('it takes none of the ways given')
    })
    expect(server.logins).toEqual([])
  })

  test('credentials are asked for once per connection, after the host key was accepted', async () => {
    const server = await serve({ users: [{ username: 'smt', password }] })
    const ask = vi.fn(() => password)
    const refused = connectTo(server, { ...none, password: ask, hostKey: makeSshKey().fingerprint })
    expect(await failure(refused)).toMatchObject({ code: 'SFTP_HOST_KEY_MISMATCH' })
    expect(ask).not.toHaveBeenCalled()
    const source = connectTo(server, { ...none, password: ask })
    await listAll(source)
    await listAll(source)
    expect(ask).toHaveBeenCalledTimes(2)
  })

  test('a credential that cannot be fetched is named', async () => {
    const server = await serve({ users: [{ username: 'smt', password }] })
    const cause = new Error('vault is sealed')
    const error = await failure(connectTo(server, { ...none, password: () => Promise.reject(cause) }))
    expect(error).toMatchObject({ code: 'SFTP_AUTH', message: expect.stringContaining('`password`'), cause })
  })
})

describe('the session', () => {
  test('ends with the loop, by break too, and files end with it', async () => {
    const server = await serve()
    let kept: IngestFile | undefined
    for await (const file of connectTo(server).files()) {
      expect(server.open).toBe(1)
      expect((await readAll(file)).equals(content)).toBe(true)
      kept = file
      break
    }
    await vi.waitFor(() => expect(server.open).toBe(0))
    await expect(readAll(kept!)).rejects.toMatchObject({ code: 'SFTP_SESSION_CLOSED', file: '/in/a.asc' })
  })

  test('ends when the source is closed, and what still runs hears of it', async () => {
    const server = await serve()
    await using source = connectTo(server)
    const run = async () => {
      for await (const file of source.files()) {
        await source.close()
        await readAll(file)
      }
    }
    await expect(run()).rejects.toMatchObject({ code: 'ABORTED' })
    await vi.waitFor(() => expect(server.open).toBe(0))
  })

  test('leaves no timer and no socket behind', async () => {
    const server = await serve()
    const held = (kind: string) => process.getActiveResourcesInfo().filter(name => name === kind).length
    const kinds = ['TCPSocketWrap', 'Timeout']
    const before = kinds.map(held)
    await listAll(connectTo(server))
    // The server's end of the connection closes a little later. A test before this one may still have had something.
    const more = () => kinds.filter((kind, i) => held(kind) > before[i]!)
    for (let i = 0; i < 200 && more().length > 0; i++) await pause(10)
    expect(more()).toEqual([])
  })

  test('turns Nagle’s algorithm off', async () => {
    const connect = vi.spyOn(net, 'connect')
    try {
      await listAll(connectTo(await serve()))
      expect(connect.mock.calls[0]?.[0]).toMatchObject({ noDelay: true, keepAlive: true })
    } finally {
      connect.mockRestore()
    }
  })

  test('is dialed again when the first attempt breaks', async () => {
    const server = await serve()
    let attempts = 0
    const flaky = net.createServer(socket => {
      if (attempts++ === 0) return socket.destroy()
      const onward = net.connect({ host: server.host, port: server.port })
      socket.pipe(onward).pipe(socket)
      for (const end of [socket, onward])
        end.on('error', () => {}).on('close', () => [socket, onward].map(s => s.destroy()))
      return undefined
    })
    await new Promise<void>(resolve => flaky.listen(0, '127.0.0.1', resolve))
    const { port } = flaky.address() as net.AddressInfo
    try {
      expect(await failure(connectTo(server, { port }))).toMatchObject({ code: 'SFTP_CONNECT', retryable: true })
      attempts = 0
      expect((await listAll(connectTo(server, { port, connectAttempts: 2 }))).files).toHaveLength(1)
    } finally {
      flaky.close()
    }
  })

  test('nobody listening is said so', async () => {
    const server = await FakeSftpServer.start()
    const source = connectTo(server)
    await server.close()
    expect(await failure(source)).toMatchObject({
      code: 'SFTP_CONNECT',
      cause: expect.objectContaining({ code: 'ECONNREFUSED' })
    })
  })

  test('I9: a server that never speaks is given up at the deadline', async () => {
    const server = await serve()
    const mute = net.createServer(() => {})
    await new Promise<void>(resolve => mute.listen(0, '127.0.0.1', resolve))
    const { port } = mute.address() as net.AddressInfo
    try {
      const source = connectTo(server, { port, connectTimeoutMs: 100 })
      expect(await failure(source)).toMatchObject({ code: 'SFTP_DEADLINE', retryable: true })
    } finally {
      mute.close()
    }
  })
})

describe('reading and listing', () => {
  test.each([
    [1, 512],
    [3, 1_000],
    [16, 31_744],
    [64, 262_144]
  ])('reads the same bytes with %i requests of %i bytes, however short the answers', async (requests, requestBytes) => {
    for (const size of [0, 1, 999, 1_000, 1_001, 31_744, 100_000]) {
      const server = await serve({ files: [['/in/a.asc', { content: content.subarray(0, size), modifiedAt: 0 }]] })
      for (const maxAnswerBytes of [undefined, 700]) {
        server.faults.maxAnswerBytes = maxAnswerBytes
        for await (const file of connectTo(server, { requests, requestBytes }).files()) {
          expect((await readAll(file)).equals(content.subarray(0, size))).toBe(true)
          await expect(file.verify()).resolves.toMatchObject({ bytes: size })
        }
      }
    }
  })

  test('lists directories of more names than one answer holds', async () => {
    const names = Array.from({ length: 250 }, (_, i) => `/in/${String(i).padStart(3, '0')}.asc`)
    const server = await serve({ files: names.map(name => [name, report] as const) })
    const { files } = await listAll(connectTo(server))
    expect(files.map(({ path }) => path)).toEqual(names)
    expect(files[0]).toMatchObject({ source: `sftp://smt@127.0.0.1:${server.port}`, modifiedAt: report.modifiedAt })
  })

  test.each([
    ['deny', 'SFTP_LIST', 'permission denied'],
    ['fail', 'SFTP_LIST', 'cannot be listed'],
    ['hang', 'SFTP_DEADLINE', 'no answer within 150 ms']
  ] as const)(
    'I3: a directory whose listing meets "%s" is an error; the others are offered first',
    async (fault, code, message) => {
      const server = await serve({
        files: [
          ['/in/a.asc', report],
          ['/bad/b.asc', report]
        ],
        faults: { [fault]: ['/bad'] }
      })
      const offered: string[] = []
      const run = async () => {
        const source = connectTo(server, { directories: ['/bad', '/in'], operationTimeoutMs: 150 })
        for await (const file of source.files()) offered.push(file.path)
      }
      await expect(run()).rejects.toMatchObject({ code, message: expect.stringContaining(message), file: '/bad' })
      expect(offered).toEqual(['/in/a.asc'])
    }
  )

  test.each([
    ['deny', 'SFTP_PERMISSION', false],
    ['fail', 'SFTP_READ', true],
    ['hang', 'SFTP_DEADLINE', true]
  ] as const)('I9: a file whose reading meets "%s" ends with its error', async (fault, code, retryable) => {
    const server = await serve({ faults: { [fault]: ['/in/a.asc'] } })
    for await (const file of connectTo(server, { operationTimeoutMs: 150 }).files()) {
      await expect(readAll(file)).rejects.toMatchObject({ code, retryable, file: '/in/a.asc' })
      await expect(file.verify()).rejects.toMatchObject({ code })
    }
  })

  test('a file that went away before it was opened is said so', async () => {
    const server = await serve()
    for await (const file of connectTo(server).files()) {
      server.files.delete('/in/a.asc')
      await expect(readAll(file)).rejects.toMatchObject({ code: 'SFTP_NO_SUCH_FILE', retryable: true })
    }
  })

  test.each([
    ['more', Buffer.concat([content, content])],
    ['less', content.subarray(0, 100_000)]
  ])('I4: a server that gives %s than it listed is not believed', async (_, given) => {
    const server = await serve()
    // The handle tells the listed size until the first read, and again nothing else afterwards.
    server.faults.onRequest = ({ name }) => {
      if (name !== 'READ') return
      server.faults.onRequest = undefined
      const lying = { ...report, content: { length: content.length, subarray: given.subarray.bind(given) } }
      server.files.set('/in/a.asc', lying as never)
    }
    for await (const file of connectTo(server).files()) {
      await expect(readAll(file)).rejects.toMatchObject({ code: 'TRANSFER_INCOMPLETE' })
      await expect(file.verify()).rejects.toMatchObject({ code: 'TRANSFER_INCOMPLETE' })
    }
  })

  test('I9: a stream that is destroyed on a server that hangs closes at once', async () => {
    const server = await serve({ faults: { hang: ['/in/a.asc'] } })
    for await (const file of connectTo(server).files()) {
      const stream = file.stream()
      const closed = new Promise<void>(resolve => stream.once('close', resolve))
      stream.resume()
      setTimeout(() => stream.destroy(), 50)
      await closed
      expect(stream.errored).toBeNull()
    }
  })

  test('two streams share the session', async () => {
    const server = await serve({
      files: [
        ['/in/a.asc', report],
        ['/in/b.asc', report]
      ]
    })
    const seen: IngestFile[] = []
    for await (const file of connectTo(server).files()) {
      seen.push(file)
      if (seen.length === 1) continue
      const read = await Promise.all(seen.map(readAll))
      expect(read.map(bytes => bytes.equals(content))).toEqual([true, true])
    }
    expect(server.connections).toBe(1)
  })
})

describe('the options', () => {
  const good = { host: 'h', username: 'u', password: 'p', directories: ['/in'] }

  test.each([
    [{ ...good, host: undefined }, '`host`'],
    [{ ...good, password: undefined }, '`privateKey` is missing; give it, or password, agent, or keyboardInteractive'],
    [{ ...good, privateKey: 'no key' }, '`privateKey` is not a private key that can be read'],
    [{ ...good, hostKey: 'SHA1:abc' }, '`hostKey` is neither a SHA256 fingerprint nor a public key'],
    [{ ...good, hostkey: 'SHA256:x' }, '`hostkey` is not an option'],
    [{ ...good, port: 70_000 }, '`port`'],
    [{ ...good, directories: [] }, '`directories`'],
    [{ ...good, operationTimeoutMs: 0 }, '`operationTimeoutMs`'],
    [{ ...good, keyboardInteractive: 'x' }, '`keyboardInteractive` must be a function']
  ])('refuses %j and names the wrong one', (options, message) => {
    expect(() => new SftpSource(options as never)).toThrow(message)
    expect(() => new SftpSource(options as never)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }))
  })

  test('I11: secrets show neither in the source nor in its errors', async () => {
    const server = await serve({ users: [{ username: 'smt', password: 'right' }] })
    const source = connectTo(server, { password: 'hunter2hunter2', passphrase: 'sesame-sesame' })
    const error = await failure(source)
    expect(error.code).toBe('SFTP_AUTH')
    for (const value of [source, error]) {
      const shown = `${inspect(value, { depth: 20, showHidden: true })} ${JSON.stringify(value)}`
      for (const secret of ['hunter2', 'sesame', 'PRIVATE KEY']) expect(shown).not.toContain(secret)
    }
    const wrong = () => new SftpSource({ ...good, hostKey: server.login.privateKey })
    expect(wrong).toThrow(expect.objectContaining({ message: expect.not.stringContaining('PRIVATE KEY') }))
  })
})
