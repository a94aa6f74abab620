import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { ConfigError, ParseError } from '../../src/errors.ts'
import { ingest } from '../../src/ingest.ts'
import { rowsAddUp } from '../../src/parse/file-account.ts'
import { IntervalParser, type IntervalParserOptions } from '../../src/parse/interval-parser.ts'
import { NdjsonSink } from '../../src/sink/ndjson.ts'
import { DirectorySource } from '../../src/source/directory-source.ts'
import {
  addDays,
  type GreenButtonFeed,
  type GreenButtonFeedOptions,
  greenButtonChunks,
  type IntervalReport,
  intervalHeader,
  type MeterDay,
  makeEsiid,
  makeGreenButton,
  makeIntervalReport,
  makeMeterDay,
  makeZip,
  missingReading,
  spoiledReading
} from '../../src/testing/index.ts'
import { failureOf } from '../support/failure.ts'
import { scratchFolder } from '../support/scratch.ts'
import { cuts, iso, type Reading, read, rejectsOf } from './support.ts'

const [esiid, other] = [makeEsiid(1), makeEsiid(2)]
const date = '2025-07-14'
const day = (more: Partial<Parameters<typeof makeMeterDay>[0]> = {}) => makeMeterDay({ esiid, date, ...more })

/** What a maker promises, in the words of the parser. */
const promised = (made: GreenButtonFeed | IntervalReport) =>
  [...made.expected()].map(({ milliKwh, ...rest }) => ({ ...rest, kwh: milliKwh / 1000 }))

const distinct = ({ intervals }: Reading) => new Set(intervals.map(({ start }) => start)).size

/** The first readings of a feed alone, so that every cut of it can be tried. */
function shortFeed(options: GreenButtonFeedOptions, keep = 3): string {
  const lines = makeGreenButton([day()], options).bytes.toString().split('\n')
  const readings = lines.flatMap((line, i) => (line.includes('timePeriod') ? [i] : []))
  return lines.filter((_, i) => !readings.includes(i) || readings.indexOf(i) < keep).join('\n')
}

const clocks = ['utc', 'smt'] as const

