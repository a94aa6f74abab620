import { createHash } from 'node:crypto'
import { readKnownHosts } from './known-hosts.ts'

/** The host key types that are asked for, best first. Plain ssh-rsa (SHA-1) and ssh-dss are not among them. */
export const hostKeyTypes = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'ssh-rsa'
] as const

export type HostKeyType = (typeof hostKeyTypes)[number]

/** A key a server presented, as people compare it. */
export interface PresentedKey {
  readonly type: string
  /** `SHA256:` and the hash, as `ssh-keygen -l` prints it. */
  readonly fingerprint: string
}

/** A key the user trusts; a bare fingerprint does not say its type. */
interface HostKeyPin {
  readonly type: HostKeyType | undefined
  readonly fingerprint: string
}

/** Whom to trust, and whom never. */
export interface HostKeyPins {
  readonly trusted: readonly HostKeyPin[]
  /** Fingerprints of `@revoked` keys: refused even when pinned as well. */
  readonly revoked: readonly string[]
}

/** What the pins say about a presented key. */
export interface HostKeyVerdict extends PresentedKey {
  readonly verdict: 'trusted' | 'revoked' | 'unknown'
}

/**
 * Reads one `hostKey`: a `SHA256:` fingerprint, a public key (`ssh-ed25519 AAAA…`), or lines as ssh-keyscan prints
 * them. Undefined when it is none of these.
 */
export function readHostKey(text: string, host: string, port: number): HostKeyPins | undefined {
  const lines = text.split(/\r?\n/).map(line => line.trim())
  const pins = lines.filter(line => line !== '' && !line.startsWith('#')).map(line => readPin(line, host, port))
  return pins.length === 0 || pins.includes(undefined) ? undefined : joinPins(pins as HostKeyPins[])
}

/** The pins a known_hosts file holds for the server. Types that are not asked for are passed over. */
export function pinsOfKnownHosts(text: string, host: string, port: number): HostKeyPins {
  const lines = readKnownHosts(text, host, port).filter(line => isPublicKey(line.type, line.key))
  const keys = lines.map(line => ({ marker: line.marker, ...pinOf(line.key) }))
  return {
    trusted: keys.filter(({ marker, type }) => marker === undefined && type !== undefined),
    revoked: keys.filter(({ marker }) => marker === 'revoked').map(({ fingerprint }) => fingerprint)
  }
}

export function joinPins(pins: readonly HostKeyPins[]): HostKeyPins {
  return { trusted: pins.flatMap(({ trusted }) => trusted), revoked: pins.flatMap(({ revoked }) => revoked) }
}

/** Compares a presented key with the pins. Nothing but a pinned key is `trusted`. */
export function checkHostKey(rawKey: Uint8Array, pins: HostKeyPins): HostKeyVerdict {
  const key = { type: typeOf(rawKey), fingerprint: fingerprintOf(rawKey) }
  if (pins.revoked.includes(key.fingerprint)) return { ...key, verdict: 'revoked' }
  const pinned = pins.trusted.some(({ fingerprint }) => fingerprint === key.fingerprint)
  return { ...key, verdict: pinned ? 'trusted' : 'unknown' }
}

/**
 * The verifier that ssh2 gets. ssh2 takes everything but a strict `false` for a yes (null, 0, a promise), so
 * everything but a strict `true` becomes `false` here.
 */
export function strictVerifier(check: (rawKey: Buffer) => unknown): (rawKey: Buffer) => boolean {
  return rawKey => {
    try {
      return check(rawKey) === true
    } catch {
      return false
    }
  }
}

/** The types to ask the server for: those pinned; all of them when a pin does not tell its type, or there is none. */
export function typesToOffer(pins: HostKeyPins): HostKeyType[] {
  const pinned = pins.trusted.map(({ type }) => type)
  if (pinned.length === 0 || pinned.includes(undefined)) return [...hostKeyTypes]
  return hostKeyTypes.filter(type => pinned.includes(type))
}

/** The names of key types in the handshake: an RSA key signs with SHA-2 or not at all. */
export function algorithmsOf(types: readonly HostKeyType[]) {
  return types.flatMap(type => (type === 'ssh-rsa' ? (['rsa-sha2-512', 'rsa-sha2-256'] as const) : ([type] as const)))
}

function fingerprintOf(rawKey: Uint8Array): string {
  return `SHA256:${createHash('sha256').update(rawKey).digest('base64').replace(/=+$/, '')}`
}

function readPin(line: string, host: string, port: number): HostKeyPins | undefined {
  const fingerprint = /^SHA256:([A-Za-z0-9+/]{43})=?$/.exec(line)?.[1]
  if (fingerprint !== undefined)
    return { trusted: [{ type: undefined, fingerprint: `SHA256:${fingerprint}` }], revoked: [] }
  const [first = '', second = '', third = '', fourth = ''] = line.split(/\s+/)
  if (isPublicKey(first, second)) return known({ trusted: [pinOf(second)], revoked: [] })
  if (first.startsWith('@') ? isPublicKey(third, fourth) : isPublicKey(second, third)) {
    return pinsOfKnownHosts(line, host, port)
  }
  return undefined
}

/** A key whose type is never asked for can never be met; better said at once than as a mismatch later. */
function known(pins: HostKeyPins): HostKeyPins | undefined {
  return pins.trusted.every(({ type }) => type !== undefined) ? pins : undefined
}

function pinOf(base64: string): HostKeyPin {
  const rawKey = Buffer.from(base64, 'base64')
  const type = typeOf(rawKey)
  return { type: hostKeyTypes.find(known => known === type), fingerprint: fingerprintOf(rawKey) }
}

/** Whether the words are a type and a key of that very type. */
function isPublicKey(type: string, base64: string): boolean {
  return type !== '' && /^[A-Za-z0-9+/]+=*$/.test(base64) && typeOf(Buffer.from(base64, 'base64')) === type
}

/** A public key begins with its type: uint32 length, then ASCII. */
function typeOf(rawKey: Uint8Array): string {
  if (rawKey.length < 4) return ''
  const length = new DataView(rawKey.buffer, rawKey.byteOffset, rawKey.length).getUint32(0)
  return Buffer.from(rawKey.subarray(4, 4 + Math.min(length, 64))).toString('latin1')
}
