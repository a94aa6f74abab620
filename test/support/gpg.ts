import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findReal } from './real.ts'

/** The real gpg, with a home of its own. */
export interface Gpg {
  readonly home: string
  /** One call; gives what it wrote. */
  run(args: readonly string[], input?: Uint8Array): Buffer
  /** Makes a key for `name@example.org`. */
  make(name: string, kind: string, usage: string, passphrase?: string): void
  /** The private key of a name. */
  exported(name: string, ...args: string[]): Buffer
  /** The public key of a name. */
  publicOf(name: string): Buffer
  /** A message as the arguments say. */
  seal(input: Uint8Array, ...args: string[]): Buffer
  /** Ends its agent, and the home. */
  close(): void
}

/** Its home has a short name: GnuPG keeps sockets there, and their paths may have 107 bytes. */
export function openGpg(): Gpg {
  const home = mkdtempSync(join(tmpdir(), 'smt-'))
  const run = (args: readonly string[], input?: Uint8Array) =>
    execFileSync(findReal('gpg')!, ['--homedir', home, '--batch', '--pinentry-mode', 'loopback', ...args], {
      ...(input && { input }),
      maxBuffer: 1e9,
      stdio: ['pipe', 'pipe', 'pipe']
    })
  return {
    home,
    run,
    make(name, kind, usage, passphrase = '') {
      run(['--passphrase', passphrase, '--quick-gen-key', `${name}@example.org`, kind, usage, 'never'])
    },
    exported: (name, ...args) => run([...args, '--export-secret-keys', `${name}@example.org`]),
    publicOf: name => run(['--export', `${name}@example.org`]),
    seal: (input, ...args) => run(['--trust-model', 'always', ...args], input),
    close() {
      execFileSync(findReal('gpgconf')!, ['--homedir', home, '--kill', 'all'])
      rmSync(home, { recursive: true, force: true })
    }
  }
}
