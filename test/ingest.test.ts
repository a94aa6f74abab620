import { existsSync, mkdirSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setTimeout as pause } from 'node:timers/promises'
import { beforeAll, describe, expect, test } from 'vitest'
import {
  AscDecryptor,
  type Claim,
  DirectorySource,
  type ErrorCode,
  type FilesOptions,
  type IngestFile,
  type IngestOptions,
  IntervalParser,
  ingest,
  type Receipt,
  SftpSource,
  type Sink,
  SinkError,
  type Source,
  SourceError
} from '../src/index.ts'
import { DuckDbSink } from '../src/sink/duckdb.ts'
import { NdjsonSink } from '../src/sink/ndjson.ts'
import {
  encryptMessage,
  FakeSftpServer,
  intervalHeader,
  makeDelivery,
  makeEsiid,
  makeIntervalReport,
  makePgpKey,
  makeZip,
  type PgpKey,
  wrapAsSmt
} from '../src/testing/index.ts'
import { csv, days } from './conformance/sink.ts'
import { query } from './support/duckdb.ts'
import { scratchFolder } from './support/scratch.ts'

let key: PgpKey
let stranger: PgpKey
beforeAll(async () => {
  key = await makePgpKey({ passphrase: 'open sesame' })
  stranger = await makePgpKey()
})

const good = () => makeIntervalReport(days(2)).bytes
const goodRows = 96 + 192
const name = 'IntervalMeterUsage20250715141200000.CSV'
const asSmt = (bytes: Uint8Array, publicKey = key.publicKey) => wrapAsSmt([{ name, bytes }], publicKey)

const opener = ({ privateKey, passphrase }: PgpKey) => new AscDecryptor({ privateKey, passphrase })

interface Stand extends IngestOptions {
  readonly sink: DuckDbSink
  readonly inbox: string
  readonly store: string
}

/** The stages of the README over a folder of these files, oldest first. */
function stand(files: Record<string, Uint8Array | string>): Stand {
  const folder = scratchFolder()
  const inbox = join(folder, 'inbox')
  mkdirSync(inbox)
  for (const [i, path] of Object.keys(files).entries()) put(inbox, path, files[path]!, 1_752_500_000 + i)
  const store = join(folder, 'smt.duckdb')
  return {
    source: new DirectorySource({ directories: [inbox], settleMs: 1 }),
    decryptor: opener(key),
    parser: new IntervalParser(),
    sink: new DuckDbSink({ path: store }),
    inbox,
    store
  }
}

function put(folder: string, path: string, content: Uint8Array | string, seconds: number): void {
  const full = join(folder, path)
  mkdirSync(dirname(full), { recursive: true })
  writeFileSync(full, content)
  utimesSync(full, seconds, seconds)
}

/** A whole run: its receipts, and what it threw. */
async function run(options: IngestOptions): Promise<{ receipts: Receipt[]; error: unknown }> {
  const receipts: Receipt[] = []
  try {
    for await (const receipt of ingest(options)) receipts.push(receipt)
    return { receipts, error: undefined }
  } catch (error) {
    return { receipts, error }
  }
}

const fates = (receipts: readonly Receipt[]) => receipts.map(({ name, state }) => `${name} ${state}`)

/** Asks the store, which its sink gives free first. */
async function ask({ sink, store }: Stand, sql: string): Promise<Record<string, unknown>[]> {
  await sink.close()
  return query(store, sql)
}

const countRows = async (stand: Stand) => Number((await ask(stand, 'SELECT count(*) AS n FROM intervals'))[0]!.n)

describe('the code of the README', () => {
  test('brings an encrypted report into the store', async () => {
    const options = stand({ 'a.asc': await asSmt(good()) })
    const { receipts, error } = await run(options)
    expect(error).toBeUndefined()
    expect(receipts).toMatchObject([
      { name: 'a.asc', state: 'committed', payload: { encrypted: true }, rows: { accepted: goodRows } }
    ])
    expect(await countRows(options)).toBe(goodRows)
  })

  test('does the same stage by stage, with nothing but `pipeline`', async () => {
    const options = stand({ 'a.asc': await asSmt(good()), 'b.csv': csv([{ date: '07/20/2025' }]) })
    for await (const file of options.source.files()) {
      await pipeline(
        file.stream(),
        options.decryptor!.stream(file),
        options.parser.stream(file),
        options.sink.stream(file)
      )
    }
    expect(await countRows(options)).toBe(goodRows + 1)
  })

  test('needs no decryptor where files come as plain CSV or ZIP', async () => {
    const { decryptor: _, ...options } = stand({
      'a.csv': csv([{}]),
      'b.zip': makeZip([{ name, bytes: Buffer.from(csv([{ quarter: 1 }])) }])
    })
    const { receipts } = await run(options)
    expect(fates(receipts)).toEqual(['a.csv committed', 'b.zip committed'])
    expect(await countRows(options)).toBe(2)
  })

  test('changes nothing the second time', async () => {
    const options = stand({ 'a.asc': await asSmt(good()), 'bad.asc': key.publicKey, 'x.tmp': 'half' })
    await run(options)
    const before = await ask(options, 'FROM intervals ORDER BY ALL')
    const again = await run(options)
    expect(again.receipts.map(({ state, known }) => [state, known])).toEqual([
      ['ignored', true],
      ['duplicate', true],
      ['quarantined', true]
    ])
    expect(await ask(options, 'FROM intervals ORDER BY ALL')).toEqual(before)
  })
})

