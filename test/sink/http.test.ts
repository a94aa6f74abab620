import { createServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { Webhook } from 'standardwebhooks'
import { Agent } from 'undici'
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { fingerprintOf } from '../../src/ledger/ledger.ts'
import { HttpSink, type SignedHttpOptions } from '../../src/sink/http.ts'
import { centralInstant, makeEsiid, makeIntervalReport } from '../../src/testing/index.ts'
import { overtaken } from '../conformance/overtaken.ts'
import {
  closedOf,
  csv,
  days,
  deliver,
  encrypted,
  failing,
  fileOf,
  readParts,
  rowsOf,
  rowText,
  sha256Of,
  testDurableSink,
  testSink,
  visible
} from '../conformance/sink.ts'
import { makeCertificate } from '../support/certificate.ts'
import { type Fault, type Received, ReceivingServer } from '../support/receiving-server.ts'
import { scratchFolder } from '../support/scratch.ts'

const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`
let server: ReceivingServer
beforeAll(async () => {
  server = await ReceivingServer.start({ secrets: secret })
})
afterAll(() => server[Symbol.asyncDispose]())
beforeEach(() => {
  server.received.length = 0
  server.errors.length = 0
  server.fault = () => undefined
})

testSink('HttpSink', open)
testDurableSink('HttpSink', open)

/** A sink that sends again without waiting long. */
function open(folder: string, over: Partial<SignedHttpOptions> = {}) {
  const ledger = join(folder, 'ledger.ndjson')
  const sink = new HttpSink({ url: server.urlOf(folder), ledger, secret, retryPauseMs: 1, ...over })
  onTestFinished(() => sink.close())
  const store = server.storeIn(folder)
  const rows = async () => store.rows().map(row => rowText({ ...row, kwh: row.kwh.toFixed(5) }))
  return { sink, rows, store }
}

/** Four parts of 100 rows, and one of 88. */
const report = makeIntervalReport(days(3))
const file = fileOf('a.csv', report.bytes)
const inParts = { maxRows: 100 }
const allKinds = ['begin', 'rows 0', 'rows 1', 'rows 2', 'rows 3', 'commit']

/** Fails each message for which something holds. */
function failEach(fault: Fault, which: (message: Received) => boolean) {
  server.fault = message => (which(message) ? fault : undefined)
}

describe('the protocol', () => {
  test('begins, sends the rows in parts, and commits what was sent, with the account of the file', async () => {
    const { sink } = open(scratchFolder(), { ...inParts, format: 'json', compression: 'none' })
    const bytes = makeIntervalReport(days(3)).bytes
    const receipt = await deliver(sink, encrypted('in/a.csv.asc', bytes, 'fetched'))
    expect(server.kinds()).toEqual(allKinds)
    const [begin, first, , , , commit] = server.received.map(({ text }) => JSON.parse(text))
    const head = { smt: 1, file: expect.stringMatching(/^[0-9a-f]{64}$/), epoch: 1, isReplay: false }
    expect(begin).toEqual({ ...head, kind: 'begin' })
    expect(first).toMatchObject({ ...head, kind: 'rows', index: 0, rows: 100 })
    expect(first.intervals[0]).toEqual({
      esiid: makeEsiid(0),
      start: new Date(centralInstant('2025-07-14', '00:00')).toISOString(),
      kwh: expect.any(Number),
      estimated: false,
      direction: 'consumption',
      revision: expect.stringMatching(/^2025-07-15T1\d:\d\d:\d\d\.000Z$/),
      entry: 0,
      line: 2
    })
    expect(commit).toMatchObject({
      ...head,
      kind: 'commit',
      parts: [{ rows: 100, sha256: first.sha256 }, { rows: 100 }, { rows: 100 }, { rows: 84 }],
      rows: 384,
      label: { source: 'test:', path: 'in/a.csv.asc', name: 'a.csv.asc' },
      fetched: { bytes: 7, sha256: sha256Of('fetched') },
      payload: { bytes: bytes.length, sha256: sha256Of(bytes), encrypted: true },
      account: { rows: { read: 384, accepted: 384 }, entries: [{ outcome: 'used' }] }
    })
    expect(receipt).toMatchObject({ state: 'committed', rows: { inserted: 384 } })
  })

  test('every message holds for the library of Standard Webhooks alone, over its text', async () => {
    const { sink } = open(scratchFolder(), inParts)
    await deliver(sink, file)
    expect(server.received).toHaveLength(6)
    for (const { headers, text } of server.received) {
      const signed = headers as Record<string, string>
      expect(new Webhook(secret).verify(text, signed, { jsonParse: false })).toBeUndefined()
      expect(() => new Webhook(secret).verify(`${text} `, signed)).toThrow('No matching signature')
    }
  })

  test.each([
    ['ndjson', 'gzip'],
    ['ndjson', 'none'],
    ['json', 'gzip'],
    ['json', 'none']
  ] as const)('as %s with %s no body is larger than maxBytes, and every row arrives', async (format, compression) => {
    const { sink, rows } = open(scratchFolder(), { format, compression, maxBytes: 4096 })
    const large = makeIntervalReport(days(30))
    await deliver(sink, fileOf('a.csv', large.bytes))
    const sizes = server.received.filter(({ kind }) => kind === 'rows').map(({ bytes }) => bytes.length)
    expect(sizes.length).toBeGreaterThan(1)
    expect(Math.max(...sizes)).toBeLessThanOrEqual(4096)
    // As large as may be, or a half of what was too large.
    expect(Math.max(...sizes)).toBeGreaterThan(2048)
    expect(await visible(rows)).toEqual(rowsOf(large.expected()))
  })

  test('by default a body is far below what Vercel takes', async () => {
    const { sink } = open(scratchFolder(), { compression: 'none', maxRows: 100_000 })
    await deliver(sink, fileOf('a.csv', makeIntervalReport(days(300)).bytes))
    const sizes = server.received.map(({ bytes }) => bytes.length)
    expect(server.kinds()).toEqual(['begin', 'rows 0', 'rows 1', 'commit'])
    expect(Math.max(...sizes)).toBeGreaterThan(3_900_000)
    expect(Math.max(...sizes)).toBeLessThanOrEqual(4_000_000)
  })

  test('the same file is sent in the same parts with the same ids, in every attempt and every run', async () => {
    const ids = []
    for (const batchRows of [7, 1000]) {
      server.received.length = 0
      let failed = 0
      server.fault = ({ kind, index }) => (kind === 'rows' && index === 1 && failed++ < 2 ? 'lost' : undefined)
      const { sink } = open(scratchFolder(), inParts)
      await deliver(sink, file, { batchRows })
      expect(server.kinds()).toEqual(['begin', 'rows 0', 'rows 1', 'rows 1', 'rows 1', 'rows 2', 'rows 3', 'commit'])
      ids.push(server.received.map(({ headers }) => headers['webhook-id']))
    }
    expect(ids[0]).toEqual(ids[1])
    expect(new Set(ids[0])).toHaveProperty('size', 6)
  })

  test('another file, and other rows at the same place, have other ids', async () => {
    const [one, two] = [{ kwh: '0.1' }, { kwh: '0.2' }].map(row => csv([row]))
    for (const other of [fileOf('a.csv', one!), fileOf('b.csv', one!), fileOf('a.csv', two!)]) {
      await deliver(open(scratchFolder()).sink, other)
    }
    const ids = server.received.filter(({ kind }) => kind === 'rows').map(({ headers }) => headers['webhook-id'])
    expect(new Set(ids)).toHaveProperty('size', 3)
  })

  test('I4: the commit is sent after the source has vouched for the file, and only then', async () => {
    const { sink, rows } = open(scratchFolder(), inParts)
    const before: string[][] = []
    const verify = async () => {
      before.push(server.kinds(), await rows())
      return file.verify()
    }
    await deliver(sink, { ...file, verify })
    expect(before).toEqual([expect.not.arrayContaining(['commit']), []])
    expect(server.kinds()).toEqual(allKinds)
  })

  test('I1: a file that its source does not vouch for is rolled back at the receiver', async () => {
    const { sink, store } = open(scratchFolder(), inParts)
    const verify = () => Promise.reject(new Error('no'))
    await failing(sink, { ...file, verify }, await readParts(file))
    expect(server.kinds().slice(-1)).toEqual(['rollback'])
    expect([store.rows(), store.staged()]).toEqual([[], []])
  })

  test('an interval of another length is sent with its length', async () => {
    const { sink, store } = open(scratchFolder())
    const parts = await readParts(file)
    const [batch] = parts as [{ minutes: Uint8Array; length: number }]
    Object.assign(batch, { minutes: new Uint8Array(batch.length).fill(60) })
    await failing(sink, file, parts)
    expect([store.rows()[0]?.minutes, store.rows()[150]?.minutes]).toEqual([60, undefined])
  })
})

describe('I2: what comes twice changes nothing:', () => {
  test.each(['begin', 'rows', 'commit'])('a %s whose answer is lost is sent again', async lost => {
    const { sink, rows, store } = open(scratchFolder(), inParts)
    let times = 0
    failEach('unanswered', ({ kind }) => kind === lost && times++ < 2)
    expect(await deliver(sink, file)).toMatchObject({ state: 'committed', rows: { inserted: 384 } })
    expect(times).toBeGreaterThan(2)
    expect(await visible(rows)).toEqual(rowsOf(report.expected()))
    expect([store.commits, store.staged()]).toEqual([1, []])
  })

  test('a commit of which nobody ever heard is learnt of by the next run, which sends no rows', async () => {
    const { sink, rows, store } = open(scratchFolder(), { ...inParts, retries: 1 })
    failEach('unanswered', ({ kind }) => kind === 'commit')
    const { error, receipt } = await failing(sink, file, await readParts(file))
    expect(error).toMatchObject({ code: 'HTTP_UNREACHABLE', retryable: true })
    expect(receipt).toMatchObject({ state: 'seen', reason: { code: 'HTTP_UNREACHABLE' } })
    server.fault = () => undefined
    server.received.length = 0
    expect(await deliver(sink, file)).toMatchObject({ state: 'committed', rows: { inserted: 384 } })
    expect(server.kinds()).toEqual(['begin', 'commit'])
    expect(store.commits).toBe(1)
    expect(await visible(rows)).toEqual(rowsOf(report.expected()))
  })

  test('the receiver knows content that the ledger here has lost, whatever the file is called', async () => {
    const folder = scratchFolder()
    const { sink, rows, store } = open(folder)
    await deliver(sink, file)
    const other = open(folder, { ledger: join(folder, 'another.ndjson') })
    expect(await deliver(other.sink, fileOf('b.csv', report.bytes))).toMatchObject({
      state: 'duplicate',
      duplicateOf: 'a.csv'
    })
    // The file that brought it is told once more what became of it, and needs no rows for that.
    server.received.length = 0
    expect(await deliver(other.sink, file)).toMatchObject({ state: 'committed', rows: { inserted: 384 } })
    expect(server.kinds()).toEqual(['begin', 'commit'])
    expect([store.commits, store.staged()]).toEqual([1, []])
    expect(await visible(rows)).toEqual(rowsOf(report.expected()))
  })
})

describe('a file half sent', () => {
  test('goes on where it was, in the next process', async () => {
    const folder = scratchFolder()
    const first = open(folder, { ...inParts, retries: 0 })
    // Nothing gets through any more, not even the rollback: as when the machine dies.
    let dead = false
    server.fault = ({ kind, index }) => {
      dead ||= kind === 'rows' && index === 2
      return dead ? 'lost' : undefined
    }
    await failing(first.sink, file, await readParts(file))
    await first.sink.close()
    expect(first.store.staged()).toHaveLength(2)
    expect(first.store.rows()).toEqual([])

    server.restart()
    server.fault = () => undefined
    server.received.length = 0
    const second = open(folder, inParts)
    expect(await deliver(second.sink, file, { retryNow: true })).toMatchObject({ state: 'committed' })
    expect(server.kinds()).toEqual(['begin', 'rows 2', 'rows 3', 'commit'])
    expect(await visible(second.rows)).toEqual(rowsOf(report.expected()))
  })

  test('is sent in other parts when those are cut differently, and nothing of the old ones stays', async () => {
    const folder = scratchFolder()
    const first = open(folder, { maxRows: 50, retries: 0 })
    failEach('lost', ({ kind }) => kind === 'commit' || kind === 'rollback')
    await failing(first.sink, file, await readParts(file))
    await first.sink.close()
    expect(first.store.staged()).toHaveLength(8)
    server.fault = () => undefined
    const second = open(folder, inParts)
    expect(await deliver(second.sink, file, { retryNow: true })).toMatchObject({ state: 'committed' })
    expect(await visible(second.rows)).toEqual(rowsOf(report.expected()))
    expect(second.store.staged()).toEqual([])
  })

  test('whose receiver has lost what it had is sent anew by the next run', async () => {
    const folder = scratchFolder()
    const { sink, rows, store } = open(folder, inParts)
    server.fault = ({ kind, text }) => {
      if (kind === 'commit') store.forget(JSON.parse(text).file)
      return undefined
    }
    const { error, receipt } = await failing(sink, file, await readParts(file))
    expect(error).toMatchObject({ code: 'HTTP_PARTS_MISSING', retryable: true })
    expect(receipt).toMatchObject({ state: 'seen' })
    expect(await rows()).toEqual([])
    server.fault = () => undefined
    expect(await deliver(sink, file, { retryNow: true })).toMatchObject({ state: 'committed' })
    expect(await visible(rows)).toEqual(rowsOf(report.expected()))
  })
})

describe('I5: a worker whose file passed to another', () => {
  test('cannot commit at the receiver, whatever it sends', async () => {
    const folder = scratchFolder()
    const { sink, store } = open(folder, inParts)
    const stream = sink.stream(file)
    await stream.wanted()
    const [part, ...rest] = await readParts(file)
    stream.write(part)
    // Another worker, with a ledger that knows of the first one.
    const fingerprint = fingerprintOf(file)
    await store.transaction(fingerprint, async stored => stored.remember({ ...stored.record!, epoch: 2 }))
    const error = new Promise(resolve => stream.once('error', resolve))
    for (const more of rest) stream.write(more)
    stream.end()
    expect(await error).toMatchObject({ code: 'STORE_FENCED' })
    await closedOf(stream)
    expect(store.rows()).toEqual([])
    expect(store.records()).toMatchObject([{ epoch: 2, committed: null }])
  })

  test('is told by the ledger, and nothing of it is seen', async () => {
    class OvertakenSink extends HttpSink {
      protected override async openLedger() {
        return overtaken(await super.openLedger(), 'has finished')
      }
    }
    const folder = scratchFolder()
    const { store } = open(folder)
    const sink = new OvertakenSink({ url: server.urlOf(folder), ledger: join(folder, 'l.ndjson'), secret })
    const { error } = await failing(sink, file, await readParts(file))
    await sink.close()
    // The receiver hears of the commit before the ledger is asked; the content is the same, and it is in once.
    expect(error).toMatchObject({ code: 'STORE_FENCED' })
    expect(store.commits).toBeLessThanOrEqual(1)
  })
})

test('a file that is read anew replaces what it gave', async () => {
  const { sink, rows, store } = open(scratchFolder(), inParts)
  await deliver(sink, file)
  const ledger = await sink.ledger()
  expect(await ledger.retry(fingerprintOf(file))).toBe(true)
  server.received.length = 0
  expect(await deliver(sink, file)).toMatchObject({ state: 'committed' })
  expect(JSON.parse(server.received.at(-1)!.text)).toMatchObject({ kind: 'commit', isReplay: true, epoch: 2 })
  expect(server.kinds()).toEqual(allKinds)
  expect(store.commits).toBe(2)
  expect(await visible(rows)).toEqual(rowsOf(report.expected()))
})

describe('an answer that is no success', () => {
  const html = { 'content-type': 'text/html' }
  const page = '<!DOCTYPE html><title>Error</title>'
  const json = (body: object) => JSON.stringify(body)

  test.each<[string, Exclude<Fault, string>, string, RegExp]>([
    [
      'a 401',
      { status: 401, body: json({ ok: false, error: 'Unauthorized' }) },
      'HTTP_UNAUTHORIZED',
      /401 Unauthorized/
    ],
    ['a 403 page', { status: 403, headers: html, body: page }, 'HTTP_UNAUTHORIZED', /answered 403 and no JSON/],
    ['Vercel’s 413 page', { status: 413, headers: html, body: 'FUNCTION_PAYLOAD_TOO_LARGE' }, 'HTTP_TOO_LARGE', /413/],
    ['a 404 page', { status: 404, headers: html, body: page }, 'HTTP_ANSWER', /answered 404/],
    ['a 405', { status: 405 }, 'HTTP_ANSWER', /answered 405/],
    ['a redirect', { status: 308, headers: { location: '/login' } }, 'HTTP_ANSWER', /answered 308/],
    ['a page that says 200', { status: 200, headers: html, body: page }, 'HTTP_ANSWER', /not that of a receiver/],
    ['JSON of another kind', { status: 200, body: json({ ok: true }) }, 'HTTP_ANSWER', /not that of a receiver/],
    ['a list', { status: 200, body: '[]' }, 'HTTP_ANSWER', /not that of a receiver/],
    ['nothing at all', { status: 204 }, 'HTTP_ANSWER', /not that of a receiver/],
    ['a 422', { status: 422, body: json({ ok: false, error: 'VALIDATION' }) }, 'HTTP_REFUSED', /422 VALIDATION/]
  ])('%s is not asked for twice, and nothing is to be seen', async (_, fault, code, message) => {
    for (const kind of ['begin', 'commit']) {
      server.received.length = 0
      const { sink, rows } = open(scratchFolder())
      failEach(fault, message => message.kind === kind)
      const { error } = await failing(sink, file, await readParts(file))
      expect(error).toMatchObject({ code, message: expect.stringMatching(message) })
      expect(server.received.filter(message => message.kind === kind)).toHaveLength(1)
      expect(await rows()).toEqual([])
      await sink.close()
    }
  })

  test.each([
    [500, 'HTTP_FAILED'],
    [502, 'HTTP_FAILED'],
    [503, 'HTTP_BUSY'],
    [504, 'HTTP_FAILED'],
    [429, 'HTTP_BUSY'],
    [408, 'HTTP_UNREACHABLE']
  ])('a %i is asked again, as often as may be', async (status, code) => {
    const { sink } = open(scratchFolder(), { retries: 2 })
    failEach({ status, headers: html, body: page }, ({ kind }) => kind === 'commit')
    const { error, receipt } = await failing(sink, file, await readParts(file))
    expect(error).toMatchObject({ code, retryable: true })
    expect(receipt).toMatchObject({ state: 'seen' })
    expect(server.kinds()).toEqual(['begin', 'rows 0', 'commit', 'commit', 'commit', 'rollback'])
    server.fault = () => undefined
    expect(await deliver(sink, file)).toMatchObject({ state: 'committed' })
  })

  test('a word of the receiver is told, free text and ESIIDs are not', async () => {
    const { sink } = open(scratchFolder())
    const body = json({ ok: false, error: `row of ${makeEsiid(3)} <b>`, message: `bad ${makeEsiid(3)}` })
    failEach({ status: 400, body }, ({ kind }) => kind === 'rows')
    const { error, receipt } = await failing(sink, file, await readParts(file))
    expect(error).toMatchObject({
      code: 'HTTP_REFUSED',
      message: expect.stringMatching(/^the receiver answered 400: /)
    })
    expect(inspect([error, receipt])).not.toContain(makeEsiid(3).slice(-6))
    expect(receipt).toMatchObject({ state: 'quarantined' })
  })
})

describe('patience:', () => {
  const waits = (kind: string, fault: Exclude<Fault, string>) => {
    const at: number[] = []
    server.fault = message => {
      if (message.kind !== kind) return undefined
      at.push(Date.now())
      return at.length === 1 ? fault : undefined
    }
    return () => at[1]! - at[0]!
  }

  test.each<[string, () => Exclude<Fault, string>]>([
    ['Retry-After in seconds', () => ({ status: 503, headers: { 'retry-after': '1' } })],
    [
      'Retry-After as a date',
      () => ({ status: 429, headers: { 'retry-after': new Date(Date.now() + 2000).toUTCString() } })
    ],
    [
      'resetAt as text',
      () => ({ status: 429, body: JSON.stringify({ ok: false, resetAt: new Date(Date.now() + 1000).toISOString() }) })
    ],
    ['resetAt as milliseconds', () => ({ status: 429, body: JSON.stringify({ resetAt: Date.now() + 1000 }) })]
  ])('%s is waited for', async (_, fault) => {
    const { sink } = open(scratchFolder())
    const waited = waits('rows', fault())
    expect(await deliver(sink, file)).toMatchObject({ state: 'committed' })
    expect(waited()).toBeGreaterThanOrEqual(900)
  })

  test('a receiver that wants more time than there is gets it in the next run', async () => {
    const { sink } = open(scratchFolder())
    failEach({ status: 429, body: JSON.stringify({ resetAt: Date.now() + 3_600_000 }) }, ({ kind }) => kind === 'rows')
    const { error, receipt } = await failing(sink, file, await readParts(file))
    expect(error).toMatchObject({ code: 'HTTP_BUSY', message: expect.stringContaining('left alone until') })
    expect(receipt).toMatchObject({ state: 'seen' })
    expect(server.kinds()).toEqual(['begin', 'rows 0', 'rollback'])
  })
})

describe('I9: a receiver that', () => {
  /** A server that does with a connection what it likes. */
  async function rawServer(behave: (socket: import('node:net').Socket) => void): Promise<string> {
    const raw = createTcpServer(socket => behave(socket.on('error', () => {})))
    await new Promise<void>(resolve => raw.listen(0, '127.0.0.1', resolve))
    const sockets = new Set<import('node:net').Socket>()
    raw.on('connection', socket => sockets.add(socket))
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy()
      raw.close()
    })
    return `http://127.0.0.1:${(raw.address() as AddressInfo).port}/`
  }

  const ended = async (url: string, over: Partial<SignedHttpOptions> = {}) => {
    const { sink } = open(scratchFolder(), { url, retries: 1, ...over })
    const { error } = await failing(sink, file, await readParts(file))
    return error
  }

  test('is not there is told so', async () => {
    const url = await rawServer(() => {})
    const { port } = new URL(url)
    expect(await ended(url.replace(port, '1'))).toMatchObject({
      code: 'HTTP_UNREACHABLE',
      message: 'the receiver could not be reached: http://127.0.0.1:1/',
      cause: { code: 'ECONNREFUSED' }
    })
  })

  test('says nothing is given up', async () => {
    const url = await rawServer(() => {})
    expect(await ended(url, { answerTimeoutMs: 100 })).toMatchObject({
      code: 'HTTP_UNREACHABLE',
      message: expect.stringContaining('did not answer in time')
    })
  })

  test('drips its answer is given up', async () => {
    const url = await rawServer(socket => {
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n')
      const timer = setInterval(() => socket.write('x'), 20)
      socket.on('close', () => clearInterval(timer))
    })
    expect(await ended(url, { attemptTimeoutMs: 300 })).toMatchObject({ code: 'HTTP_UNREACHABLE' })
  })

  test('takes nothing of a large body is given up', async () => {
    const url = await rawServer(socket => void socket.pause())
    expect(await ended(url, { attemptTimeoutMs: 300 })).toMatchObject({ code: 'HTTP_UNREACHABLE' })
  })

  test('answers without end is given up', async () => {
    const url = await rawServer(socket => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      const pour = () => {
        while (socket.writable && socket.write(Buffer.alloc(65_536)));
      }
      socket.on('drain', pour)
      pour()
    })
    expect(await ended(url)).toMatchObject({ code: 'HTTP_ANSWER', message: expect.stringContaining('has no end') })
  })

  test('is silent in the middle of a file does not keep close() waiting', async () => {
    const { sink, rows } = open(scratchFolder(), inParts)
    const isSilent = new Promise<void>(resolve => {
      server.fault = ({ kind }) => {
        if (kind !== 'rows') return undefined
        resolve()
        return 'silent'
      }
    })
    const stream = sink.stream(file)
    stream.on('error', () => {})
    await stream.wanted()
    for (const part of (await readParts(file)).slice(0, 3)) stream.write(part)
    await isSilent
    await sink.close()
    expect(stream.receipt).toMatchObject({ state: 'seen', reason: { code: 'ABORTED' } })
    expect(await rows()).toEqual([])
  })
})

