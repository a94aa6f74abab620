import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { noteOpened } from '../../src/decrypt/opened.ts'
import { SourceError } from '../../src/errors.ts'
import type { Receipt } from '../../src/ledger/receipt.ts'
import { FileAccount } from '../../src/parse/file-account.ts'
import { IntervalParser } from '../../src/parse/interval-parser.ts'
import type { Sink } from '../../src/sink/sink.ts'
import type { IngestFile, PassedOver } from '../../src/source/source.ts'
import {
  centralInstant,
  type ExpectedInterval,
  intervalHeader,
  makeEsiid,
  makeIntervalReport,
  makeMeterDay,
  makeZip
} from '../../src/testing/index.ts'
import { scratchFolder } from '../support/scratch.ts'

/** One visible interval as text: ESIID, start, direction, kWh with five places, A or E, revision. */
export type StoredRow = string

/** A sink, and a way to see what is in its store. */
export interface SinkStand {
  readonly sink: Sink
  /** Everything that is visible, in any order. Called between files; may close the sink, which opens again by itself. */
  rows(): Promise<StoredRow[]>
}

/** What every sink promises. `open` puts a sink on top of an empty folder. */
export function testSink(name: string, open: (folder: string) => SinkStand): void {
  const stand = () => open(scratchFolder())

  describe(`${name} as a sink`, () => {
    test('stores every interval with the same decimal value', async () => {
      const { sink, rows } = stand()
      const { bytes, expected } = makeIntervalReport(days(3, '2025-11-02'))
      const receipt = await deliver(sink, fileOf('a.csv', bytes), { batchRows: 100 })
      expect(receipt).toMatchObject({ state: 'committed', known: false, reason: null })
      expect(await visible(rows)).toEqual(rowsOf(expected()))
      await sink.close()
    })

    test('stores decimals of every length as they are written', async () => {
      const { sink, rows } = stand()
      const kwh = ['.145', '0.1', '0', '.00001', '9999999.99999', '0.30000', '12345.6789', '1234567.00003', '4.00007']
      await deliver(sink, fileOf('a.csv', csv(kwh.map((kwh, i) => ({ quarter: i, kwh })))))
      expect((await visible(rows)).map(row => row.split(' ')[3])).toEqual([
        '0.14500',
        '0.10000',
        '0.00000',
        '0.00001',
        '9999999.99999',
        '0.30000',
        '12345.67890',
        '1234567.00003',
        '4.00007'
      ])
      await sink.close()
    })

    test('stores ESIIDs of 17 and of 22 digits, and readings without a revision', async () => {
      const { sink, rows } = stand()
      const [short, long] = [makeEsiid(1, 17), makeEsiid(1, 22)]
      await deliver(
        sink,
        fileOf(
          'a.csv',
          csv([
            { esiid: short, revision: '' },
            { esiid: long, revision: '' }
          ])
        )
      )
      const start = new Date(centralInstant('2025-07-14', '00:00')).toISOString()
      expect(await visible(rows)).toEqual([
        `${long} ${start} consumption 0.31000 A null`,
        `${short} ${start} consumption 0.31000 A null`
      ])
      await sink.close()
    })

    test('I7: gives a receipt whose numbers add up', async () => {
      const { sink, rows } = stand()
      const text = csv([
        { quarter: 0 },
        { quarter: 1, kwh: '', flag: '' },
        { quarter: 2, kwh: 'n/a' },
        { quarter: 3 },
        { date: '03/09/2025', quarter: 8, kwh: '', flag: '' }
      ])
      const receipt = await deliver(sink, fileOf('a.csv', `${text}${intervalHeader}\n`))
      expect(receipt.rows).toEqual({
        read: 6,
        accepted: 2,
        rejected: 1,
        placeholder: 1,
        missing: 1,
        repeatedHeader: 1,
        inserted: 2,
        replaced: 0,
        unchanged: 0,
        superseded: 0,
        conflicts: 0
      })
      expect(receipt.entries[0]?.rejects).toMatchObject([{ code: 'ROW_BAD_KWH', line: 4 }])
      expect(receipt.quality?.kwh.consumption).toBe(0.62)
      expect(await rows()).toHaveLength(2)
      await sink.close()
    })

    test('names the file, its hashes and its entries in the receipt', async () => {
      const { sink } = stand()
      const { bytes } = makeIntervalReport(days(1))
      const zip = makeZip([
        { name: 'IntervalMeterUsage1.CSV', bytes },
        { name: 'notes.txt', bytes: Buffer.from('nothing to see\n') }
      ])
      const file = fileOf('in/a.zip', zip, { modifiedAt: 1_752_500_000_000 })
      const receipt = await deliver(sink, file)
      const sha256 = sha256Of(zip)
      expect(receipt).toMatchObject({
        source: 'test:',
        path: 'in/a.zip',
        name: 'a.zip',
        size: zip.length,
        modifiedAt: 1_752_500_000_000,
        state: 'committed',
        fetched: { bytes: zip.length, sha256, vanished: false },
        payload: { bytes: zip.length, sha256, encrypted: false },
        entries: [
          { index: 0, name: 'IntervalMeterUsage1.CSV', outcome: 'used' },
          { index: 1, name: 'notes.txt', outcome: 'unhandled' }
        ]
      })
      expect(receipt.elapsedMs).toBeGreaterThanOrEqual(0)
      await sink.close()
    })

    test('takes a file in a ZIP archive whose name has a NUL, which no database takes', async () => {
      const { sink, rows } = stand()
      const { bytes, expected } = makeIntervalReport(days(1))
      const receipt = await deliver(sink, fileOf('a.zip', makeZip([{ name: 'Interval\0Usage.CSV', bytes }])))
      expect(receipt).toMatchObject({ state: 'committed', entries: [{ name: 'Interval\ufffdUsage.CSV' }] })
      expect(await visible(rows)).toEqual(rowsOf(expected()))
      await sink.close()
    })

    test('knows a file that it has taken, and drains it', async () => {
      const { sink, rows } = stand()
      const file = fileOf('a.csv', makeIntervalReport(days(2)).bytes)
      const first = await deliver(sink, file)
      const before = await visible(rows)
      // A sink that keeps no ledger of its own knows its files as long as it lives: `rows` did not end it.
      const again = await deliver(sink, file)
      expect(again).toMatchObject({ state: 'duplicate', known: true, duplicateOf: 'a.csv', rows: first.rows })
      const stream = sink.stream(file)
      expect(await stream.wanted()).toBe(false)
      expect(stream.receipt).toEqual(again)
      stream.destroy()
      expect(await visible(rows)).toEqual(before)
      await sink.close()
    })

    test('I2: takes the same content once, whatever its name', async () => {
      const { sink, rows } = stand()
      const { bytes } = makeIntervalReport(days(2))
      await deliver(sink, fileOf('a.csv', bytes))
      const before = await visible(rows)
      const receipt = await deliver(sink, fileOf('b.csv', bytes))
      expect(receipt).toMatchObject({ state: 'duplicate', known: false, duplicateOf: 'a.csv', rows: null })
      expect(await deliver(sink, fileOf('b.csv', bytes))).toMatchObject({ known: true, duplicateOf: 'a.csv' })
      expect(await visible(rows)).toEqual(before)
      await sink.close()
    })

    test('I2: takes the same report once, although it is encrypted anew', async () => {
      const { sink, rows } = stand()
      const { bytes } = makeIntervalReport(days(2))
      await deliver(sink, encrypted('a.csv.asc', bytes, 'one session key'))
      const before = await visible(rows)
      const receipt = await deliver(sink, encrypted('b.csv.asc', bytes, 'another session key'))
      expect(receipt).toMatchObject({
        state: 'duplicate',
        duplicateOf: 'a.csv.asc',
        fetched: { sha256: sha256Of('another session key') },
        payload: { sha256: sha256Of(bytes), bytes: bytes.length, encrypted: true }
      })
      expect(await visible(rows)).toEqual(before)
      await sink.close()
    })

    test('I2: takes the same content once, although two files bring it at the same time', async () => {
      const { sink, rows } = stand()
      const report = makeIntervalReport(days(2))
      const receipts = await Promise.all(
        ['a.csv', 'b.csv', 'c.csv'].map(path => deliver(sink, fileOf(path, report.bytes)))
      )
      expect(receipts.map(({ state }) => state).sort()).toEqual(['committed', 'duplicate', 'duplicate'])
      expect(await visible(rows)).toEqual(rowsOf(report.expected()))
      await sink.close()
    })

    test('takes several files at the same time', async () => {
      const { sink, rows } = stand()
      const dates = ['2025-07-14', '2025-07-15', '2025-07-16', '2025-07-17']
      const reports = dates.map(date => makeIntervalReport(days(2, date)))
      const receipts = await Promise.all(
        reports.map(({ bytes }, i) => deliver(sink, fileOf(`${i}.csv`, bytes), { batchRows: 50 }))
      )
      expect(receipts.map(({ state }) => state)).toEqual(dates.map(() => 'committed'))
      expect(await visible(rows)).toEqual(reports.flatMap(({ expected }) => rowsOf(expected())).sort())
      await sink.close()
    })

    test('leaves a file alone that is being taken already, says so, and lets the first one go on', async () => {
      const { sink, rows } = stand()
      const report = makeIntervalReport(days(1))
      const file = fileOf('a.csv', report.bytes)
      const first = sink.stream(file)
      expect(await first.wanted()).toBe(true)
      expect(await offered(sink, file)).toMatchObject({ state: 'seen', known: false, reason: { code: 'HELD' } })
      await pipeline(file.stream(), new IntervalParser().stream(file), first)
      expect(first.receipt?.state).toBe('committed')
      expect(await visible(rows)).toEqual(rowsOf(report.expected()))
      await sink.close()
    })

    test('I5: keeps a file for as long as it works on it, longer than its lease', async () => {
      const { sink, rows } = stand()
      const report = makeIntervalReport(days(1))
      const file = fileOf('a.csv', report.bytes)
      const slow = sink.stream(file, { leaseMs: 1500 })
      expect(await slow.wanted()).toBe(true)
      await pause(2200)
      expect(await offered(sink, file)).toMatchObject({ state: 'seen', reason: { code: 'HELD' } })
      await pipeline(file.stream(), new IntervalParser().stream(file), slow)
      expect(slow.receipt?.state).toBe('committed')
      expect(await visible(rows)).toEqual(rowsOf(report.expected()))
      await sink.close()
    })

    test('commits an archive without intervals with zero rows', async () => {
      const { sink, rows } = stand()
      const zip = makeZip([{ name: 'notes.txt', bytes: Buffer.from('hello\n') }])
      const receipt = await deliver(sink, fileOf('a.zip', zip))
      expect(receipt).toMatchObject({ state: 'committed', rows: { read: 0, accepted: 0, inserted: 0 } })
      expect(receipt.entries).toMatchObject([{ name: 'notes.txt', outcome: 'unhandled', header: 'hello' }])
      expect(await rows()).toEqual([])
      await sink.close()
    })

    describe('refuses', () => {
      const batchesOnly = (part: unknown) => !(part instanceof FileAccount)
      const report = makeIntervalReport(days(2))

      test('a stream that ends without a FileAccount', async () => {
        const { sink, rows } = stand()
        const file = fileOf('a.csv', report.bytes)
        const parts = (await readParts(file)).filter(batchesOnly)
        const { error, receipt } = await failing(sink, file, parts)
        expect(error).toMatchObject({ code: 'SINK_NO_ACCOUNT', file: 'a.csv' })
        expect(receipt).toMatchObject({ state: 'quarantined', reason: { code: 'SINK_NO_ACCOUNT' } })
        expect(await rows()).toEqual([])
        await sink.close()
      })

      test.each([
        ['a batch after the FileAccount', (parts: unknown[]) => [...parts, parts[0]]],
        ['a second FileAccount', (parts: unknown[]) => [...parts, parts.at(-1)]],
        ['what is neither a batch nor a FileAccount', (parts: unknown[]) => [{ length: 0 }, ...parts]]
      ])('%s', async (_, change) => {
        const { sink, rows } = stand()
        const file = fileOf('a.csv', report.bytes)
        const { error, receipt } = await failing(sink, file, change(await readParts(file)))
        expect(error).toMatchObject({ code: 'SINK_NO_ACCOUNT' })
        expect(receipt).toMatchObject({ state: 'quarantined', reason: { code: 'SINK_NO_ACCOUNT' } })
        expect(await rows()).toEqual([])
        await sink.close()
      })

      test.each([
        ['an account of fewer rows than came', (parts: unknown[]) => [parts[0], ...parts]],
        ['an account of more rows than came', (parts: unknown[]) => parts.slice(1)],
        ['an account whose rows do not add up', (parts: unknown[]) => [...parts.slice(0, -1), miscounted(parts)]]
      ])('I7: %s', async (_, change) => {
        const { sink, rows } = stand()
        const file = fileOf('a.csv', report.bytes)
        const { error, receipt } = await failing(sink, file, change(await readParts(file)))
        expect(error).toMatchObject({ code: 'SINK_ROW_EQUATION', file: 'a.csv' })
        expect(receipt).toMatchObject({ state: 'quarantined', reason: { code: 'SINK_ROW_EQUATION' } })
        expect(await rows()).toEqual([])
        await sink.close()
      })

      test('I4: a file that its source does not vouch for; the next run takes it', async () => {
        const { sink, rows } = stand()
        let stands = false
        const whole = fileOf('a.csv', report.bytes)
        const file: IngestFile = {
          ...whole,
          async verify() {
            if (!stands) throw new SourceError('TRANSFER_CHANGED', 'the file changed', { file: 'a.csv' })
            return whole.verify()
          }
        }
        const { error, receipt } = await failing(sink, file, await readParts(file))
        expect(error).toMatchObject({ code: 'TRANSFER_CHANGED' })
        expect(receipt).toMatchObject({ state: 'seen', reason: { code: 'TRANSFER_CHANGED' } })
        expect(await rows()).toEqual([])
        stands = true
        expect(await deliver(sink, file)).toMatchObject({ state: 'seen', reason: { code: 'WAITING' } })
        expect(await deliver(sink, file, { retryNow: true })).toMatchObject({ state: 'committed', known: false })
        expect(await visible(rows)).toEqual(rowsOf(report.expected()))
        await sink.close()
      })
    })

    describe('I1: nothing is visible of a file', () => {
      const report = makeIntervalReport(days(3))
      const file = fileOf('a.csv', report.bytes)

      test.each([0, 1, 3, 4])('whose stream is destroyed after %i parts; it may be taken again', async count => {
        const { sink, rows } = stand()
        const stream = sink.stream(file)
        const parts = await readParts(file)
        expect(parts).toHaveLength(5)
        for (const part of parts.slice(0, count)) {
          await new Promise(resolve => stream.write(part, resolve))
        }
        stream.destroy()
        await closedOf(stream)
        expect(stream.receipt).toMatchObject({ state: 'seen', reason: { code: 'ABORTED' } })
        expect(await rows()).toEqual([])
        expect(await deliver(sink, file)).toMatchObject({ state: 'committed' })
        expect(await visible(rows)).toEqual(rowsOf(report.expected()))
        await sink.close()
      })

      test('whose stream is destroyed in the middle of a write; other files go on beside it', async () => {
        const { sink, rows } = stand()
        const parts = await readParts(file)
        const others = ['2025-07-15', '2025-07-16', '2025-07-17'].map(date => makeIntervalReport(days(1, date)))
        for (const [i, { bytes }] of others.entries()) {
          const stream = sink.stream(file)
          await stream.wanted()
          stream.write(parts[0])
          stream.destroy()
          expect(await deliver(sink, fileOf(`${i}.csv`, bytes))).toMatchObject({ state: 'committed' })
          await closedOf(stream)
          expect(stream.receipt).toMatchObject({ state: 'seen', reason: { code: 'ABORTED' } })
        }
        expect(await visible(rows)).toEqual(others.flatMap(({ expected }) => rowsOf(expected())).sort())
        await sink.close()
      })

      test('that is under way when the sink is closed; the next use takes it', async () => {
        const { sink, rows } = stand()
        const stream = sink.stream(file)
        const error = new Promise<Error>(resolve => stream.once('error', resolve))
        await stream.wanted()
        stream.write((await readParts(file))[0])
        await sink.close()
        expect(stream.closed).toBe(true)
        expect(await error).toMatchObject({ code: 'ABORTED', file: 'a.csv' })
        expect(stream.receipt).toMatchObject({ state: 'seen', reason: { code: 'ABORTED' } })
        expect(await rows()).toEqual([])
        expect(await deliver(sink, file)).toMatchObject({ state: 'committed' })
        expect(await visible(rows)).toEqual(rowsOf(report.expected()))
        await sink.close()
      })

      test('whose source breaks off; the next run tries it again', async () => {
        const { sink, rows } = stand()
        const broken = new SourceError('SFTP_DISCONNECTED', 'the connection broke', { file: 'a.csv' })
        const { error, receipt } = await failing(sink, file, await readParts(file), broken)
        expect(error).toBe(broken)
        expect(receipt).toMatchObject({ state: 'seen', reason: { code: 'SFTP_DISCONNECTED' } })
        expect(await rows()).toEqual([])
        expect(await deliver(sink, file)).toMatchObject({ state: 'committed' })
        await sink.close()
      })

      test('that fails for a reason unknown to us; the next run tries it again', async () => {
        const { sink, rows } = stand()
        const { receipt } = await failing(sink, file, await readParts(file), new Error(`odd ${makeEsiid(7)}`))
        expect(receipt).toMatchObject({ state: 'seen', reason: { code: 'UNEXPECTED' } })
        expect(receipt?.reason?.message).toBe('odd …9007')
        expect(await rows()).toEqual([])
        expect(await deliver(sink, file)).toMatchObject({ state: 'committed' })
        await sink.close()
      })

      test('whose pipeline is aborted; the next run tries it again', async () => {
        const { sink, rows } = stand()
        const abort = new AbortController()
        const stream = sink.stream(file)
        const source = Readable.from(abortAfter(await readParts(file), abort))
        await expect(pipeline(source, stream, { signal: abort.signal })).rejects.toMatchObject({ name: 'AbortError' })
        await closedOf(stream)
        expect(stream.receipt).toMatchObject({ state: 'seen', reason: { code: 'ABORTED' } })
        expect(await rows()).toEqual([])
        expect(await deliver(sink, file)).toMatchObject({ state: 'committed' })
        await sink.close()
      })

      test('that is bad; it stays in quarantine until it is asked for', async () => {
        const { sink, rows } = stand()
        const bad = fileOf('bad.csv', report.bytes)
        const parts = await readParts(bad)
        const { receipt } = await failing(sink, bad, parts.slice(0, -1))
        expect(receipt?.state).toBe('quarantined')
        const again = await deliver(sink, bad)
        expect(again).toMatchObject({ state: 'quarantined', known: true, reason: { code: 'SINK_NO_ACCOUNT' } })
        expect(again.reason?.advice).toMatch(/FileAccount/)
        expect(await rows()).toEqual([])
        const retried = await deliver(sink, bad, { retryQuarantined: true })
        expect(retried).toMatchObject({ state: 'committed', known: false, reason: null })
        expect(await visible(rows)).toEqual(rowsOf(report.expected()))
        await sink.close()
      })
    })

    test('I3: writes down once why a file is passed over, and takes it when it is offered after all', async () => {
      const { sink } = stand()
      const file = fileOf('a.tmp', makeIntervalReport(days(1)).bytes)
      const passed: PassedOver = { ...labelOf(file), state: 'ignored', reason: 'ignored by *.tmp' }
      expect(await sink.passOver(passed)).toMatchObject({
        state: 'ignored',
        known: false,
        reason: { code: 'FILTERED', message: 'left out: ignored by *.tmp' }
      })
      expect(await sink.passOver(passed)).toMatchObject({ state: 'ignored', known: true })
      expect(await deliver(sink, file)).toMatchObject({ state: 'committed', known: false })
      await sink.close()
    })

    test('I3: says of a changing file that the next run looks again', async () => {
      const { sink } = stand()
      const file = fileOf('a.csv', makeIntervalReport(days(1)).bytes)
      const reason = 'its size went from 1 to 2 bytes'
      expect(await sink.passOver({ ...labelOf(file), state: 'changing', reason })).toMatchObject({
        state: 'seen',
        reason: { code: 'CHANGING', message: `still changing: ${reason}` }
      })
      expect(await deliver(sink, file)).toMatchObject({ state: 'committed' })
      await sink.close()
    })

    test('takes the same path again when its size or time is another one', async () => {
      const { sink } = stand()
      const [one, two] = ['2025-07-14', '2025-07-15'].map(date => makeIntervalReport(days(1, date)).bytes)
      expect(await deliver(sink, fileOf('a.csv', one!, { modifiedAt: 1_000 }))).toMatchObject({ state: 'committed' })
      expect(await deliver(sink, fileOf('a.csv', two!, { modifiedAt: 2_000 }))).toMatchObject({ state: 'committed' })
      expect(await deliver(sink, fileOf('a.csv', one!, { modifiedAt: 3_000 }))).toMatchObject({
        state: 'duplicate',
        known: false
      })
      await sink.close()
    })

    test('closes twice, unused, and by `await using`', async () => {
      const { sink } = stand()
      await sink.close()
      await deliver(sink, fileOf('a.csv', makeIntervalReport(days(1)).bytes))
      await sink.close()
      await sink.close()
      await deliver(sink, fileOf('b.csv', makeIntervalReport(days(1, '2025-07-15')).bytes))
      await Promise.all([sink.close(), sink.close()])
      expect(await sink[Symbol.asyncDispose]()).toBeUndefined()
    })
  })
}