describe('a feed', () => {
  const days = [0, 1, 2].map(i => day({ date: addDays(date, i), solar: true, estimated: true, missing: 2 }))

  test.each([
    ['as the standard has it', {}],
    ['on SMT’s clock', { clock: 'smt' }],
    ['on SMT’s clock, types behind the readings', { clock: 'smt', order: 'last', esiid: 'name' }],
    ['in thousandths of a Wh, with prefixes', { power: -3, prefixes: 'ns0', esiid: 'link' }],
    ['that has the prefixes of Atom and ESPI swapped', { prefixes: 'swapped' }]
  ] as [string, GreenButtonFeedOptions][])('gives what it holds: one %s', async (_, options) => {
    const feed = makeGreenButton(days, options)
    const { intervals, account } = await read(feed.bytes, { path: '/inbox/report.xml' })
    expect(intervals).toEqual(promised(feed))
    expect(account.entries).toMatchObject([
      { name: 'report.xml', kind: 'intervals', layout: 'green-button', outcome: 'used', header: null }
    ])
    const { rows, milliKwh, estimated } = feed.totals
    expect(account.rows).toEqual({ ...rows, repeatedHeader: 0 })
    expect(rowsAddUp(account)).toBe(true)
    expect(account.quality).toMatchObject({
      estimated,
      kwh: { consumption: milliKwh.consumption / 1000, surplusGeneration: milliKwh['surplus-generation'] / 1000 },
      first: Date.parse('2025-07-14T05:00Z'),
      last: Date.parse('2025-07-17T04:45Z'),
      ambiguousHourAssumed: 0
    })
  })

  test('stands beside a CSV in one archive, and each entry has its account', async () => {
    const feed = makeGreenButton([day({ solar: true })])
    const report = makeIntervalReport([makeMeterDay({ esiid: other, date })])
    const bytes = makeZip([
      { name: 'greenbutton.xml', bytes: feed.bytes },
      { name: 'IntervalData.csv', bytes: report.bytes },
      { name: 'readme.xml', bytes: Buffer.from('<?xml version="1.0"?>\n<readme/>\n') }
    ])
    const { intervals, batches, account } = await read(bytes)
    expect(intervals).toEqual([...promised(feed), ...promised(report)])
    expect(new Set(batches.map(({ entry }) => entry.name))).toEqual(new Set(['greenbutton.xml', 'IntervalData.csv']))
    expect(account.entries.map(({ kind, layout, rows }) => [kind, layout, rows.accepted])).toEqual([
      ['intervals', 'green-button', 192],
      ['intervals', 'smt-interval', 96],
      ['unknown', null, 0]
    ])
  })

  test('fills batches of the size that is asked for, each row with the line of its tag', async () => {
    const feed = makeGreenButton([day()])
    const lines = feed.bytes.toString().split('\n')
    const reading = await read(feed.bytes, { batchRows: 10 })
    expect(reading.batches.map(({ length }) => length)).toEqual([...new Array(9).fill(10), 6])
    expect(reading.lines).toEqual(lines.flatMap((line, i) => (line.includes('<IntervalReading>') ? [i + 1] : [])))
  })

  test.each(clocks)('reads the same wherever a chunk ends, on the clock %s', async clock => {
    const text = shortFeed({ clock, esiid: 'link' }, 3)
    const bytes = Buffer.from(`\ufeff\r\n ${text.replace('<?xml version="1.0" encoding="UTF-8"?>', '')}`)
    const options = { greenButton: { clock } }
    const whole = await read(bytes, options)
    expect(whole.account.rows.accepted).toBe(3)
    for (const chunks of cuts(bytes)) {
      const { intervals, lines, account } = await read(chunks, options)
      expect({ intervals, lines, account }).toEqual({
        intervals: whole.intervals,
        lines: whole.lines,
        account: whole.account
      })
    }
  })

  test('is known behind a comment of some kilobytes, however its chunks fall', async () => {
    const feed = makeGreenButton([day()])
    const commented = feed.bytes.toString().replace('?>', `?>\n<!-- ${'long\n'.repeat(3000)} -->`)
    const bytes = Buffer.from(commented)
    for (const size of [100, 4096, 16_384, bytes.length]) {
      const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
        bytes.subarray(i * size, (i + 1) * size)
      )
      expect((await read(chunks)).intervals).toEqual(promised(feed))
    }
  })

  test('may be one long line', async () => {
    const feed = makeGreenButton([day()])
    const { intervals, lines } = await read(feed.bytes.toString().replaceAll('\n', ''))
    expect(intervals).toEqual(promised(feed))
    expect(new Set(lines)).toEqual(new Set([1]))
  })
})

describe('the days on which the clock changes', () => {
  const changes = [
    ['2025-03-09', 92],
    ['2025-11-02', 100]
  ] as const

  test.each(clocks.flatMap(clock => changes.map(([date, count]) => [date, clock, count] as const)))(
    '%s, on the clock %s, has %d distinct instants',
    async (date, clock, count) => {
      // The day before proves SMT's clock, should the day itself not do so.
      const feed = makeGreenButton([day({ date: addDays(date, -1) }), day({ date })], { clock })
      const reading = await read(feed.bytes)
      expect(reading.intervals).toEqual(promised(feed))
      expect([distinct(reading), reading.account.rows.accepted]).toEqual([96 + count, 96 + count])
      expect(reading.account.quality.repeats).toEqual({ duplicates: 0, conflicts: 0, overlaps: 0, unchecked: 0 })
    }
  )

  test('in spring, blank readings of the hour that does not exist are placeholders', async () => {
    const days = [day({ date: '2025-03-08', missing: 3 }), day({ date: '2025-03-09' })]
    const feed = makeGreenButton(days, { clock: 'smt', placeholders: true })
    const { intervals, account } = await read(feed.bytes)
    expect(intervals).toEqual(promised(feed))
    expect(account.rows).toEqual({
      read: 192,
      accepted: 185,
      rejected: 0,
      placeholder: 4,
      missing: 3,
      repeatedHeader: 0
    })
    expect(rowsAddUp(account)).toBe(true)
  })
})

