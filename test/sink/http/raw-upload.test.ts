import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { HttpSink, type RawUploadOptions } from '../../../src/sink/http.ts'
import {
  addDays,
  type ExpectedInterval,
  intervalHeader,
  makeEsiid,
  makeIntervalReport,
  makeMeterDay
} from '../../../src/testing/index.ts'
import { csv, deliver, failing, fileOf, readParts } from '../../conformance/sink.ts'
import { RawUploadServer, sha256OfText } from '../../support/raw-upload-server.ts'
import { scratchFolder } from '../../support/scratch.ts'

const adminToken = 'a'.repeat(64)
let server: RawUploadServer
beforeAll(async () => {
  server = await RawUploadServer.start(adminToken)
})
afterAll(() => server[Symbol.asyncDispose]())
beforeEach(() => {
  server.uploads.length = 0
  server.asked = 0
  server.store.clear()
  server.fault = () => undefined
})

function open(over: Partial<RawUploadOptions> = {}) {
  const folder = scratchFolder()
  const ledger = join(folder, 'ledger.ndjson')
  const profile = 'intelliwatt-raw-upload' as const
  const sink = new HttpSink({ url: server.url, ledger, profile, adminToken, retryPauseMs: 1, ...over })
  onTestFinished(() => sink.close())
  return { sink, folder }
}

/** Consecutive days of some meters. */
function daysOf(meters: readonly string[], count: number, from = '2025-07-14', solar = false) {
  return Array.from({ length: count }, (_, i) => addDays(from, i)).flatMap(date =>
    meters.map(esiid => makeMeterDay({ esiid, date, solar }))
  )
}

/** What the app must have: consumption alone. */
function storeOf(expected: Iterable<ExpectedInterval>, meter = 'M1'): [string, number][] {
  return [...expected]
    .filter(({ direction }) => direction === 'consumption')
    .map(({ esiid, start, milliKwh }): [string, number] => [`${esiid} ${meter} ${start}`, milliKwh / 1000])
    .sort()
}

const stored = () => [...server.store].sort()
const linesOf = (text: string) => text.trimEnd().split('\n').slice(1)

