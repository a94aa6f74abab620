import { IngestError, SourceError } from '../../errors.ts'
import type { HostKeyPins, HostKeyVerdict, PresentedKey } from './host-key.ts'

/** The part of the settings that errors speak of. */
interface Server {
  readonly address: string
  readonly connectTimeoutMs: number
  readonly pins: HostKeyPins
}

/** How far a connection came. */
export interface Progress {
  connected: boolean
  handshaken: boolean
  verdict: HostKeyVerdict | undefined
  error: LevelError | undefined
}

/** ssh2 says in `level` where an error belongs. */
export type LevelError = Error & { readonly level?: string }

export function connectError({ address }: Server, seen: Progress, cause: unknown, tried: readonly string[]): Error {
  if (cause instanceof IngestError) return cause
  const { message, level } = cause instanceof Error ? (cause as LevelError) : { message: String(cause), level: '' }
  const place = { file: address, cause }
  if (level === 'client-authentication' || /too many authentication failures/i.test(message)) {
    const ways = tried.length === 0 ? 'it takes none of the ways given' : `tried: ${tried.join(', ')}`
    return new SourceError('SFTP_AUTH', `the server refused the login (${ways})`, place)
  }
  if (level === 'agent') return new SourceError('SFTP_AUTH', 'the SSH agent could not be used', place)
  if (seen.handshaken && /subsystem|channel/i.test(message)) {
    return new SourceError('SFTP_CONNECT', 'the server offers no SFTP to this user', place)
  }
  if (seen.handshaken) return new SourceError('SFTP_DISCONNECTED', 'the connection broke during the login', place)
  if (level === 'handshake') return new SourceError('SFTP_CONNECT', 'the SSH handshake failed', place)
  return new SourceError('SFTP_CONNECT', 'could not connect', place)
}

/** An address that is not admitted often meets silence; one that answers and then stops is a slow server. */
export function tooLate({ address, connectTimeoutMs }: Server, { connected }: Progress): SourceError {
  if (!connected) return new SourceError('SFTP_CONNECT', `no answer within ${connectTimeoutMs} ms`, { file: address })
  return new SourceError('SFTP_DEADLINE', `the login took longer than ${connectTimeoutMs} ms`, { file: address })
}

/** The keys the server presented, and why none of them will do. */
export function refusal({ address, pins }: Server, presented: readonly HostKeyVerdict[]): SourceError {
  const revoked = presented.find(({ verdict }) => verdict === 'revoked')
  if (revoked !== undefined) {
    const what = `the server presents a key that is marked revoked (${nameOf(revoked)})`
    return new SourceError('SFTP_HOST_KEY_MISMATCH', what, { file: address })
  }
  if (pins.trusted.length === 0) {
    const key = presented[0]!
    const what = `no host key is pinned, so nothing was sent; the server presents ${nameOf(key)}, and if its owner confirms that, ${optionOf(key)}`
    return new SourceError('SFTP_HOST_KEY_UNKNOWN', what, { file: address })
  }
  const pinned = pins.trusted.map(nameOf).join(', ')
  const options = presented.map(optionOf).join(' or ')
  const what = `the host key is not the pinned one, the server presents ${presented.map(nameOf).join(', ')}, pinned is ${pinned}; if its owner confirms the change, ${options}`
  return new SourceError('SFTP_HOST_KEY_MISMATCH', what, { file: address })
}

/** The server has no key of the pinned types; `presented` is one it has, if it has any. */
export function typeError({ address }: Server, pinned: readonly string[], presented?: PresentedKey): SourceError {
  const has =
    presented === undefined
      ? 'nor of any other that is supported'
      : `it presents ${nameOf(presented)}, and if its owner confirms that, ${optionOf(presented)}`
  const what = `the server has no host key of type ${pinned.join(', ')}; ${has}`
  return new SourceError('SFTP_HOST_KEY_TYPE', what, { file: address })
}

function optionOf({ fingerprint }: PresentedKey): string {
  return `add hostKey: '${fingerprint}'`
}

function nameOf({ type, fingerprint }: { type: string | undefined; fingerprint: string }): string {
  return type === undefined ? fingerprint : `${type} ${fingerprint}`
}