test('I3: every listed file ends in a receipt, with the filter that left it out', async () => {
  const options = stand({
    'sub/old.csv': csv([{}]),
    'new.csv': csv([{ quarter: 1 }]),
    'x.tmp': 'x',
    'sub/.hidden': 'x',
    'y.csv.part': 'x'
  })
  const { receipts } = await run(options)
  expect(fates(receipts).sort()).toEqual([
    '.hidden ignored',
    'new.csv committed',
    'old.csv committed',
    'x.tmp ignored',
    'y.csv.part ignored'
  ])
  expect(receipts.find(({ name }) => name === 'x.tmp')?.reason).toMatchObject({
    code: 'FILTERED',
    message: 'left out: ignored by *.tmp'
  })
  expect(await ask(options, `SELECT name, reason FROM files WHERE state = 'ignored' ORDER BY name`)).toEqual([
    { name: '.hidden', reason: 'left out: ignored by .*' },
    { name: 'x.tmp', reason: 'left out: ignored by *.tmp' },
    { name: 'y.csv.part', reason: 'left out: ignored by *.part*' }
  ])
})

test('I3: a folder of nothing but ignored files gives a receipt for each', async () => {
  const options = stand({ 'x.tmp': 'x' })
  expect(fates((await run(options)).receipts)).toEqual(['x.tmp ignored'])
  await options.sink.close()
})

test('I3: what was listed is written down although another directory cannot be listed, which is an error', async () => {
  const options = stand({ 'a.csv': csv([{}]), 'x.tmp': 'x' })
  const source = new DirectorySource({ directories: [join(options.inbox, 'gone'), options.inbox], settleMs: 1 })
  const { receipts, error } = await run({ ...options, source })
  expect(fates(receipts).sort()).toEqual(['a.csv committed', 'x.tmp ignored'])
  expect(error).toMatchObject({ code: 'DIRECTORY_NOT_FOUND' })
  await options.sink.close()
})

test('I3: a file that comes later is taken, although its time is the same or an earlier one', async () => {
  const options = stand({ 'a.csv': csv([{}]) })
  await run(options)
  put(options.inbox, 'same.csv', csv([{ quarter: 1 }]), 1_752_500_000)
  put(options.inbox, 'earlier.csv', csv([{ quarter: 2 }]), 1_000_000_000)
  const { receipts } = await run(options)
  expect(fates(receipts.filter(({ known }) => !known))).toEqual(['earlier.csv committed', 'same.csv committed'])
  expect(await countRows(options)).toBe(3)
})