describe('the profile intelliwatt-raw-upload', () => {
  const meters = [makeEsiid(1), makeEsiid(2, 22), makeEsiid(3)]

  test('sends the readings meter by meter, with the keys and the form that the route knows', async () => {
    const { sink } = open()
    const report = makeIntervalReport(daysOf(meters, 3))
    const receipt = await deliver(sink, fileOf('in/IntervalMeterUsage1.CSV', report.bytes))
    expect(receipt).toMatchObject({ state: 'committed', rows: { accepted: 864, inserted: 864, unconfirmed: 0 } })
    expect(server.uploads.map(({ esiid }) => esiid).sort()).toEqual([...meters].sort())
    expect(stored()).toEqual(storeOf(report.expected()))
    for (const { csv, bytes, ...body } of server.uploads) {
      expect(body).toEqual({
        filename: 'IntervalMeterUsage1.CSV',
        sizeBytes: csv.length,
        sha256: sha256OfText(csv),
        contentBase64: Buffer.from(csv).toString('base64'),
        contentType: 'text/csv',
        source: 'adhocusage',
        receivedAt: expect.stringMatching(/^\d{4}-.*Z$/),
        esiid: expect.any(String),
        meter: 'M1',
        postIngest: true
      })
      expect(csv.split('\n')[0]).toBe(intervalHeader)
      expect(bytes).toBeGreaterThan(body.contentBase64.length)
    }
  })

  test('writes rows as SMT does: apostrophe, blanks before times, three places, the revision by the wall clock', async () => {
    const { sink } = open()
    const rows = [
      { kwh: '.145', revision: '' },
      { quarter: 1, kwh: '0', flag: 'E', revision: '01/15/2026 23:59:07' },
      { quarter: 2, kwh: '1234567.00001' },
      { date: '07/14/2025', quarter: 95, kwh: '2' }
    ]
    await deliver(sink, fileOf('a.csv', csv(rows)))
    const lines = server.uploads.flatMap(({ csv }) => linesOf(csv))
    expect(lines).toEqual([
      `'${makeEsiid(1)},07/14/2025,, 00:00, 00:15,0.145,A,Consumption`,
      `'${makeEsiid(1)},07/14/2025,01/15/2026 23:59:07, 00:15, 00:30,0.000,E,Consumption`,
      `'${makeEsiid(1)},07/14/2025,07/15/2025 06:41:12, 00:30, 00:45,1234567.00001,A,Consumption`,
      `'${makeEsiid(1)},07/14/2025,07/15/2025 06:41:12, 23:45, 00:00,2.000,A,Consumption`
    ])
  })

  test('what it writes, its own parser reads as the same rows, clock changes included', async () => {
    const { sink } = open()
    for (const from of ['2025-11-01', '2026-03-07']) {
      server.uploads.length = 0
      const report = makeIntervalReport(daysOf([makeEsiid(5)], 3, from), { properRepeat: true, placeholders: false })
      await deliver(sink, fileOf('a.csv', report.bytes, { modifiedAt: Date.parse(from) }))
      expect(server.uploads.map(({ csv }) => csv).join('')).toBe(report.bytes.toString())
    }
  })

  test('surplus generation has no place there: it is not sent, and counted as undeliverable', async () => {
    const { sink } = open()
    const report = makeIntervalReport(daysOf(meters, 2, '2025-07-14', true))
    const receipt = await deliver(sink, fileOf('a.csv', report.bytes))
    expect(receipt.rows).toMatchObject({ accepted: 1152, inserted: 576, undeliverable: 576 })
    expect(server.uploads.map(({ csv }) => csv).join('')).not.toContain('Surplus')
    expect(stored()).toEqual(storeOf(report.expected()))
  })

  test('the repeated hour of autumn is sent, and what the app does not keep of it is reported', async () => {
    const { sink } = open()
    const report = makeIntervalReport(daysOf([makeEsiid(1)], 1, '2025-11-02'))
    const receipt = await deliver(sink, fileOf('a.csv', report.bytes))
    expect(server.uploads.map(({ csv }) => linesOf(csv).length)).toEqual([100])
    expect(receipt.rows).toMatchObject({ accepted: 100, inserted: 96, unconfirmed: 4 })
  })

  test('a file of surplus generation alone is committed, with nothing sent', async () => {
    const { sink } = open()
    const receipt = await deliver(sink, fileOf('a.csv', csv([{ direction: 'Surplus Generation' }])))
    expect(receipt).toMatchObject({ state: 'committed', rows: { accepted: 1, inserted: 0, undeliverable: 1 } })
    expect(server.asked).toBe(0)
  })

  test('of several versions in a file the newest is sent, the others are counted', async () => {
    const { sink } = open()
    const rows = [
      { quarter: 0, kwh: '0.2', revision: '07/16/2025 06:00:00' },
      { quarter: 0, kwh: '0.1' },
      { quarter: 1, kwh: '0.3', flag: 'E' },
      { quarter: 1, kwh: '0.4' },
      { quarter: 2, kwh: '0.5' },
      { quarter: 2, kwh: '0.6' },
      { quarter: 3, kwh: '0.7', revision: '' },
      { quarter: 3, kwh: '0.8', revision: '01/01/2020 00:00:00' }
    ]
    const receipt = await deliver(sink, fileOf('a.csv', csv(rows)))
    expect(receipt.rows).toMatchObject({ accepted: 8, inserted: 4, superseded: 4, conflicts: 1 })
    expect(stored().map(([, kwh]) => kwh)).toEqual([0.2, 0.4, 0.6, 0.8])
  })

  test('I4: sends nothing before the source has vouched for the file, and never an unproven row', async () => {
    const { sink } = open()
    const file = fileOf('a.csv', makeIntervalReport(daysOf(meters, 2)).bytes)
    let before = -1
    const verify = () => {
      before = server.asked
      return file.verify()
    }
    await failing(sink, { ...file, verify: () => Promise.reject(new Error('no')) }, await readParts(file))
    expect(server.asked).toBe(0)
    await deliver(sink, { ...file, verify })
    expect([before, server.asked]).toEqual([0, 3])
  })

  describe('requests', () => {
    const year = makeIntervalReport(daysOf([makeEsiid(1)], 100))
    const file = fileOf('IntervalMeterUsage1.CSV', year.bytes)

    test('end with whole days, stay under the limit, and are numbered; the last one says so', async () => {
      const { sink } = open({ maxBytes: 100_000 })
      await deliver(sink, file)
      const { uploads } = server
      expect(uploads.length).toBeGreaterThan(5)
      expect(Math.max(...uploads.map(({ bytes }) => bytes))).toBeLessThanOrEqual(100_000)
      expect(uploads.map(({ filename }) => filename)).toEqual(
        uploads.map((_, i) => `IntervalMeterUsage1.CSV.part${i + 1}-of-${uploads.length}`)
      )
      expect(uploads.map(({ postIngest }) => postIngest)).toEqual(uploads.map((_, i) => i === uploads.length - 1))
      for (const { csv } of uploads) {
        const times = linesOf(csv).map(line => line.split(',')[3])
        expect([times[0], times.at(-1)]).toEqual([' 00:00', ' 23:45'])
      }
      expect(stored()).toEqual(storeOf(year.expected()))
    })

    test('have 5,000 rows at most by default, cut at a midnight', async () => {
      const { sink } = open()
      await deliver(sink, file)
      expect(server.uploads.map(({ csv }) => linesOf(csv).length)).toEqual([4992, 4608])
    })

    test('span nothing that the file does not bring: what the app has in a gap stays', async () => {
      const { sink } = open()
      const [before, missing] = [makeMeterDay({ esiid: makeEsiid(1), date: '2025-07-15' }), '2025-07-14']
      await deliver(sink, fileOf('old.csv', makeIntervalReport([before]).bytes))
      const between = stored()
      const sparse = [
        makeMeterDay({ esiid: makeEsiid(1), date: missing }),
        makeMeterDay({ esiid: makeEsiid(1), date: '2025-07-16' })
      ]
      await deliver(sink, fileOf('new.csv', makeIntervalReport(sparse).bytes))
      expect(server.store.size).toBe(96 * 3)
      expect(stored()).toEqual(expect.arrayContaining(between))
    })

    test('span no quarter hour whose reading is missing either', async () => {
      const { sink } = open()
      const quarters = Array.from({ length: 96 }, (_, quarter) => ({ quarter, kwh: '0.5' }))
      await deliver(sink, fileOf('old.csv', csv(quarters)))
      server.uploads.length = 0
      const missing = (quarter: number) => [10, 11, 50].includes(quarter)
      const gaps = quarters.map(row => (missing(row.quarter) ? { ...row, kwh: '', flag: '' } : { ...row, kwh: '0.7' }))
      const receipt = await deliver(sink, fileOf('new.csv', csv(gaps)))
      expect(receipt.rows).toMatchObject({ accepted: 93, missing: 3, inserted: 93 })
      expect(server.uploads.map(({ csv }) => linesOf(csv).length)).toEqual([10, 38, 45])
      expect(stored().map(([, kwh]) => kwh)).toEqual(quarters.map(({ quarter }) => (missing(quarter) ? 0.5 : 0.7)))
    })

    test('are the same in every run: what was sent before is sent again and changes nothing', async () => {
      const { sink } = open({ retries: 0 })
      server.fault = ({ filename }) =>
        filename.endsWith('2-of-2') ? { status: 500, body: '{"ok":false,"error":"DB"}' } : undefined
      const { error, receipt } = await failing(sink, file, await readParts(file))
      expect(error).toMatchObject({ code: 'HTTP_FAILED', message: expect.stringContaining('500 DB') })
      expect(receipt).toMatchObject({ state: 'seen' })
      server.fault = () => undefined
      expect(await deliver(sink, file)).toMatchObject({ state: 'committed', rows: { inserted: 9600 } })
      const hashes = server.uploads.map(({ sha256 }) => sha256)
      expect(hashes).toEqual([...hashes.slice(0, 2), ...hashes.slice(0, 2)])
      expect(stored()).toEqual(storeOf(year.expected()))
    })
  })
})