/** For sinks whose ledger outlives the process. */
export function testDurableSink(name: string, open: (folder: string) => SinkStand): void {
  describe(`${name} in the next process`, () => {
    test('knows what it took, and what it set aside', async () => {
      const folder = scratchFolder()
      const report = makeIntervalReport(days(2))
      const [good, bad] = [fileOf('good.csv', report.bytes), fileOf('bad.csv', csv([{}]))]
      const first = open(folder)
      const taken = await deliver(first.sink, good)
      await failing(first.sink, bad, [])
      await first.sink.close()

      const second = open(folder)
      expect(await deliver(second.sink, good)).toMatchObject({ state: 'duplicate', known: true, rows: taken.rows })
      expect(await deliver(second.sink, bad)).toMatchObject({ state: 'quarantined', known: true })
      expect(await deliver(second.sink, fileOf('c.csv', report.bytes))).toMatchObject({ duplicateOf: 'good.csv' })
      expect(await visible(second.rows)).toEqual(rowsOf(report.expected()))
      await second.sink.close()
    })
  })
}

/** What a sink says to a file, which is then not delivered. */
async function offered(sink: Sink, file: IngestFile): Promise<Receipt | undefined> {
  const stream = sink.stream(file)
  await stream.wanted()
  stream.destroy()
  return stream.receipt
}