describe('I10: a certificate', () => {
  async function tlsServer(host: string, notAfter: number) {
    const certificate = makeCertificate(host, notAfter)
    let asked = 0
    const secure = createTlsServer(certificate, (_, response) => {
      asked++
      response.end('{}')
    })
    await new Promise<void>(resolve => secure.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void secure.close())
    const url = `https://127.0.0.1:${(secure.address() as AddressInfo).port}/`
    return { url, cert: certificate.cert, asked: () => asked }
  }

  const inAnHour = Date.now() + 3_600_000

  test.each([
    ['that nobody vouches for', '127.0.0.1', inAnHour, false, 'DEPTH_ZERO_SELF_SIGNED_CERT'],
    ['that has expired', '127.0.0.1', Date.now() - 3_600_000, true, 'CERT_HAS_EXPIRED'],
    ['of another host', 'example.com', inAnHour, true, 'ERR_TLS_CERT_ALTNAME_INVALID']
  ])('%s is refused, once, and nothing is sent', async (_, host, notAfter, isTrusted, name) => {
    const { url, cert, asked } = await tlsServer(host, notAfter)
    const dispatcher = new Agent({ connect: isTrusted ? { ca: cert } : {} })
    onTestFinished(() => dispatcher.destroy())
    const { sink } = open(scratchFolder(), { url, dispatcher })
    const { error, receipt } = await failing(sink, file, await readParts(file))
    expect(error).toMatchObject({ code: 'HTTP_TLS', retryable: false, message: expect.stringContaining(name) })
    expect(receipt).toMatchObject({ state: 'seen' })
    expect(asked()).toBe(0)
  })

  test('that holds is believed, and a dispatcher of the user stays open', async () => {
    const { url, cert, asked } = await tlsServer('127.0.0.1', inAnHour)
    const dispatcher = new Agent({ connect: { ca: cert } })
    const { sink } = open(scratchFolder(), { url, dispatcher })
    const { error } = await failing(sink, file, await readParts(file))
    expect(error).toMatchObject({ code: 'HTTP_ANSWER' })
    await sink.close()
    expect([dispatcher.destroyed, asked() > 0]).toEqual([false, true])
    await dispatcher.destroy()
  })
})