describe('an answer of the route means what it says:', () => {
  const file = fileOf('a.csv', csv([{ quarter: 0 }, { quarter: 1 }, { quarter: 2 }, { quarter: 8 }]))
  const ok = (over: object) => ({
    status: 200,
    body: JSON.stringify({ ok: true, id: '1', filename: 'a', sizeBytes: 1, sha256: 'x', createdAt: 'now', ...over })
  })
  const inline = (intervalsInserted: unknown) =>
    ok({ normalizedInline: { intervalsInserted, inserted: 9, skipped: 0 } })

  test.each<[string, object, object]>([
    ['a duplicate is there already', ok({ duplicate: true, normalizedInline: null }), { unchanged: 4, unconfirmed: 0 }],
    [
      'a duplicate that is read anew is counted as that',
      ok({ duplicate: true, normalizedInline: { intervalsInserted: 3 } }),
      { inserted: 4, unconfirmed: 0 }
    ],
    ['more than was sent is as much as was sent', inline(500), { inserted: 4, unconfirmed: 0 }]
  ])('%s', async (_, fault, rows) => {
    const { sink } = open()
    server.fault = ({ csv }) =>
      linesOf(csv).length === 1 && !JSON.stringify(fault).includes('duplicate') ? inline(1) : (fault as never)
    const receipt = await deliver(sink, file)
    expect(receipt).toMatchObject({ state: 'committed', rows: { accepted: 4, ...rows } })
  })

  test('rows of which a part is not stored are committed, and reported as unconfirmed', async () => {
    const { sink } = open()
    server.fault = ({ csv }) => inline(linesOf(csv).length === 1 ? 0 : 2)
    const receipt = await deliver(sink, file)
    expect(receipt).toMatchObject({ state: 'committed', rows: { accepted: 4, inserted: 2, unconfirmed: 2 } })
  })

  test.each<[string, object]>([
    ['none were inserted', inline(0)],
    ['nothing was normalised', ok({ normalizedInline: null })],
    ['the counts are no numbers', inline('4')],
    ['there are no counts', ok({})]
  ])('I3: ok although %s is no success: the file is set aside, with its reason', async (_, fault) => {
    const { sink } = open()
    server.fault = () => fault as never
    const { error, receipt } = await failing(sink, file, await readParts(file))
    expect(error).toMatchObject({ code: 'HTTP_NOT_STORED', message: 'the receiver stored none of 4 intervals: a.csv' })
    expect(receipt).toMatchObject({ state: 'quarantined', reason: { code: 'HTTP_NOT_STORED' } })
    server.fault = () => undefined
    expect(await deliver(sink, file, { retryQuarantined: true })).toMatchObject({ state: 'committed' })
  })

  const html = { 'content-type': 'text/html' }
  test.each<[string, { status: number; body: string; headers?: Record<string, string> }, string, number]>([
    [
      'a 400 VALIDATION',
      { status: 400, body: '{"ok":false,"error":"VALIDATION","details":"x","missing":["sha256"],"receivedKeys":[]}' },
      'HTTP_REFUSED',
      1
    ],
    ['a 500 DB', { status: 500, body: '{"ok":false,"error":"DB"}' }, 'HTTP_FAILED', 3],
    [
      'Vercel’s 413 page',
      { status: 413, headers: html, body: 'Request Entity Too Large\n\nFUNCTION_PAYLOAD_TOO_LARGE\n' },
      'HTTP_TOO_LARGE',
      1
    ],
    ['Vercel’s 504 page', { status: 504, headers: html, body: 'FUNCTION_INVOCATION_TIMEOUT' }, 'HTTP_FAILED', 3],
    [
      'a rate limit',
      { status: 429, body: '{"ok":false,"error":"rate_limited","remaining":0,"resetAt":1}' },
      'HTTP_BUSY',
      3
    ],
    ['a 200 that is not ok', { status: 200, body: '{"ok":false,"error":"STORAGE_FAILED"}' }, 'HTTP_REFUSED', 1],
    ['a page', { status: 200, headers: html, body: '<html>' }, 'HTTP_ANSWER', 1]
  ])('%s is no success', async (_, fault, code, times) => {
    const { sink } = open({ retries: 2 })
    server.fault = () => fault
    const { error } = await failing(sink, file, await readParts(file))
    expect(error).toMatchObject({ code })
    expect(server.asked).toBe(times)
  })

  test('a wrong token is refused once, and never told', async () => {
    const wrong = 'wrong-token-'.repeat(5)
    const { sink } = open({ adminToken: () => `${wrong}\n` })
    const { error, receipt } = await failing(sink, file, await readParts(file))
    expect(error).toMatchObject({ code: 'HTTP_UNAUTHORIZED', message: expect.stringContaining('401 Unauthorized') })
    expect(server.asked).toBe(1)
    for (const shown of [error, receipt, sink]) {
      expect(inspect(shown, { showHidden: true, depth: 9 })).not.toContain(wrong.slice(0, 12))
    }
  })
})