export interface DeliverOptions {
  readonly retryQuarantined?: boolean
  readonly retryNow?: boolean
  readonly batchRows?: number
}

/** Brings one file in through a parser of our own; gives its receipt. */
export async function deliver(
  sink: Sink,
  file: IngestFile,
  { batchRows = 8192, ...options }: DeliverOptions = {}
): Promise<Receipt> {
  const stream = sink.stream(file, options)
  await pipeline(file.stream(), new IntervalParser({ batchRows }).stream(file), stream)
  return stream.receipt!
}

/** Brings parts in that must fail, or that are followed by an error; gives what the stream ended with. */
export async function failing(
  sink: Sink,
  file: IngestFile,
  parts: Iterable<unknown>,
  breakage?: Error
): Promise<{ error: unknown; receipt: Receipt | undefined }> {
  const stream = sink.stream(file)
  const error = await pipeline(Readable.from(followed(parts, breakage)), stream).then(
    () => 'no error',
    error => error
  )
  await closedOf(stream)
  return { error, receipt: stream.receipt }
}

async function* followed(parts: Iterable<unknown>, breakage: Error | undefined) {
  yield* parts
  if (breakage) throw breakage
}

async function* abortAfter(parts: Iterable<unknown>, abort: AbortController) {
  yield* parts
  abort.abort()
  // The end must not come before the abort was heard.
  await new Promise(() => {})
}

