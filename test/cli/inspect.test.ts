import { existsSync, readdirSync } from 'node:fs'
import { beforeAll, describe, test } from 'vitest'
import { adviceFor } from '../../src/errors.ts'
import {
  dailyHeader,
  type ExpectedInterval,
  encryptMessage,
  type IntervalReport,
  type MeterDay,
  makeDailyReport,
  makeEsiid,
  makeIntervalReport,
  makeMeterDay,
  makeMeterInfo,
  makePgpKey,
  makeZip,
  type PgpKey,
  type ReportOptions
} from '../../src/testing/index.ts'
import { bin, csvOf, esiidsIn, fill, folderMaker, jsonLines, keep, run, smtIngest } from './support.ts'

const newFolder = folderMaker()

let key: PgpKey
beforeAll(async () => {
  key = await makePgpKey({ passphrase: 'open sesame' })
})

/** The flags that open what is sealed to the key. */
function opening(folder: string): string[] {
  const passphrase = keep(folder, 'passphrase', 'open sesame\n')
  return ['--key', keep(folder, 'key.asc', key.privateKey), '--passphrase-file', passphrase]
}

const seal = (bytes: Uint8Array, armor = true) => encryptMessage(bytes, { publicKeys: [key.publicKey], armor })

/** A solar meter on the autumn day, and one with an estimate and a gap in summer. */
const meterDays: readonly MeterDay[] = [
  makeMeterDay({ esiid: makeEsiid(1), date: '2022-11-06', solar: true }),
  makeMeterDay({ esiid: makeEsiid(2, 22), date: '2022-07-04', estimated: true, missing: 4, revision: null })
]
const report = makeIntervalReport(meterDays)
const archive = makeZip([
  { name: 'IntervalMeterUsage.CSV', bytes: report.bytes },
  { name: 'DailyMeterUsage.CSV', bytes: makeDailyReport(meterDays) }
])

/** What `--intervals` must print of a report, worked out by what made it. */
function documented({ expected }: IntervalReport): string {
  return [...expected()].map(interval => `${lineOf(interval)}\n`).join('')
}

function lineOf({ esiid, start, milliKwh, estimated, direction, revision }: ExpectedInterval): string {
  const instant = (ms: number) => `"${new Date(ms).toISOString()}"`
  const revised = revision === null ? 'null' : instant(revision)
  const kwh = String(milliKwh / 1000)
  return `{"esiid":"${esiid}","start":${instant(start)},"kwh":${kwh},"estimated":${estimated},"direction":"${direction}","revision":${revised}}`
}