describe('a bad file is set aside and the one beside it goes in:', () => {
  const text = () => good().toString('latin1')
  const everyRow = (change: (cells: string[]) => void) =>
    text()
      .trimEnd()
      .split('\n')
      .map((line, i) => {
        const cells = line.split(',')
        if (i > 0) change(cells)
        return cells.join(',')
      })
      .join('\n')
  const set = (column: number, value: string) =>
    everyRow(cells => {
      cells[column] = value
    })
  const xlsx = () =>
    makeZip(
      ['[Content_Types].xml', 'xl/workbook.xml'].map(name => ({ name, bytes: Buffer.from('<?xml version="1.0"?>') }))
    )
  const cut = (bytes: Buffer) => bytes.subarray(0, bytes.length >> 1)

  test.each<[string, ErrorCode, () => Promise<Uint8Array | string> | Uint8Array | string, RegExp?]>([
    ['encrypted for another key', 'DECRYPT_NO_KEY', () => asSmt(good(), stranger.publicKey)],
    ['a truncated message', 'DECRYPT_TRUNCATED', async () => cut(await asSmt(good()))],
    ['an OpenPGP public key', 'DECRYPT_IS_KEY', () => key.publicKey],
    ['a damaged message', 'DECRYPT_CORRUPT', async () => damage(await asSmt(good()))],
    ['a ZIP with a wrong CRC', 'ZIP_CRC', () => makeZip([{ name, bytes: good() }], { breakCrcOf: name })],
    [
      'the same inside a message',
      'ZIP_CRC',
      () => encryptMessage(makeZip([{ name, bytes: good() }], { breakCrcOf: name }), { publicKeys: [key.publicKey] })
    ],
    ['a truncated ZIP', 'ZIP_TRUNCATED', () => cut(makeZip([{ name, bytes: good() }]))],
    ['without a column', 'PARSE_MISSING_COLUMN', () => text().replace('USAGE_KWH', 'USAGE')],
    ['an empty file', 'PARSE_EMPTY', () => ''],
    ['a header and nothing else', 'PARSE_NO_ROWS', () => `${intervalHeader}\n`],
    ['a web page', 'PARSE_HTML', () => '<!DOCTYPE html>\n<html><body>Service unavailable</body></html>\n'],
    ['an Excel workbook', 'PARSE_SPREADSHEET', xlsx],
    ['UTF-16', 'PARSE_UTF16', () => Buffer.from(`\ufeff${text()}`, 'utf16le')],
    ['semicolons', 'PARSE_SEPARATOR', () => text().replaceAll(',', ';')],
    ['tabs', 'PARSE_SEPARATOR', () => text().replaceAll(',', '\t')],
    ['letters for every kWh', 'ROW_BAD_KWH', () => set(5, 'n/a'), /ROW_BAD_KWH 288/],
    ['ESIIDs as numbers', 'ROW_ESIID_AS_NUMBER', () => set(0, '1.04437E+16'), /ROW_ESIID_AS_NUMBER 288/],
    ['years of two digits', 'ROW_TWO_DIGIT_YEAR', () => set(1, '7/14/25'), /ROW_TWO_DIGIT_YEAR 288/],
    ['a clock of twelve hours', 'ROW_TWELVE_HOUR_CLOCK', () => set(3, '6:41 AM'), /ROW_TWELVE_HOUR_CLOCK 288/]
  ])('%s is %s', async (_, code, content, message = /./) => {
    const options = stand({
      'IntervalMeterUsage1.CSV.asc': await content(),
      'good.asc': await asSmt(Buffer.from(csv([{ date: '07/20/2025' }])))
    })
    const { receipts, error } = await run(options)
    expect(error).toBeUndefined()
    expect(fates(receipts)).toEqual(['IntervalMeterUsage1.CSV.asc quarantined', 'good.asc committed'])
    expect(receipts[0]!.reason).toMatchObject({ code, message: expect.stringMatching(message) })
    expect(receipts[0]!.reason!.advice).toMatch(/\w.*\.$/)
    expect(JSON.stringify(receipts[0]!.reason)).not.toMatch(/(?<!\d)10\d{15}/)
    expect(await ask(options, 'SELECT count(*) AS rows, count(DISTINCT entry_id) AS entries FROM intervals')).toEqual([
      { rows: 1n, entries: 1n }
    ])
    expect(await ask(options, 'SELECT count(*) AS n FROM entries')).toEqual([{ n: 1n }])
  })

  test.each<[ErrorCode, Parameters<typeof csv>[0][number]]>([
    ['ROW_BAD_KWH', { kwh: 'n/a' }],
    ['ROW_ESIID_AS_NUMBER', { esiid: '1.04437E+16' }],
    ['ROW_TWO_DIGIT_YEAR', { date: '7/14/25' }],
    ['ROW_KWH_OUT_OF_RANGE', { kwh: '0.000001' }],
    ['ROW_NEGATIVE_KWH', { kwh: '-1' }],
    ['ROW_NONEXISTENT_HOUR', { date: '03/09/2025', quarter: 8 }]
  ])('one row with %s is lost, and no more', async (code, row) => {
    const options = stand({ 'a.csv': csv([{}, row, { quarter: 1 }]) })
    const { receipts } = await run(options)
    expect(receipts).toMatchObject([{ state: 'committed', rows: { read: 3, accepted: 2, rejected: 1 } }])
    expect(receipts[0]!.entries[0]!.rejects).toMatchObject([{ code, line: 3 }])
    expect(await ask(options, 'SELECT line, code FROM rejects')).toEqual([{ line: 3, code }])
    expect(await countRows(options)).toBe(2)
  })

  test('a file that cannot be read any more is tried again by the next run', async () => {
    const options = stand({ 'a.csv': csv([{}]), 'b.csv': csv([{ quarter: 1 }]), 'c.csv': csv([{ quarter: 2 }]) })
    const receipts: Receipt[] = []
    for await (const receipt of ingest(options)) {
      receipts.push(receipt)
      rmSync(join(options.inbox, 'b.csv'), { force: true })
    }
    expect(fates(receipts)).toEqual(['a.csv committed', 'b.csv seen', 'c.csv committed'])
    expect(receipts[1]!.reason?.code).toBe('FILE_NOT_FOUND')
    put(options.inbox, 'b.csv', csv([{ quarter: 1 }]), 1_752_500_001)
    const soon = await run(options)
    expect(soon.receipts[1]!.reason).toMatchObject({
      code: 'WAITING',
      message: expect.stringContaining('FILE_NOT_FOUND')
    })
    const { receipts: again } = await run({ ...options, retryNow: true })
    expect(fates(again)).toEqual(['a.csv duplicate', 'b.csv committed', 'c.csv duplicate'])
    await options.sink.close()
  })

  test('is taken when its key is there, and only when quarantine is asked for', async () => {
    const options = stand({ 'a.asc': await asSmt(good(), stranger.publicKey) })
    expect((await run(options)).receipts).toMatchObject([{ state: 'quarantined', known: false }])
    const repaired = { ...options, decryptor: opener(stranger) }
    expect((await run(repaired)).receipts).toMatchObject([{ state: 'quarantined', known: true }])
    const retried = await run({ ...repaired, retryQuarantined: true })
    expect(retried.receipts).toMatchObject([{ state: 'committed', known: false, reason: null }])
    expect(await countRows(options)).toBe(goodRows)
  })
})

