import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ingest } from '../../src/ingest.ts'
import { rowsAddUp } from '../../src/parse/file-account.ts'
import { IntervalParser } from '../../src/parse/interval-parser.ts'
import { ReadListReader } from '../../src/parse/read-list/reader.ts'
import { NdjsonSink } from '../../src/sink/ndjson.ts'
import { DirectorySource } from '../../src/source/directory-source.ts'
import {
  addDays,
  type IntervalAnswer,
  type IntervalAnswerOptions,
  makeIntervalAnswer,
  makeIntervalReport,
  makeMeterDay,
  makeZip
} from '../../src/testing/index.ts'
import { failureOf } from '../support/failure.ts'
import { type PlainPosition, readAnswerPlainly } from '../support/plain-answer.ts'
import { scratchFolder } from '../support/scratch.ts'
import { cuts, esiid, iso, longEsiid, type Reading, read } from './support.ts'

const date = '2025-07-14'
const day = (more: Partial<Parameters<typeof makeMeterDay>[0]> = {}) => makeMeterDay({ esiid, date, ...more })
const stamp = '07/15/2025 06:41:12'

const promised = (made: Pick<IntervalAnswer, 'expected'>) =>
  [...made.expected()].map(({ milliKwh, ...rest }) => ({ ...rest, kwh: milliKwh / 1000 }))

/** One list as it may stand in an answer; any key may be another. */
const answer = (list: Record<string, unknown>, more: Record<string, unknown> = {}) =>
  JSON.stringify({ esiid, energyData: [{ DT: '07/14/2025', RevTS: stamp, RT: 'C', ...list }], ...more })

/** A list of so many positions, some of them other ones. */
const positions = (count: number, other: Readonly<Record<number, string>> = {}, plain = '0.5-A') =>
  Array.from({ length: count }, (_, i) => other[i] ?? plain).join(',')

/** What stands at some positions, in all the others nothing. */
const only = (count: number, other: Readonly<Record<number, string>>) => positions(count, other, '')

/** Reads what has more rejects than a file may have. */
const tolerant = { maxRejectShare: 1, maxRejects: 100_000 }
const readAll = (text: string) => read(text, tolerant)
const codes = ({ account }: Reading) => account.entries[0]!.rejects.map(({ code, line }) => [code, line])
const localTimes = ({ intervals }: Reading) => intervals.map(({ start }) => iso(start)!.slice(5, 16))

