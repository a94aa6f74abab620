import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type net from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import type { Certificate } from '../certificate.ts'
import type { SmtAnswer, SmtCall, SmtEndpoint } from './call.ts'
import { type AnswerBytes, type SmtFault, SmtFaults, sendBody } from './faults.ts'
import { type FakeToken, type SmtUser, TokenOffice, type TokenStyle } from './tokens.ts'

export interface FakeSmtOptions {
  /** Who may log in. @default one user `INTELLIPATH` whose password is in `smt.login` */
  readonly users?: readonly SmtUser[] | undefined
  /** The DUNS of those users. @default '000000000' */
  readonly duns?: string | undefined
  /** Seconds that a token lives. @default 3600 */
  readonly tokenSeconds?: number | undefined
  /** How answers to a login are written. */
  readonly tokenStyle?: TokenStyle | undefined
  /** Speaks TLS with this certificate, and `baseUrl` begins with https. */
  readonly certificate?: Certificate | undefined
  /** The clock of the server, in epoch milliseconds. @default Date.now */
  readonly now?: (() => number) | undefined
}

/** What a call is refused with. */
class Refused extends Error {
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

const MOST_BODY_BYTES = 1024 * 1024

/**
 * Smart Meter Texas on a free port of this machine: the login, and whatever else stands in `endpoints`. It takes what SMT is
 * known to take and refuses everything else, with the answers that are known of SMT where any are.
 *
 * Memory: every call that came, in `requests`.
 */
export class FakeSmt {
  /** What goes wrong, by path. */
  readonly faults = new SmtFaults()
  /** Every call that came, in its order. */
  readonly requests: SmtCall[] = []
  /** What stands behind each path, besides the login. */
  readonly endpoints = new Map<string, SmtEndpoint>()
  /** What `SmtAuth` needs to log in as the first user. */
  readonly login: { readonly username: string; readonly password: string }
  readonly duns: string
  readonly #tokens: TokenOffice
  readonly #server: Server
  readonly #sockets = new Set<net.Socket>()
  readonly #scheme: 'http' | 'https'

  static async start(options: FakeSmtOptions = {}): Promise<FakeSmt> {
    const smt = new FakeSmt(options)
    await new Promise<void>((resolve, reject) => {
      smt.#server.once('error', reject)
      smt.#server.listen(0, '127.0.0.1', resolve)
    })
    return smt
  }

  private constructor(options: FakeSmtOptions) {
    const { certificate, users = [{ username: 'INTELLIPATH', password: 'not a real password' }] } = options
    this.login = users[0]!
    this.duns = options.duns ?? '000000000'
    this.#tokens = new TokenOffice({ ...options, users })
    const listen = (request: IncomingMessage, response: ServerResponse) => {
      this.#serve(request, response).catch(error => response.destroy(error))
    }
    this.#scheme = certificate === undefined ? 'http' : 'https'
    this.#server =
      certificate === undefined
        ? createServer(listen)
        : createTlsServer({ cert: certificate.certificate, key: certificate.privateKey }, listen)
    this.#server.on('connection', socket => {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
    })
    // A client that hangs up, or does not trust the certificate, is no trouble here.
    this.#server.on('tlsClientError', () => {}).on('clientError', (_, socket) => socket.destroy())
  }

  /** What `SmtAuth` takes as its `baseUrl`. */
  get baseUrl(): string {
    return `${this.#scheme}://127.0.0.1:${(this.#server.address() as net.AddressInfo).port}`
  }

  /** The tokens that were given, in their order. */
  get tokens(): readonly FakeToken[] {
    return this.#tokens.given
  }

  /** No token that was given so far is taken any more. */
  expireTokens(): void {
    this.#tokens.expireAll()
  }

  /** Connections that are open now. */
  get open(): number {
    return this.#sockets.size
  }

  /** How many calls of a path came. */
  count(path: string): number {
    return this.requests.filter(request => request.path === path).length
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise<void>(resolve => this.#server.close(() => resolve()))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '', headers } = request
    const text = await textOf(request)
    const call = { method, path: url, headers, text }
    this.requests.push(call)
    const fault = this.faults.take(url)
    if (fault?.kind === 'slow') await pause(fault.ms, undefined, { ref: false })
    if (fault?.kind === 'silent') return
    if (fault?.kind === 'answer' || fault?.kind === 'reset') {
      if (fault.isDone) await this.#answer(call)
      if (fault.kind === 'reset') request.socket.resetAndDestroy()
      else await send(response, { ...fault, body: fault.body ?? '' }, undefined)
    } else await send(response, await this.#answer(call), fault)
  }

  async #answer(call: SmtCall): Promise<SmtAnswer> {
    try {
      return await this.#answerTo(call)
    } catch (error) {
      if (error instanceof Refused) return { status: error.status, body: { error: error.message } }
      return { status: 500, body: { error: `The endpoint failed: ${error}` } }
    }
  }

  async #answerTo(call: SmtCall): Promise<SmtAnswer> {
    const { path, headers } = call
    const endpoint = this.endpoints.get(path)
    if (path !== '/v2/token/' && endpoint === undefined) throw new Refused(404, 'Not found.')
    const body = jsonOf(call)
    if (endpoint === undefined) return this.#tokens.answer(call, body)
    const username = this.#tokens.userOf(headers.authorization)
    if (username === undefined) throw new Refused(401, 'Authorization failure.')
    const named = endpoint.needsIdentityHeaders
      ? [body.requestorID, headers.username, headers.serviceid]
      : [body.requestorID]
    if (named.some(name => name !== username)) {
      throw new Refused(401, 'Username/ServiceID Mismatch on both Header and Payload message.')
    }
    return endpoint.answer({ path, headers, username, body })
  }
}

/** The JSON object that every call of SMT's brings, and nothing else. */
function jsonOf({ method, headers, text }: SmtCall): Readonly<Record<string, unknown>> {
  if (method !== 'POST') throw new Refused(405, 'Method not allowed.')
  if (!/^application\/json(;\s*charset=utf-8)?$/i.test(headers['content-type'] ?? '')) {
    throw new Refused(415, 'Unsupported media type.')
  }
  try {
    const value = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value
  } catch {}
  throw new Refused(400, 'Malformed JSON.')
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request) {
    bytes += chunk.length
    if (bytes <= MOST_BODY_BYTES) chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

async function send(response: ServerResponse, answer: SmtAnswer, fault: SmtFault | undefined): Promise<void> {
  const { status = 200, body, headers } = answer
  response.writeHead(status, { 'content-type': 'application/json', ...headers })
  await sendBody(response, bytesOf(body), fault)
}

function bytesOf(body: unknown): AnswerBytes {
  const isBytes = typeof body === 'string' || body instanceof Uint8Array
  const givesBytes = typeof body === 'object' && body !== null && Symbol.asyncIterator in body
  return isBytes || givesBytes ? (body as AnswerBytes) : JSON.stringify(body)
}
