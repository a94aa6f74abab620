import { mkdirSync } from 'node:fs'
import { type OpenSshServer, startOpenSshServer } from '../../src/testing/sftp/openssh-server.ts'
import { requireReal } from './real.ts'

/** Whether tests against the machine's own sshd run. Its folder below /run is made where that may be. */
export function requireSshd(): boolean {
  if (!requireReal('sshd')) return false
  if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 })
  return true
}

export async function startSshd(directory: string): Promise<OpenSshServer> {
  const server = await startOpenSshServer({ directory })
  if ('unavailable' in server) throw new Error(server.unavailable)
  return server
}