test('a wrong passphrase stops the run, and puts no file into quarantine', async () => {
  const options = stand({ 'a.asc': await asSmt(good()) })
  const decryptor = new AscDecryptor({ privateKey: key.privateKey, passphrase: 'wrong' })
  const { receipts, error } = await run({ ...options, decryptor })
  expect(error).toMatchObject({ code: 'KEY_PASSPHRASE' })
  expect(receipts).toMatchObject([{ state: 'seen', reason: { code: 'KEY_PASSPHRASE' } }])
  expect(fates((await run(options)).receipts)).toEqual(['a.asc committed'])
  await options.sink.close()
})

const three = () =>
  stand({ 'a.csv': csv([{}]), 'b.csv': csv([{ quarter: 1 }]), 'c.csv': csv([{ quarter: 2 }]), 'x.tmp': 'x' })

describe('what ends a run:', () => {
  test('`break` closes the source’s session, and leaves the rest for the next run', async () => {
    const options = three()
    const source = new WatchedSource(options.source)
    for await (const { state } of ingest({ ...options, source })) {
      if (state === 'committed') break
    }
    expect(source.sessions).toEqual(['opened', 'closed'])
    const { receipts } = await run(options)
    expect(fates(receipts)).toEqual(['x.tmp ignored', 'a.csv duplicate', 'b.csv committed', 'c.csv committed'])
    await options.sink.close()
  })

  test('its own end closes the session too', async () => {
    const options = three()
    const source = new WatchedSource(options.source)
    await run({ ...options, source })
    expect(source.sessions).toEqual(['opened', 'closed'])
    await options.sink.close()
  })

  test.each(['before it begins', 'within a file', 'between two files'] as const)(
    'a signal given %s: ABORTED, and every claim is given back',
    async when => {
      const options = three()
      const abort = new AbortController()
      if (when === 'before it begins') abort.abort()
      const decryptor = {
        stream: (file: IngestFile) =>
          new Transform({
            transform(chunk, _, done) {
              if (when === 'within a file' && file.name === 'b.csv') abort.abort()
              done(null, chunk)
            }
          })
      }
      const receipts: Receipt[] = []
      const taking = (async () => {
        for await (const receipt of ingest({ ...options, decryptor, signal: abort.signal })) {
          receipts.push(receipt)
          if (when === 'between two files' && receipt.state === 'committed') abort.abort()
        }
      })()
      await expect(taking).rejects.toMatchObject({ code: 'ABORTED', retryable: true })
      expect(fates(receipts)).toEqual(
        {
          'before it begins': [],
          'within a file': ['x.tmp ignored', 'a.csv committed', 'b.csv seen'],
          'between two files': ['x.tmp ignored', 'a.csv committed']
        }[when]
      )
      const next = await run(options)
      expect(next.error).toBeUndefined()
      expect(await countRows(options)).toBe(3)
    }
  )

  test('a store that cannot be opened', async () => {
    const options = three()
    const sink = new DuckDbSink({ path: join(options.inbox, 'gone', 'smt.duckdb') })
    const { receipts, error } = await run({ ...options, sink })
    expect(receipts).toEqual([])
    expect(error).toMatchObject({ code: 'STORE_OPEN', retryable: false })
  })

  test('a store that is busy', async () => {
    const options = three()
    await options.sink.passOver({ ...label('z'), state: 'ignored', reason: 'x' })
    const { receipts, error } = await run({ ...options, sink: new DuckDbSink({ path: options.store }) })
    expect(receipts).toEqual([])
    expect(error).toMatchObject({ code: 'STORE_BUSY', retryable: true })
    await options.sink.close()
  })

  test('a store that dies under way: the receipts so far are given, then it is thrown', async () => {
    const options = three()
    const directory = join(options.inbox, '..', 'out')
    const sink: Sink = new NdjsonSink({ directory })
    const receipts: Receipt[] = []
    const taking = (async () => {
      for await (const receipt of ingest({ ...options, sink })) {
        receipts.push(receipt)
        if (receipt.state !== 'committed') continue
        rmSync(directory, { recursive: true })
        writeFileSync(directory, 'a file stands in its place')
      }
    })()
    await expect(taking).rejects.toMatchObject({ code: 'STORE_WRITE', retryable: true })
    expect(fates(receipts).slice(0, 2)).toEqual(['x.tmp ignored', 'a.csv committed'])
    expect(receipts.slice(2).every(({ state }) => state === 'seen')).toBe(true)
    await sink.close()
  })

  test('a session that breaks within an encrypted file: its own code, the file is tried again', async () => {
    const message = await asSmt(good())
    const options = stand({ 'a.asc': message, 'b.csv': csv([{}]) })
    const broken = new SourceError('SFTP_DISCONNECTED', 'the connection broke')
    const source = new WatchedSource(options.source, file => ({
      ...label(file.name),
      ...pick(file),
      stream: () => Readable.from(breakAfter(cutAt(message, 3000), broken)),
      verify: () => file.verify()
    }))
    const { receipts, error } = await run({ ...options, source })
    expect(error).toBe(broken)
    expect(receipts).toMatchObject([{ name: 'a.asc', state: 'seen', reason: { code: 'SFTP_DISCONNECTED' } }])
    expect(source.sessions).toEqual(['opened', 'closed'])
    expect(fates((await run(options)).receipts)).toEqual(['a.asc committed', 'b.csv committed'])
    await options.sink.close()
  })

  test('no failure of reading one file: its own code, and the run goes on', async () => {
    const message = await asSmt(good())
    const options = stand({ 'a.asc': message, 'b.csv': csv([{}]) })
    const broken = new SourceError('FILE_READ', 'the disk has a bad block')
    const source = new WatchedSource(options.source, file =>
      file.name === 'b.csv'
        ? file
        : { ...pick(file), stream: () => Readable.from(breakAfter(cutAt(message, 3000), broken)), verify: file.verify }
    )
    const { receipts, error } = await run({ ...options, source })
    expect(error).toBeUndefined()
    expect(receipts).toMatchObject([
      { name: 'a.asc', state: 'seen', reason: { code: 'FILE_READ' } },
      { name: 'b.csv', state: 'committed' }
    ])
    await options.sink.close()
  })
})

