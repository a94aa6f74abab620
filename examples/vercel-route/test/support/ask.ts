import { once } from 'node:events'
import { type IncomingMessage, type OutgoingHttpHeaders, request } from 'node:http'
import { text } from 'node:stream/consumers'

export interface Question {
  readonly method?: string
  /** Sent, and nothing beside them but what HTTP itself needs: `Host`, `Connection`, a length. */
  readonly headers?: OutgoingHttpHeaders
  readonly body?: string | Uint8Array
}

export interface Answer {
  readonly status: number | undefined
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

/** One question, on a connection of its own. */
export async function ask(url: string, { method = 'GET', headers = {}, body }: Question = {}): Promise<Answer> {
  const question = request(url, { method, headers, agent: false })
  // An answer may come before the body is sent, and nobody takes the rest of it.
  question.on('error', () => {})
  question.end(body)
  const [answer] = (await once(question, 'response')) as [IncomingMessage]
  return { status: answer.statusCode, headers: answer.headers, body: await text(answer) }
}
