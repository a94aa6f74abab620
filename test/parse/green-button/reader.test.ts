import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, test } from 'vitest'
import { ParseError } from '../../../src/errors.ts'
import {
  type GreenButtonOptions,
  type GreenButtonOutcome,
  GreenButtonReader,
  type GreenButtonReading
} from '../../../src/parse/green-button/reader.ts'
import { looksLikeGreenButton } from '../../../src/parse/green-button/recognise.ts'
import { addDays, centralDay, quarterHours } from '../../../src/testing/central-days.ts'
import { type GreenButtonFeed, greenButtonChunks, makeGreenButton } from '../../../src/testing/green-button.ts'
import { makeEsiid, makeMeterDay, spoiledReading } from '../../../src/testing/meter-days.ts'

const esiid = makeEsiid(1)
const espi = 'xmlns="http://naesb.org/espi"'
const atom = 'xmlns="http://www.w3.org/2005/Atom"'
/** 2025-07-14 00:00 in Texas, and the same wall clock taken for UTC, in epoch seconds. */
const [midnight, wallMidnight] = [Date.parse('2025-07-14T05:00Z') / 1000, Date.parse('2025-07-14T00:00Z') / 1000]

function readAll(bytes: string | Uint8Array | Iterable<Uint8Array>, options: GreenButtonOptions = {}) {
  const reader = new GreenButtonReader(options)
  const chunks = typeof bytes === 'string' ? [Buffer.from(bytes)] : bytes instanceof Uint8Array ? [bytes] : bytes
  const outcomes: GreenButtonOutcome[] = []
  for (const chunk of chunks) outcomes.push(...reader.push(chunk))
  outcomes.push(...reader.end())
  return outcomes
}

const resultsOf = (bytes: Parameters<typeof readAll>[0], options?: GreenButtonOptions) =>
  readAll(bytes, options).map(({ result }) => result)

const readingsOf = (bytes: Parameters<typeof readAll>[0], options?: GreenButtonOptions) =>
  resultsOf(bytes, options).filter((result): result is GreenButtonReading => typeof result === 'object')

