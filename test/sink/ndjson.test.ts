import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { NdjsonSink } from '../../src/sink/ndjson.ts'
import { dailyHeader, makeEsiid, makeIntervalReport, makeZip, monthlyHeader } from '../../src/testing/index.ts'
import { testReportSink } from '../conformance/reports.ts'
import {
  csv,
  days,
  deliver,
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
import { query } from '../support/duckdb.ts'
import { scratchFolder } from '../support/scratch.ts'
import { Child, compile, type Program } from './child.ts'

testSink('NdjsonSink', open)
testDurableSink('NdjsonSink', open)
testReportSink('NdjsonSink', open)

function open(directory: string) {
  const sink = new NdjsonSink({ directory })
  return { sink, rows: async () => storedRows(directory), reports: async () => storedReports(directory) }
}

test('writes reports beside intervals as lines that say so, as the documentation shows it', async () => {
  const page = readFileSync(new URL('../../docs/sinks/ndjson.md', import.meta.url), 'utf8')
  const shown = page.split('## Reports beside intervals')[1]!.match(/^\{.*\}$/gm)
  const directory = scratchFolder()
  const { sink } = open(directory)
  const daily = `${dailyHeader}\n'${makeEsiid(1)},07/14/2025,07/15/2025 06:41:12,24002.915,24038.915,36.000\n`
  const monthly = `${monthlyHeader}\n'${makeEsiid(1)},06/12/2025,07/14/2025,,1532,7.910,0,,0.00001\n`
  const zip = makeZip([
    { name: 'DailyMeterUsage.CSV', bytes: Buffer.from(daily) },
    { name: 'MonthlyBilling.CSV', bytes: Buffer.from(monthly) },
    { name: 'IntervalMeterUsage.CSV', bytes: Buffer.from(csv([{}])) }
  ])
  await deliver(sink, fileOf('a.zip', zip))
  await sink.close()
  expect(finished(directory)).toEqual([`IntervalMeterUsage.${sha256Of(zip).slice(0, 16)}.ndjson`])
  expect(linesOf(directory).slice(0, 2)).toEqual(shown!.map(line => line.replaceAll('10443720009999001', makeEsiid(1))))
  expect(JSON.parse(linesOf(directory)[2]!)).not.toHaveProperty('type')
})

test('writes one interval a line, as the documentation shows it', async () => {
  const directory = scratchFolder()
  const { sink } = open(directory)
  const text = csv([
    { date: '11/06/2022', kwh: '.145', revision: '' },
    { date: '11/06/2022', quarter: 1, kwh: '0.00001', flag: 'E', direction: 'Surplus Generation' },
    { date: '11/06/2022', quarter: 2, kwh: '9999999.99999', esiid: makeEsiid(1, 22) },
    { date: '11/06/2022', quarter: 3, kwh: '3.000' }
  ])
  await deliver(sink, fileOf('IntervalMeterUsage1.CSV', text))
  await sink.close()
  const name = `IntervalMeterUsage1.${sha256Of(text).slice(0, 16)}.ndjson`
  expect(finished(directory)).toEqual([name])
  const revision = '"revision":"2025-07-15T11:41:12.000Z"}'
  const [short, long] = [makeEsiid(1), makeEsiid(1, 22)]
  expect(readFileSync(join(directory, name), 'utf8').split('\n')).toEqual([
    `{"esiid":"${short}","start":"2022-11-06T05:00:00.000Z","kwh":0.145,"estimated":false,"direction":"consumption","revision":null}`,
    `{"esiid":"${short}","start":"2022-11-06T05:15:00.000Z","kwh":0.00001,"estimated":true,"direction":"surplus-generation",${revision}`,
    `{"esiid":"${long}","start":"2022-11-06T05:30:00.000Z","kwh":9999999.99999,"estimated":false,"direction":"consumption",${revision}`,
    `{"esiid":"${short}","start":"2022-11-06T05:45:00.000Z","kwh":3,"estimated":false,"direction":"consumption",${revision}`,
    ''
  ])
})

test('the lines and the query of docs/sinks/ndjson.md are right', async () => {
  const page = readFileSync(new URL('../../docs/sinks/ndjson.md', import.meta.url), 'utf8')
  const [lines, sql] = ['json', 'sql'].map(name => new RegExp(`\`\`\`${name}\n([\\s\\S]*?)\`\`\``).exec(page)![1]!)
  const directory = scratchFolder()
  const { sink } = open(directory)
  const day = { esiid: '10443720009999001', date: '11/06/2022' }
  const rows = [
    { ...day, kwh: '.145', revision: '' },
    { ...day, quarter: 1, kwh: '0.2', flag: 'E', revision: '11/07/2022 06:41:12' }
  ]
  const first = csv(rows)
  await deliver(sink, fileOf('a.csv', first))
  expect(`${linesOf(directory).join('\n')}\n`).toBe(lines)
  const second = csv([
    { ...rows[1], kwh: '0.3', flag: 'A' },
    { ...rows[0]!, kwh: '0.4' }
  ])
  await deliver(sink, fileOf('b.csv', second))
  await sink.close()
  const newest = await query(':memory:', sql!.replace('intervals/', `${directory}/`))
  expect(newest.map(({ kwh }) => String(kwh)).toSorted()).toEqual(
    // Two readings of the first interval are of one version: the greater hash decides, as in the other stores.
    sha256Of(first) > sha256Of(second) ? ['0.14500', '0.30000'] : ['0.30000', '0.40000']
  )
})

test('keeps the order of the rows in the file', async () => {
  const directory = scratchFolder()
  const { sink } = open(directory)
  const report = makeIntervalReport(days(3))
  await deliver(sink, fileOf('a.csv', report.bytes), { batchRows: 7 })
  await sink.close()
  const starts = linesOf(directory).map(line => Date.parse(JSON.parse(line).start))
  expect(starts).toEqual([...report.expected()].map(({ start }) => start))
})

test('makes its directory when it is missing', async () => {
  const directory = join(scratchFolder(), 'one', 'two')
  const { sink } = open(directory)
  await deliver(sink, fileOf('a.csv', csv([{}])))
  await sink.close()
  expect(finished(directory)).toHaveLength(1)
})

test.each([
  ['../../evil.csv', /^evil\./],
  ['..\\..\\evil.csv', /^evil\./],
  ['/etc/passwd', /^passwd\./],
  ['.hidden.csv', /^hidden\./],
  ['...', /^intervals\./],
  ['a b\u0000c*?"<>|:é.csv', /^a_b_c[A-Za-z0-9._-]*\./],
  [`${'x'.repeat(300)}.csv`, /^x{100}\./]
])('I11: an entry named %j cannot lead out of the directory', async (name, expected) => {
  const parent = scratchFolder()
  const directory = join(parent, 'out')
  const { sink } = open(directory)
  const zip = makeZip([{ name, bytes: Buffer.from(csv([{}])) }])
  expect(await deliver(sink, fileOf('a.zip', zip))).toMatchObject({ state: 'committed' })
  await sink.close()
  expect(readdirSync(parent)).toEqual(['out'])
  expect(finished(directory)).toEqual([expect.stringMatching(expected)])
  expect(finished(directory)[0]).toMatch(/^[A-Za-z0-9._-]+\.[0-9a-f]{16}\.ndjson$/)
})

describe('I1: a file is there whole or not at all:', () => {
  test('while it is written it has no name that a reader takes', async () => {
    const directory = scratchFolder()
    const { sink } = open(directory)
    const file = fileOf('a.csv', makeIntervalReport(days(4)).bytes)
    const during: string[] = []
    const verify = () => {
      during.push(...readdirSync(directory))
      return file.verify()
    }
    await deliver(sink, { ...file, verify }, { batchRows: 50 })
    await sink.close()
    expect(during.sort()).toEqual([
      '.ledger.ndjson',
      '.ledger.ndjson.lock',
      expect.stringMatching(/^\.staging-[0-9a-f]+\.ndjson$/)
    ])
    expect(readdirSync(directory).sort()).toEqual(['.ledger.ndjson', ...finished(directory)])
  })

  test('staging of a failed file goes at once', async () => {
    const directory = scratchFolder()
    const { sink } = open(directory)
    const file = fileOf('a.csv', csv([{}]))
    await failing(sink, file, (await readParts(file)).slice(0, 1))
    expect(readdirSync(directory).sort()).toEqual(['.ledger.ndjson', '.ledger.ndjson.lock'])
    await sink.close()
  })

  test('staging of a dead run goes at the next opening, and nothing else goes', async () => {
    const directory = scratchFolder()
    const kept = ['mine.ndjson', '.staging-notes.txt', 'x.staging-1.ndjson']
    for (const name of ['.staging-0123abcd.ndjson', ...kept]) writeFileSync(join(directory, name), 'x')
    const { sink } = open(directory)
    await sink.passOver({ ...fileOf('a.tmp', ''), state: 'ignored', reason: 'ignored by *.tmp' })
    await sink.close()
    expect(readdirSync(directory).sort()).toEqual(['.ledger.ndjson', ...kept].sort())
  })

  test('a directory that is none is refused', async () => {
    const path = join(scratchFolder(), 'file')
    writeFileSync(path, 'not a directory')
    for (const directory of [path, join(path, 'below')]) {
      const { sink } = open(directory)
      await expect(deliver(sink, fileOf('a.csv', csv([{}])))).rejects.toMatchObject({ code: 'STORE_OPEN' })
      await sink.close()
    }
  })

  test('a directory that goes away under way is a failure of the store', async () => {
    const directory = scratchFolder()
    const { sink } = open(directory)
    await deliver(sink, fileOf('a.csv', csv([{}])))
    rmSync(directory, { recursive: true })
    writeFileSync(directory, 'a file stands in its place')
    await expect(deliver(sink, fileOf('b.csv', csv([{ quarter: 1 }])))).rejects.toMatchObject({ code: 'STORE_WRITE' })
    await sink.close()
  })
})

let program: Program
beforeAll(async () => {
  program = await compile(new URL('./child-program.ts', import.meta.url))
})
afterAll(() => program.remove())

describe('another process', () => {
  test('gets a retryable STORE_BUSY while this one holds the directory, and the directory afterwards', async () => {
    const [directory, inbox] = [scratchFolder(), scratchFolder()]
    writeFileSync(join(inbox, 'a.csv'), csv([{}]))
    const { sink } = open(directory)
    await deliver(sink, fileOf('a.csv', csv([{}])))
    expect(await new Child(program, 'take', 'ndjson', directory, inbox).says()).toBe('STORE_BUSY')
    await sink.close()
    expect(await new Child(program, 'take', 'ndjson', directory, inbox).says()).toBe('duplicate')
  })

  test('that holds the directory keeps this one out, until it is dead', async () => {
    const directory = scratchFolder()
    const child = new Child(program, 'hold', 'ndjson', directory)
    expect(await child.says()).toBe('held')
    const { sink } = open(directory)
    const file = fileOf('a.csv', csv([{}]))
    await expect(deliver(sink, file)).rejects.toMatchObject({ code: 'STORE_BUSY', retryable: true })
    expect(await child.kill()).toBe('SIGKILL')
    expect(existsSync(join(directory, '.ledger.ndjson.lock'))).toBe(true)
    expect(await deliver(sink, file)).toMatchObject({ state: 'committed' })
    await sink.close()
    expect(existsSync(join(directory, '.ledger.ndjson.lock'))).toBe(false)
  })

  test('I1: killed in the middle of staging leaves nothing half, and its file is taken again', async () => {
    const [directory, inbox] = [scratchFolder(), scratchFolder()]
    const report = makeIntervalReport(days(20))
    writeFileSync(join(inbox, 'a.csv'), report.bytes)
    const child = new Child(program, 'stop-while-staging', 'ndjson', directory, inbox)
    expect(await child.says()).toBe('staged')
    expect(await child.kill()).toBe('SIGKILL')
    expect(readdirSync(directory).filter(name => name.startsWith('.staging-'))).toHaveLength(1)
    expect(finished(directory)).toEqual([])

    const next = new Child(program, 'take', 'ndjson', directory, inbox)
    expect(await next.says()).toBe('committed')
    expect(await next.ends()).toBe(0)
    expect(readdirSync(directory).sort()).toEqual(['.ledger.ndjson', ...finished(directory)])
    expect(await visible(async () => storedRows(directory))).toEqual(rowsOf(report.expected()))
  })

  test('I2: killed between the renaming and the ledger writes the same name and content again', async () => {
    const [directory, inbox] = [scratchFolder(), scratchFolder()]
    writeFileSync(join(inbox, 'a.csv'), makeIntervalReport(days(20)).bytes)
    const child = new Child(program, 'stop-before-ledger', 'ndjson', directory, inbox)
    expect(await child.says()).toBe('renamed')
    expect(await child.kill()).toBe('SIGKILL')
    const [name] = finished(directory)
    const content = readFileSync(join(directory, name!))

    const next = new Child(program, 'take', 'ndjson', directory, inbox)
    expect(await next.says()).toBe('committed')
    expect(await next.ends()).toBe(0)
    expect(finished(directory)).toEqual([name])
    expect(readFileSync(join(directory, name!)).equals(content)).toBe(true)
  })

  test('I2: killed there, and the file was renamed at its source meanwhile: the content is there once', async () => {
    const [directory, inbox, renamed] = [scratchFolder(), scratchFolder(), scratchFolder()]
    const report = makeIntervalReport(days(2))
    writeFileSync(join(inbox, 'a.csv'), report.bytes)
    const child = new Child(program, 'stop-before-ledger', 'ndjson', directory, inbox)
    expect(await child.says()).toBe('renamed')
    expect(await child.kill()).toBe('SIGKILL')

    writeFileSync(join(renamed, 'b.csv'), report.bytes)
    const next = new Child(program, 'take', 'ndjson', directory, renamed)
    expect(await next.says()).toBe('committed')
    expect(await next.ends()).toBe(0)
    expect(await visible(async () => storedRows(directory))).toEqual(rowsOf(report.expected()))
  })
})

/** The names that a reader takes. */
function finished(directory: string): string[] {
  return readdirSync(directory).filter(name => !name.startsWith('.'))
}

function linesOf(directory: string): string[] {
  return finished(directory).flatMap(name => readFileSync(join(directory, name), 'utf8').split('\n').slice(0, -1))
}

function storedReports(directory: string): string[] {
  const kinds = { 'daily-read': 'daily-reads', 'monthly-bill': 'monthly-bills' } as const
  const place = (value: number | null) => (value === null ? '-' : value.toFixed(5))
  return linesOf(directory).flatMap(line => {
    const { type, esiid, revision, date, startDate, endDate, ...numbers } = JSON.parse(line)
    if (!type) return []
    const days = [date, startDate, endDate].filter(Boolean)
    const version = revision === null ? -1 : Date.parse(revision)
    const parts = [kinds[type as 'daily-read'], esiid, ...days, ...Object.values<number>(numbers).map(place), version]
    return [parts.join(' ')]
  })
}

function storedRows(directory: string): string[] {
  if (!existsSync(directory)) return []
  return linesOf(directory).flatMap(line => {
    const { type, esiid, start, kwh, estimated, direction, revision } = JSON.parse(line)
    if (type) return []
    return rowText({
      esiid,
      start: Date.parse(start),
      kwh: kwh.toFixed(5),
      estimated,
      direction,
      revision: revision === null ? null : Date.parse(revision)
    })
  })
}