describe('an answer', () => {
  const days = [0, 1, 2].map(i => day({ date: addDays(date, i), solar: true, estimated: i === 1, missing: 2 }))

  test.each([
    ['as SMT writes it', {}],
    ['whose meter stands behind its lists', { esiid: 'last' }],
    ['with dashes where there is no reading', { blank: '-' }],
    ['of 96 positions', { positions: 'calendar' }],
    ['on many lines', { indent: 2 }]
  ] as [string, IntervalAnswerOptions][])('gives what it holds: one %s', async (_, options) => {
    const made = makeIntervalAnswer(days, options)
    const { intervals, account } = await read(made.bytes, { path: '/v2/15minintervalreads/IntervalAnswer.json' })
    expect(intervals).toEqual(promised(made))
    expect(account.entries).toMatchObject([{ kind: 'intervals', layout: 'read-list', outcome: 'used', header: null }])
    const { rows, milliKwh, estimated } = made.totals
    expect(account.rows).toEqual({ ...rows, repeatedHeader: 0 })
    expect(rowsAddUp(account)).toBe(true)
    expect(account.quality).toMatchObject({
      estimated,
      kwh: { consumption: milliKwh.consumption / 1000, surplusGeneration: milliKwh['surplus-generation'] / 1000 },
      ambiguousHourAssumed: 0
    })
  })

  test('has four placeholders a day and direction: the hour that autumn repeats', async () => {
    const { account } = await read(makeIntervalAnswer(days).bytes)
    expect(account.rows).toEqual({
      read: 600,
      accepted: 564,
      rejected: 0,
      placeholder: 24,
      missing: 12,
      repeatedHeader: 0
    })
  })

  test('may be a list of answers, each with its own meter', async () => {
    const made = makeIntervalAnswer([day(), makeMeterDay({ esiid: longEsiid, date })], { esiid: 'last' })
    expect(made.bytes.toString()[0]).toBe('[')
    const { intervals } = await read(made.bytes)
    expect(intervals).toEqual(promised(made))
    expect(new Set(intervals.map(interval => interval.esiid))).toEqual(new Set([esiid, longEsiid]))
  })

  test('a list that names a meter of its own belongs to that one', async () => {
    const { intervals } = await read(answer({ ESIID: longEsiid, RD: only(100, { 0: '1-A' }) }))
    expect(intervals.map(interval => interval.esiid)).toEqual([longEsiid])
  })

  test('stands beside a CSV in one archive, and each entry has its account', async () => {
    const made = makeIntervalAnswer([day()])
    const report = makeIntervalReport([makeMeterDay({ esiid: longEsiid, date })])
    const bytes = makeZip([
      { name: 'answer.json', bytes: made.bytes },
      { name: 'IntervalData.csv', bytes: report.bytes },
      { name: 'other.json', bytes: Buffer.from('{"registeredReads":[]}') }
    ])
    const { intervals, account } = await read(bytes)
    expect(intervals).toEqual([...promised(made), ...promised(report)])
    expect(account.entries.map(({ kind, layout }) => [kind, layout])).toEqual([
      ['intervals', 'read-list'],
      ['intervals', 'smt-interval'],
      ['unknown', null]
    ])
  })

  test.each([0, 1])('reads the same wherever a chunk ends, with %d blanks before each level', async indent => {
    const made = makeIntervalAnswer([day({ date: '2025-11-02', missing: 1 })], { indent, esiid: 'last' })
    const bytes = Buffer.concat([Buffer.from('\ufeff \n'), made.bytes])
    const whole = await read(bytes)
    expect(whole.intervals).toEqual(promised(made))
    for (const chunks of cuts(bytes)) {
      const { intervals, lines, account } = await read(chunks)
      expect({ intervals, lines, account }).toEqual({
        intervals: whole.intervals,
        lines: whole.lines,
        account: whole.account
      })
    }
  })

  test('numbers its rows through, and says at which byte a bad one stands', async () => {
    const text = answer({ RD: `0.1-A,0.2-A,n/a-A,${positions(97, { 5: '', 6: '', 7: '', 8: '' })}` })
    const reading = await read(text)
    expect(reading.lines.slice(0, 4)).toEqual([1, 2, 4, 5])
    expect(reading.account.entries[0]!.rejects).toEqual([
      { code: 'ROW_BAD_KWH', line: 3, offset: text.indexOf('n/a'), reason: 'kWh is not a plain decimal number' }
    ])
  })

  test('goes on its way list by list: nothing waits but the one that is being read', () => {
    const bytes = makeIntervalAnswer([day(), day({ date: addDays(date, 1) })]).bytes
    const reader = new ReadListReader()
    const firstEnd = bytes.indexOf('}') + 1
    expect(reader.push(bytes.subarray(0, firstEnd - 1))).toHaveLength(0)
    expect(reader.push(bytes.subarray(firstEnd - 1, firstEnd))).toHaveLength(1)
    expect(reader.push(bytes.subarray(firstEnd))).toHaveLength(1)
    reader.end()
  })

  test('goes into a sink like every file, and the same answer again is a duplicate', async () => {
    const folder = scratchFolder()
    const made = makeIntervalAnswer(days)
    for (const name of ['a.json', 'b.json']) writeFileSync(join(folder, name), made.bytes)
    const source = new DirectorySource({ directories: [folder], settleMs: 0 })
    await using sink = new NdjsonSink({ directory: join(scratchFolder(), 'out') })
    const receipts = []
    for await (const receipt of ingest({ source, parser: new IntervalParser(), sink })) receipts.push(receipt)
    expect(receipts.map(({ state }) => state)).toEqual(['committed', 'duplicate'])
    expect(receipts[0]!.rows).toMatchObject({ ...made.totals.rows, inserted: made.totals.rows.accepted })
  })
})