test('I4: a message that was altered or cut anywhere gives nothing, or just its own rows', async () => {
  const message = await asSmt(good())
  const options = stand({ 'true.asc': message })
  const places = Array.from({ length: 40 }, (_, i) => Math.floor((i * message.length) / 40))
  for (const at of places) {
    const altered = Buffer.from(message)
    altered[at]! ^= 1
    put(options.inbox, `altered-${at}.asc`, altered, 1_752_600_000)
    put(options.inbox, `cut-${at}.asc`, message.subarray(0, at), 1_752_600_000)
  }
  const { receipts, error } = await run(options)
  expect(error).toBeUndefined()
  expect(receipts).toHaveLength(81)
  const { payload } = receipts.find(({ name }) => name === 'true.asc')!
  for (const { name, state, reason, payload: opened, entries } of receipts) {
    if (state === 'quarantined')
      expect([name, reason!.code]).toEqual([name, expect.stringMatching(/^(DECRYPT|PARSE)_/)])
    // Without its first words it is a text like any other, which holds no intervals.
    else if (opened!.encrypted === false) expect([name, entries[0]!.outcome]).toEqual(['altered-0.asc', 'unhandled'])
    else expect([name, opened!.sha256]).toEqual([name, payload!.sha256])
  }
  expect(receipts.filter(({ state }) => state === 'quarantined').length).toBeGreaterThan(70)
  expect(await countRows(options)).toBe(goodRows)
})

