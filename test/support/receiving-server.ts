import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse
} from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { Receiver, type ReceiverOptions } from '../../src/sink/http/receive.ts'
import { FolderStore } from './receiving-store.ts'

/** One message as it came. */
export interface Received {
  readonly kind: string
  readonly index: number | undefined
  readonly headers: IncomingHttpHeaders
  readonly bytes: Buffer
  readonly text: string
}

/**
 * What goes wrong with one message. `lost`: it never arrives. `unanswered`: it is taken, and its answer is lost. `silent`:
 * nothing is ever said. An answer in its place: that one is given.
 */
export type Fault =
  | 'lost'
  | 'unanswered'
  | 'silent'
  | { readonly status: number; readonly headers?: Record<string, string>; readonly body?: string }

export interface ReceivingServerOptions extends Partial<Omit<ReceiverOptions, 'store'>> {
  readonly secrets: NonNullable<ReceiverOptions['secrets']>
}

/** A real server on this machine: a receiver for each path, its store in a folder. */
export class ReceivingServer implements AsyncDisposable {
  readonly #options: ReceivingServerOptions
  readonly #server: Server
  readonly #stands = new Map<string, { store: FolderStore; receiver: Receiver }>()
  readonly received: Received[] = []
  readonly errors: unknown[] = []
  /** Asked at each message. */
  fault: (message: Received) => Fault | undefined = () => undefined

  private constructor(options: ReceivingServerOptions) {
    this.#options = options
    this.#server = createServer((request, response) => {
      this.#serve(request, response).catch(error => {
        this.errors.push(error)
        response.destroy()
      })
    })
  }

  static async start(options: ReceivingServerOptions): Promise<ReceivingServer> {
    const server = new ReceivingServer(options)
    await new Promise<void>(resolve => server.#server.listen(0, '127.0.0.1', resolve))
    return server
  }

  /** The address whose files go into a folder. */
  urlOf(folder: string): string {
    const { port } = this.#server.address() as AddressInfo
    return `http://127.0.0.1:${port}/${encodeURIComponent(folder)}`
  }

  storeIn(folder: string): FolderStore {
    return this.#standOf(folder).store
  }

  /** As a deployment does: whatever was only in memory is gone. */
  restart(): void {
    this.#stands.clear()
  }

  kinds(): string[] {
    return this.received.map(({ kind, index }) => (index === undefined ? kind : `${kind} ${index}`))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise(resolve => this.#server.close(resolve))
  }

  #standOf(folder: string) {
    let stand = this.#stands.get(folder)
    if (!stand) {
      const store = new FolderStore(join(folder, 'received'))
      const receiver = new Receiver({ ...this.#options, store, onError: error => this.errors.push(error) })
      stand = { store, receiver }
      this.#stands.set(folder, stand)
    }
    return stand
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const bytes = Buffer.concat(chunks)
    const message = received(request.headers, bytes)
    this.received.push(message)
    const fault = this.fault(message)
    if (fault === 'silent') return
    if (fault === 'lost') return void request.socket.destroy()
    if (typeof fault === 'object') {
      response.writeHead(fault.status, fault.headers).end(fault.body ?? '')
      return
    }
    const { receiver } = this.#standOf(decodeURIComponent(request.url!.slice(1)))
    // Every other message through the Web's Request, as a route gets it.
    const answer =
      this.received.length % 2 === 0
        ? await receiver.receive(request.headers, bytes)
        : await throughWeb(receiver, request.headers, bytes)
    if (fault === 'unanswered') return void request.socket.destroy()
    response.writeHead(answer.status, { 'content-type': 'application/json' }).end(JSON.stringify(answer.body))
  }
}

async function throughWeb(receiver: Receiver, headers: IncomingHttpHeaders, body: Buffer) {
  const request = new Request('http://receiver.test/', {
    method: 'POST',
    headers: headers as Record<string, string>,
    body
  })
  const response = await receiver.handle(request)
  return { status: response.status, body: await response.json() }
}

function received(headers: IncomingHttpHeaders, bytes: Buffer): Received {
  const text = (headers['content-encoding'] === 'gzip' ? gunzipSync(bytes) : bytes).toString()
  const isLines = headers['content-type'] === 'application/x-ndjson'
  const head = JSON.parse(isLines ? text.slice(0, text.indexOf('\n')) : text)
  return { kind: head.kind, index: head.index, headers, bytes, text }
}
