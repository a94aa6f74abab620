import { expect, test } from 'vitest'
import { addDays, centralDay } from '../../src/testing/central-days.ts'
import { type GreenButtonFeedOptions, greenButtonChunks, makeGreenButton } from '../../src/testing/green-button.ts'
import { makeEsiid, makeMeterDay, missingReading, spoiledReading } from '../../src/testing/meter-days.ts'

const esiid = makeEsiid(1)
const dayOf = (date: string) => makeMeterDay({ esiid, date })
const textOf = (date: string, options: GreenButtonFeedOptions = {}) =>
  makeGreenButton([dayOf(date)], options).bytes.toString('latin1')

/** All texts of an element, whatever its prefix. */
const textsOf = (text: string, element: string) =>
  [...text.matchAll(new RegExp(`<(?:\\w+:)?${element}>([^<]*)</`, 'g'))].map(match => match[1]!)
/** Starts of the readings, as ISO instants; the block's own left out. */
const startsOf = (text: string) =>
  [...text.matchAll(/<(?:\w+:)?timePeriod>.*?start>(\d+)</g)].map(match =>
    new Date(Number(match[1]) * 1000).toISOString()
  )

test('a reading is written in Wh, its start in epoch seconds, its estimate as quality 8', () => {
  const day = makeMeterDay({ esiid, date: '2025-07-14', estimated: true })
  day.series[0]!.milliKwh.set([231, 0, missingReading, spoiledReading])
  const text = makeGreenButton([day]).bytes.toString('latin1')
  const readings = text.split('\n').filter(line => line.includes('<IntervalReading>'))
  expect(readings.slice(0, 4).map(line => line.trim())).toEqual([
    '<IntervalReading><timePeriod><duration>900</duration><start>1752469200</start></timePeriod><value>231</value></IntervalReading>',
    '<IntervalReading><timePeriod><duration>900</duration><start>1752470100</start></timePeriod><value>0</value></IntervalReading>',
    '<IntervalReading><timePeriod><duration>900</duration><start>1752471000</start></timePeriod></IntervalReading>',
    '<IntervalReading><timePeriod><duration>900</duration><start>1752471900</start></timePeriod><value>n/a</value></IntervalReading>'
  ])
  expect(textsOf(text, 'quality')).toEqual(new Array(16).fill('8'))
  expect(readings).toHaveLength(96)
})

test('what is promised is what is written, one direction after the other', () => {
  const days = [0, 1].map(i => makeMeterDay({ esiid, date: addDays('2025-11-01', i), solar: true, missing: 1 }))
  const feed = makeGreenButton(days)
  const expected = [...feed.expected()]
  expect(textsOf(feed.bytes.toString('latin1'), 'value').map(Number)).toEqual(expected.map(({ milliKwh }) => milliKwh))
  const directions = expected.map(({ direction }) => direction)
  expect(directions.lastIndexOf('consumption')).toBeLessThan(directions.indexOf('surplus-generation'))
  expect(expected.every(({ revision }) => revision === null)).toBe(true)
  expect(feed.totals.rows).toEqual({ read: 392, accepted: 388, rejected: 0, placeholder: 0, missing: 4 })
})

test.each([
  ['2025-03-09', 92, 82_800],
  ['2025-07-14', 96, 86_400],
  ['2025-11-02', 100, 90_000]
])('%s is a block of %d readings that lasts %d seconds', (date, readings, seconds) => {
  const text = textOf(date)
  const starts = centralDay(date, { placeholders: false }).map(({ start }) => new Date(start!).toISOString())
  expect(startsOf(text)).toEqual(starts)
  expect(new Set(starts).size).toBe(readings)
  expect(text).toContain(`<interval><duration>${seconds}</duration><start>${Date.parse(starts[0]!) / 1000}</start>`)
})

