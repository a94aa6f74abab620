import { AbortError, SourceError } from '../../errors.ts'

/** The right to have one session with a server. */
export interface Slot {
  release(): void
}

export interface SlotSettings {
  readonly host: string
  readonly port: number
  /** The server as errors name it. */
  readonly address: string
  readonly maxSessions: number
  readonly connectTimeoutMs: number
}

/** Sessions of this process, and who waits for one to end, by server. */
const servers = new Map<string, { taken: number; readonly waiting: Set<() => void> }>()

/** Waits until this process has fewer sessions with the server than it may have; as long as a connection may take. */
export async function takeSlot(settings: SlotSettings, signal: AbortSignal): Promise<Slot> {
  const { host, port, address, maxSessions, connectTimeoutMs } = settings
  const name = `${host.toLowerCase()}:${port}`
  const server = servers.get(name) ?? { taken: 0, waiting: new Set() }
  servers.set(name, server)
  const deadline = performance.now() + connectTimeoutMs
  while (server.taken >= maxSessions) {
    await turn(server.waiting, deadline - performance.now(), signal)
    if (signal.aborted) throw new AbortError({ cause: signal.reason })
    if (server.taken >= maxSessions && performance.now() >= deadline) {
      const what = `${server.taken} sessions with the server are open, and none ended within ${connectTimeoutMs} ms`
      throw new SourceError('SFTP_BUSY', what, { file: address })
    }
  }
  server.taken++
  let isReleased = false
  return {
    release() {
      if (isReleased) return
      isReleased = true
      server.taken--
      // All of them look again: each may have a limit of its own.
      for (const wake of [...server.waiting]) wake()
      if (server.taken === 0 && server.waiting.size === 0) servers.delete(name)
    }
  }
}

/** Resolves when a slot was given back, when the time is over, or when the signal says so. */
function turn(waiting: Set<() => void>, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    const wake = () => {
      clearTimeout(timer)
      waiting.delete(wake)
      signal.removeEventListener('abort', wake)
      resolve()
    }
    const timer = setTimeout(wake, Math.max(0, ms))
    waiting.add(wake)
    signal.addEventListener('abort', wake, { once: true })
    if (signal.aborted) wake()
  })
}