describe('the secret', () => {
  test('of another receiver is refused, without being told', async () => {
    const other = `whsec_${Buffer.alloc(32, 8).toString('base64')}`
    const { sink, rows } = open(scratchFolder(), { secret: other })
    const { error, receipt } = await failing(sink, file, await readParts(file))
    expect(error).toMatchObject({ code: 'HTTP_UNAUTHORIZED', message: expect.stringContaining('RECEIVE_SIGNATURE') })
    expect(receipt).toMatchObject({ state: 'seen' })
    for (const text of [inspect(error, { depth: 9 }), inspect(sink, { showHidden: true, depth: 9 })]) {
      expect(text).not.toContain(other.slice(6, 20))
    }
    expect(await rows()).toEqual([])
  })

  test('may be given by a function, as a file has it, at each file', async () => {
    let times = 0
    const { sink } = open(scratchFolder(), { secret: async () => (times++ === 0 ? `${secret}\n` : 'lost') })
    await deliver(sink, file)
    const { error } = await failing(sink, fileOf('b.csv', csv([{}])), [])
    expect(error).toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringContaining('`secret`') })
    expect(inspect(error)).not.toContain('lost')
  })

  test.each([
    [-6 * 60_000, 'HTTP_UNAUTHORIZED'],
    [6 * 60_000, 'HTTP_UNAUTHORIZED'],
    [-4 * 60_000, undefined],
    [4 * 60_000, undefined]
  ])('with a clock that is %i ms off', async (off, code) => {
    const { sink } = open(scratchFolder(), { now: () => Date.now() + off })
    const { error } = await failing(sink, file, await readParts(file))
    if (code === undefined) expect(error).toBe('no error')
    else expect(error).toMatchObject({ code, message: expect.stringContaining('RECEIVE_TIMESTAMP') })
  })
})