export async function closedOf(stream: NodeJS.EventEmitter & { readonly closed: boolean }): Promise<void> {
  // Not `once` of node:events: that one rejects when an error comes first.
  if (!stream.closed) await new Promise(resolve => stream.once('close', resolve))
}

/** What the parser gives for a file: batches of 100 rows, then its account. */
export async function readParts(file: IngestFile): Promise<unknown[]> {
  const parser = new IntervalParser({ batchRows: 100 }).stream(file)
  return file.stream().pipe(parser).toArray()
}

function miscounted(parts: unknown[]): FileAccount {
  const [entry] = (parts.at(-1) as FileAccount).entries
  return new FileAccount([{ ...entry!, rows: { ...entry!.rows, read: entry!.rows.read + 1 } }])
}

/** A file in memory, as a source would list it. */
export function fileOf(path: string, content: Uint8Array | string, over: Partial<IngestFile> = {}): IngestFile {
  const bytes = Buffer.from(content)
  return {
    source: 'test:',
    path,
    name: path.slice(path.lastIndexOf('/') + 1),
    size: bytes.length,
    modifiedAt: 1_752_500_000_000,
    stream: () => Readable.from(chunksOf(bytes), { objectMode: false }),
    verify: async () => ({ bytes: bytes.length, sha256: sha256Of(bytes), vanished: false }),
    ...over
  }
}