describe('several files at a time', () => {
  test('as many as asked for, begun oldest first, receipted as they finish', async () => {
    const names = [...'abcdefg'].map(letter => `${letter}.csv`)
    const options = stand(Object.fromEntries(names.map((name, i) => [name, csv([{ quarter: i }])])))
    const begun: string[] = []
    let [open, most] = [0, 0]
    const source = new WatchedSource(options.source, file => ({
      ...pick(file),
      stream: () => {
        begun.push(file.name)
        most = Math.max(most, ++open)
        return Readable.from(
          (async function* () {
            // None ends before three are open, or the last is.
            while (begun.length < 3) await pause(1)
            yield* file.stream()
            open--
          })()
        )
      },
      verify: () => file.verify()
    }))
    const { receipts, error } = await run({ ...options, source, concurrency: 3 })
    expect(error).toBeUndefined()
    expect(begun).toEqual(names)
    expect(most).toBe(3)
    expect(fates(receipts).sort()).toEqual(names.map(name => `${name} committed`))
    expect(await countRows(options)).toBe(7)
  })

  test('I9: over one SFTP session, which is kept until the last one is done', async () => {
    const files = Object.entries({ 'a.csv': 0, 'b.csv': 1, 'c.csv': 2 }).map(
      ([name, quarter]) => [`/in/${name}`, { content: Buffer.from(csv([{ quarter }])), modifiedAt: 1_000 }] as const
    )
    await using server = await FakeSftpServer.start({ files })
    const { host, port, login, fingerprint } = server
    const source = new SftpSource({ host, port, ...login, hostKey: fingerprint, directories: ['/in'], settleMs: 1 })
    const options = stand({})
    const { receipts, error } = await run({ ...options, source, concurrency: 8 })
    expect(error).toBeUndefined()
    expect(fates(receipts).sort()).toEqual(['a.csv committed', 'b.csv committed', 'c.csv committed'])
    expect(server.connections).toBe(1)
    await expect.poll(() => server.open).toBe(0)
    expect(await countRows(options)).toBe(3)
  })

  test('a store that dies takes all of them along, and every claim is given back', async () => {
    const options = three()
    const dying = new SinkError('STORE_WRITE', 'the disk is full')
    class DyingSink extends DuckDbSink {
      protected override async begin(file: IngestFile, claim: Claim) {
        const transaction = await super.begin(file, claim)
        return Object.assign(transaction, {
          commit: () => Promise.reject(dying)
        })
      }
    }
    const { receipts, error } = await run({ ...options, sink: new DyingSink({ path: options.store }), concurrency: 3 })
    expect(error).toBe(dying)
    expect(receipts.filter(({ state }) => state === 'seen').length).toBeGreaterThan(0)
    expect(receipts.some(({ state }) => state === 'committed')).toBe(false)
  })
})

describe('a run that is asked to stop', () => {
  /** Gives the signal while `b.csv` is read; that file then waits for `release`. */
  const stopping = (options: Stand, stop: AbortController, release: Promise<void>) =>
    new WatchedSource(options.source, file => ({
      ...pick(file),
      stream: given =>
        Readable.from(
          (async function* () {
            if (file.name === 'b.csv') {
              stop.abort()
              await Promise.race([release, new Promise(resolve => given?.signal?.addEventListener('abort', resolve))])
            }
            yield* file.stream(given)
          })()
        ),
      verify: () => file.verify()
    }))

  test.each([1, 2])('I9: finishes what is under way, %i at a time, begins nothing else and throws nothing', async n => {
    const options = three()
    const stop = new AbortController()
    const source = stopping(options, stop, Promise.resolve())
    const { receipts, error } = await run({ ...options, source, stopSignal: stop.signal, concurrency: n })
    expect(error).toBeUndefined()
    expect(fates(receipts).sort()).toEqual(['a.csv committed', 'b.csv committed', 'x.tmp ignored'])
    expect(await countRows(options)).toBe(2)
  })

  test('I9: gives back what is not done in time', async () => {
    const options = three()
    const stop = new AbortController()
    const source = stopping(options, stop, new Promise(() => {}))
    const { receipts, error } = await run({ ...options, source, stopSignal: stop.signal, graceMs: 50 })
    expect(error).toBeUndefined()
    expect(fates(receipts)).toEqual(['x.tmp ignored', 'a.csv committed', 'b.csv seen'])
    expect(receipts.at(-1)!.reason?.code).toBe('ABORTED')
    const next = await run(options)
    expect(fates(next.receipts)).toEqual(['x.tmp ignored', 'a.csv duplicate', 'b.csv committed', 'c.csv committed'])
    await options.sink.close()
  })

  test('before it begins: takes nothing', async () => {
    const options = three()
    const { receipts, error } = await run({ ...options, stopSignal: AbortSignal.abort() })
    expect([receipts, error]).toEqual([[], undefined])
  })
})