test.each<[string, Record<string, unknown>]>([
  ['url', { url: 'http://receiver.example/push' }],
  ['url', { url: 'https://user:password@receiver.example/' }],
  ['url', { url: 'receiver' }],
  ['url', { url: 'ftp://127.0.0.1/' }],
  ['ledger', { ledger: '' }],
  ['secret', { secret: 'password-1234' }],
  ['secret', { secret: 'whsec_c2hvcnQ=' }],
  ['secret', { secret: undefined }],
  ['maxBytes', { maxBytes: 100 }],
  ['format', { format: 'csv' }],
  ['retries', { retries: -1 }],
  ['dispatcher', { dispatcher: {} }],
  ['profile', { profile: 'another' }],
  ['token', { token: 'x' }]
])('a bad `%s` is refused where the sink is made: %j', (name, bad) => {
  const options = { url: 'https://receiver.example/push', ledger: 'l', secret, ...bad }
  let error: unknown
  try {
    new HttpSink(options as never)
  } catch (thrown) {
    error = thrown
  }
  expect(error).toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringContaining(`\`${name}`) })
  expect(inspect(error)).not.toMatch(/password|c2hvcnQ/)
})

test('the address in an error has no query: secrets of deployments stand there', async () => {
  const closed = createServer()
  await new Promise<void>(resolve => closed.listen(0, '127.0.0.1', resolve))
  const { port } = closed.address() as AddressInfo
  await new Promise(resolve => closed.close(resolve))
  const { sink } = open(scratchFolder(), { url: `http://127.0.0.1:${port}/push?bypass=hush`, retries: 0 })
  const { error } = await failing(sink, file, [])
  expect(error).toMatchObject({ message: `the receiver could not be reached: http://127.0.0.1:${port}/push` })
  expect(inspect(error, { depth: 9 })).not.toContain('hush')
})
