import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { type Answer, ask, type Question } from './ask.ts'

/** Stands between sender and app, and remembers what went through. */
export interface Recorder extends AsyncDisposable {
  readonly origin: string
  readonly messages: readonly Message[]
}

export interface Message extends Required<Question> {
  readonly path: string
  readonly answer: Answer
}

/** Lets so many messages through; then whoever sends finds a broken line, as when the sender's machine dies. */
export async function startRecorder(target: string, lets = Number.POSITIVE_INFINITY): Promise<Recorder> {
  const messages: Message[] = []
  const server = createServer(async (request, response) => {
    if (messages.length >= lets) return void request.socket.destroy()
    const { method = '', url: path = '' } = request
    const { connection: _, host: __, ...headers } = request.headers
    const body = await buffer(request)
    const answer = await ask(target + path, { method, headers, body })
    messages.push({ path, method, headers, body, answer })
    response.writeHead(answer.status ?? 502, { 'content-type': answer.headers['content-type'] })
    response.end(answer.body)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    messages,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    }
  }
}