describe('rows that wait for their proof', () => {
  test.skipIf(!existsSync('/proc/self/fd'))('are on no disk in clear, and have no name there', async () => {
    const { sink, folder } = open()
    const meters = Array.from({ length: 3 }, (_, i) => makeEsiid(i))
    const report = makeIntervalReport(daysOf(meters, 30))
    const file = fileOf('a.csv', report.bytes)
    const stream = sink.stream(file)
    await stream.wanted()
    for (const part of (await readParts(file)).slice(0, -1)) await new Promise(resolve => stream.write(part, resolve))
    expect(readdirSync(folder).filter(name => name.startsWith('.spool'))).toEqual([])
    const spools = readdirSync('/proc/self/fd').filter(fd => linkOf(fd).includes('.spool-'))
    expect(spools).toHaveLength(1)
    const bytes = readFileSync(`/proc/self/fd/${spools[0]}`)
    expect(bytes.length).toBeGreaterThan(200_000)
    // A record in clear has its start as a double; the same eight bytes stand in every third.
    const start = Buffer.alloc(8)
    for (const { start: instant } of [...report.expected()].slice(0, 500)) {
      start.writeDoubleLE(instant)
      expect(bytes.includes(start)).toBe(false)
    }
    stream.destroy()
    await new Promise(resolve => stream.once('close', resolve))
    expect(readdirSync('/proc/self/fd').filter(fd => linkOf(fd).includes('.spool-'))).toEqual([])
  })

  const linkOf = (fd: string) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`)
    } catch {
      return ''
    }
  }
})

test('intervals of another length are refused: the app has no place for a length', async () => {
  const { sink } = open()
  const file = fileOf('a.csv', csv([{}]))
  const parts = await readParts(file)
  Object.assign(parts[0] as object, { minutes: new Uint8Array([60]) })
  expect(await failing(sink, file, parts)).toMatchObject({ error: { code: 'SINK_INTERVAL_LENGTH' } })
})

test.each<[string, object]>([
  ['adminToken', { adminToken: '' }],
  ['adminToken', { adminToken: 'with blank' }],
  ['adminToken', { adminToken: undefined }],
  ['maxBytes', { maxBytes: 10_000 }],
  ['maxRows', { maxRows: 10 }],
  ['secret', { secret: 'whsec_x' }]
])('a bad `%s` is refused where the sink is made: %j', (name, bad) => {
  expect(() => open(bad as never)).toThrow(`\`${name}`)
})