/** The same, opened already: what was fetched is another thing than what is read. */
export function encrypted(path: string, payload: Uint8Array, fetched: string): IngestFile {
  const verify = async () => ({ bytes: fetched.length, sha256: sha256Of(fetched), vanished: false })
  const file = fileOf(path, payload, { size: fetched.length, verify })
  noteOpened(file, { encrypted: true, bytes: payload.length, sha256: sha256Of(payload) })
  return file
}

function labelOf({ source, path, name, size, modifiedAt }: IngestFile) {
  return { source, path, name, size, modifiedAt }
}

function* chunksOf(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += 4000) yield bytes.subarray(at, at + 4000)
}

/** Meter-days of July, or of another day, with panels on every second roof and estimates on every third. */
export function days(meters: number, date = '2025-07-14') {
  return Array.from({ length: meters }, (_, i) =>
    makeMeterDay({ esiid: makeEsiid(i), date, solar: i % 2 === 1, estimated: i % 3 === 2 })
  )
}

/** One row of a report. */
export interface Row {
  readonly esiid?: string
  /** MM/DD/YYYY */
  readonly date?: string
  /** MM/DD/YYYY HH:MM:SS or blank */
  readonly revision?: string
  /** Which of the day's 96 label quarters. */
  readonly quarter?: number
  readonly kwh?: string
  readonly flag?: string
  readonly direction?: string
}