describe.concurrent('inspect', { timeout: 60_000 }, () => {
  test('tells of a message that no key opens whom it was made for and how', async ({ expect }) => {
    const cwd = newFolder()
    fill(cwd, { 'a.asc': await seal(report.bytes), 'b.csv': '<!doctype html>\n' })
    const { code, stdout, stderr } = await smtIngest(['inspect', 'a.asc'], { cwd })
    expect(code).toBe(1)
    const [, id] = /made for key (0x[0-9A-F]{16}); you gave no private key: a\.asc/.exec(stderr)!
    const lines = stdout.trim().split('\n')
    expect(lines.slice(0, 3)).toEqual(['a.asc', '  encrypted message, armored', `  made for key ${id} (ECDH)`])
    expect(lines[3]).toMatch(/^ {2}packet 1, session key for a public key, version 3, \d+ bytes$/)
    expect(lines[4]).toMatch(/^ {2}packet 18, encrypted data with integrity protection, version 1, [\d,]+ bytes$/)
    expect(lines.slice(5)).toEqual(['  integrity mdc'])
    const json = jsonLines((await smtIngest(['inspect', 'a.asc', 'b.csv', '--json'], { cwd })).stdout)
    expect(json[0]).toMatchObject({
      ok: false,
      error: { code: 'DECRYPT_NO_KEY' },
      message: { integrity: 'mdc', recipients: [{ kind: 'key', keyId: id }] }
    })
    expect(json[1]).not.toHaveProperty('message')
  })

  test('tells what is inside, entry by entry, and stores nothing', async ({ expect }) => {
    const folder = newFolder()
    fill(folder, { 'a.asc': await seal(archive) })
    const flags = opening(folder)
    const before = readdirSync(folder)
    const { code, stdout, stderr } = await smtIngest(['inspect', 'a.asc', ...flags], { cwd: folder })
    expect([code, stderr]).toEqual([0, ''])
    const { totals } = report
    const kwh = (milli: number) => (milli / 1000).toLocaleString('en-US')
    expect(stdout.split('\n')).toEqual([
      'a.asc',
      `  entry IntervalMeterUsage.CSV: ${report.bytes.length.toLocaleString('en-US')} bytes, layout smt-interval, 296 rows`,
      expect.stringMatching(/^ {2}entry DailyMeterUsage\.CSV: \d+ bytes, layout daily-reads-unverified, 2 rows$/),
      '  2 daily reads from 2022-07-04 to 2022-11-06, missing 0, rejected 0',
      '  292 intervals of 2 meters on 2 days',
      `  from 2022-07-04 to 2022-11-06, ${((100 * totals.estimated) / 292).toFixed(1)} % estimated`,
      `  consumption ${kwh(totals.milliKwh.consumption)} kWh`,
      `  surplus generation ${kwh(totals.milliKwh['surplus-generation'])} kWh`,
      '  placeholders 0, missing 4, rejected 0',
      ''
    ])
    expect(esiidsIn(stdout)).toEqual([])
    expect(readdirSync(folder)).toEqual(before)
  })

  test('names what is in the other files of SMT, read or left', async ({ expect }) => {
    const cwd = newFolder()
    const rows = `${dailyHeader}\n'${makeEsiid(1)},07/14/2025,,1,2,1\n'${makeEsiid(1)},07/15/2025,,1,2,x\n`
    fill(cwd, {
      'd.csv': rows,
      'DailyMeterUsage.csv': 'METER,11112222333\n',
      'info.csv': makeMeterInfo([makeEsiid(1)])
    })
    const { code, stdout } = await smtIngest(['inspect', 'd.csv', 'DailyMeterUsage.csv', 'info.csv'], { cwd })
    expect(code).toBe(1)
    const [found, named, info] = stdout.split(/^(?=\S)/m)
    expect(found!.split('\n').slice(1, 4)).toEqual([
      `  entry d.csv: ${rows.length} bytes, layout daily-reads-unverified, 2 rows`,
      '    line 3: ROW_BAD_NUMBER',
      '  1 daily read from 2025-07-14 to 2025-07-14, missing 0, rejected 1'
    ])
    expect(named).toContain('entry DailyMeterUsage.csv: 18 bytes, daily reads, not read, header METER,###########\n')
    expect(info).toMatch(/entry info\.csv: \d+ bytes, meter information, not read, header ESIID,METER_SERIAL_NUMBER,/)
    const left = await smtIngest(['inspect', 'd.csv', '--reports', 'leave'], { cwd })
    expect(left).toMatchObject({ code: 0 })
    expect(left.stdout).toContain(`daily reads, not read, header ${dailyHeader}\n`)
    expect(await smtIngest(['inspect', 'd.csv', '--reports', 'guess'], { cwd })).toMatchObject({ code: 2 })
  })

  test('prints with --json one object per file, the bad one too', async ({ expect }) => {
    const folder = newFolder()
    const spring = makeIntervalReport([makeMeterDay({ esiid: makeEsiid(3), date: '2022-03-13' })]).bytes
    fill(folder, { 'a.asc': await seal(archive), 'b.csv': 'neither\nthis\n\0nor that', 'c.CSV': spring })
    const args = ['inspect', '--json', ...opening(folder), 'a.asc', 'missing.csv', 'b.csv', 'c.CSV']
    const { code, stdout, stderr } = await smtIngest(args, { cwd: folder })
    expect([code, stderr]).toEqual([1, ''])
    const objects = jsonLines(stdout)
    expect(objects).toMatchObject([
      {
        file: 'a.asc',
        ok: true,
        meters: 2,
        days: 2,
        intervals: 292,
        rows: { read: 296, accepted: 292, missing: 4, placeholder: 0, rejected: 0, repeatedHeader: 0 },
        estimatedShare: 16 / 292,
        quality: { estimated: 16, kwh: { consumption: report.totals.milliKwh.consumption / 1000 } },
        entries: [
          { name: 'IntervalMeterUsage.CSV', kind: 'intervals', outcome: 'used', layout: 'smt-interval' },
          {
            name: 'DailyMeterUsage.CSV',
            kind: 'daily-reads',
            outcome: 'used',
            layout: 'daily-reads-unverified'
          }
        ],
        reports: { 'daily-reads': { read: 2, accepted: 2, dates: { first: '2022-07-04', last: '2022-11-06' } } }
      },
      { file: 'missing.csv', ok: false, error: { code: 'FILE_NOT_FOUND', message: 'no such file: missing.csv' } },
      { file: 'b.csv', ok: true, intervals: 0, meters: 0, estimatedShare: null, entries: [{ outcome: 'unhandled' }] },
      { file: 'c.CSV', ok: true, meters: 1, days: 1, intervals: 92, rows: { read: 96, placeholder: 4 } }
    ])
    expect(objects).toHaveLength(4)
    expect(esiidsIn(stdout)).toEqual([])
  })

  test('several files, one bad: the others are shown, and the exit code is 1', async ({ expect }) => {
    const folder = newFolder()
    fill(folder, { 'a.csv': csvOf(1), 'b.csv': '<!doctype html>', 'c.csv': csvOf(2) })
    const { code, stdout, stderr } = await smtIngest(['inspect', 'a.csv', 'b.csv', 'c.csv'], { cwd: folder })
    expect(code).toBe(1)
    expect(stdout.match(/96 intervals of 1 meter on 1 day/g)).toHaveLength(2)
    expect(stderr).toBe(`✗ the file is a web page: b.csv\n  PARSE_HTML  ${adviceFor('PARSE_HTML')}\n`)
  })

  test('a row that cannot be read is named by its line, and the exit code is 1', async ({ expect }) => {
    const folder = newFolder()
    fill(folder, {
      'a.csv': csvOf(1)
        .toString()
        .replace(/,[\d.]+,A,/, ',none,A,')
    })
    const { code, stdout } = await smtIngest(['inspect', 'a.csv'], { cwd: folder })
    expect(code).toBe(1)
    expect(stdout).toContain('    line 2: ROW_BAD_KWH\n')
    expect(stdout).toContain('rejected 1\n')
  })

  test.for([
    ['a folder', '.', 'FILE_READ', 'not a regular file'],
    ['nothing', 'nowhere.csv', 'FILE_NOT_FOUND', 'no such file'],
    ['an empty file', 'empty.csv', 'PARSE_EMPTY', 'empty.csv']
  ] as const)('%s is an error that says so', async ([, path, errorCode, text], { expect }) => {
    const folder = fill(newFolder(), { 'empty.csv': '' })
    const { code, stdout, stderr } = await smtIngest(['inspect', path], { cwd: folder })
    expect([code, stdout]).toEqual([1, ''])
    expect(stderr).toContain(`${errorCode}  `)
    expect(stderr).toContain(text)
    expect(stderr).not.toContain('    at ')
  })

  // Linux lets a process open its own memory as a file, and not read its first page.
  test.skipIf(!existsSync('/proc/self/mem'))(
    'a file that fails while it is read is told by name',
    async ({ expect }) => {
      const { code, stderr } = await smtIngest(['inspect', '/proc/self/mem'])
      expect(code).toBe(1)
      expect(stderr).toBe(`✗ the file cannot be read: /proc/self/mem\n  FILE_READ  ${adviceFor('FILE_READ')}\n`)
    }
  )
})