describe('a source that is to delete what the store has', () => {
  const deleting = (options: Stand) =>
    new DirectorySource({ directories: [options.inbox], settleMs: 1, dispose: 'delete' })

  test('I3: deletes what was committed and its copies, and nothing else', async () => {
    const options = stand({
      'a.csv': csv([{}]),
      'a-copy.csv': csv([{}]),
      'bad.csv': '',
      'billing.csv': 'a report of another kind\n',
      'rejects.csv': csv([{ quarter: 1 }, { quarter: 2, kwh: 'n/a' }]),
      'x.tmp': 'x'
    })
    const { receipts } = await run({ ...options, source: deleting(options) })
    expect(receipts.map(({ name, state, disposal }) => [name, state, disposal?.action]).sort()).toEqual([
      ['a-copy.csv', 'duplicate', 'deleted'],
      ['a.csv', 'committed', 'deleted'],
      ['bad.csv', 'quarantined', undefined],
      ['billing.csv', 'committed', 'kept'],
      ['rejects.csv', 'committed', 'kept'],
      ['x.tmp', 'ignored', undefined]
    ])
    expect(receipts.find(({ name }) => name === 'rejects.csv')!.disposal!.reason!.code).toBe('PARTLY')
    expect(readdirSync(options.inbox).sort()).toEqual(['bad.csv', 'billing.csv', 'rejects.csv', 'x.tmp'])
    await options.sink.close()
  })

  test('does so in a later run when it was killed, or refused, in between', async () => {
    const options = stand({ 'a.csv': csv([{}]) })
    await run(options)
    const file = join(options.inbox, 'a.csv')
    const refusing = new WatchedSource(deleting(options), file => ({
      ...pick(file),
      stream: given => file.stream(given),
      verify: () => file.verify(),
      dispose: () => Promise.reject(new SourceError('FILE_DISPOSE', 'no permission', { file: file.path }))
    }))
    const refused = await run({ ...options, source: refusing })
    expect(refused.error).toBeUndefined()
    expect(refused.receipts).toMatchObject([
      { state: 'duplicate', known: true, disposal: { action: 'kept', reason: { code: 'FILE_DISPOSE' } } }
    ])
    expect(existsSync(file)).toBe(true)
    const { receipts } = await run({ ...options, source: deleting(options) })
    expect(receipts).toMatchObject([{ state: 'duplicate', known: true, disposal: { action: 'deleted' } }])
    expect(existsSync(file)).toBe(false)
    expect(await countRows(options)).toBe(1)
  })
})

describe('a fault of the program', () => {
  test.each(['when asked for its stream', 'within its stream'])(
    'in a stage, %s, costs its file this run, not the files behind it',
    async when => {
      const options = three()
      const odd = new TypeError(`cannot read ${makeEsiid(3)}`)
      let broken = true
      const parser = {
        stream: (file: IngestFile) => {
          if (!broken) return options.parser.stream(file)
          broken = false
          if (when === 'when asked for its stream') throw odd
          return new Transform({ objectMode: true, transform: (_, __, done) => done(odd) })
        }
      }
      const { receipts, error } = await run({ ...options, parser })
      expect(error).toBeUndefined()
      expect(fates(receipts)).toEqual(['x.tmp ignored', 'a.csv seen', 'b.csv committed', 'c.csv committed'])
      expect(receipts[1]!.reason).toMatchObject({ code: 'UNEXPECTED', message: 'cannot read …9003' })
      expect((await run(options)).receipts.filter(({ known }) => !known).map(({ state }) => state)).toEqual([
        'committed'
      ])
      await options.sink.close()
    }
  )
})