describe('the 100 positions', () => {
  test('an ordinary day: 8 to 11 are no hour, and a reading there is rejected by name', async () => {
    const reading = await readAll(answer({ RD: only(100, { 7: '1-A', 8: '2-A', 11: '3-A', 12: '4-A', 99: '5-A' }) }))
    expect(localTimes(reading)).toEqual(['07-14T06:45', '07-14T07:00', '07-15T04:45'])
    expect(codes(reading)).toEqual([
      ['ROW_NONEXISTENT_HOUR', 9],
      ['ROW_NONEXISTENT_HOUR', 12]
    ])
    expect(reading.account.rows).toMatchObject({ read: 100, accepted: 3, rejected: 2, placeholder: 2, missing: 93 })
  })

  test('the autumn day: 4 to 7 are the first 01:00 to 02:00, 8 to 11 the second', async () => {
    const made = makeIntervalAnswer([day({ date: '2025-11-02' })])
    const reading = await read(made.bytes)
    expect(reading.intervals).toEqual(promised(made))
    expect(new Set(reading.intervals.map(({ start }) => start)).size).toBe(100)
    expect(localTimes(reading).slice(4, 13)).toEqual(
      ['06:00', '06:15', '06:30', '06:45', '07:00', '07:15', '07:30', '07:45', '08:00'].map(time => `11-02T${time}`)
    )
    expect(reading.account.rows).toMatchObject({ read: 100, accepted: 100, placeholder: 0 })
  })

  test.each([
    ['100 positions, 8 to 11 empty', positions(100, { 8: '', 9: '', 10: '', 11: '' }), 4],
    ['96 positions', positions(96), 0]
  ])('the autumn day with its hour once is read as the first pass, and says so: %s', async (_, RD, missing) => {
    const reading = await read(answer({ DT: '11/02/2025', RD }))
    expect(localTimes(reading).slice(7, 9)).toEqual(['11-02T06:45', '11-02T08:00'])
    expect(reading.account.quality.ambiguousHourAssumed).toBe(1)
    expect(reading.account.rows).toMatchObject({ accepted: 96, missing })
  })

  const springLists: [string, string][] = [
    ['8 to 15 empty', positions(100, Object.fromEntries([8, 9, 10, 11, 12, 13, 14, 15].map(i => [i, ''])))],
    ['8 to 11 and the end empty', positions(100, Object.fromEntries([8, 9, 10, 11, 96, 97, 98, 99].map(i => [i, ''])))],
    [
      '12 to 15 and the end empty',
      positions(100, Object.fromEntries([12, 13, 14, 15, 96, 97, 98, 99].map(i => [i, '-'])))
    ],
    ['96 of them, 8 to 11 empty', positions(96, { 8: '', 9: '', 10: '', 11: '' })],
    ['96 of them, the end empty', positions(96, { 92: '', 93: '', 94: '', 95: '' })],
    ['92 of them', positions(92)]
  ]
  test.each(springLists)('the spring day has 92 quarter hours, whichever positions are empty: %s', async (_, RD) => {
    const reading = await read(answer({ DT: '03/09/2025', RD }))
    expect(localTimes(reading).slice(6, 10)).toEqual(['03-09T07:30', '03-09T07:45', '03-09T08:00', '03-09T08:15'])
    expect(localTimes(reading).at(-1)).toBe('03-10T04:45')
    const { rows } = reading.account
    expect(rows).toMatchObject({ accepted: 92, placeholder: rows.read - 92, missing: 0, rejected: 0 })
  })

  test('the spring day: a reading between 02:00 and 03:00 is rejected by name, and the rest stays where it is', async () => {
    const reading = await readAll(
      answer({ DT: '03/09/2025', RD: only(100, { 7: '1-A', 13: '2-A', 16: '3-A', 99: '4-A' }) })
    )
    expect(localTimes(reading)).toEqual(['03-09T07:45', '03-09T08:00', '03-10T04:45'])
    expect(codes(reading)).toEqual([['ROW_NONEXISTENT_HOUR', 14]])
  })

  test('the spring day: where gaps leave open how it counts, what comes after 02:00 is rejected', async () => {
    const reading = await readAll(answer({ DT: '03/09/2025', RD: only(100, { 3: '1-A', 12: '2-A', 20: '3-A' }) }))
    expect(localTimes(reading)).toEqual(['03-09T06:45'])
    expect(codes(reading)).toEqual([
      ['ROW_BAD_LIST', 13],
      ['ROW_BAD_LIST', 21]
    ])
  })

  test('every day around every clock change of twelve years is where the calendar has it', async () => {
    const starts = Array.from({ length: 12 }, (_, i) => [`${2020 + i}-03-07`, `${2020 + i}-10-31`]).flat()
    const days = starts.flatMap(start => [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map(i => day({ date: addDays(start, i) })))
    for (const spring of ['after-two', 'at-end'] as const) {
      const made = makeIntervalAnswer(days, { spring })
      const { intervals, account } = await read(made.bytes)
      expect(intervals).toEqual(promised(made))
      expect(account.rows).toEqual({ ...made.totals.rows, repeatedHeader: 0 })
    }
  })
})

describe('a position', () => {
  test.each([
    ['.145-A', 0.145],
    ['0-E', 0],
    [' 0.231 - a ', 0.231],
    ['9999999.99999-A', 9_999_999.99999]
  ])('%j is a reading', async (text, kwh) => {
    const { intervals } = await read(answer({ RD: only(100, { 0: text }) }))
    expect(intervals).toMatchObject([{ kwh, estimated: /e/i.test(text) }])
  })

  test.each(['', '-', '-A', ' - ', '-E'])('%j is none: neither zero nor rejected', async text => {
    const { account } = await read(answer({ RD: only(100, { 0: text, 1: '1-A' }) }))
    expect(account.rows).toMatchObject({ read: 100, accepted: 1, missing: 95, placeholder: 4, rejected: 0 })
  })

  test.each([
    ['0.231', 'ROW_BAD_FLAG'],
    ['0.231-', 'ROW_BAD_FLAG'],
    ['0.231-X', 'ROW_BAD_FLAG'],
    ['-0.231', 'ROW_BAD_FLAG'],
    ['-0.231-A', 'ROW_NEGATIVE_KWH'],
    ['n/a-A', 'ROW_BAD_KWH'],
    ['1e3-A', 'ROW_BAD_KWH'],
    ['10000000-A', 'ROW_KWH_OUT_OF_RANGE'],
    ['0.000001-E', 'ROW_KWH_OUT_OF_RANGE']
  ])('%j is rejected: %s', async (text, code) => {
    const reading = await read(answer({ RD: only(100, { 0: text, 1: '1-A' }) }))
    expect(codes(reading)).toEqual([[code, 1]])
    expect(reading.account.rows).toMatchObject({ accepted: 1, rejected: 1 })
  })
})

describe('a list', () => {
  test.each([
    [{ DT: '02/29/2025' }, 'ROW_BAD_DATE'],
    [{ DT: 20250714 }, 'ROW_BAD_DATE'],
    [{ DT: '07/14/25' }, 'ROW_TWO_DIGIT_YEAR'],
    [{ RevTS: 'yesterday' }, 'ROW_BAD_REVISION'],
    [{ RevTS: 7 }, 'ROW_BAD_REVISION'],
    [{ RT: 'A' }, 'ROW_BAD_DIRECTION'],
    [{ RT: undefined }, 'ROW_BAD_DIRECTION'],
    [{ esiid: '20443720009999001' }, 'ROW_BAD_ESIID'],
    [{ esiid: 10443720009999000 }, 'ROW_ESIID_AS_NUMBER']
  ])('%j rejects all of its positions: %s', async (list, code) => {
    const failure = await failureOf(read(answer({ ...list, RD: positions(100) }), tolerant))
    expect(failure).toMatchObject({ name: 'ParseError', code })
  })

  test.each([1, 92, 95, 97, 99, 101, 200])('of %d positions cannot be laid on an ordinary day', async count => {
    const failure = await failureOf(read(answer({ RD: positions(count) }), tolerant))
    expect(failure).toMatchObject({ code: 'ROW_BAD_LIST' })
    expect((failure as Error).message).toContain(`${count} of ${count} rows rejected`)
  })

  test('without a revision, or with a blank one, is the oldest version', async () => {
    for (const RevTS of [undefined, null, '', ' ']) {
      const { intervals } = await read(answer({ RevTS, RD: only(100, { 0: '1-A' }) }))
      expect(intervals).toMatchObject([{ revision: null }])
    }
  })

  test('that is empty has nothing, which is counted', async () => {
    const { account } = await read(answer({ RD: '' }))
    expect(account.rows).toMatchObject({ read: 1, accepted: 0, missing: 1 })
  })
})

describe('an answer that is not one', () => {
  const good = answer({ RD: positions(96) })

  test.each([
    ['nothing in it', '{"esiid":"10443720009999001","energyData":[]}', 'PARSE_NO_ROWS'],
    ['the meter missing', good.replace('esiid', 'meter'), 'PARSE_READ_LIST'],
    ['a list missing', answer({ RD: null }), 'PARSE_READ_LIST'],
    ['a number for a list', '{"esiid":"1","energyData":[5]}', 'PARSE_READ_LIST'],
    ['two lists in one element', good.replace('"RD"', '"RD":"","RD"'), 'PARSE_READ_LIST'],
    ['two meters', good.replace('{', `{"esiid":"${longEsiid}",`), 'PARSE_READ_LIST'],
    ['a comma too many', good.replace(',"RT"', ',,"RT"'), 'PARSE_JSON'],
    ['something behind it', `${good}{}`, 'PARSE_JSON'],
    ['letters that are not UTF-8', Buffer.from(good.replace('"RT"', '"é":1,"RT"'), 'latin1'), 'PARSE_JSON'],
    ['values too deep', good.replace('"RT"', `"x":${'['.repeat(40)}${']'.repeat(40)},"RT"`), 'PARSE_JSON'],
    ['a text too long', good.replace('"RT"', `"x":"${'x'.repeat(300_000)}","RT"`), 'PARSE_JSON'],
    ['too much behind the last list', good + ' '.repeat(300_000), 'PARSE_JSON']
  ] as [string, string | Buffer, string][])('%s: typed error', async (_, text, code) => {
    const failure = await failureOf(read(text, { path: '/inbox/answer.json' }))
    expect(failure).toMatchObject({ name: 'ParseError', code, file: '/inbox/answer.json' })
  })

  test('cut off anywhere, it fails', async () => {
    const bytes = Buffer.from(answer({ RD: only(100, { 0: '1-A' }) }))
    const head = bytes.indexOf('energyData') + 14
    for (let end = head; end < bytes.length; end++) {
      expect(await failureOf(read(bytes.subarray(0, end)))).toMatchObject({ code: 'PARSE_JSON' })
    }
  })

  test('I11: no error says a meter or a reading', async () => {
    for (const text of [good.replace('"energyData"', '"energyData":[{"DT":"x"}],"x"'), `${good}"${esiid}"`]) {
      const failure = (await failureOf(read(text))) as Error
      expect(`${failure.stack} ${failure.cause}`).not.toMatch(/1044372000999|0\.5-A/)
    }
  })
})

describe('I7: every position accounted for', () => {
  const odd = [
    '',
    '-',
    '-A',
    '0.231',
    '0.5-E',
    '.1-a',
    '-1-A',
    'x-A',
    '1e9-A',
    '0.1234567-A',
    '3-X',
    ' 2 - E ',
    '--',
    '-0-A'
  ]
  const list = fc.record({
    esiid: fc.constantFrom(esiid, longEsiid, '10', 10443720009999000),
    DT: fc.constantFrom('07/14/2025', '3/9/2025', '11/02/2025', '2/30/2025', '7/4/25', null),
    RevTS: fc.constantFrom(stamp, '', '11/02/2025 01:30:00', 'x'),
    RT: fc.constantFrom('C', 'C', 'G', 'A'),
    count: fc.constantFrom(100, 100, 100, 96, 92, 99, 1),
    /** Which hours are empty. */
    empty: fc.oneof(fc.constantFrom([2], [2, 3], [2, 24], [3, 24], [23, 24], [23], [24]), fc.array(fc.nat(24))),
    other: fc.array(fc.tuple(fc.nat(99), fc.constantFrom(...odd)), { maxLength: 6 })
  })

  test('reads every answer like the plain reader does: JSON.parse, Intl and patience', {
    timeout: 120_000
  }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(list, { minLength: 1, maxLength: 4 }), async lists => {
        const answers = lists.map(({ esiid, count, empty, other, ...keys }) => {
          const texts = Array.from({ length: count }, (_, i) =>
            (empty as number[]).includes(Math.floor(i / 4)) ? '' : `${i}.25-A`
          )
          for (const [at, text] of other) if (at < count) texts[at] = text
          return { esiid, energyData: [{ ...keys, RD: texts.join(',') }] }
        })
        const text = JSON.stringify(answers)
        const expected = readAnswerPlainly(text)
        const outcomes = (outcome: string) => expected.flatMap((one, i) => (one.outcome === outcome ? [i + 1] : []))
        // A file of nothing but rejects fails, and then says the same: one good row keeps it.
        const good = answer({ esiid, DT: '07/01/2025', RD: only(100, { 0: '1-A' }) })
        const reading = await readAll(`[${text.slice(1, -1)},${good}]`)
        const lines = reading.lines.slice(0, -1)
        expect(lines).toEqual(outcomes('accepted'))
        const taken = lines.map((_, i) => ({ ...reading.intervals[i]!, kwh: undefined }))
        const intervals = expected.flatMap(({ interval }) => (interval ? [interval] : []))
        expect(taken).toEqual(intervals.map(interval => ({ ...interval, kwh: undefined })))
        expect(lines.map((_, i) => reading.intervals[i]!.kwh)).toEqual(
          intervals.map(({ kwh }) => Math.abs(Number(kwh)))
        )
        const rejected = expected.flatMap(({ outcome }: PlainPosition, i) =>
          outcome.startsWith('ROW_') ? [[outcome, i + 1]] : []
        )
        expect(codes(reading)).toEqual(rejected)
        expect(reading.account.rows).toMatchObject({
          read: expected.length + 100,
          placeholder: outcomes('placeholder').length + 4,
          missing: outcomes('missing').length + 95
        })
        expect(rowsAddUp(reading.account)).toBe(true)
      }),
      { numRuns: 400, seed: 2025 }
    )
  })
})
