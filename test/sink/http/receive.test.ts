import { createHash } from 'node:crypto'
import { inspect } from 'node:util'
import { gzipSync } from 'node:zlib'
import { Webhook } from 'standardwebhooks'
import { describe, expect, test } from 'vitest'
import { Receiver, type ReceiverOptions, Verifier } from '../../../src/sink/http/receive.ts'
import { makeEsiid } from '../../../src/testing/index.ts'
import { FolderStore } from '../../support/receiving-store.ts'
import { scratchFolder } from '../../support/scratch.ts'

const secretOf = (byte: number) => `whsec_${Buffer.alloc(32, byte).toString('base64')}`
const secret = secretOf(7)
const file = 'ab'.repeat(32)

/** Messages as docs/sinks/http.md describes them, written by hand and signed by the library of Standard Webhooks. */
const row = (over: object = {}) => ({
  esiid: makeEsiid(1),
  start: '2025-07-14T05:00:00.000Z',
  kwh: 0.145,
  estimated: true,
  direction: 'surplus-generation',
  revision: null,
  entry: 0,
  line: 2,
  ...over
})
const head = (over: object = {}) => ({ smt: 1, file, epoch: 1, isReplay: false, ...over })
const hashOf = (rows: readonly object[]) => {
  return createHash('sha256')
    .update(rows.map(row => `${JSON.stringify(row)}\n`).join(''))
    .digest('hex')
}
const rowsText = (rows: readonly object[], over: object = {}) => {
  const first = { ...head(), kind: 'rows', index: 0, rows: rows.length, sha256: hashOf(rows), ...over }
  return [first, ...rows].map(value => `${JSON.stringify(value)}\n`).join('')
}
const counts = { read: 1, accepted: 1, rejected: 0, placeholder: 0, missing: 0, repeatedHeader: 0 }
const commitText = (over: object = {}) =>
  JSON.stringify({
    ...head(),
    kind: 'commit',
    parts: [{ rows: 1, sha256: hashOf([row()]) }],
    rows: 1,
    label: { source: 's', path: '/a.csv', name: 'a.csv', size: 1, modifiedAt: 2 },
    fetched: { bytes: 1, sha256: 'cd'.repeat(32) },
    payload: { bytes: 1, sha256: 'ef'.repeat(32), encrypted: true },
    account: { rows: counts, entries: [], quality: {} },
    ...over
  })
const controlText = (kind: string, over: object = {}) => JSON.stringify({ ...head(over), kind })

interface Signing {
  readonly by?: string
  readonly at?: number
  readonly type?: string
  readonly gzip?: boolean
  readonly headers?: Record<string, string>
}

function message(text: string, { by = secret, at = Date.now(), type, gzip = false, headers }: Signing = {}) {
  const isLines = text.includes('\n')
  const time = new Date(at)
  return {
    headers: {
      'content-type': type ?? (isLines ? 'application/x-ndjson' : 'application/json'),
      ...(gzip && { 'content-encoding': 'gzip' }),
      'webhook-id': 'smt_1',
      'webhook-timestamp': String(Math.floor(at / 1000)),
      'webhook-signature': new Webhook(by).sign('smt_1', time, text),
      ...headers
    } as Record<string, string>,
    body: gzip ? gzipSync(text) : Buffer.from(text)
  }
}

function receiving(over: Partial<ReceiverOptions> = {}) {
  const store = new FolderStore(scratchFolder())
  const errors: unknown[] = []
  const receiver = new Receiver({ secrets: secret, store, onError: error => errors.push(error), ...over })
  const say = (text: string, signing?: Signing) => {
    const { headers, body } = message(text, signing)
    return receiver.receive(headers, body)
  }
  return { store, receiver, errors, say }
}

const request = (headers: Record<string, string>, body: Uint8Array | ReadableStream) =>
  new Request('https://receiver.test/push', { method: 'POST', headers, body, duplex: 'half' } as RequestInit)

