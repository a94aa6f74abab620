import { createHash } from 'node:crypto'
import { generateKey } from 'openpgp'
import ssh2 from 'ssh2'

/** A throw-away OpenPGP key, armored. */
export interface PgpKey {
  readonly privateKey: string
  readonly publicKey: string
  /** What the private key is locked with; undefined when it is not. */
  readonly passphrase: string | undefined
}

export interface PgpKeyOptions {
  /** Locks the private key. */
  readonly passphrase?: string | undefined
  /** Name of its invented owner. @default 'Test' */
  readonly name?: string | undefined
  /** `rsa` takes a second or more to make. @default 'ecc' */
  readonly type?: 'ecc' | 'rsa' | undefined
  /** @default 3072 */
  readonly rsaBits?: number | undefined
}

/** Makes an OpenPGP key (v4, Curve25519 or RSA) such as GnuPG 2.2 understands; messages to it carry an MDC. */
export async function makePgpKey(options: PgpKeyOptions = {}): Promise<PgpKey> {
  const { passphrase, name = 'Test', type = 'ecc', rsaBits = 3072 } = options
  const { privateKey, publicKey } = await generateKey({
    ...(type === 'rsa' ? { type, rsaBits } : { type, curve: 'curve25519Legacy' as const }),
    userIDs: [{ name, email: 'nobody@example.invalid' }],
    ...(passphrase !== undefined && { passphrase }),
    format: 'armored',
    config: { v6Keys: false, aeadProtect: false }
  })
  return { privateKey, publicKey, passphrase }
}

/** A throw-away SSH key in OpenSSH's own format. */
export interface SshKey {
  readonly privateKey: string
  /** One line, as in `authorized_keys`. */
  readonly publicKey: string
  /** `SHA256:…`, as `ssh-keygen -l` prints it. */
  readonly fingerprint: string
}

export interface SshKeyOptions {
  /** @default 'ed25519' */
  readonly type?: 'ed25519' | 'ecdsa' | 'rsa' | undefined
}

/** Makes an SSH key, for a user or for a server. */
export function makeSshKey(options: SshKeyOptions = {}): SshKey {
  let pair = generatePair(options)
  // ssh2 1.17 drops a leading zero from an Ed25519 public key: one key in 256 is malformed.
  while (ssh2.utils.parseKey(pair.private) instanceof Error) pair = generatePair(options)
  const blob = Buffer.from(pair.public.split(' ')[1] ?? '', 'base64')
  const hash = createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')
  return { privateKey: pair.private, publicKey: pair.public, fingerprint: `SHA256:${hash}` }
}

function generatePair({ type = 'ed25519' }: SshKeyOptions): { private: string; public: string } {
  if (type === 'rsa') return ssh2.utils.generateKeyPairSync('rsa', { bits: 3072 })
  if (type === 'ecdsa') return ssh2.utils.generateKeyPairSync('ecdsa', { bits: 256 })
  return ssh2.utils.generateKeyPairSync('ed25519')
}