describe('a whole delivery, planted trouble included,', () => {
  const delivered = new Map<string, { bytes: Buffer; modifiedAt: number }>()
  let manifest: Awaited<ReturnType<typeof makeDelivery>>
  beforeAll(async () => {
    const write = (path: string, bytes: Buffer, modifiedAt: number) => void delivered.set(path, { bytes, modifiedAt })
    manifest = await makeDelivery({ publicKey: key.publicKey, meters: 6, days: 5, write })
  })

  test.each(['oldest first', 'newest first'] as const)(
    'I6: taken %s gives the store that its maker tells of',
    async order => {
      const options = stand({})
      const newest = Math.max(...manifest.files.map(({ modifiedAt }) => modifiedAt))
      for (const [path, { bytes, modifiedAt }] of delivered) {
        const seconds = (order === 'oldest first' ? modifiedAt : 2 * newest - modifiedAt) / 1000
        put(options.inbox, path, bytes, seconds)
      }
      const { receipts, error } = await run(options)
      expect(error).toBeUndefined()
      expect(receipts).toHaveLength(manifest.files.length)

      const fate = new Map(receipts.map(receipt => [receipt.path.slice(options.inbox.length + 1), receipt]))
      if (order === 'oldest first') {
        for (const file of manifest.files) {
          const receipt = fate.get(file.path)!
          expect([file.path, file.note, receipt.state]).toEqual([file.path, file.note, file.expect])
          if (file.expect !== 'ignored' && file.expect !== 'quarantined')
            expect(receipt.fetched?.sha256).toBe(file.sha256)
          if (file.rows) expect(receipt.rows).toMatchObject(file.rows)
        }
        const sum = (pick: (rows: NonNullable<Receipt['rows']>) => number) =>
          receipts.reduce((sum, { state, rows }) => sum + (state === 'committed' ? pick(rows!) : 0), 0)
        expect(sum(rows => rows.replaced)).toBe(manifest.store.revised)
        expect(sum(rows => rows.conflicts)).toBe(0)
      }
      for (const { state, rows } of receipts) {
        if (state !== 'committed') continue
        const { accepted, inserted, replaced, unchanged, superseded, read, rejected, placeholder, missing } = rows!
        expect(accepted).toBe(inserted + replaced + unchanged + superseded)
        expect(read).toBe(accepted + rejected + placeholder + missing + rows!.repeatedHeader)
      }

      const { store } = manifest
      const totals = await ask(
        options,
        `SELECT direction::VARCHAR AS direction, count(*)::INTEGER AS intervals, (sum(kwh) * 1000)::BIGINT AS milli
       FROM intervals GROUP BY ALL`
      )
      expect(Object.fromEntries(totals.map(row => [row.direction, row.intervals]))).toEqual(store.intervals)
      expect(Object.fromEntries(totals.map(row => [row.direction, Number(row.milli)]))).toEqual(store.milliKwh)
      const [rest] = await ask(
        options,
        `SELECT count(*) FILTER (estimated)::INTEGER AS estimated, count(*) FILTER (kwh = 0)::INTEGER AS zeros,
         count(DISTINCT esiid)::INTEGER AS meters,
         (count(*) - count(DISTINCT (esiid, direction, start)))::INTEGER AS doubled
       FROM intervals`
      )
      const { estimated, zeros, meters } = store
      expect(rest).toEqual({ estimated, zeros, meters, doubled: 0 })
      for (const { date, instants } of store.watched.days) {
        const [row] = await ask(
          options,
          `SET timezone = 'America/Chicago';
         SELECT count(*)::INTEGER AS n FROM intervals WHERE esiid = '${store.watched.esiid}'
           AND direction = 'consumption' AND start::DATE = DATE '${date}'`
        )
        expect([date, row!.n]).toEqual([date, instants])
      }
    }
  )
})

/** A source that tells whether its session was closed, and may change the files on their way. */
class WatchedSource implements Source {
  readonly sessions: string[] = []
  readonly #inner: Source
  readonly #change: (file: IngestFile) => IngestFile

  constructor(inner: Source, change: (file: IngestFile) => IngestFile = file => file) {
    this.#inner = inner
    this.#change = change
  }

  async *files(options?: FilesOptions): AsyncGenerator<IngestFile, void> {
    this.sessions.push('opened')
    try {
      for await (const file of this.#inner.files(options)) yield this.#change(file)
    } finally {
      this.sessions.push('closed')
    }
  }

  async close(): Promise<void> {}
  async [Symbol.asyncDispose](): Promise<void> {}
}

function label(name: string) {
  return { source: 'test:', path: name, name, size: 1, modifiedAt: 1 }
}

function pick({ source, path, name, size, modifiedAt }: IngestFile) {
  return { source, path, name, size, modifiedAt }
}

function cutAt(bytes: Buffer, length: number): Buffer {
  return bytes.subarray(0, length)
}

async function* breakAfter(bytes: Buffer, error: Error) {
  yield bytes
  throw error
}

/** Another letter in the middle of an armored message. */
function damage(message: Buffer): Buffer {
  const bytes = Buffer.from(message)
  let at = bytes.length >> 1
  while (!/[A-Za-z]/.test(String.fromCharCode(bytes[at]!))) at++
  bytes[at]! ^= 0x20
  return bytes
}