describe.concurrent('inspect --intervals', { timeout: 60_000 }, () => {
  const day = (date: string, options: ReportOptions = {}, solar = false) =>
    makeIntervalReport([makeMeterDay({ esiid: makeEsiid(1), date, solar })], options)

  test.for<[what: string, report: IntervalReport, instants: number]>([
    ['an autumn day, 100 instants', day('2022-11-06'), 100],
    ['an autumn day with panels, 100 in each direction', day('2022-11-06', {}, true), 100],
    ['an autumn day that a spreadsheet saved again', day('2025-11-02', { form: 'spreadsheet' }), 100],
    ['a spring day, 92 instants', day('2022-03-13'), 92],
    ['a spring day without its placeholders', day('2025-03-09', { placeholders: false }), 92],
    ['any other day, 96 instants', day('2025-07-14', { bareDecimal: true, apostrophe: false, lineEnd: '\r\n' }), 96],
    ['several meters, blanks, estimates and a blank revision', report, 192]
  ])('prints exactly what the file says: %s', async ([, made, instants], { expect }) => {
    const folder = newFolder()
    fill(folder, { 'a.asc': await seal(made.bytes) })
    const args = ['inspect', '--intervals', 'a.asc', ...opening(folder)]
    const { code, stdout, stderr } = await smtIngest(args, { cwd: folder })
    expect([code, stderr]).toEqual([0, ''])
    // Rows of the repeated hour are held back until they can be told.
    expect(stdout.split('\n').sort()).toEqual(documented(made).split('\n').sort())
    const intervals = jsonLines(stdout)
    for (const interval of intervals) {
      expect(Object.keys(interval)).toEqual(['esiid', 'start', 'kwh', 'estimated', 'direction', 'revision'])
    }
    for (const direction of new Set(intervals.map(interval => interval.direction))) {
      const starts = intervals.filter(interval => interval.direction === direction).map(({ start }) => start)
      expect(new Set(starts).size).toBe(direction === 'consumption' ? instants : 100)
    }
  })

  test('writes instants in UTC, kWh as numbers and directions by their names', async ({ expect }) => {
    const folder = newFolder()
    const rows = [
      'ESIID,USAGE_DATE,REVISION_DATE,USAGE_START_TIME,USAGE_END_TIME,USAGE_KWH,ESTIMATED_ACTUAL,CONSUMPTION_SURPLUSGENERATION',
      "'10443720009999001,11/06/2022,11/07/2022 06:41:12, 01:00, 01:15,.145,A,Consumption",
      "'10443720009999001,11/06/2022,, 23:45,00:00,0,E,Surplus Generation"
    ]
    fill(folder, { 'a.csv': rows.join('\n') })
    const { stdout } = await smtIngest(['inspect', 'a.csv', '--intervals'], { cwd: folder })
    expect(stdout.split('\n').sort()).toEqual([
      '',
      '{"esiid":"10443720009999001","start":"2022-11-06T06:00:00.000Z","kwh":0.145,"estimated":false,"direction":"consumption","revision":"2022-11-07T12:41:12.000Z"}',
      '{"esiid":"10443720009999001","start":"2022-11-07T05:45:00.000Z","kwh":0,"estimated":true,"direction":"surplus-generation","revision":null}'
    ])
  })

  test.for([
    ['one bit late in the message is another one', (message: Buffer) => flipped(message, message.length - 40)],
    ['its last bytes are missing', (message: Buffer) => message.subarray(0, -40)]
  ] as const)('I4: prints nothing of a file when %s', async ([, harm], { expect }) => {
    const folder = newFolder()
    const message = await seal(makeIntervalReport(manyDays(60)).bytes, false)
    fill(folder, { 'a.gpg': harm(message), 'b.csv': csvOf(2) })
    const args = ['inspect', '--intervals', 'a.gpg', 'b.csv', ...opening(folder)]
    const { code, stdout, stderr } = await smtIngest(args, { cwd: folder })
    expect(code).toBe(1)
    expect(stderr).toMatch(/^✗ .*a\.gpg\n {2}DECRYPT_(CORRUPT|TRUNCATED) {2}/)
    const esiids = new Set(jsonLines(stdout).map(({ esiid }) => esiid))
    expect([...esiids]).toEqual([makeEsiid(2)])
  })

  test('ends quietly when its reader has seen enough', async ({ expect }) => {
    const folder = newFolder()
    fill(folder, { 'a.csv': makeIntervalReport(manyDays(400)).bytes })
    const script = '{ "$@"; echo "exit $?" >&2; } | head -1'
    const args = ['-c', script, 'sh', process.execPath, bin, 'inspect', '--intervals', 'a.csv']
    const { code, stdout, stderr } = await run('sh', args, { cwd: folder })
    expect(stdout.split('\n')).toEqual([expect.stringContaining(makeEsiid(0)), ''])
    expect([code, stderr]).toEqual([0, 'exit 0\n'])
  })
})

function manyDays(meters: number): MeterDay[] {
  return Array.from({ length: meters }, (_, i) => makeMeterDay({ esiid: makeEsiid(i), date: '2025-07-14' }))
}

function flipped(bytes: Buffer, at: number): Buffer {
  const harmed = Buffer.from(bytes)
  harmed[at]! ^= 1
  return harmed
}
