import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { SftpSource } from '../../../src/source/sftp-source.ts'
import { FakeSftpServer } from '../../../src/testing/sftp/server.ts'
import { requireReal } from '../../support/real.ts'

test.skipIf(!requireReal('sftp'))('the real sftp client lists and reads it, and cannot write', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'smt-fake-'))
  const content = Buffer.alloc(1_000_000, 'report ')
  await using server = await FakeSftpServer.start({
    files: [['/in/a b.asc', { content, modifiedAt: 1_700_000_000_000 }]]
  })
  try {
    const path = (name: string) => join(folder, name)
    await writeFile(path('key'), server.login.privateKey, { mode: 0o600 })
    await writeFile(path('known_hosts'), `[${server.host}]:${server.port} ${server.hostKeys[0]!.publicKey}\n`)
    await writeFile(path('batch'), `ls -l /in\nget "/in/a b.asc" "${path('a.asc')}"\n-put "${path('key')}" /in/key\n`)
    const options = [`UserKnownHostsFile=${path('known_hosts')}`, 'StrictHostKeyChecking=yes', 'IdentitiesOnly=yes']
    const { stdout, stderr } = await promisify(execFile)('sftp', [
      ...['-F', 'none', '-b', path('batch'), '-i', path('key'), '-P', String(server.port)],
      ...options.flatMap(option => ['-o', option]),
      `${server.login.username}@${server.host}`
    ])
    expect(stdout).toContain('1000000')
    expect((await readFile(path('a.asc'))).equals(content)).toBe(true)
    expect(stderr).toMatch(/denied|unsupported/i)
    expect([...server.files.keys()]).toEqual(['/in/a b.asc'])
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})

test('takes nobody who was not given', async () => {
  await using server = await FakeSftpServer.start({ users: [{ username: 'other', password: 'x' }] })
  const { host, port, login, fingerprint } = server
  for (const given of [{}, { username: 'other', password: 'y' }]) {
    const source = new SftpSource({ host, port, ...login, ...given, hostKey: fingerprint, directories: ['/'] })
    await expect(source.files().next()).rejects.toMatchObject({ code: 'SFTP_AUTH' })
  }
})