describe('the account', () => {
  test('I7: has every reading once: taken, blank or rejected by name, line and offset', async () => {
    const spoiled = day()
    spoiled.series[0]!.milliKwh.set([0, spoiledReading, missingReading], 4)
    const feed = makeGreenButton([spoiled])
    const reading = await read(feed.bytes)
    expect(reading.intervals).toEqual(promised(feed))
    expect(reading.account.rows).toEqual({ ...feed.totals.rows, repeatedHeader: 0 })
    expect(reading.account.rows).toMatchObject({ read: 96, accepted: 94, rejected: 1, missing: 1 })
    expect(rowsAddUp(reading.account)).toBe(true)
    const offset = feed.bytes.lastIndexOf('<IntervalReading>', feed.bytes.indexOf('>n/a<'))
    const line = feed.bytes.subarray(0, offset).toString().split('\n').length
    expect(reading.account.entries[0]!.rejects).toEqual([
      { code: 'ROW_BAD_KWH', line, offset, reason: 'kWh is not a plain decimal number' }
    ])
  })

  test('counts readings that come twice, and those that contradict themselves', async () => {
    const again = day()
    const changed: MeterDay = {
      ...again,
      series: again.series.map(one => ({ ...one, milliKwh: one.milliKwh.slice() }))
    }
    changed.series[0]!.milliKwh[0]! += 1
    const feed = makeGreenButton([day(), changed])
    const { intervals, account } = await read(feed.bytes)
    expect(intervals).toEqual(promised(feed))
    expect(account.quality.repeats).toEqual({ duplicates: 95, conflicts: 1, overlaps: 0, unchecked: 0 })
  })

  test('sees that a report in the same archive covers the same hours in another version', async () => {
    const bytes = makeZip([
      { name: 'a.csv', bytes: makeIntervalReport([day()]).bytes },
      { name: 'a.xml', bytes: makeGreenButton([day()]).bytes }
    ])
    expect((await read(bytes)).account.quality.repeats).toMatchObject({ duplicates: 0, conflicts: 0, overlaps: 96 })
  })

  test('rejects readings of half an hour and an hour, unless they are asked for', async () => {
    const text = makeGreenButton([day()]).bytes.toString()
    let count = 0
    // The fifth reading begins at 01:00 and the eleventh at 02:30: one may be of an hour, the other of half an hour.
    const mixed = text.replace(/<IntervalReading><timePeriod><duration>900/g, found => {
      count++
      const length = count === 5 ? 3600 : count === 11 ? 1800 : 900
      return found.replace('900', String(length))
    })
    const strict = await read(mixed)
    expect(strict.account.rows).toMatchObject({ read: 96, accepted: 94, rejected: 2 })
    expect(rejectsOf(strict).map(([code]) => code)).toEqual(['ROW_OTHER_LENGTH', 'ROW_OTHER_LENGTH'])
    const lenient = await read(mixed, { intervalMinutes: [15, 30, 60] })
    expect(lenient.account.rows).toMatchObject({ read: 96, accepted: 96, rejected: 0 })
    expect(lenient.batches.flatMap(({ minutes }) => [...minutes!]).filter(minutes => minutes !== 15)).toEqual([60, 30])
  })

  test('fails a feed with too many rejects, as every file', async () => {
    const spoiled = day()
    spoiled.series[0]!.milliKwh.fill(spoiledReading, 0, 20)
    const error = await failureOf(read(makeGreenButton([spoiled]).bytes))
    expect(error).toMatchObject({ code: 'PARSE_TOO_MANY_REJECTS' })
    const early = await failureOf(read(makeGreenButton([spoiled]).bytes, { maxRejects: 3 }))
    expect(early.message).toContain('4 of 4 rows rejected')
  })

  test('says that a feed without a reading has none', async () => {
    const empty = shortFeed({}, 0)
    expect(await failureOf(read(empty, { path: '/inbox/a.xml' }))).toMatchObject({
      code: 'PARSE_NO_ROWS',
      message: 'a Green Button feed and no reading: /inbox/a.xml entry a.xml'
    })
  })
})

