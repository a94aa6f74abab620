import type { Socket } from 'node:net'
import pg from 'pg'

/** What happens to a connection once it has sent a statement. */
export interface Breakage {
  /** Which statement. */
  readonly at: RegExp
  /** Does it: with the next rows of a COPY in its hands, which are not sent yet; right after any other statement. */
  act(wire: Wire, rows: Buffer): unknown
}

/** The connection's way to the server. */
interface Wire {
  send(bytes: Buffer): void
  /** Ends it without a good-bye. */
  cut(): void
  /** Nothing more is sent. */
  hush(): void
}

/** A pool of `pg` with one connection, which breaks once, where it is told to. */
export function breakingPool(connectionString: string): { pool: pg.Pool; breakAt(breakage: Breakage): void } {
  let next: Breakage | undefined
  class BreakingClient extends pg.Client {
    // biome-ignore lint/suspicious/noExplicitAny: as pg has it, with its many forms
    override query(...args: any[]): any {
      // biome-ignore lint/suspicious/noExplicitAny: the same
      const result = (super.query as any)(...args)
      const text = typeof args[0] === 'string' ? args[0] : args[0].text
      if (next?.at.test(text)) {
        const { act } = next
        next = undefined
        const { stream } = (this as unknown as { connection: { stream: Socket } }).connection
        breakWire(stream, act, text.startsWith('COPY'))
      }
      return result
    }
  }
  const pool = new pg.Pool({ connectionString, max: 1, Client: BreakingClient } as pg.PoolConfig)
  pool.on('error', () => {})
  return { pool, breakAt: breakage => (next = breakage) }
}

function breakWire(stream: Socket, act: Breakage['act'], isCopy: boolean): void {
  const write = stream.write
  const wire: Wire = {
    send: bytes => void write.call(stream, bytes),
    cut: () => void stream.destroy(),
    hush: () => {
      stream.write = () => true
    }
  }
  if (!isCopy) return void act(wire, Buffer.alloc(0))
  stream.write = (bytes: string | Uint8Array): boolean => {
    const all = Buffer.from(bytes as Uint8Array)
    // The header of a message comes alone; rows come in pieces of many bytes.
    if (all.length < 1000) return write.call(stream, all)
    stream.write = write
    act(wire, all)
    return true
  }
}