describe('Verifier', () => {
  test('gives rows as typed parts, from a Request and from headers with a raw body', async () => {
    const verifier = new Verifier({ secrets: secret })
    const rows = [row(), row({ esiid: makeEsiid(1, 22), revision: '2025-07-15T11:41:12Z', minutes: 60, line: 3 })]
    const { headers, body } = message(rowsText(rows), { gzip: true })
    const part = await verifier.message(headers, body)
    expect(part).toEqual({
      kind: 'rows',
      id: 'smt_1',
      file,
      epoch: 1,
      isReplay: false,
      index: 0,
      sha256: hashOf(rows),
      rows: [
        { ...row(), start: 1_752_469_200_000, revision: null },
        {
          ...row(),
          esiid: makeEsiid(1, 22),
          start: 1_752_469_200_000,
          revision: 1_752_579_672_000,
          minutes: 60,
          line: 3
        }
      ]
    })
    expect(await verifier.request(request(headers, body))).toEqual(part)
    expect(await verifier.message(new Headers(headers), body)).toEqual(part)
  })

  test('takes what a framework has unpacked already, and a text', async () => {
    const verifier = new Verifier({ secrets: secret })
    const { headers } = message(rowsText([row()]), { gzip: true })
    for (const body of [rowsText([row()]), Buffer.from(rowsText([row()]))]) {
      expect(await verifier.message(headers, body)).toMatchObject({ kind: 'rows', rows: [{ kwh: 0.145 }] })
    }
  })

  test('finds headers of any spelling, as Node and others give them', async () => {
    const { headers, body } = message(controlText('begin'))
    const shouted = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toUpperCase(), [value]]))
    expect(await new Verifier({ secrets: secret }).message(shouted, body)).toMatchObject({ kind: 'begin', file })
  })

  test('believes any of several secrets, while one is replaced by another', async () => {
    const verifier = new Verifier({ secrets: [secretOf(1), secret] })
    for (const by of [secretOf(1), secret]) {
      const { headers, body } = message(controlText('begin'), { by })
      expect(await verifier.message(headers, body)).toMatchObject({ kind: 'begin' })
    }
    const { headers, body } = message(controlText('begin'), { by: secretOf(2) })
    await expect(verifier.message(headers, body)).rejects.toMatchObject({ code: 'RECEIVE_SIGNATURE', status: 401 })
  })

  test.each<[string, (headers: Record<string, string>) => object]>([
    ['no id', headers => ({ ...headers, 'webhook-id': '' })],
    ['another id', headers => ({ ...headers, 'webhook-id': 'smt_2' })],
    [
      'another time',
      headers => ({ ...headers, 'webhook-timestamp': String(Number(headers['webhook-timestamp']) + 1) })
    ],
    ['no signature', headers => ({ ...headers, 'webhook-signature': '' })],
    ['a signature of nothing', headers => ({ ...headers, 'webhook-signature': 'v1,' })],
    [
      'a signature of another version',
      headers => ({ ...headers, 'webhook-signature': headers['webhook-signature']!.replace('v1', 'v2') })
    ]
  ])('refuses a message with %s', async (_, change) => {
    const { headers, body } = message(controlText('begin'))
    const changed = change(headers) as Record<string, string>
    const refused = expect(new Verifier({ secrets: secret }).message(changed, body)).rejects
    await refused.toMatchObject({ code: 'RECEIVE_SIGNATURE', status: 401 })
  })

  test('refuses every body of which one byte is another', async () => {
    const verifier = new Verifier({ secrets: secret })
    const { headers, body } = message(controlText('begin'))
    for (let at = 0; at < body.length; at++) {
      const bent = Buffer.from(body)
      bent[at]! ^= 1
      await expect(verifier.message(headers, bent)).rejects.toMatchObject({ code: 'RECEIVE_SIGNATURE' })
    }
  })

  test('refuses bytes that are not UTF-8, which the library would read as the same text', async () => {
    const text = controlText('begin', { note: '\ufffd' })
    const { headers, body } = message(text)
    const at = body.indexOf(Buffer.from('\ufffd'))
    const bent = Buffer.concat([body.subarray(0, at), Buffer.from([0xff]), body.subarray(at + 3)])
    expect(new Webhook(secret).verify(bent, headers, { jsonParse: false })).toBeUndefined()
    const refused = expect(new Verifier({ secrets: secret }).message(headers, bent)).rejects
    await refused.toMatchObject({ code: 'RECEIVE_BODY', status: 400 })
  })

  test.each([-301_500, -86_400_000, 302_500])(
    'refuses a message that is %i ms old, though its signature holds',
    async off => {
      const { headers, body } = message(controlText('begin'), { at: Date.now() + off })
      const refused = expect(new Verifier({ secrets: secret }).message(headers, body)).rejects
      await refused.toMatchObject({ code: 'RECEIVE_TIMESTAMP', status: 401 })
    }
  )

  test.each(['', '12', 'soon', '1e99', '-1', '1752469200.5'])('refuses the time %j', async timestamp => {
    const { headers, body } = message(controlText('begin'), { headers: { 'webhook-timestamp': timestamp } })
    await expect(new Verifier({ secrets: secret }).message(headers, body)).rejects.toMatchObject({ status: 401 })
  })

  test('is as strict with time as it is told to be', async () => {
    const { headers, body } = message(controlText('begin'), { at: Date.now() - 30_000 })
    expect(await new Verifier({ secrets: secret }).message(headers, body)).toMatchObject({ kind: 'begin' })
    const refused = expect(new Verifier({ secrets: secret, toleranceMs: 10_000 }).message(headers, body)).rejects
    await refused.toMatchObject({ code: 'RECEIVE_TIMESTAMP' })
  })

  test('unpacks no more than it may: a bomb is refused', async () => {
    const bomb = gzipSync(Buffer.alloc(200_000_000))
    expect(bomb.length).toBeLessThan(4_500_000)
    const { headers } = message(controlText('begin'), { gzip: true })
    const before = process.memoryUsage().arrayBuffers
    const refused = expect(new Verifier({ secrets: secret }).message(headers, bomb)).rejects
    await refused.toMatchObject({ code: 'RECEIVE_TOO_LARGE', status: 413 })
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(100_000_000)
  })

  test('refuses 10 MB by what they say of themselves, and by what comes', async () => {
    const verifier = new Verifier({ secrets: secret })
    const { headers } = message(controlText('begin'))
    const tooLarge = { code: 'RECEIVE_TOO_LARGE', status: 413 }
    const large = request({ ...headers, 'content-length': '10000000' }, Buffer.alloc(10_000_000, 0x20))
    await expect(verifier.request(large)).rejects.toMatchObject(tooLarge)
    let given = 0
    const endless = new ReadableStream({
      pull: controller => {
        given += 100_000
        controller.enqueue(new Uint8Array(100_000))
      }
    })
    await expect(verifier.request(request(headers, endless))).rejects.toMatchObject(tooLarge)
    expect(given).toBeLessThan(6_000_000)
    // Refused before anything is checked that costs time.
    const refused = expect(verifier.message(headers, Buffer.alloc(40_000_000))).rejects
    await refused.toMatchObject(tooLarge)
  })

  test('I9: gives up a body that drips, and one that breaks off', async () => {
    const { headers } = message(controlText('begin'))
    let timer: NodeJS.Timeout | undefined
    const drip = new ReadableStream({
      start: controller => {
        timer = setInterval(() => controller.enqueue(new Uint8Array(1)), 10)
      },
      cancel: () => clearInterval(timer)
    })
    const slow = new Verifier({ secrets: secret, bodyTimeoutMs: 100 })
    await expect(slow.request(request(headers, drip))).rejects.toMatchObject({ code: 'RECEIVE_TIMEOUT', status: 408 })
    const broken = new ReadableStream({ start: controller => controller.error(new Error('gone')) })
    await expect(slow.request(request(headers, broken))).rejects.toMatchObject({ code: 'RECEIVE_TIMEOUT' })
  })

  test.each<[string, string, Signing, number, RegExp]>([
    ['text that is no JSON', '{"esiid": 10443720009999001', {}, 400, /the head is not JSON/],
    ['a list', '[]', {}, 400, /^kind|the head/],
    ['another version', controlText('begin', { smt: 2 }), {}, 400, /^smt: must be 1/],
    ['an unknown kind', controlText('end'), {}, 400, /^kind/],
    ['a file of another form', controlText('begin', { file: '../etc' }), {}, 400, /^file: must be 64 hex digits/],
    ['an epoch of zero', controlText('begin', { epoch: 0 }), {}, 400, /^epoch/],
    ['fewer rows than it says', rowsText([row()], { rows: 2 }), {}, 400, /there are 1 rows, and the head says 2/],
    ['other rows than it says', rowsText([row()], { sha256: file }), {}, 400, /not those whose hash/],
    ['a last line without an end', rowsText([row()]).trimEnd(), {}, 400, /the last line has no end/],
    ['a short ESIID', rowsText([row({ esiid: '1044372000999900' })]), {}, 400, /^row 0 esiid: must be 17 or 22/],
    ['an ESIID that is a number', rowsText([row({ esiid: Number(makeEsiid(1)) })]), {}, 400, /^row 0 esiid/],
    ['a negative reading', rowsText([row(), row({ kwh: -1 })]), {}, 400, /^row 1 kwh/],
    ['six places', rowsText([row({ kwh: 0.000001 })]), {}, 400, /^row 0 kwh: must have/],
    ['a reading of text', rowsText([row({ kwh: '0.1' })]), {}, 400, /^row 0 kwh/],
    ['no start', rowsText([row({ start: undefined })]), {}, 400, /^row 0 start/],
    ['a local time', rowsText([row({ start: '2025-07-14T00:00:00' })]), {}, 400, /^row 0 start: must be an instant/],
    ['a time that is none', rowsText([row({ start: '2025-13-14T00:00:00Z' })]), {}, 400, /^row 0 start/],
    ['another direction', rowsText([row({ direction: 'both' })]), {}, 400, /^row 0 direction/],
    ['a commit whose rows do not add up', commitText({ rows: 2 }), {}, 400, /do not add up/],
    ['a web form', controlText('begin'), { type: 'application/x-www-form-urlencoded' }, 415, /content type/],
    ['no type', controlText('begin'), { type: '' }, 415, /content type/],
    ['brotli', controlText('begin'), { headers: { 'content-encoding': 'br' } }, 415, /content encoding/]
  ])('refuses %s, and quotes nothing of it', async (_, text, signing, status, what) => {
    const { say, store } = receiving()
    const answer = await say(text, signing)
    expect(answer).toMatchObject({
      status,
      body: { ok: false, error: 'RECEIVE_BODY', message: expect.stringMatching(what) }
    })
    expect(JSON.stringify(answer)).not.toMatch(/10443720009|\.\.\/etc/)
    expect(store.records()).toEqual([])
  })

  test('refuses damaged gzip', async () => {
    const { headers, body } = message(rowsText([row()]), { gzip: true })
    body[20]! ^= 0xff
    await expect(new Verifier({ secrets: secret }).message(headers, body)).rejects.toMatchObject({
      code: 'RECEIVE_BODY'
    })
  })

  test.each<[string, unknown]>([
    ['secrets', 'password'],
    ['secrets', []],
    ['secrets', ['whsec_c2hvcnQ=']],
    ['secrets', undefined]
  ])('bad `%s` are refused where it is made, without being told: %j', (name, secrets) => {
    let error: unknown
    try {
      new Verifier({ secrets } as never)
    } catch (thrown) {
      error = thrown
    }
    expect(error).toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringContaining(`\`${name}`) })
    expect(inspect(error)).not.toMatch(/password|c2hvcnQ/)
  })

  test('I11: nothing printed of it has its secret', () => {
    const shown = inspect([new Verifier({ secrets: secret }), receiving().receiver], { showHidden: true, depth: 9 })
    expect(shown).not.toContain(secret.slice(6, 20))
  })
})

