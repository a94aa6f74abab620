import net from 'node:net'
import pRetry from 'p-retry'
import type { Client, SFTPWrapper } from 'ssh2'
import type SftpClient from 'ssh2-sftp-client'
import { AbortError, IngestError, type SourceError } from '../../errors.ts'
import { connectError, type LevelError, type Progress, refusal, tooLate, typeError } from './connect-errors.ts'
import {
  algorithmsOf,
  checkHostKey,
  type HostKeyPins,
  type HostKeyType,
  type HostKeyVerdict,
  hostKeyTypes,
  type PresentedKey,
  strictVerifier,
  typesToOffer
} from './host-key.ts'
import { type Login, loginHandler } from './login.ts'
import { loadSftpClient } from './ssh2.ts'

/** Where to connect, whom to trust there, and how long to wait. */
export interface ConnectionSettings {
  readonly host: string
  readonly port: number
  /** The server as errors name it: `sftp://user@host:22`. */
  readonly address: string
  readonly login: Login
  readonly pins: HostKeyPins
  readonly connectTimeoutMs: number
  readonly connectAttempts: number
}

/** A connection whose host key was accepted and whose login succeeded. */
export interface Connection {
  readonly client: SftpClient
  readonly sftp: SFTPWrapper
  readonly socket: net.Socket
}

/** What one attempt came to. */
type Attempt =
  | { readonly connection: Connection }
  | { readonly refused: HostKeyVerdict }
  | { readonly refused: 'no common host key type' }

/**
 * Connects, and tries again where trying again may help. A server that presents another key than those pinned is
 * asked for its keys of other types: it may have the pinned one as well.
 */
export async function connect(settings: ConnectionSettings, signal: AbortSignal): Promise<Connection> {
  const presented: HostKeyVerdict[] = []
  let offer = typesToOffer(settings.pins)
  while (offer.length > 0) {
    const attempt = await attemptAgain(settings, offer, signal)
    if ('connection' in attempt) return attempt.connection
    if (attempt.refused === 'no common host key type') break
    presented.push(attempt.refused)
    if (attempt.refused.verdict === 'revoked' || settings.pins.trusted.length === 0) break
    offer = offer.filter(type => type !== (attempt.refused as PresentedKey).type)
  }
  if (presented.length > 0) throw refusal(settings, presented)
  throw await noCommonType(settings, signal)
}

async function attemptAgain(settings: ConnectionSettings, offer: readonly HostKeyType[], signal: AbortSignal) {
  let loginBegan = false
  try {
    return await pRetry(() => attemptOnce(settings, offer, signal, () => (loginBegan = true)), {
      retries: settings.connectAttempts - 1,
      minTimeout: 500,
      maxTimeout: 10_000,
      randomize: true,
      signal,
      // After a login began, trying again could lock the account out.
      shouldRetry: ({ error }) => error instanceof IngestError && error.retryable && !signal.aborted && !loginBegan
    })
  } catch (error) {
    if (signal.aborted && !(error instanceof IngestError)) throw new AbortError({ cause: error })
    throw error
  }
}

function attemptOnce(
  settings: ConnectionSettings,
  offer: readonly HostKeyType[],
  signal: AbortSignal,
  onLogin: () => void
): Promise<Attempt> {
  const { host, port, connectTimeoutMs, pins } = settings
  // Its default listeners print to the console.
  const client = new (loadSftpClient())('smt-ingest', { error: () => {}, end: () => {}, close: () => {} })
  // Without noDelay each small request waits up to 40 ms for the peer's delayed acknowledgement.
  const socket = net.connect({ host, port, noDelay: true, keepAlive: true })
  const seen: Progress = { connected: false, handshaken: false, verdict: undefined, error: undefined }
  return new Promise<Attempt>((resolve, reject) => {
    const fail = (error: unknown) => {
      done()
      socket.destroy()
      reject(error)
    }
    const stop = () => fail(new AbortError({ cause: signal.reason }))
    const timer = setTimeout(() => fail(tooLate(settings, seen)), connectTimeoutMs)
    const done = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', stop)
    }
    const login = loginHandler(settings.login, fail)
    socket.once('connect', () => (seen.connected = true))
    clientOf(client).on('handshake', () => (seen.handshaken = true))
    // The wrapper throws ssh2's error away and makes its own of the message; the level says where it went wrong.
    client.on('error', (error: LevelError) => (seen.error ??= error))
    if (signal.aborted) return stop()
    signal.addEventListener('abort', stop, { once: true })
    const options = {
      host,
      port,
      sock: socket,
      username: settings.login.username,
      readyTimeout: 0,
      keepaliveInterval: 10_000,
      keepaliveCountMax: 3,
      algorithms: { serverHostKey: algorithmsOf(offer) },
      hostVerifier: strictVerifier(rawKey => {
        seen.verdict = checkHostKey(rawKey, pins)
        return seen.verdict.verdict === 'trusted'
      }),
      authHandler: (...args: Parameters<typeof login.handler>) => {
        if (login.report.tried.length > 0 || args[0] != null) onLogin()
        login.handler(...args)
      }
    }
    client.connect(options).then(
      sftp => {
        done()
        resolve({ connection: { client, sftp, socket } })
      },
      (error: unknown) => {
        const refused = refusedKey(seen)
        if (refused === undefined) return fail(connectError(settings, seen, seen.error ?? error, login.report.tried))
        done()
        socket.destroy()
        resolve({ refused })
      }
    )
  })
}

/** The ssh2 client inside the wrapper: a documented property that the types leave out. */
export function clientOf(client: SftpClient): Client {
  return (client as unknown as { client: Client }).client
}

function refusedKey({ verdict, error }: Progress): HostKeyVerdict | 'no common host key type' | undefined {
  if (verdict !== undefined && verdict.verdict !== 'trusted') return verdict
  return error?.message.includes('no matching host key format') ? 'no common host key type' : undefined
}

/** None of the pinned types is there: asks once more for any other, only to name it in the message. */
async function noCommonType(settings: ConnectionSettings, signal: AbortSignal): Promise<SourceError> {
  const pinned = typesToOffer(settings.pins)
  const others = hostKeyTypes.filter(type => !pinned.includes(type))
  const attempt = others.length === 0 ? undefined : await attemptAgain(settings, others, signal)
  const presented = attempt && 'refused' in attempt ? attempt.refused : undefined
  return typeError(settings, pinned, typeof presented === 'object' ? presented : undefined)
}