test('SMT’s clock begins at 00:00 as if that were UTC, leaves 00:15 out, and ends at 00:00 of the next day', () => {
  const starts = startsOf(textOf('2025-07-14', { clock: 'smt' }))
  expect(starts).toHaveLength(96)
  expect(starts.slice(0, 3)).toEqual([
    '2025-07-14T00:00:00.000Z',
    '2025-07-14T00:30:00.000Z',
    '2025-07-14T00:45:00.000Z'
  ])
  expect(starts.at(-1)).toBe('2025-07-15T00:00:00.000Z')
  const hour = (date: string, from: string, to: string) =>
    startsOf(textOf(date, { clock: 'smt' }))
      .map(start => start.slice(11, 16))
      .filter(start => start >= from && start <= to)
  expect(hour('2025-03-09', '01:45', '03:30')).toEqual(['01:45', '02:00', '03:15', '03:30'])
  const repeated = ['01:15', '01:30', '01:45', '02:00']
  expect(hour('2025-11-02', '01:00', '02:15')).toEqual(['01:00', ...repeated, ...repeated, '02:15'])
})

test('the hour that spring leaves out is written blank when that is asked for', () => {
  const feed = makeGreenButton([dayOf('2025-03-09')], { clock: 'smt', placeholders: true })
  const text = feed.bytes.toString('latin1')
  expect([startsOf(text).length, textsOf(text, 'value').length]).toEqual([96, 92])
  expect(feed.totals.rows).toMatchObject({ read: 96, accepted: 92, placeholder: 4 })
})

test.each([
  ['default', '<feed xmlns="http://www.w3.org/2005/Atom">', '<IntervalBlock xmlns="http://naesb.org/espi">'],
  ['espi', '<feed xmlns="http://www.w3.org/2005/Atom" xmlns:espi="http://naesb.org/espi">', '<espi:IntervalBlock>'],
  ['ns0', '<feed xmlns="http://www.w3.org/2005/Atom" xmlns:ns0="http://naesb.org/espi">', '<ns0:IntervalBlock>'],
  [
    'swapped',
    '<espi:feed xmlns:espi="http://www.w3.org/2005/Atom" xmlns:atom="http://naesb.org/espi">',
    '<atom:IntervalBlock>'
  ]
] as const)('namespaces are bound as %s', (prefixes, feed, block) => {
  const text = textOf('2025-07-14', { prefixes })
  expect(text).toContain(feed)
  expect(text).toContain(block)
})

test.each([
  ['title', `<title>ESIID ${esiid}</title>`, 1],
  ['name', `<name>${esiid}</name>`, 1],
  ['link', `/UsagePoint/${esiid}"`, 1],
  ['nowhere', esiid, 0]
] as const)('the ESIID stands in the %s', (where, words, times) => {
  expect(textOf('2025-07-14', { esiid: where }).split(words)).toHaveLength(times + 1)
})

test('meter and types stand before the blocks, or behind them', () => {
  const order = (text: string) => [...text.matchAll(/<(UsagePoint|ReadingType|IntervalBlock) /g)].map(match => match[1])
  expect(order(textOf('2025-07-14'))).toEqual(['UsagePoint', 'ReadingType', 'IntervalBlock'])
  expect(order(textOf('2025-07-14', { order: 'last' }))).toEqual(['IntervalBlock', 'UsagePoint', 'ReadingType'])
})

test('other units are the same energy, and estimates may be kept quiet', () => {
  const day = makeMeterDay({ esiid, date: '2025-07-14', estimated: true })
  const [plain, thousandths] = ([0, -3] as const).map(power =>
    makeGreenButton([day], { power }).bytes.toString('latin1')
  )
  expect(textsOf(thousandths!, 'value').map(value => Number(value) / 1000)).toEqual(
    textsOf(plain!, 'value').map(Number)
  )
  expect(textsOf(thousandths!, 'powerOfTenMultiplier')).toEqual(['-3'])
  const quiet = makeGreenButton([day], { quality: false })
  expect(textsOf(quiet.bytes.toString('latin1'), 'quality')).toEqual([])
  expect([...quiet.expected()].some(({ estimated }) => estimated)).toBe(false)
  expect(quiet.totals.estimated).toBe(0)
})

test('the chunks of a feed are its bytes, and a feed is of one meter', () => {
  const days = [dayOf('2025-07-14'), dayOf('2025-07-15')]
  expect(Buffer.concat([...greenButtonChunks(days)])).toEqual(makeGreenButton(days).bytes)
  const other = makeMeterDay({ esiid: makeEsiid(2), date: '2025-07-14' })
  expect(() => makeGreenButton([...days, other])).toThrow('a feed is of one meter, not of 2')
  expect(() => makeGreenButton([])).toThrow(RangeError)
})