describe('Receiver', () => {
  const begun = async (over: Partial<ReceiverOptions> = {}) => {
    const stand = receiving(over)
    expect(await stand.say(controlText('begin'))).toEqual({ status: 200, body: { ok: true, state: 'open', parts: [] } })
    expect(await stand.say(rowsText([row()]))).toEqual({ status: 200, body: { ok: true } })
    return stand
  }
  const stored = { inserted: 1, replaced: 0, unchanged: 0, superseded: 0, conflicts: 0 }

  test('answers a Request with JSON', async () => {
    const { receiver } = await begun()
    const { headers, body } = message(controlText('begin'))
    const response = await receiver.handle(request(headers, body))
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'application/json'])
    expect(await response.json()).toEqual({ ok: true, state: 'open', parts: [{ index: 0, sha256: hashOf([row()]) }] })
  })

  test('I1: shows nothing before the commit', async () => {
    const { say, store } = await begun()
    expect([store.rows(), store.staged()]).toEqual([[], ['part-0.ndjson']])
    expect(await say(commitText())).toEqual({ status: 200, body: { ok: true, stored } })
    expect(store.rows()).toMatchObject([{ kwh: 0.145 }])
    expect(store.staged()).toEqual([])
  })

  test('I2: a part, a commit and a rollback that come again, in any order, change nothing', async () => {
    const { say, store } = await begun()
    await say(rowsText([row()]))
    expect(store.staged()).toHaveLength(1)
    const commit = await say(commitText())
    const rows = store.rows()
    for (const text of [commitText(), rowsText([row()]), controlText('rollback'), commitText(), controlText('begin')]) {
      const answer = await say(text)
      expect(answer.status).toBe(200)
      if (text === commitText()) expect(answer).toEqual(commit)
    }
    expect(await say(controlText('begin'))).toEqual({ status: 200, body: { ok: true, state: 'committed' } })
    expect([store.commits, store.rows(), store.staged()]).toEqual([1, rows, []])
  })

  test('I2: a signed commit that somebody sends again within its five minutes changes nothing', async () => {
    const { receiver, store, say } = await begun()
    const { headers, body } = message(commitText())
    const answers = [await receiver.receive(headers, body), await receiver.receive(headers, body)]
    expect(answers[0]).toEqual(answers[1])
    await say(rowsText([row({ kwh: 9 })], { epoch: 2 }))
    expect(await receiver.receive(headers, body)).toEqual(answers[0])
    expect([store.commits, store.rows().map(({ kwh }) => kwh)]).toEqual([1, [0.145]])
  })

  test('a rollback empties the staging, and the file may come again', async () => {
    const { say, store } = await begun()
    expect(await say(controlText('rollback'))).toMatchObject({ status: 200 })
    expect(store.staged()).toEqual([])
    expect(await say(commitText())).toMatchObject({
      status: 409,
      body: { error: 'RECEIVE_PARTS_MISSING', missing: [0] }
    })
    await say(rowsText([row()], { epoch: 2 }))
    expect(await say(commitText({ epoch: 2 }))).toMatchObject({ status: 200 })
    expect(store.rows()).toHaveLength(1)
  })

  test('a part with other rows takes the place of the one that was there', async () => {
    const { say, store } = await begun()
    const other = [row({ kwh: 2 })]
    await say(rowsText(other))
    expect(await say(commitText())).toMatchObject({ status: 409, body: { error: 'RECEIVE_PARTS_MISSING' } })
    expect(await say(commitText({ parts: [{ rows: 1, sha256: hashOf(other) }] }))).toMatchObject({ status: 200 })
    expect(store.rows()).toMatchObject([{ kwh: 2 }])
  })

  test.each(['begin', 'rows', 'commit', 'rollback'])(
    'I5: refuses a %s of a worker whose claim passed on',
    async kind => {
      const { say, store } = await begun()
      await say(controlText('begin', { epoch: 2 }))
      const text = kind === 'rows' ? rowsText([row({ kwh: 9 })]) : kind === 'commit' ? commitText() : controlText(kind)
      expect(await say(text)).toMatchObject({ status: 409, body: { ok: false, error: 'RECEIVE_FENCED' } })
      expect([store.rows(), store.staged()]).toEqual([[], ['part-0.ndjson']])
      expect(await say(commitText({ epoch: 2 }))).toMatchObject({ status: 200 })
    }
  )

  test('I2: the same content of another file is not taken again, and its staging goes', async () => {
    const { say, store } = await begun()
    await say(commitText())
    const other = { file: '12'.repeat(32) }
    await say(rowsText([row()], other))
    const answer = { status: 200, body: { ok: true, duplicateOf: { path: '/a.csv' } } }
    expect(await say(commitText(other))).toMatchObject(answer)
    expect(await say(commitText(other))).toMatchObject(answer)
    expect([store.commits, store.staged()]).toEqual([1, []])
  })

  test('refuses other content of a file that is in', async () => {
    const { say, store } = await begun()
    await say(commitText())
    const payload = { bytes: 1, sha256: '34'.repeat(32), encrypted: true }
    const answer = await say(commitText({ epoch: 2, payload }))
    expect(answer).toMatchObject({ status: 409, body: { error: 'RECEIVE_OTHER_CONTENT' } })
    expect(store.commits).toBe(1)
  })

  test('a file read anew replaces what it gave, once', async () => {
    const { say, store } = await begun()
    await say(commitText())
    const replay = { epoch: 2, isReplay: true }
    const rows = [row({ kwh: 5 })]
    await say(rowsText(rows, replay))
    expect(store.rows()).toMatchObject([{ kwh: 0.145 }])
    const commit = commitText({ ...replay, parts: [{ rows: 1, sha256: hashOf(rows) }] })
    expect(await say(commit)).toEqual(await say(commit))
    expect([store.commits, store.rows().map(({ kwh }) => kwh)]).toEqual([2, [5]])
  })

  test('a store that fails answers 500 without details, tells the route, and keeps nothing half', async () => {
    const { say, store, errors } = await begun({ secrets: secret })
    const broken = receiving({
      store: {
        transaction: async (name, work) =>
          store.transaction(name, async stored => {
            await work(stored)
            throw new Error(`disk full at ${makeEsiid(1)}`)
          })
      }
    })
    expect(await broken.say(commitText())).toEqual({
      status: 500,
      body: { ok: false, error: 'FAILED', message: 'the receiver failed' }
    })
    expect(broken.errors).toMatchObject([{ message: expect.stringContaining('disk full') }])
    expect([store.rows(), store.staged(), errors]).toEqual([[], ['part-0.ndjson'], []])
    expect(await say(commitText())).toMatchObject({ status: 200 })
  })

  test('secrets may come from a function, late; one that gives none is a fault of the settings', async () => {
    let given: string | undefined
    const { say, errors } = receiving({ secrets: () => given })
    expect(await say(controlText('begin'))).toMatchObject({ status: 500 })
    expect(errors).toMatchObject([{ code: 'CONFIG_INVALID' }])
    given = secret
    expect(await say(controlText('begin'))).toMatchObject({ status: 200 })
  })

  test('strangers cost no look into the store', async () => {
    let asked = 0
    const store = {
      transaction: async () => {
        asked++
        throw new Error('asked')
      }
    }
    const { say } = receiving({ store })
    for (const signing of [{ by: secretOf(9) }, { at: 0 }, { headers: { 'webhook-signature': '' } }]) {
      expect(await say(controlText('begin'), signing)).toMatchObject({ status: 401, body: { ok: false } })
    }
    expect(asked).toBe(0)
  })
})
