import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { expect } from 'vitest'
import { type Interval, IntervalBatch } from '../../src/batch.ts'
import { FileAccount } from '../../src/parse/file-account.ts'
import { IntervalParser, type IntervalParserOptions } from '../../src/parse/interval-parser.ts'
import { type ReportBatch, ReportBatchOf } from '../../src/report-batch.ts'
import { addDays, intervalHeader } from '../../src/testing/index.ts'

export const esiid = '10443720009999001'
export const longEsiid = '1008901999999999999903'

/** A row as SMT writes it; any cell may be another. */
export function row(cells: Partial<typeof plainCells> = {}): string {
  return Object.values({ ...plainCells, ...cells }).join(',')
}

const plainCells = {
  esiid: `'${esiid}`,
  date: '07/14/2025',
  revision: '07/15/2025 06:41:12',
  start: ' 00:00',
  end: ' 00:15',
  kwh: '0.231',
  flag: 'A',
  direction: 'Consumption'
}

/** A file of SMT's header and these rows. */
export function csv(...rows: readonly string[]): string {
  return [intervalHeader, ...rows, ''].join('\n')
}

/** `00:00` to `23:45` by the quarter hour, as the start and end cells of a row. */
export function quarter(n: number): { start: string; end: string } {
  const label = (minutes: number) =>
    `${String(Math.floor(minutes / 60) % 24).padStart(2, '0')}:${String(minutes % 60).padStart(2, '0')}`
  return { start: ` ${label(n * 15)}`, end: ` ${label(n * 15 + 15)}` }
}

/** `n` good rows, one after another, day after day from spring on; up to autumn there are 22,000. */
export function goodRows(n: number): string[] {
  return Array.from({ length: n }, (_, i) =>
    row({ date: usDate(addDays('2024-03-11', Math.floor(i / 96))), ...quarter(i % 96) })
  )
}

/** `2025-07-14` as `07/14/2025`. */
function usDate(date: string): string {
  return date.replace(/(\d+)-(\d+)-(\d+)/, '$2/$3/$1')
}

/** What came out of a parser. */
export interface Reading {
  readonly batches: readonly IntervalBatch[]
  readonly intervals: readonly Interval[]
  /** The line of each interval. */
  readonly lines: readonly number[]
  /** Rows of the reports beside intervals. */
  readonly reports: readonly ReportBatch[]
  readonly account: FileAccount
}

export type Bytes = string | Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>

export interface ReadOptions extends IntervalParserOptions {
  /** The file's path; its last part is its name. */
  readonly path?: string
  readonly signal?: AbortSignal
}

/** Reads a file through one parser and Node's own pipeline. */
export async function read(bytes: Bytes, { path, signal, ...options }: ReadOptions = {}): Promise<Reading> {
  const batches: IntervalBatch[] = []
  const reports: ReportBatch[] = []
  let account: FileAccount | undefined
  const file = path === undefined ? undefined : { path, name: path.split('/').at(-1)! }
  const whole = typeof bytes === 'string' ? [Buffer.from(bytes)] : bytes instanceof Uint8Array ? [bytes] : bytes
  await pipeline(
    Readable.from(whole),
    new IntervalParser(options).stream(file, { signal }),
    async (values: AsyncIterable<IntervalBatch | ReportBatch | FileAccount>) => {
      for await (const value of values) {
        expect(account, 'something came after the account').toBeUndefined()
        if (value instanceof IntervalBatch) batches.push(value)
        else if (value instanceof ReportBatchOf) reports.push(value as ReportBatch)
        else account = value
      }
    }
  )
  expect(account).toBeInstanceOf(FileAccount)
  const lines = batches.flatMap(batch => [...batch.line])
  return { batches, intervals: batches.flatMap(batch => [...batch]), lines, reports, account: account! }
}

/** The intervals of the only entry by line: an hour that comes twice is held back until it can be told. */
export function inFileOrder({ intervals, lines }: Reading): Interval[] {
  return intervals
    .map((interval, i) => ({ interval, line: lines[i]! }))
    .sort((a, b) => a.line - b.line)
    .map(({ interval }) => interval)
}

/** Codes and lines of the rejected rows of the only entry. */
export function rejectsOf({ account }: Reading): [string, number][] {
  return account.entries[0]!.rejects.map(({ code, line }) => [code, line])
}

/** Every way to cut bytes in two, and one byte at a time. */
export function* cuts(bytes: Uint8Array): Generator<Uint8Array[]> {
  for (let at = 0; at <= bytes.length; at++) yield [bytes.subarray(0, at), bytes.subarray(at)]
  yield Array.from(bytes, (_, i) => bytes.subarray(i, i + 1))
}

export const iso = (at: number | null) => (at === null ? null : new Date(at).toISOString())
