import { mkdtemp, rm } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { startOpenSshServer } from '../../../src/testing/sftp/openssh-server.ts'
import { requireSshd, startSshd } from '../../support/sshd.ts'

test('wants an absolute folder, as sshd does', async () => {
  await expect(startOpenSshServer({ directory: 'here' })).rejects.toThrow('sshd needs an absolute path: here')
})

test.skipIf(!requireSshd())('listens on this machine only while it runs', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'smt-sshd-'))
  try {
    const { host, port, close } = await startSshd(join(directory, 'with a blank'))
    const dial = () =>
      new Promise<string>(resolve => {
        const socket = net.connect({ host, port })
        socket.once('data', greeting => resolve(String(greeting)))
        socket.once('error', () => resolve('nobody'))
        socket.once('close', () => resolve('nobody'))
      }).then(answer => answer.slice(0, 8))
    expect(await dial()).toBe('SSH-2.0-')
    await close()
    await close()
    expect(await dial()).toBe('nobody')
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
})
