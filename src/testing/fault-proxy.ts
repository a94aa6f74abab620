import net from 'node:net'

/** What becomes of a connection once so many bytes came from the server. */
export interface LineFault {
  /**
   * `cut`: both sides are closed. `reset`: the client's side is reset. `half-close`: the client is told that nothing
   * follows, and may go on talking to nobody. `black-hole`: the connection stands, and nothing passes any more. `drip`:
   * the server's bytes pass at `bytesPerSecond`.
   */
  readonly kind: 'cut' | 'reset' | 'half-close' | 'black-hole' | 'drip'
  /** Bytes from the server that pass before. @default 0 */
  readonly afterBytes?: number | undefined
  /** Connections that meet it, those that are open among them; later ones are left alone. @default all */
  readonly times?: number | undefined
  /** Of `drip`. @default 1 */
  readonly bytesPerSecond?: number | undefined
}

export interface FaultProxyOptions {
  /** Where the server listens, on this machine. */
  readonly port: number
  /** Milliseconds by which a question and its answer are held back together. @default 0 */
  readonly roundTripMs?: number | undefined
  readonly fault?: LineFault | undefined
}

/** Bytes on their way, above which the sender waits: more than a fast line of 100 ms holds. */
const MOST_ON_THE_WAY = 64 * 1024 * 1024

/**
 * A line to a server that is long, or goes wrong: a TCP proxy on a free port of this machine, for tests and benches. Long
 * is not narrow: any number of bytes may be on their way.
 *
 * Memory: the bytes on their way, 64 MiB at most for each direction of a connection.
 */
export class FaultProxy {
  readonly host = '127.0.0.1'
  /** Connections since the start. */
  connections = 0
  readonly #options: FaultProxyOptions
  readonly #listener: net.Server
  readonly #lines = new Set<Line>()
  #fault: LineFault | undefined
  /** Connections that may still meet the fault. */
  #left = Number.POSITIVE_INFINITY

  static async start(options: FaultProxyOptions): Promise<FaultProxy> {
    const proxy = new FaultProxy(options)
    await new Promise<void>((resolve, reject) => {
      proxy.#listener.once('error', reject)
      proxy.#listener.listen(0, proxy.host, resolve)
    })
    return proxy
  }

