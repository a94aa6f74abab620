import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { centralInstant } from '../../src/testing/index.ts'

/** One request as the route got it. */
export interface RawUpload {
  readonly filename: string
  readonly sizeBytes: number
  readonly sha256: string
  readonly contentBase64: string
  readonly source: string
  readonly receivedAt: string
  readonly esiid: string
  readonly meter: string
  readonly postIngest: boolean
  readonly csv: string
  readonly bytes: number
}

/** What is answered in place of the route. */
export interface RawFault {
  readonly status: number
  readonly body: string
  readonly headers?: Record<string, string>
}

/**
 * The route `raw-upload` as it is known: its keys and answers, and that it deletes, for each meter, whatever lies between
 * the first and the last instant of what it is sent, and keys readings by their start label.
 */
export class RawUploadServer implements AsyncDisposable {
  readonly #token: string
  readonly #server: Server
  readonly #known = new Set<string>()
  readonly uploads: RawUpload[] = []
  /** kWh by `esiid meter instant`. */
  readonly store = new Map<string, number>()
  /** How often the route was asked. */
  asked = 0
  fault: (upload: RawUpload) => RawFault | undefined = () => undefined

  private constructor(token: string) {
    this.#token = token
    this.#server = createServer((request, response) => void this.#serve(request, response))
  }

  static async start(token: string): Promise<RawUploadServer> {
    const server = new RawUploadServer(token)
    await new Promise<void>(resolve => server.#server.listen(0, '127.0.0.1', resolve))
    return server
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/api/admin/smt/raw-upload`
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise(resolve => this.#server.close(resolve))
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.asked++
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const bytes = Buffer.concat(chunks)
    const answer = (status: number, body: object) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    if (request.headers['x-admin-token'] !== this.#token) return void answer(401, { ok: false, error: 'Unauthorized' })
    if (request.url !== '/api/admin/smt/raw-upload' || request.method !== 'POST') return void answer(404, {})
    const body = JSON.parse(bytes.toString())
    const missing = ['filename', 'sizeBytes', 'sha256'].filter(key => body[key] === undefined)
    if (missing.length > 0) {
      const receivedKeys = Object.keys(body)
      return void answer(400, { ok: false, error: 'VALIDATION', details: 'missing', missing, receivedKeys })
    }
    const csv = Buffer.from(body.contentBase64, 'base64').toString()
    const upload: RawUpload = { ...body, csv, bytes: bytes.length }
    this.uploads.push(upload)
    const fault = this.fault(upload)
    if (fault) return void response.writeHead(fault.status, fault.headers).end(fault.body)
    answer(200, this.#take(upload))
  }

  #take({ filename, sizeBytes, sha256, esiid, meter, csv }: RawUpload): object {
    const duplicate = this.#known.has(sha256)
    this.#known.add(sha256)
    const [, ...lines] = csv.trimEnd().split('\n')
    const readings = lines.map(line => {
      const [id = '', date = '', , start = '', , kwh = ''] = line.split(',').map(cell => cell.trim())
      const [month, day, year] = date.split('/')
      // Labels alone: the second pass of the repeated hour lands on the first.
      return { esiid: id.replace(/^'/, ''), at: centralInstant(`${year}-${month}-${day}`, start), kwh: Number(kwh) }
    })
    if (readings.some(reading => reading.esiid !== esiid)) throw new Error('rows of another meter')
    const instants = readings.map(({ at }) => at)
    const [first, last] = [Math.min(...instants), Math.max(...instants)]
    for (const key of this.store.keys()) {
      const [id, name, at] = key.split(' ')
      if (id === esiid && name === meter && Number(at) >= first && Number(at) <= last) this.store.delete(key)
    }
    for (const { at, kwh } of readings) this.store.set(`${esiid} ${meter} ${at}`, kwh)
    const inserted = new Set(instants).size
    const totalKwh = readings.reduce((sum, { kwh }) => sum + kwh, 0)
    return {
      ok: true,
      ...(duplicate && { duplicate }),
      id: String(this.#known.size),
      filename,
      sizeBytes,
      sha256,
      createdAt: new Date().toISOString(),
      normalizedInline: {
        intervalsInserted: inserted,
        inserted,
        skipped: 0,
        records: readings.length,
        tsMin: new Date(first).toISOString(),
        tsMax: new Date(last).toISOString(),
        diagnostics: {
          totalRows: readings.length,
          processedRows: inserted,
          invalidEsiid: 0,
          invalidTimestamp: 0,
          invalidKwh: 0,
          totalKwh
        }
      },
      postIngestDeferred: false
    }
  }
}

export const sha256OfText = (text: string) => createHash('sha256').update(text).digest('hex')