function failureOf(bytes: Parameters<typeof readAll>[0], options?: GreenButtonOptions): ParseError {
  try {
    readAll(bytes, options)
  } catch (error) {
    if (error instanceof ParseError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

/** What a maker promises, in the words of the reader. */
const promised = (feed: GreenButtonFeed) =>
  [...feed.expected()].map(({ esiid, start, milliKwh, estimated, direction }) => ({
    esiid,
    start,
    minutes: 15,
    units: milliKwh * 100,
    estimated,
    direction: direction === 'consumption' ? 0 : 1
  }))

// A feed written by hand, piece by piece.

const entry = (content: string, ...links: readonly string[]) =>
  `<entry>${links.map(link => `<link ${link}/>`).join('')}<title/><content>${content}</content></entry>\n`
const usagePoint = (name = esiid) =>
  entry(`<UsagePoint ${espi}><ServiceDeliveryPoint><name>${name}</name></ServiceDeliveryPoint></UsagePoint>`)
const typeFields = { flowDirection: 1, powerOfTenMultiplier: 0, uom: 72 } as Record<string, unknown>
const readingType = (fields: Record<string, unknown> = {}, id = '07') =>
  entry(
    `<ReadingType ${espi}>${Object.entries({ ...typeFields, ...fields })
      .map(([name, value]) => (value === undefined ? '' : `<${name}>${value}</${name}>`))
      .join('')}</ReadingType>`,
    `rel="self" href="https://smt.example/espi/1_1/resource/ReadingType/${id}"`
  )
const meterReading = (id: string, type: string) =>
  entry(
    `<MeterReading ${espi}/>`,
    `rel="self" href="/espi/1_1/resource/UsagePoint/01/MeterReading/${id}"`,
    `rel="related" href="ReadingType/${type}"`
  )
const period = (start: number | string, duration: number | string = 900) =>
  `<timePeriod><duration>${duration}</duration><start>${start}</start></timePeriod>`
const reading = (start: number | string, value: number | string, more = '') =>
  `<IntervalReading>${more}${period(start)}<value>${value}</value></IntervalReading>\n`
const block = (readings: string, start: number | undefined = midnight, ...links: readonly string[]) =>
  entry(
    `<IntervalBlock ${espi}>${
      start === undefined ? '' : `<interval><duration>86400</duration><start>${start}</start></interval>\n`
    }${readings}</IntervalBlock>`,
    ...links
  )
const ofMeterReading = (id: string) => [
  `rel="self" href="https://smt.example/espi/1_1/resource/UsagePoint/01/MeterReading/${id}/IntervalBlock/173"`,
  `rel="up" href="https://smt.example/espi/1_1/resource/UsagePoint/01/MeterReading/${id}/IntervalBlock"`
]
const feedOf = (...entries: readonly string[]) => `<?xml version="1.0"?>\n<feed ${atom}>\n${entries.join('')}</feed>\n`
const oneBlock = (...readings: readonly string[]) => feedOf(usagePoint(), readingType(), block(readings.join('')))
/** A plain reading of the first quarter hour, for what matters around it. */
const plain = block(reading(midnight, 231))

describe('a feed as the standard has it', () => {
  // The entries, links and elements of NAESB's ESPI schema, in its order; a title in letters of two to four bytes.
  const golden = `<?xml version="1.0" encoding="UTF-8"?>
<?xml-stylesheet type="text/xsl" href="GreenButtonDataStyleSheet.xslt"?>
<!-- Zähler für 🏠 -->
<feed xmlns="http://www.w3.org/2005/Atom" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
  <id>urn:uuid:0071C5A7-91CF-434E-8BCE-C38AC8AF215D</id>
  <title>Grün – 緑 – 🟢</title>
  <updated>2025-07-15T11:41:12Z</updated>
  <link rel="self" href="/espi/1_1/resource/Batch/Subscription/1"/>
  <entry>
    <id>urn:uuid:6B0B1F2A-0001-4000-8000-000000000001</id>
    <link rel="self" href="/espi/1_1/resource/RetailCustomer/1/UsagePoint/01"/>
    <link rel="up" href="/espi/1_1/resource/RetailCustomer/1/UsagePoint"/>
    <link rel="related" href="/espi/1_1/resource/RetailCustomer/1/UsagePoint/01/MeterReading"/>
    <link rel="related" href="/espi/1_1/resource/LocalTimeParameters/01"/>
    <title>ESIID: ${esiid}</title>
    <content>
      <UsagePoint xmlns="http://naesb.org/espi"><ServiceCategory><kind>0</kind></ServiceCategory></UsagePoint>
    </content>
  </entry>
  <entry>
    <link rel="self" href="/espi/1_1/resource/LocalTimeParameters/01"/>
    <title>Central Time</title>
    <content>
      <LocalTimeParameters xmlns="http://naesb.org/espi">
        <dstEndRule>B40E2000</dstEndRule><dstOffset>3600</dstOffset>
        <dstStartRule>360E2000</dstStartRule><tzOffset>18000</tzOffset>
      </LocalTimeParameters>
    </content>
  </entry>
  <entry>
    <link rel="self" href="/espi/1_1/resource/RetailCustomer/1/UsagePoint/01/MeterReading/01"/>
    <link rel="up" href="/espi/1_1/resource/RetailCustomer/1/UsagePoint/01/MeterReading"/>
    <link rel="related" href="/espi/1_1/resource/RetailCustomer/1/UsagePoint/01/MeterReading/01/IntervalBlock"/>
    <link rel="related" href="/espi/1_1/resource/ReadingType/07"/>
    <title>Fifteen Minute Electricity Consumption</title>
    <content><MeterReading xmlns="http://naesb.org/espi"/></content>
  </entry>
  <entry>
    <link rel="self" href="/espi/1_1/resource/ReadingType/07"/>
    <link rel="up" href="/espi/1_1/resource/ReadingType"/>
    <title>Energy Delivered (WH)</title>
    <content>
      <ReadingType xmlns="http://naesb.org/espi">
        <accumulationBehaviour>4</accumulationBehaviour>
        <commodity>1</commodity>
        <currency>840</currency>
        <dataQualifier>12</dataQualifier>
        <flowDirection>1</flowDirection>
        <intervalLength>900</intervalLength>
        <kind>12</kind>
        <phase>769</phase>
        <powerOfTenMultiplier>0</powerOfTenMultiplier>
        <timeAttribute>0</timeAttribute>
        <uom>72</uom>
        <argument><numerator>1</numerator><denominator>2</denominator></argument>
      </ReadingType>
    </content>
  </entry>
  <entry>
    <link rel="self" href="/espi/1_1/resource/RetailCustomer/1/UsagePoint/01/MeterReading/01/IntervalBlock/173"/>
    <link rel="up" href="/espi/1_1/resource/RetailCustomer/1/UsagePoint/01/MeterReading/01/IntervalBlock"/>
    <title/>
    <content>
      <IntervalBlock xmlns="http://naesb.org/espi">
        <interval>
          <duration>86400</duration>
          <start>1752469200</start>
          <!-- 2025-07-14 00:00 in Texas -->
        </interval>
        <IntervalReading>
          <cost>974</cost>
          <timePeriod>
            <duration>900</duration>
            <start>1752469200</start>
          </timePeriod>
          <value>231</value>
        </IntervalReading>
        <IntervalReading>
          <ReadingQuality>
            <quality>8</quality>
          </ReadingQuality>
          <timePeriod>
            <duration>900</duration>
            <start>1752470100</start>
          </timePeriod>
          <value> 874 </value>
        </IntervalReading>
        <!-- Nach der Stromunterbrechung fehlt einer: ∅ -->
        <IntervalReading>
          <timePeriod><duration>900</duration><start>1752471000</start></timePeriod>
        </IntervalReading>
        <IntervalReading
          ><timePeriod><duration>900</duration><start>1752471900</start></timePeriod><value>n/a</value></IntervalReading>
      </IntervalBlock>
    </content>
  </entry>
</feed>
`
  const common = { esiid, minutes: 15, direction: 0 }
  const goldenResults = [
    { ...common, start: Date.parse('2025-07-14T05:00Z'), units: 23_100, estimated: false },
    { ...common, start: Date.parse('2025-07-14T05:15Z'), units: 87_400, estimated: true },
    'missing',
    'ROW_BAD_KWH'
  ]

  test('reads a feed written by hand from the schema', () => {
    expect(resultsOf(golden)).toEqual(goldenResults)
  })

  test('tells the line and the byte offset of each reading, whatever letters stand before it', () => {
    const at = [...golden.matchAll(/<IntervalReading\b/g)].map(({ index }) => golden.slice(0, index))
    expect(readAll(golden).map(({ line, offset }) => [line, offset])).toEqual(
      at.map(before => [before.split('\n').length, Buffer.byteLength(before)])
    )
  })

  test.each(['\r\n', '\r'])('reads lines that end in %j', lineEnd => {
    const text = golden.replaceAll('\n', lineEnd)
    const at = [...text.matchAll(/<IntervalReading\b/g)].map(({ index }) => text.slice(0, index))
    expect(readAll(text)).toEqual(
      at.map((before, i) => ({
        line: before.split(lineEnd).length,
        offset: Buffer.byteLength(before),
        result: goldenResults[i]
      }))
    )
  })

  test('reads the same outcomes wherever a chunk ends', () => {
    const text = `\ufeff${golden.slice(0, golden.indexOf('<entry>'))}${golden.slice(golden.lastIndexOf('<entry>'))}`
    const bytes = Buffer.from(
      text.replace('</feed>', `${usagePoint()}${readingType()}</feed>`).replaceAll('\n', '\r\n')
    )
    const whole = readAll(bytes)
    expect(whole.map(({ result }) => result)).toEqual(goldenResults)
    const differing: number[] = []
    for (let cut = 0; cut <= bytes.length; cut++) {
      const outcomes = readAll([bytes.subarray(0, cut), bytes.subarray(cut)])
      if (JSON.stringify(outcomes) !== JSON.stringify(whole)) differing.push(cut)
    }
    expect(differing).toEqual([])
    expect(readAll(Array.from(bytes, (_, i) => bytes.subarray(i, i + 1)))).toEqual(whole)
  })

  test('counts offsets from the first byte, a byte-order mark included', () => {
    expect(readAll(`\ufeff${golden}`).map(({ offset }) => offset)).toEqual(readAll(golden).map(o => o.offset + 3))
  })

  test.each(['default', 'espi', 'ns0', 'swapped'] as const)('takes no notice of prefixes: %s', prefixes => {
    const feed = makeGreenButton([makeMeterDay({ esiid, date: '2025-07-14', solar: true, estimated: true })], {
      prefixes
    })
    expect(readingsOf(feed.bytes)).toEqual(promised(feed))
  })

  test('takes no notice of elements of the same names in other namespaces', () => {
    const foreign = '<x:IntervalReading xmlns:x="urn:x"><x:value>5</x:value></x:IntervalReading>'
    const within = `<x:value xmlns:x="urn:x">7</x:value>`
    expect(resultsOf(oneBlock(foreign, reading(midnight, 231, within), foreign))).toMatchObject([{ units: 23_100 }])
  })

  test('reads both directions of a meter, missing and spoiled readings among them', () => {
    const day = makeMeterDay({ esiid, date: '2025-07-14', solar: true, estimated: true, missing: 2 })
    day.series[1]!.milliKwh[40] = spoiledReading
    const feed = makeGreenButton([day, makeMeterDay({ esiid, date: '2025-07-15', solar: true })])
    const results = resultsOf(feed.bytes)
    expect(results.filter(result => typeof result === 'object')).toEqual(promised(feed))
    expect(new Set(readingsOf(feed.bytes).map(({ direction }) => direction))).toEqual(new Set([0, 1]))
    const { rows } = feed.totals
    expect(results.filter(result => result === 'missing')).toHaveLength(rows.missing)
    expect(results.filter(result => result === 'ROW_BAD_KWH')).toHaveLength(rows.rejected)
    expect(results).toHaveLength(rows.read)
  })

  test.each([
    ['2025-03-09', 92],
    ['2025-07-14', 96],
    ['2025-11-02', 100]
  ])('gives %s its %d distinct instants', (date, instants) => {
    const feed = makeGreenButton([makeMeterDay({ esiid, date })])
    const readings = readingsOf(feed.bytes)
    expect(readings).toEqual(promised(feed))
    expect(new Set(readings.map(({ start }) => start)).size).toBe(instants)
  })

  test('lets a missing start, value or duration in one reading shift no other', () => {
    const quarters = [0, 1, 2, 3, 4, 5].map(n => reading(midnight + n * 900, 100 + n))
    quarters[1] = quarters[1]!.replace(/<start>.*<\/start>/, '')
    quarters[2] = quarters[2]!.replace(/<value>.*<\/value>/, '')
    quarters[3] = quarters[3]!.replace(/<duration>.*<\/duration>/, '')
    quarters[4] = quarters[4]!.replace(/<timePeriod>.*<\/timePeriod>/, '')
    expect(resultsOf(oneBlock(...quarters))).toMatchObject([
      { start: midnight * 1000, units: 10_000 },
      'ROW_BAD_TIME',
      'missing',
      'ROW_NOT_15_MINUTES',
      'ROW_BAD_TIME',
      { start: (midnight + 5 * 900) * 1000, units: 10_500 }
    ])
  })

  test('reads each part of a reading in any order, and where its own parent is', () => {
    const turned = `<IntervalReading><value>231</value><ReadingQuality><quality>9</quality></ReadingQuality>
      <timePeriod><start>${midnight}</start><duration>900</duration></timePeriod><cost><value>9</value></cost>
      <other><start>1</start><duration>1</duration><quality>0</quality></other></IntervalReading>`
    expect(resultsOf(oneBlock(turned))).toMatchObject([{ start: midnight * 1000, units: 23_100, estimated: true }])
  })

  test('rejects a reading that says a thing twice', () => {
    const twice = (what: RegExp) => reading(midnight, 231).replace(what, '$&$&')
    expect(
      resultsOf(oneBlock(twice(/<value>.*<\/value>/), twice(/<start>.*<\/start>/), twice(/<duration>.*<\/duration>/)))
    ).toEqual(['ROW_BAD_KWH', 'ROW_BAD_TIME', 'ROW_NOT_15_MINUTES'])
  })

  test('reads several blocks in one entry, and blocks that are empty', () => {
    const blocks = [0, 1, 2].map(
      n => `<IntervalBlock ${espi}>${n === 1 ? '' : reading(midnight + n * 900, n)}</IntervalBlock>`
    )
    const whole = feedOf(usagePoint(), readingType(), plain, entry(blocks.join('')))
    expect(resultsOf(whole)).toMatchObject([{ units: 23_100 }, { units: 0 }, { units: 200 }])
  })

  test('gives nothing for a feed without blocks', () => {
    expect(readAll(feedOf(usagePoint(), readingType()))).toEqual([])
    expect(readAll(feedOf())).toEqual([])
    expect(readAll(feedOf(block('')))).toEqual([])
  })

  test('reads ESPI that no Atom is around', () => {
    const bare = `<e:All xmlns:e="http://naesb.org/espi"><e:ReadingType><e:uom>72</e:uom><e:flowDirection>19</e:flowDirection>
      </e:ReadingType><e:UsagePoint><e:name>${esiid}</e:name></e:UsagePoint><e:IntervalBlock><e:interval><e:start>${midnight}
      </e:start></e:interval><e:IntervalReading><e:timePeriod><e:duration>900</e:duration><e:start>${midnight}</e:start>
      </e:timePeriod><e:value>5</e:value></e:IntervalReading></e:IntervalBlock></e:All>`
    expect(resultsOf(bare)).toMatchObject([{ esiid, start: midnight * 1000, units: 500, direction: 1 }])
  })

  test('gives readings as they come when what they need stands before them', () => {
    const { bytes: text } = makeGreenButton([makeMeterDay({ esiid, date: '2025-07-14' })])
    const reader = new GreenButtonReader()
    const given = Array.from(text, (_, i) => reader.push(text.subarray(i, i + 1)).length)
    expect(given.filter(count => count > 0)).toEqual(new Array(96).fill(1))
    expect(reader.end()).toEqual([])
  })
})

describe('what a reading says', () => {
  test.each([
    ['0', 0, 0],
    ['-0', 0, 0],
    ['+231', 0, 23_100],
    [' 0231\n', 0, 23_100],
    ['<![CDATA[231]]>', 0, 23_100],
    ['2<!-- -->31', 0, 23_100],
    ['&#50;31', 0, 23_100],
    ['231', -2, 231],
    ['231000', -3, 23_100],
    ['1230', -3, 123],
    ['1', -2, 1],
    ['2', 3, 200_000],
    ['9999999', 3, 999_999_900_000],
    ['999999999999', -2, 999_999_999_999],
    ['1000000000000', -12, 100],
    ['281474976710655', -4, 'ROW_KWH_OUT_OF_RANGE'],
    ['231', -3, 'ROW_KWH_OUT_OF_RANGE'],
    ['10000000000', 0, 'ROW_KWH_OUT_OF_RANGE'],
    ['1', 12, 'ROW_KWH_OUT_OF_RANGE'],
    ['1000000000000000000000', -12, 'ROW_KWH_OUT_OF_RANGE'],
    ['-5', 0, 'ROW_NEGATIVE_KWH'],
    ['231.0', 0, 'ROW_BAD_KWH'],
    ['0.231', 3, 'ROW_BAD_KWH'],
    ['2e3', 0, 'ROW_BAD_KWH'],
    ['0x10', 0, 'ROW_BAD_KWH'],
    ['NaN', 0, 'ROW_BAD_KWH'],
    ['1 2', 0, 'ROW_BAD_KWH'],
    ['1<b/>2', 0, 'ROW_BAD_KWH'],
    ['', 0, 'missing'],
    ['  ', 0, 'missing']
  ])('takes the value %j times ten to the power %d as %j', (value, powerOfTenMultiplier, expected) => {
    const text = feedOf(usagePoint(), readingType({ powerOfTenMultiplier }), block(reading(midnight, value)))
    const [result] = resultsOf(text)
    expect(typeof result === 'object' ? result.units : result).toBe(expected)
  })

  test('gives every whole number of Wh exactly, whatever power it is written in', () => {
    for (const power of [0, -3] as const) {
      const feed = makeGreenButton([makeMeterDay({ esiid, date: '2025-07-14' })], { power })
      expect(readingsOf(feed.bytes)).toEqual(promised(feed))
    }
  })

  test.each([
    ['a quarter of an hour', midnight, 900, 15],
    ['half an hour', midnight, 1800, 30],
    ['an hour', midnight, 3600, 60],
    ['a day', midnight, 86_400, 'ROW_NOT_15_MINUTES'],
    ['a second less', midnight, 899, 'ROW_NOT_15_MINUTES'],
    ['no time at all', midnight, 0, 'ROW_NOT_15_MINUTES'],
    ['nothing readable', midnight, 'PT15M', 'ROW_NOT_15_MINUTES'],
    ['blank', midnight, '', 'ROW_NOT_15_MINUTES'],
    ['a quarter beside the grid', midnight + 300, 900, 'ROW_NOT_15_MINUTES'],
    ['an hour beside the grid', midnight + 900, 3600, 'ROW_NOT_15_MINUTES'],
    ['milliseconds', `${midnight}000`, 900, 'ROW_BAD_TIME'],
    ['a date', '2025-07-14T05:00:00Z', 900, 'ROW_BAD_TIME'],
    ['a fraction', `${midnight}.5`, 900, 'ROW_BAD_TIME'],
    ['before 1970', -900, 900, 'ROW_BAD_TIME'],
    ['no start', '', 900, 'ROW_BAD_TIME']
  ])('takes %s', (_, start, duration, expected) => {
    const [result] = resultsOf(
      oneBlock(`<IntervalReading>${period(start, duration)}<value>231</value></IntervalReading>`, reading(midnight, 1))
    )
    expect(typeof result === 'object' ? result.minutes : result).toBe(expected)
  })

  test('takes the length of the type for a reading that does not say how long it is', () => {
    const untold = reading(midnight, 231).replace(/<duration>.*<\/duration>/, '')
    const minutesOf = (intervalLength?: unknown) => {
      const [result] = resultsOf(feedOf(usagePoint(), readingType({ intervalLength }), block(untold)))
      return typeof result === 'object' ? result.minutes : result
    }
    expect([900, 3600, undefined, 'x'].map(minutesOf)).toEqual([15, 60, 'ROW_NOT_15_MINUTES', 'ROW_NOT_15_MINUTES'])
  })

  const qualityOf = (codes: readonly unknown[], fields: Record<string, unknown> = {}) => {
    const more = codes.map(code => `<ReadingQuality><quality>${code}</quality></ReadingQuality>`).join('')
    const [result] = resultsOf(feedOf(usagePoint(), readingType(fields), block(reading(midnight, 231, more))))
    return typeof result === 'object' ? result.estimated : result
  }

  test.each([
    ['valid', 0, false],
    ['manually edited', 7, false],
    ['estimated by a reference day', 8, true],
    ['estimated by interpolation', 9, true],
    ['questionable', 10, false],
    ['derived', 11, false],
    ['projected', 12, true],
    ['mixed', 13, true],
    ['raw', 14, false],
    ['normalized for weather', 15, true],
    ['other', 16, false],
    ['validated', 17, false],
    ['verified', 18, false],
    ['revenue quality', 19, false],
    ['a code that the schema does not know', 1, 'ROW_BAD_FLAG'],
    ['no code', '', 'ROW_BAD_FLAG']
  ])('takes the quality %s', (_, code, expected) => {
    expect(qualityOf([code])).toBe(expected)
  })

  test('takes the worst of several qualities, and the default of the type for none', () => {
    expect([qualityOf([0, 8, 17]), qualityOf([8, 0]), qualityOf([8, 99, 0])]).toEqual([true, true, 'ROW_BAD_FLAG'])
    expect([qualityOf([]), qualityOf([], { defaultQuality: 9 })]).toEqual([false, true])
    expect(qualityOf([17], { defaultQuality: 9 })).toBe(false)
  })
})

describe('SMT’s clock', () => {
  const days = (from: string, count: number, solar = false) =>
    Array.from({ length: count }, (_, i) =>
      makeMeterDay({ esiid, date: addDays(from, i), solar, estimated: i % 3 === 0 })
    )
  const startsOf = (text: string | Buffer) =>
    resultsOf(text).map(result => (typeof result === 'object' ? new Date(result.start).toISOString() : result))
  const wall = (label: number, value: number | string = label, date = wallMidnight) =>
    reading(date + label * 900, value)
  /** A day as SMT writes it: 00:00, 00:30, 00:45 … 00:00 of the next. */
  const wallDay = (labels: readonly number[], date = wallMidnight) =>
    block(labels.map(label => wall(label, label, date)).join(''), date)
  const ordinaryLabels = [0, ...Array.from({ length: 95 }, (_, i) => i + 2)]
  /** A whole ordinary day, so that the file’s clock is known. */
  const proof = wallDay(ordinaryLabels)
  const about = usagePoint() + readingType()

  test('reads a day whose starts are the wall clock’s ends', () => {
    // Two at 00:00 where two days meet, and none at 00:15: how SMT's exports show.
    const nextDay = wallMidnight + 86_400
    const text = feedOf(proof, wallDay([0, 2, 3], nextDay), about)
    const starts = startsOf(text)
    expect([starts[0], starts[1], starts[95]]).toEqual([
      '2025-07-14T05:00:00.000Z',
      '2025-07-14T05:15:00.000Z',
      '2025-07-15T04:45:00.000Z'
    ])
    expect(starts.slice(96)).toEqual([
      '2025-07-15T05:00:00.000Z',
      '2025-07-15T05:15:00.000Z',
      '2025-07-15T05:30:00.000Z'
    ])
    expect(new Set(starts).size).toBe(99)
  })

  test.each([
    ['2025-03-01', 14],
    ['2025-10-26', 14]
  ])('reads both directions of the days from %s as the same instants as in UTC', (from, count) => {
    for (const order of ['first', 'last'] as const) {
      const feed = makeGreenButton(days(from, count, true), { clock: 'smt', order })
      expect(readingsOf(feed.bytes)).toEqual(promised(feed))
    }
  })

  test.each([
    ['2025-03-09', 92],
    ['2025-11-02', 100]
  ])('gives %s its %d distinct instants', (date, instants) => {
    const readings = readingsOf(makeGreenButton(days(addDays(date, -1), 3), { clock: 'smt' }).bytes)
    const day = readings.filter(({ start }) => centralDay(date).some(slot => slot.start === start))
    expect(new Set(day.map(({ start }) => start)).size).toBe(instants)
    expect(readings).toHaveLength(192 + quarterHours(date))
  })

  test('lets a missing reading shift no other', () => {
    const whole = startsOf(feedOf(about, proof))
    for (const gap of [0, 1, 40, 94]) {
      const starts = startsOf(feedOf(about, wallDay(ordinaryLabels.filter((_, i) => i !== gap))))
      expect(starts).toEqual(whole.filter((_, i) => i !== gap))
    }
  })

  test('knows blank readings in the hour that spring leaves out for placeholders, and rejects others there', () => {
    const feed = makeGreenButton(days('2025-03-08', 2), { clock: 'smt', placeholders: true })
    const results = resultsOf(feed.bytes)
    expect(results.filter(result => typeof result === 'object')).toEqual(promised(feed))
    expect(results.filter(result => result === 'placeholder')).toHaveLength(4)
    expect(results).toHaveLength(feed.totals.rows.read)
    const spring = Date.parse('2025-03-09T00:00Z') / 1000
    expect(startsOf(feedOf(about, wallDay([0, 8, 9, 12, 13, 96], spring)))).toEqual([
      '2025-03-09T06:00:00.000Z',
      '2025-03-09T07:45:00.000Z',
      'ROW_NONEXISTENT_HOUR',
      'ROW_NONEXISTENT_HOUR',
      '2025-03-09T08:00:00.000Z',
      '2025-03-10T04:45:00.000Z'
    ])
    const partOfDay = block(wall(8, 1, spring) + wall(9, '', spring) + wall(13, 2, spring), spring)
    expect(startsOf(feedOf(about, proof, partOfDay)).slice(96)).toEqual([
      '2025-03-09T07:45:00.000Z',
      'placeholder',
      '2025-03-09T08:00:00.000Z'
    ])
  })

  test.each([
    ['2025-03-09', 92],
    ['2025-11-02', 100]
  ])('reads %s, too, when its starts count on over the clock change', (date, instants) => {
    const labels = [0, ...Array.from({ length: instants - 1 }, (_, i) => i + 2)]
    const starts = startsOf(feedOf(about, proof, wallDay(labels, Date.parse(`${date}T00:00Z`) / 1000))).slice(96)
    expect(starts).toEqual(centralDay(date, { placeholders: false }).map(({ start }) => new Date(start!).toISOString()))
    // The day alone is proof enough when it says how long it is.
    const alone = wallDay(labels, Date.parse(`${date}T00:00Z`) / 1000).replace('>86400<', `>${instants * 900}<`)
    expect(startsOf(feedOf(about, alone))).toEqual(starts)
  })

  describe('in the hour that autumn repeats', () => {
    const autumn = Date.parse('2025-11-02T00:00Z') / 1000
    const hourOf = (...labels: readonly number[]) =>
      startsOf(feedOf(about, proof, wallDay([...labels, 9, 96], autumn)))
        .slice(96, 96 + labels.length)
        .map(start => /T(.*):00\.000Z$/.exec(start)?.[1] ?? start)

    test('begins the second pass where the labels turn back', () => {
      const both = ['06:00', '06:15', '06:30', '06:45', '07:00', '07:15', '07:30', '07:45']
      expect(hourOf(5, 6, 7, 8, 5, 6, 7, 8)).toEqual(both)
      expect(hourOf(5, 7, 8, 5, 6, 8)).toEqual(both.filter((_, i) => i !== 1 && i !== 6))
      expect(hourOf(5, 6, 7, 8, 8)).toEqual([...both.slice(0, 4), '07:45'])
    })

    test('takes no notice of a reading that is of no such day', () => {
      const labels = [5, 6, 7, 8, 5, 6, 7, 8]
      const day = wallDay([...labels, 9, 96, 500], autumn)
      const starts = startsOf(feedOf(about, proof, day)).slice(96)
      expect(starts.slice(0, 8).map(start => start.slice(11, 16))).toEqual(hourOf(...labels))
      expect(starts.at(-1)).toBe('ROW_BAD_TIME')
    })

    test('rejects what follows, too, when the hour is listed once: the day may count on', () => {
      const starts = startsOf(feedOf(about, proof, wallDay([0, 2, 3, 4, 5, 6, 7, 8, 9, 96], autumn))).slice(96)
      expect(starts.slice(0, 4).every(start => start.startsWith('2025-11-02T05:'))).toBe(true)
      expect(starts.slice(4)).toEqual(new Array(6).fill('ROW_AMBIGUOUS_HOUR'))
    })

    test('rejects a pass that comes after the hour is over', () => {
      const starts = startsOf(feedOf(about, proof, wallDay([0, 5, 6, 9, 7, 8, 10], autumn))).slice(96)
      const [before, ninth, tenth] = ['2025-11-02T05:00', '2025-11-02T08:00', '2025-11-02T08:15'].map(
        at => `${at}:00.000Z`
      )
      const rejected = 'ROW_AMBIGUOUS_HOUR'
      expect(starts).toEqual([before, rejected, rejected, ninth, rejected, rejected, tenth])
    })

    test.each([
      ['that is listed once', [5, 6, 7, 8]],
      ['that is sorted by its labels', [5, 5, 6, 6, 7, 7, 8, 8]],
      ['of which one label stands beside itself', [5, 6, 6, 7, 8]],
      ['that turns back twice', [5, 6, 5, 6, 5, 6]]
    ])('rejects a pass %s', (_, labels) => {
      expect(new Set(hourOf(...labels))).toEqual(new Set(['ROW_AMBIGUOUS_HOUR']))
    })
  })

  test('rejects what is no quarter hour of the day', () => {
    const odd = [
      wall(0.5),
      wall(97),
      wall(2, 'x'),
      reading('', 5),
      reading(wallMidnight + 3600, 5).replace('>900<', '>3600<')
    ]
    expect(startsOf(feedOf(about, block([wall(0), wall(96), ...odd].join(''), wallMidnight))).slice(2)).toEqual([
      'ROW_NOT_15_MINUTES',
      'ROW_BAD_TIME',
      'ROW_BAD_KWH',
      'ROW_BAD_TIME',
      'ROW_NOT_15_MINUTES'
    ])
  })

  test('lets later blocks tell the clock of earlier ones, and keeps their order', () => {
    const partOfDay = wallDay([0, 2, 3, 4], wallMidnight - 86_400)
    const starts = startsOf(feedOf(about, partOfDay, proof))
    expect(starts).toHaveLength(100)
    expect(starts.slice(0, 2)).toEqual(['2025-07-13T05:00:00.000Z', '2025-07-13T05:15:00.000Z'])
  })

  test('knows SMT’s clock by readings before their own block, too', () => {
    const starts = startsOf(feedOf(about, block(ordinaryLabels.map(label => wall(label)).join(''), midnight)))
    expect(starts).toEqual(startsOf(feedOf(about, proof)))
    expect(startsOf(feedOf(about, block(wall(0) + wall(2) + wall(3), midnight)))).toEqual(starts.slice(0, 3))
  })

  test.each([
    ['a block that begins at midnight UTC and shows no end', wallDay([0, 2, 3, 4])],
    ['a block with starts at midnight UTC and after', wallDay([0, 1, 2, 3])],
    ['a block that begins at some other time of day', block(reading(midnight + 900, 231), midnight + 900)],
    [
      'a block of many days that begins at midnight UTC',
      wallDay(Array.from({ length: 48 }, (_, i) => i * 4)).replace('>86400<', '>172800<')
    ],
    ['a block that does not say when it begins', block(reading(midnight, 231)).replace(/<interval>.*<\/interval>/s, '')]
  ])('refuses %s, unless it is told the clock', (_, undecided) => {
    const text = feedOf(about, undecided)
    expect(failureOf(text)).toMatchObject({ code: 'PARSE_GREEN_BUTTON_CLOCK', line: expect.any(Number) })
    expect(readingsOf(text, { clock: 'utc' }).length).toBeGreaterThan(0)
  })

  test.each([
    ['differ', [proof, plain]],
    ['differ', [plain, proof]],
    ['have two first quarter hours', [proof, wallDay([0, 1, 2], wallMidnight + 86_400)]],
    ['are no days', [proof, block(wall(6), wallMidnight + 3600)]],
    ['have readings before they begin', [plain, block(reading(midnight, 1), midnight + 3600)]]
  ])('refuses a feed whose blocks %s', (_, blocks) => {
    expect(failureOf(feedOf(about, ...blocks)).code).toBe('PARSE_GREEN_BUTTON_CLOCK')
  })

  test('takes the clock that it is given', () => {
    const [first, second] = readingsOf(feedOf(about, wallDay([0, 2])), { clock: 'smt' })
    expect([first!.start, second!.start]).toEqual([midnight * 1000, (midnight + 900) * 1000])
    expect(readingsOf(feedOf(about, proof), { clock: 'utc' })[0]!.start).toBe(wallMidnight * 1000)
    const before = block(reading(midnight, 1), midnight + 3600)
    expect(readingsOf(feedOf(about, before), { clock: 'utc' })[0]!.start).toBe(midnight * 1000)
    const twoFirst = failureOf(feedOf(about, wallDay([0, 1])), { clock: 'smt' })
    expect(twoFirst.code).toBe('PARSE_GREEN_BUTTON_CLOCK')
  })
})

describe('which type', () => {
  const delivered = readingType({ flowDirection: 1 }, '07')
  const received = readingType({ flowDirection: 19 }, '08')
  const readings = [meterReading('A', '07'), meterReading('B', '08')]
  const blocks = [
    block(reading(midnight, 1), midnight, ...ofMeterReading('A')),
    block(reading(midnight, 2), midnight, ...ofMeterReading('B'))
  ]
  const ofTwo = readings[0]!.replace('<title/>', '<link rel="related" href="ReadingType/08"/><title/>')
  const expected = [
    { units: 100, direction: 0 },
    { units: 200, direction: 1 }
  ]

  test.each([
    ['before the blocks', [usagePoint(), ...readings, delivered, received, ...blocks]],
    ['behind the blocks', [usagePoint(), ...blocks, received, delivered, ...readings]],
    ['between the blocks', [usagePoint(), delivered, readings[0]!, blocks[0]!, readings[1]!, received, blocks[1]!]],
    ['one before, one behind', [delivered, readings[0]!, blocks[0]!, usagePoint(), blocks[1]!, received, readings[1]!]]
  ])('finds it by the links of MeterReadings that stand %s', (_, entries) => {
    expect(resultsOf(feedOf(...entries))).toMatchObject(expected)
  })

  test('finds it by a block’s own link, and by links that stand behind the content', () => {
    const own = block(reading(midnight, 1), midnight, 'rel="related" href="ReadingType/08"')
    const behind = blocks[1]!.replace(/(<link.*?>)(<title.*<\/content>)/s, '$2$1')
    expect(behind).not.toBe(blocks[1])
    expect(resultsOf(feedOf(usagePoint(), ...readings, delivered, received, own, behind))).toMatchObject([
      { units: 100, direction: 1 },
      { units: 200, direction: 1 }
    ])
  })

  test('keeps MeterReadings of one name apart that are of different UsagePoints', () => {
    const second = (text: string) => text.replaceAll('UsagePoint/01', 'UsagePoint/02')
    const both = [meterReading('A', '07'), second(meterReading('A', '08')), delivered, received]
    const text = feedOf(usagePoint(), ...both, blocks[0]!, second(blocks[0]!))
    expect(resultsOf(text)).toMatchObject([{ direction: 0 }, { direction: 1 }])
  })

  test('goes by what a block is, rather than by what else its links name', () => {
    const others = ['up', 'related'].map(rel => `rel="${rel}" href="/UsagePoint/01/MeterReading/B"`)
    const [self] = ofMeterReading('A')
    for (const links of [
      [self!, ...others],
      [...others, self!]
    ]) {
      const text = feedOf(
        usagePoint(),
        ...readings,
        delivered,
        received,
        block(reading(midnight, 1), midnight, ...links)
      )
      expect(resultsOf(text)).toMatchObject([{ direction: 0 }])
    }
  })

  test('takes the only one where links lead nowhere', () => {
    expect(resultsOf(feedOf(usagePoint(), blocks[0]!, received))).toMatchObject([{ direction: 1 }])
    expect(resultsOf(feedOf(usagePoint(), meterReading('A', '99'), received, blocks[0]!))).toMatchObject([
      { direction: 1 }
    ])
  })

  test.each([
    ['no ReadingType at all', [usagePoint(), plain], 'no ReadingType'],
    ['two, and no links', [usagePoint(), delivered, received, plain], 'no ReadingType is tied'],
    ['two of one name', [usagePoint(), delivered, readingType({ flowDirection: 19 }, '07'), plain], 'differ'],
    ['a MeterReading with links to two', [usagePoint(), delivered, received, ofTwo, blocks[0]!], 'is tied'],
    ['a MeterReading of two', [usagePoint(), readings[0]!, meterReading('A', '08'), plain], 'of another as well'],
    ['another unit', [usagePoint(), readingType({ uom: 38 }), plain], '38, not 72'],
    ['no unit', [usagePoint(), readingType({ uom: undefined }), plain], 'not given, not 72'],
    ['another direction', [usagePoint(), readingType({ flowDirection: 4 }), plain], '4, neither 1'],
    ['no direction', [usagePoint(), readingType({ flowDirection: undefined }), plain], 'not given, neither 1'],
    ['a multiplier that is no power', [usagePoint(), readingType({ powerOfTenMultiplier: 'k' }), plain], 'is k'],
    ['a multiplier beyond reason', [usagePoint(), readingType({ powerOfTenMultiplier: 99 }), plain], 'is 99'],
    ['the dial of a register', [usagePoint(), readingType({ accumulationBehaviour: 3 }), plain], 'is 3, not 4']
  ])('refuses %s', (_, entries, words) => {
    const error = failureOf(feedOf(...entries))
    expect(error.code).toBe('PARSE_GREEN_BUTTON_TYPE')
    expect(error.message).toContain(words)
  })

  test('takes a type for Wh when it has no multiplier', () => {
    const text = feedOf(usagePoint(), readingType({ powerOfTenMultiplier: undefined }), plain)
    expect(resultsOf(text)).toMatchObject([{ units: 23_100 }])
  })

  test('lets a type be what it is as long as no block is of it', () => {
    const text = feedOf(usagePoint(), ...readings, delivered, readingType({ uom: 38 }, '08'), blocks[0]!)
    expect(resultsOf(text)).toMatchObject([{ units: 100 }])
  })
})

describe('which meter', () => {
  const long = makeEsiid(2, 22)

  test.each(['title', 'link', 'name'] as const)('finds the ESIID in the %s of the UsagePoint', where => {
    for (const one of [esiid, long]) {
      const feed = makeGreenButton([makeMeterDay({ esiid: one, date: '2025-07-14' })], { esiid: where })
      expect(readingsOf(feed.bytes)).toEqual(promised(feed))
    }
  })

  test('finds it in the feed’s own title and in its id', () => {
    const titled = (element: string) => feedOf(`<${element}>SMT ${esiid}</${element}>`, readingType(), plain)
    expect(['title', 'id'].map(element => readingsOf(titled(element))[0]!.esiid)).toEqual([esiid, esiid])
  })

  test('finds it behind the blocks', () => {
    expect(readingsOf(feedOf(readingType(), plain, usagePoint()))[0]!.esiid).toBe(esiid)
  })

  test('takes the one that it is given, and the feed may name the same', () => {
    const feed = makeGreenButton([makeMeterDay({ esiid, date: '2025-07-14' })], { esiid: 'nowhere' })
    expect(readingsOf(feed.bytes, { esiid })).toEqual(promised(feed))
    expect(readingsOf(feedOf(usagePoint(), readingType(), plain), { esiid })[0]!.esiid).toBe(esiid)
  })

  test('does not look elsewhere, and takes nothing for one that has another form', () => {
    const meter = entry(`<MeterReading ${espi}/>`, `rel="self" href="/MeterReading/${esiid}"`)
    const forms = ['10443720099990', `9${esiid}`, `${esiid}9`, '20443720009999001', `x10${'1'.repeat(16)}`]
    for (const form of forms) {
      const error = failureOf(feedOf(usagePoint(form), meter, readingType(), plain))
      expect(error).toMatchObject({ code: 'PARSE_GREEN_BUTTON_METER', file: undefined })
    }
  })

  test.each([
    ['names two', feedOf(usagePoint(), usagePoint(makeEsiid(7)), readingType(), plain), undefined],
    ['names two behind the blocks', feedOf(usagePoint(), readingType(), plain, usagePoint(makeEsiid(7))), undefined],
    ['names two in one place', feedOf(usagePoint(`${esiid} and ${makeEsiid(7)}`), readingType(), plain), undefined],
    ['is of another than it was given for', feedOf(usagePoint(), readingType(), plain), makeEsiid(7)]
  ])('refuses a feed that %s, and shows no more than the last digits', (_, text, given) => {
    const error = failureOf(text, { esiid: given, file: '/inbox/green.xml', entry: 'green.xml' })
    expect(error).toMatchObject({ code: 'PARSE_GREEN_BUTTON_METER', file: '/inbox/green.xml', entry: 'green.xml' })
    expect(error.message).toContain(`…${esiid.slice(-4)}`)
    expect(error.message).not.toContain(esiid)
  })
})

describe('XML that is not what it should be', () => {
  const good = Buffer.from(oneBlock(reading(midnight, 231)))

  test('fails for every place at which a file is cut off', () => {
    const end = good.lastIndexOf('>')
    const codes = new Set<string>()
    for (let cut = 0; cut <= end; cut++) codes.add(failureOf(good.subarray(0, cut)).code)
    expect(codes).toEqual(new Set(['PARSE_XML']))
    expect(readingsOf(good.subarray(0, end + 1))).toHaveLength(1)
  })

  test('names the file, the entry, the line and the cause', () => {
    const error = failureOf(good.toString().replace('</value>', '</valeu>'), { file: '/inbox/a.zip', entry: 'a.xml' })
    const line =
      good
        .toString()
        .split('\n')
        .findIndex(text => text.includes('<value>')) + 1
    expect(error).toBeInstanceOf(ParseError)
    expect(error).toMatchObject({ code: 'PARSE_XML', file: '/inbox/a.zip', entry: 'a.xml', line })
    expect(error.cause).toBeInstanceOf(Error)
    expect(error.message).toBe(
      `the XML is not well-formed (unexpected close tag): /inbox/a.zip entry a.xml line ${line}`
    )
  })

  const laughs = `<!DOCTYPE feed [<!ENTITY a "ha">${'bcdefghij'
    .split('')
    .map((name, i) => `<!ENTITY ${name} "${`&${'abcdefghij'[i]};`.repeat(10)}">`)
    .join('')}]>`
  const withHead = (head: string) => good.toString().replace('<feed', `${head}<feed`)
  const withTitle = (title: string) => good.toString().replace('<title/>', `<title>${title}</title>`)

  test.each([
    ['nothing', '', 'PARSE_XML'],
    ['plain text', 'ESIID,USAGE_DATE\n', 'PARSE_XML'],
    ['a second root', `${good}<feed/>`, 'PARSE_XML'],
    ['text behind the root', `${good}x`, 'PARSE_XML'],
    ['an entity that nobody declared', withTitle('&nbsp;'), 'PARSE_XML'],
    ['a prefix that nobody bound', withTitle('<x:b/>'), 'PARSE_XML'],
    ['an attribute twice', withTitle('<b a="" a=""/>'), 'PARSE_XML'],
    ['an attribute without quotes', withTitle('<b a=1/>'), 'PARSE_XML'],
    ['a control character', withTitle('\u0001'), 'PARSE_XML'],
    ['a reference to one', withTitle('&#1;'), 'PARSE_XML'],
    ['a reference beyond Unicode', withTitle('&#x110000;'), 'PARSE_XML'],
    ['an ampersand alone', withTitle('a & b'), 'PARSE_XML'],
    ['UTF-16, said and done', Buffer.from(`\ufeff${good}`, 'utf16le'), 'PARSE_XML'],
    ['UTF-16, only said', good.toString().replace('"1.0"', '"1.0" encoding="UTF-16"'), 'PARSE_XML'],
    ['Latin-1 letters', Buffer.from(withTitle('Zähler'), 'latin1'), 'PARSE_XML'],
    ['a letter cut in half at the end', Buffer.concat([good, Buffer.from([0xc3])]), 'PARSE_XML'],
    ['a plain DOCTYPE', withHead('<!DOCTYPE feed>'), 'PARSE_XML_REFUSED'],
    ['a DOCTYPE from elsewhere', withHead('<!DOCTYPE feed SYSTEM "file:///etc/passwd">'), 'PARSE_XML_REFUSED'],
    ['a billion laughs', withHead(laughs).replace('<title/>', '<title>&j;</title>'), 'PARSE_XML_REFUSED'],
    ['elements without end, one in another', withTitle('<b>'.repeat(100_000)), 'PARSE_XML_REFUSED'],
    ['a text without end', withTitle('x'.repeat(1_000_000)), 'PARSE_XML_REFUSED'],
    ['blanks without end', withTitle(' '.repeat(1_000_000)), 'PARSE_XML_REFUSED'],
    ['a text without end, in pieces', withTitle('xxxxxxxxxx<!-- -->'.repeat(30_000)), 'PARSE_XML_REFUSED'],
    ['a comment without end', withTitle(`<!--${'x'.repeat(1_000_000)}`), 'PARSE_XML_REFUSED'],
    ['a CDATA section without end', withTitle(`<![CDATA[${'x'.repeat(1_000_000)}`), 'PARSE_XML_REFUSED'],
    ['an instruction without end', withTitle(`<?x ${'x'.repeat(1_000_000)}`), 'PARSE_XML_REFUSED'],
    ['a name without end', withTitle(`<${'x'.repeat(1_000_000)}`), 'PARSE_XML_REFUSED'],
    ['an attribute without end', withTitle(`<b a="${'x'.repeat(1_000_000)}`), 'PARSE_XML_REFUSED'],
    ['a DOCTYPE without end', withHead(`<!DOCTYPE ${'x'.repeat(1_000_000)}`), 'PARSE_XML_REFUSED'],
    [
      'attributes without end',
      withTitle(`<b ${Array.from({ length: 100_000 }, (_, i) => `a${i}=""`).join(' ')}/>`),
      'PARSE_XML_REFUSED'
    ],
    [
      'ReadingTypes without end',
      feedOf(...Array.from({ length: 10_001 }, (_, i) => readingType({}, String(i)))),
      'PARSE_XML_REFUSED'
    ],
    ['two ReadingTypes in one entry', entryOfTwo(), 'PARSE_GREEN_BUTTON_SHAPE'],
    [
      'a reading outside of a block',
      feedOf(entry(reading(midnight, 1).replace('>', ` ${espi}>`))),
      'PARSE_GREEN_BUTTON_SHAPE'
    ],
    ['a reading inside a reading', oneBlock(reading(midnight, 1, reading(midnight, 2))), 'PARSE_GREEN_BUTTON_SHAPE'],
    ['a block inside a block', feedOf(block(`<IntervalBlock ${espi}/>`)), 'PARSE_GREEN_BUTTON_SHAPE']
  ])('refuses %s', (_, text, code) => {
    const bytes = typeof text === 'string' ? Buffer.from(text) : text
    const chunks = Array.from({ length: Math.ceil(bytes.length / 5000) }, (_, i) =>
      bytes.subarray(i * 5000, (i + 1) * 5000)
    )
    for (const error of [failureOf(bytes), failureOf(chunks)]) {
      expect(error.code).toBe(code)
      expect(error.line).toBeGreaterThan(0)
      expect(error.message.length).toBeLessThan(300)
    }
  })

  function entryOfTwo(): string {
    return feedOf(usagePoint(), readingType().replace('</content>', `<ReadingType ${espi}/></content>`), plain)
  }

  test.each(['utf-8', 'UTF8', 'US-ASCII', 'ISO-8859-1', 'windows-1252'])(
    'takes plain letters that are called %s',
    name => {
      expect(readingsOf(good.toString().replace('"1.0"', `"1.0" encoding="${name}"`))).toHaveLength(1)
    }
  )

  test('gives outcomes or a ParseError, and nothing else, whatever one byte is', () => {
    const bytes = Buffer.from(feedOf(usagePoint(), readingType(), ...[meterReading('A', '07')], plain))
    const codes = new Set<string>()
    for (let at = 0; at < bytes.length; at++) {
      for (const byte of [0x00, 0x20, 0x22, 0x26, 0x2f, 0x39, 0x3c, 0x3e, 0xc3]) {
        const spoiled = Buffer.from(bytes)
        spoiled[at] = byte
        try {
          codes.add(`${readAll(spoiled).length} outcomes`)
        } catch (error) {
          if (!(error instanceof ParseError)) throw error
          codes.add(error.code)
        }
      }
    }
    expect([...codes].sort()).toEqual([
      '0 outcomes',
      '1 outcomes',
      'PARSE_GREEN_BUTTON_CLOCK',
      'PARSE_GREEN_BUTTON_METER',
      'PARSE_GREEN_BUTTON_SHAPE',
      'PARSE_GREEN_BUTTON_TYPE',
      'PARSE_XML'
    ])
  })

  test('resolves the five entities of XML itself and character references', () => {
    const about = `<title>&lt;&amp;&gt;&quot;&apos; ${esiid.slice(0, 5)}&#x${esiid.charCodeAt(5).toString(16)};${esiid.slice(6)}</title>`
    expect(readingsOf(feedOf(about, readingType(), plain))[0]!.esiid).toBe(esiid)
  })

  test('gives up, by name, when too much waits for what it needs', () => {
    const readings = reading(midnight, 231).repeat(1000)
    const reader = new GreenButtonReader({ file: 'huge.xml' })
    const push = (text: string) => reader.push(Buffer.from(text))
    push(`<feed ${atom}><entry><content><IntervalBlock ${espi}>`)
    const pushAll = () => {
      for (let i = 0; i < 251; i++) expect(push(readings)).toEqual([])
    }
    const shape = expect.objectContaining({ code: 'PARSE_GREEN_BUTTON_SHAPE', file: 'huge.xml' })
    expect(pushAll).toThrow(shape)
    const blocks = feedOf(plain, block('').repeat(26_000))
    expect(() => readAll(blocks, { file: 'huge.xml' })).toThrow(shape)
  })
})

test('reads more readings and blocks than may wait, as none of them has to', () => {
  const { bytes } = makeGreenButton([makeMeterDay({ esiid, date: '2025-07-14' })])
  const text = bytes.toString()
  const [from, to] = [text.lastIndexOf('  <entry>'), text.lastIndexOf('</feed>')]
  const one = text
    .slice(from, to)
    .replace(/(<IntervalReading>.*?<\/IntervalReading>)[\s\S]*(<\/IntervalBlock>)/, '$1$2')
  const reader = new GreenButtonReader()
  const counts = [reader.push(Buffer.from(text.slice(0, from)))]
  for (let i = 0; i < 27; i++) counts.push(reader.push(Buffer.from(one.repeat(1000))))
  counts.push(reader.push(Buffer.from('</feed>')), reader.end())
  expect(counts.reduce((sum, { length }) => sum + length, 0)).toBe(27_000)
})

describe('memory', () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const heapMiB = () => {
    collect()
    return process.memoryUsage().heapUsed / 2 ** 20
  }

  test.each(['utc', 'smt'] as const)('reads 36 MiB on the clock %s and keeps none of it', clock => {
    const day = makeMeterDay({ esiid, date: '2025-07-14', estimated: true })
    const reader = new GreenButtonReader()
    let [bytes, readings, blocks] = [0, 0, 0]
    const heap: number[] = []
    for (const chunk of greenButtonChunks(new Array(2700).fill(day), { clock })) {
      bytes += chunk.length
      readings += reader.push(chunk).length
      if (++blocks % 400 === 0) heap.push(heapMiB())
    }
    readings += reader.end().length
    expect(bytes).toBeGreaterThan(36 * 2 ** 20)
    expect(readings).toBe(2700 * 96)
    expect(Math.max(...heap) - Math.min(...heap)).toBeLessThan(2)
  })
})

describe('the beginning of a file', () => {
  test.each([
    ['Atom with ESPI inside', feedOf(usagePoint())],
    ['a byte-order mark', `\ufeff${feedOf(usagePoint())}`],
    ['a byte-order mark read as Latin-1', Buffer.from(`\ufeff${feedOf(usagePoint())}`).toString('latin1')],
    [
      'an instruction and a comment before the feed',
      `<?xml version="1.0"?>\n<?xml-stylesheet href="a"?>\n<!-- <html> -->\n${feedOf(usagePoint()).slice(22)}`
    ],
    ['prefixes', '<ns1:feed xmlns:ns0="http://naesb.org/espi" xmlns:ns1="http://www.w3.org/2005/Atom">'],
    ['a single entry', `<entry ${atom}><content><IntervalBlock ${espi}>`],
    ['ESPI without Atom', `<IntervalBlock ${espi}>`],
    ['quotes of the other kind', "<feed\n\txmlns='http://www.w3.org/2005/Atom' xmlns:e='http://naesb.org/espi'>"]
  ])('is known by %s', (_, head) => {
    expect(looksLikeGreenButton(head)).toBe(true)
  })

  test.each([
    ['nothing', ''],
    ['a CSV header', 'ESIID,USAGE_DATE,REVISION_DATE'],
    ['an XML declaration alone', '<?xml version="1.0" encoding="UTF-8"?>\n'],
    ['HTML', '<!DOCTYPE html><html><body><feed xmlns="http://www.w3.org/2005/Atom">'],
    ['XHTML', '<?xml version="1.0"?>\n<html xmlns="http://www.w3.org/1999/xhtml"><p>http://naesb.org/espi</p>'],
    [
      'XHTML with a DOCTYPE',
      '<?xml version="1.0"?><!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" "x"><html>'
    ],
    ['an Atom feed of something else', `<feed ${atom}><entry><title>Weather</title></entry></feed>`],
    ['a feed of no namespace', '<feed><entry>'],
    ['RSS', '<rss version="2.0" xmlns:atom="http://www.w3.org/2005/Atom">'],
    ['a comment that does not end', `<!-- ${feedOf()}`]
  ])('is not seen in %s', (_, head) => {
    expect(looksLikeGreenButton(head)).toBe(false)
  })
})