describe('a feed that cannot be taken', () => {
  const good = makeGreenButton([day(), day({ date: addDays(date, 1) })]).bytes.toString()
  const wall = makeGreenButton([day()], { clock: 'smt' }).bytes.toString()

  test.each([
    ['cut off', good.slice(0, -8), 'PARSE_XML'],
    ['with a tag that nobody closes', good.replace('</timePeriod>', ''), 'PARSE_XML'],
    ['with a DOCTYPE', good.replace('?>', '?>\n<!DOCTYPE feed [<!ENTITY a "ha">]>'), 'PARSE_XML_REFUSED'],
    ['that is too deep', good.replace('</feed>', '<a>'.repeat(40)), 'PARSE_XML_REFUSED'],
    ['of no meter', makeGreenButton([day()], { esiid: 'nowhere' }).bytes, 'PARSE_GREEN_BUTTON_METER'],
    ['of two meters', good.replace('</feed>', `<title>${other}</title></feed>`), 'PARSE_GREEN_BUTTON_METER'],
    ['of gas', good.replace('<uom>72<', '<uom>42<'), 'PARSE_GREEN_BUTTON_TYPE'],
    ['of neither direction', good.replace(/<flowDirection>1<\/flowDirection>/, ''), 'PARSE_GREEN_BUTTON_TYPE'],
    ['that does not show its clock', shortFeed({ clock: 'smt' }), 'PARSE_GREEN_BUTTON_CLOCK'],
    ['on two clocks', good.replace('</feed>', wall.slice(wall.lastIndexOf('  <entry>'))), 'PARSE_GREEN_BUTTON_CLOCK'],
    [
      'with a reading outside of a block',
      good.replace(/<\/?IntervalBlock\b/g, tag => `${tag}s`),
      'PARSE_GREEN_BUTTON_SHAPE'
    ]
  ])('fails by name: one %s', async (_, bytes, code) => {
    const zip = makeZip([{ name: 'gb.xml', bytes: Buffer.from(bytes) }])
    const error = await failureOf(read(zip, { path: '/inbox/gb.zip' }))
    expect(error).toBeInstanceOf(ParseError)
    expect(error).toMatchObject({ code, file: '/inbox/gb.zip', entry: 'gb.xml', retryable: false, stopsRun: false })
    expect(error.line).toBeGreaterThan(0)
    expect(error.message).toContain(`: /inbox/gb.zip entry gb.xml line ${error.line}`)
    const plain = await failureOf(read(Buffer.from(bytes), { path: '/inbox/gb.xml' }))
    expect(plain).toMatchObject({ code, file: '/inbox/gb.xml', line: error.line })
  })

  test('I11: no error says an ESIID in full', async () => {
    const twice = good.replace('</feed>', `<title>${other}</title></feed>`)
    const errors = [
      await failureOf(read(twice, { path: `/inbox/${esiid}.xml` })),
      await failureOf(read(good, { greenButton: { esiid: other } })),
      await failureOf(read(good.replace('</title>', `</${esiid}>`)))
    ]
    expect(errors.map(({ code }) => code)).toEqual([
      'PARSE_GREEN_BUTTON_METER',
      'PARSE_GREEN_BUTTON_METER',
      'PARSE_XML'
    ])
    for (const error of errors) {
      for (const text of [inspect(error), JSON.stringify(error), error.message, error.stack]) {
        expect(text).not.toContain(esiid)
        expect(text).not.toContain(other)
      }
    }
    expect(errors[0]!.message).toContain(`…${other.slice(-4)}`)
  })
})

describe('other XML', () => {
  const xml = '<?xml version="1.0" encoding="UTF-8"?>\n<invoice>\n<title>Green Button</title>\n</invoice>\n'
  const xhtml = '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><body>Please log in</body></html>'

  test('is left alone', async () => {
    const { account } = await read(xml, { path: '/inbox/invoice.xml' })
    expect(account.entries).toMatchObject([{ kind: 'unknown', outcome: 'unhandled', layout: null }])
  })

  test.each([
    ['a web page', '<!DOCTYPE html>\n<html>\n<body>Please log in</body></html>\n', 'PARSE_HTML'],
    ['a web page in XML', `\n ${xhtml}`, 'PARSE_HTML'],
    ['an invoice', xml, 'PARSE_UNKNOWN_HEADER'],
    ['UTF-16', Buffer.from(`\ufeff${xml}`, 'utf16le'), 'PARSE_UTF16']
  ])('is refused where the name promises intervals: %s', async (_, bytes, code) => {
    const whole = Buffer.from(bytes)
    for (const chunks of [[whole], Array.from(whole, (_, i) => whole.subarray(i, i + 1))]) {
      expect(await failureOf(read(chunks, { path: '/inbox/IntervalData.xml' }))).toMatchObject({ code })
    }
  })

  test('with a feed too far behind its beginning is left alone, however its chunks fall', async () => {
    const { bytes } = makeGreenButton([day()])
    const late = Buffer.from(bytes.toString().replace('?>', `?>\n<!-- ${'long\n'.repeat(4000)} -->`))
    for (const size of [1000, late.length]) {
      const chunks = Array.from({ length: Math.ceil(late.length / size) }, (_, i) =>
        late.subarray(i * size, (i + 1) * size)
      )
      expect((await read(chunks)).account.entries[0]).toMatchObject({ kind: 'unknown', outcome: 'unhandled' })
    }
  })

  test('does not keep a CSV whose header begins with < from being read', async () => {
    const [header, ...rows] = makeIntervalReport([day()]).bytes.toString().split('\n')
    expect(header).toBe(intervalHeader)
    const { account } = await read([`<b>,${header}`, ...rows.map(row => row && `,${row}`)].join('\n'))
    expect(account.rows.accepted).toBe(96)
  })
})

