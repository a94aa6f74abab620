import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { setTimeout as pause } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Answer, ask } from './support/ask.ts'
import { type NextApp, startApp } from './support/next-app.ts'
import { makeSecret, signer } from './support/signed.ts'

const secret = makeSecret()
const signed = signer(secret)
const begin = JSON.stringify({ smt: 1, kind: 'begin', file: 'a'.repeat(64), epoch: 1, isReplay: false })
let app: NextApp
let url: string

beforeAll(async () => {
  // Nobody listens there: whatever gets so far is answered 500.
  const nowhere = 'postgres://nobody:thrown-away@127.0.0.1:9/postgres'
  app = await startApp({ DATABASE_URL: nowhere, SMT_PUSH_SECRET: secret })
  url = `${app.origin}/api/smt/push`
})
afterAll(() => app?.[Symbol.asyncDispose]())

function post(body: string | Uint8Array, headers: Record<string, string>): Promise<Answer> {
  return ask(url, { method: 'POST', headers, body })
}

function errorOf({ body }: Answer): unknown {
  return JSON.parse(body).error
}

describe('POST /api/smt/push', () => {
  test.each([
    ['without a signature', begin, { 'content-type': 'application/json' }],
    ['signed with another secret', begin, signer(makeSecret())(begin)],
    ['altered after it was signed', begin.replace('"epoch":1', '"epoch":2'), signed(begin)],
    ['with the signature of another id', begin, { ...signed(begin), 'webhook-id': 'smt_2' }],
    ['with a signature of nothing', begin, { ...signed(begin), 'webhook-signature': 'v1,' }]
  ])('refuses a message %s', async (_, body, headers) => {
    const answer = await post(body, headers)
    expect([answer.status, errorOf(answer)]).toEqual([401, 'RECEIVE_SIGNATURE'])
  })

  test.each([
    ['old', 3600],
    ['of the future', -3600]
  ])('refuses a message that is %s', async (_, secondsAgo) => {
    const answer = await post(begin, signed(begin, { secondsAgo }))
    expect([answer.status, errorOf(answer)]).toEqual([401, 'RECEIVE_TIMESTAMP'])
  })

  test.each([
    ['HTML', '<!doctype html><title>Sign in</title>'],
    ['half of a message', begin.slice(0, -9)],
    ['JSON of another kind', '{"hello":"world"}'],
    ['nothing', '']
  ])('refuses %s, signed as it may be', async (_, body) => {
    const answer = await post(body, signed(body))
    expect([answer.status, errorOf(answer)]).toEqual([400, 'RECEIVE_BODY'])
  })

  test('refuses other content types and encodings', async () => {
    const page = await post(begin, { ...signed(begin), 'content-type': 'text/html' })
    const packed = await post(begin, { ...signed(begin), 'content-encoding': 'br' })
    expect([page.status, packed.status]).toEqual([415, 415])
  })

  test('refuses 10 MB, announced or not', async () => {
    const large = 'x'.repeat(10_000_000)
    const announced = await post(large, { ...signed(large), 'content-length': String(large.length) })
    const chunked = await post(large, { ...signed(large), 'transfer-encoding': 'chunked' })
    expect([announced.status, chunked.status]).toEqual([413, 413])
  })

  test('refuses a bomb before it is unpacked', async () => {
    const bomb = gzipSync(Buffer.alloc(100_000_000))
    expect(bomb.length).toBeLessThan(100_000)
    const answer = await post(bomb, { ...signed('x'), 'content-encoding': 'gzip' })
    expect([answer.status, errorOf(answer)]).toEqual([413, 'RECEIVE_TOO_LARGE'])
  })

  test('gives up a body that drips, and answers others meanwhile', async () => {
    const body = begin.padEnd(10_000)
    const headers = { ...signed(body), 'content-length': String(body.length) }
    const dripping = request(url, { method: 'POST', headers, agent: false })
    const answered = once(dripping, 'response') as Promise<[IncomingMessage]>
    const drips = setInterval(() => dripping.write(' '), 200)
    try {
      expect((await post(begin, {})).status).toBe(401)
      const [answer] = await answered
      expect([answer.statusCode, JSON.parse(await text(answer)).error]).toEqual([408, 'RECEIVE_TIMEOUT'])
    } finally {
      clearInterval(drips)
      dripping.destroy()
    }
  })

  test('survives a sender that goes away', async () => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1')
    const lines = Object.entries({ ...signed(begin), host: 'app', 'content-length': '1000' })
    const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')
    socket.write(`POST /api/smt/push HTTP/1.1\r\n${head}\r\n{"smt":1,`)
    await pause(100)
    socket.resetAndDestroy()
    expect((await post(begin, {})).status).toBe(401)
  })

  test('is there for POST alone', async () => {
    for (const method of ['GET', 'PUT', 'PATCH', 'DELETE']) {
      expect((await ask(url, { method })).status, method).toBe(405)
    }
  })

  test('says nothing of a database that is away, but to its own log', async () => {
    const answer = await post(begin, signed(begin))
    expect([answer.status, answer.body]).toEqual([500, expect.not.stringMatching(/ECONNREFUSED|127\.0\.0\.1|postgres/)])
    expect(app.output).toContain('ECONNREFUSED')
    expect(app.output).not.toContain('thrown-away')
  })

  test.each([
    ['SMT_PUSH_SECRET', { DATABASE_URL: 'postgres://127.0.0.1:9/postgres', SMT_PUSH_SECRET: undefined }],
    ['DATABASE_URL', { DATABASE_URL: undefined, SMT_PUSH_SECRET: secret }]
  ])('takes nothing without %s', async (_, settings) => {
    await using unset = await startApp(settings)
    const headers = signed(begin)
    const answer = await ask(`${unset.origin}/api/smt/push`, { method: 'POST', headers, body: begin })
    expect([answer.status, errorOf(answer)]).toEqual([500, 'FAILED'])
    expect(unset.output).toContain('/api/smt/push: ')
  })
})