  private constructor(options: FaultProxyOptions) {
    this.#options = options
    this.fault = options.fault
    this.#listener = net.createServer({ noDelay: true, allowHalfOpen: true }, client => {
      this.connections++
      const line = new Line(client, this.#options, {
        passing: bytes => this.#passing(bytes),
        meet: () => {
          this.#left--
          return this.#fault!
        }
      })
      this.#lines.add(line)
      client.once('close', () => this.#lines.delete(line))
    })
  }

  get port(): number {
    return (this.#listener.address() as net.AddressInfo).port
  }

  /** What goes wrong from now on, also on connections that are open; they count the bytes from their beginning. */
  set fault(fault: LineFault | undefined) {
    this.#fault = fault
    this.#left = fault?.times ?? Number.POSITIVE_INFINITY
    for (const line of this.#lines) line.look()
  }

  get fault(): LineFault | undefined {
    return this.#fault
  }

  /** Connections that are open now. */
  get open(): number {
    return this.#lines.size
  }

  async close(): Promise<void> {
    for (const line of this.#lines) line.cut()
    await new Promise<void>(resolve => this.#listener.close(() => resolve()))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** How many bytes may still pass on a line after so many. */
  #passing(bytes: number): number {
    if (this.#fault === undefined || this.#left === 0) return Number.POSITIVE_INFINITY
    return Math.max(0, (this.#fault.afterBytes ?? 0) - bytes)
  }
}

/** What a line asks of its proxy. */
interface Faults {
  passing(bytes: number): number
  meet(): LineFault
}

/** One client, and its connection to the server. */
class Line {
  readonly #client: net.Socket
  readonly #server: net.Socket
  readonly #faults: Faults
  readonly #toClient: Pipe
  /** Bytes that came from the server. */
  #bytes = 0
  #fault: LineFault | undefined

  constructor(client: net.Socket, { port, roundTripMs = 0 }: FaultProxyOptions, faults: Faults) {
    this.#client = client
    this.#server = net.connect({ host: '127.0.0.1', port, noDelay: true, allowHalfOpen: true })
    this.#faults = faults
    this.#toClient = new Pipe(this.#server, client, roundTripMs / 2)
    const toServer = new Pipe(client, this.#server, roundTripMs / 2)
    client.on('data', piece => {
      if (this.#fault === undefined || this.#fault.kind === 'drip') toServer.send(piece)
    })
    client.on('end', () => toServer.end())
    this.#server.on('data', piece => this.#pass(piece))
    this.#server.on('end', () => this.#toClient.end())
    for (const socket of [client, this.#server]) socket.on('error', () => this.cut()).on('close', () => this.cut())
    this.look()
  }

  cut(): void {
    this.#client.destroy()
    this.#server.destroy()
  }

  /** Sees whether something is to go wrong already. */
  look(): void {
    if (this.#fault === undefined && this.#faults.passing(this.#bytes) === 0) this.#meet(this.#faults.meet())
  }

  #pass(piece: Buffer): void {
    if (this.#fault !== undefined) {
      if (this.#fault.kind === 'drip') this.#toClient.send(piece)
      return
    }
    const before = piece.subarray(0, this.#faults.passing(this.#bytes))
    this.#bytes += before.length
    this.#toClient.send(before)
    this.look()
    if (before.length < piece.length) this.#pass(piece.subarray(before.length))
  }

  #meet(fault: LineFault): void {
    this.#fault = fault
    const { kind, bytesPerSecond = 1 } = fault
    if (kind === 'drip') this.#toClient.drip(bytesPerSecond)
    else if (kind === 'half-close') this.#toClient.end()
    else if (kind === 'cut') this.#toClient.whenEmpty(() => this.cut())
    else if (kind === 'reset') this.#toClient.whenEmpty(() => reset(this.#client))
  }
}

/** Node's own `resetAndDestroy` says good-bye first where nothing waits to be written; this is what it does after that. */
function reset(socket: net.Socket): void {
  Object.assign(socket, { resetAndClosing: true }).destroy()
}

/** What arrives at a moment: bytes, or the end of something. */
interface Passage {
  readonly due: number
  readonly piece?: Buffer
  readonly act?: () => void
}

/** One direction: what is sent arrives in order, each piece after the delay. */
class Pipe {
  readonly #from: net.Socket
  readonly #to: net.Socket
  readonly #delayMs: number
  readonly #onTheWay: Passage[] = []
  #bytes = 0
  #timer: NodeJS.Timeout | undefined
  #bytesPerSecond = Number.POSITIVE_INFINITY

  constructor(from: net.Socket, to: net.Socket, delayMs: number) {
    this.#from = from
    this.#to = to
    this.#delayMs = delayMs
    to.once('close', () => clearTimeout(this.#timer))
  }

  send(piece: Buffer): void {
    if (piece.length === 0) return
    this.#bytes += piece.length
    if (this.#bytes >= MOST_ON_THE_WAY) this.#from.pause()
    this.#put({ due: performance.now() + this.#delayMs, piece })
  }

  /** Says that nothing follows, when all of it has arrived. */
  end(): void {
    this.whenEmpty(() => this.#to.end())
  }

  /** Does something when all of it has arrived. */
  whenEmpty(act: () => void): void {
    this.#put({ due: performance.now() + this.#delayMs, act })
  }

  drip(bytesPerSecond: number): void {
    this.#bytesPerSecond = bytesPerSecond
  }

  #put(item: Passage): void {
    this.#onTheWay.push(item)
    if (this.#delayMs === 0 && this.#timer === undefined) this.#deliver()
    else this.#timer ??= setTimeout(() => this.#deliver(), this.#delayMs)
  }

  #deliver(): void {
    this.#timer = undefined
    const now = performance.now()
    for (let first = this.#onTheWay[0]; first !== undefined && first.due <= now; first = this.#onTheWay[0]) {
      this.#onTheWay.shift()
      if (first.piece !== undefined && !this.#write(first.piece)) break
      first.act?.()
    }
    if (this.#bytes < MOST_ON_THE_WAY) this.#from.resume()
    const next = this.#onTheWay[0]
    if (next !== undefined) this.#timer ??= setTimeout(() => this.#deliver(), Math.max(1, next.due - performance.now()))
  }

  /** False when it drips: a byte is written, and the rest waits for its time. */
  #write(piece: Buffer): boolean {
    const drips = Number.isFinite(this.#bytesPerSecond)
    const part = drips ? piece.subarray(0, Math.max(1, Math.floor(this.#bytesPerSecond / 10))) : piece
    this.#bytes -= part.length
    this.#to.write(part)
    if (!drips) return true
    const due = performance.now() + (part.length / this.#bytesPerSecond) * 1000
    if (part.length < piece.length) this.#onTheWay.unshift({ due, piece: piece.subarray(part.length) })
    this.#timer = setTimeout(() => this.#deliver(), Math.max(1, due - performance.now()))
    return false
  }
}