describe('the options', () => {
  test('name the meter of a feed that names none', async () => {
    const { bytes } = makeGreenButton([day()], { esiid: 'nowhere' })
    const { intervals } = await read(bytes, { greenButton: { esiid } })
    expect(new Set(intervals.map(interval => interval.esiid))).toEqual(new Set([esiid]))
    expect(intervals).toHaveLength(96)
  })

  test('say which clock it is where a feed does not show it', async () => {
    const text = shortFeed({ clock: 'smt' })
    const starts = async (clock: 'utc' | 'smt') =>
      (await read(text, { greenButton: { clock } })).intervals.map(({ start }) => iso(start))
    expect(await starts('smt')).toEqual([
      '2025-07-14T05:00:00.000Z',
      '2025-07-14T05:15:00.000Z',
      '2025-07-14T05:30:00.000Z'
    ])
    expect(await starts('utc')).toEqual([
      '2025-07-14T00:00:00.000Z',
      '2025-07-14T00:30:00.000Z',
      '2025-07-14T00:45:00.000Z'
    ])
  })

  test.each([
    [{ greenButton: { esiid: '1234' } }, 'greenButton.esiid'],
    [{ greenButton: { clock: 'local' } }, 'greenButton.clock'],
    [{ greenButton: { meter: esiid } }, 'meter']
  ])('are refused when they cannot work: %j', (options, name) => {
    const make = () => new IntervalParser(options as IntervalParserOptions)
    expect(make).toThrow(ConfigError)
    expect(make).toThrow(`\`${name}\``)
  })
})

test('goes from a folder to NDJSON, and changes nothing when it comes again', async () => {
  const folder = scratchFolder()
  const [inbox, store] = [join(folder, 'inbox'), join(folder, 'store')]
  mkdirSync(inbox)
  const feed = makeGreenButton([day({ solar: true }), day({ date: addDays(date, 1), solar: true })], { clock: 'smt' })
  writeFileSync(join(inbox, 'a.xml'), feed.bytes)
  const run = async () => {
    const sink = new NdjsonSink({ directory: store })
    const states: string[] = []
    const source = new DirectorySource({ directories: [inbox], settleMs: 1 })
    for await (const { state } of ingest({ source, parser: new IntervalParser(), sink })) states.push(state)
    await sink.close()
    return states
  }
  expect(await run()).toEqual(['committed'])
  writeFileSync(join(inbox, 'b.xml'), feed.bytes)
  expect(await run()).toContain('duplicate')
  const texts = readdirSync(store)
    .filter(name => !name.startsWith('.'))
    .map(name => readFileSync(join(store, name), 'utf8'))
  expect(texts).toHaveLength(1)
  const rows = texts[0]!
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line))
  expect(rows).toEqual(promised(feed).map(row => ({ ...row, start: iso(row.start) })))
})

test('flows: batches leave before a feed has ended', async () => {
  const days = Array.from({ length: 200 }, (_, i) => day({ date: addDays('2025-04-01', i) }))
  let given = 0
  const chunks = [...greenButtonChunks(days)]
  async function* source() {
    for (const chunk of chunks) {
      given++
      yield chunk
      await new Promise(setImmediate)
    }
  }
  const stream = new IntervalParser({ batchRows: 96 }).stream()
  Readable.from(source()).pipe(stream)
  const firstAt: number[] = []
  for await (const _ of stream) firstAt.push(given)
  expect(firstAt[0]).toBeLessThan(chunks.length / 2)
})