/** A report, row by row. */
export function csv(rows: readonly Row[]): string {
  const label = (quarter: number) =>
    `${String(Math.floor(quarter / 4) % 24).padStart(2, '0')}:${String((quarter % 4) * 15).padStart(2, '0')}`
  const lines = rows.map(row => {
    const { esiid = makeEsiid(1), date = '07/14/2025', revision = '07/15/2025 06:41:12' } = row
    const { quarter = 0, kwh = '0.310', flag = 'A', direction = 'Consumption' } = row
    return `'${esiid},${date},${revision}, ${label(quarter)}, ${label(quarter + 1)},${kwh},${flag},${direction}\n`
  })
  return `${intervalHeader}\n${lines.join('')}`
}

/** What is visible, in order. */
export async function visible(rows: () => Promise<StoredRow[]>): Promise<StoredRow[]> {
  return (await rows()).sort()
}

/** What must be visible, in order. */
export function rowsOf(expected: Iterable<ExpectedInterval>): StoredRow[] {
  return [...expected]
    .map(({ milliKwh, ...row }) =>
      rowText({ ...row, kwh: `${Math.floor(milliKwh / 1000)}.${String(milliKwh % 1000).padStart(3, '0')}00` })
    )
    .sort()
}

export interface RowParts {
  readonly esiid: string
  readonly start: number
  readonly direction: string
  /** With five places. */
  readonly kwh: string
  readonly estimated: boolean
  readonly revision: number | null
}

export function rowText({ esiid, start, direction, kwh, estimated, revision }: RowParts): StoredRow {
  const stamp = revision === null ? null : new Date(revision).toISOString()
  return `${esiid} ${new Date(start).toISOString()} ${direction} ${kwh} ${estimated ? 'E' : 'A'} ${stamp}`
}

export function sha256Of(content: Uint8Array | string): string {
  return createHash('sha256').update(content).digest('hex')
}
