import type { Duplex } from 'node:stream'
import * as z from 'zod'
import type { EntryLabel, IntervalBatch } from '../batch.ts'
import { type ErrorPlace, ParseError } from '../errors.ts'
import { settle } from '../options.ts'
import type { ReportBatch } from '../report-batch.ts'
import type { FileLabel } from '../source/source.ts'
import { type StageBody, StageStream } from '../stage-stream.ts'
import { type ArchiveLimits, archiveLimitsSchema } from '../unpack/archive-limits.ts'
import { type Entry, readEntries } from '../unpack/read-entries.ts'
import { withoutReturn } from '../without-return.ts'
import { classify, type EntryKind, type EntryPlace, promisesIntervals } from './entry-head.ts'
import type { EntryStart } from './entry-rows.ts'
import { type EntryAccount, FileAccount, noQuality, noRows, type RowCounts, tooManyRejects } from './file-account.ts'
import { type EntryHandlers, handlersSchema, handOver, type OtherEntry } from './handlers.ts'
import { type EntryScanner, IntervalScanner } from './interval-scanner.ts'
import { greenButtonSchema, layoutSchema, minutesSchema } from './layout-options.ts'
import { type IntervalLayout, knownLayouts } from './layouts.ts'
import { kindNow } from './reports/recognise.ts'
import { ScanCore } from './scan-core.ts'

/** Grows when the same bytes would give other rows. Kept with every entry in the ledger. */
export const PARSER_VERSION = 4

/** Bytes of a file that are read after it failed. */
const MOST_READ_ON = 64 * 1024 * 1024

/** Rejects that every file may have, however short it is. */
const ALWAYS_ALLOWED = 10

/** What a parser gives: batches, and last the account. */
type Parsed = IntervalBatch | ReportBatch | FileAccount

/** How intervals are read. */
export interface IntervalParserOptions {
  /**
   * Rows per batch.
   * @default 8192
   */
  readonly batchRows?: number
  /**
   * Rejected rows after which a file fails.
   * @default 1000
   */
  readonly maxRejects?: number
  /**
   * Share of a file's rows that may be rejected before it fails; ten are always allowed.
   * @default 0.001
   */
  readonly maxRejectShare?: number
  /**
   * Layouts of your own, looked for before the known ones.
   * @default []
   */
  readonly layouts?: readonly IntervalLayout[]
  /**
   * Lengths of intervals that are taken, in minutes. A row of another length is rejected by name.
   * @default [15]
   */
  readonly intervalMinutes?: readonly (15 | 30 | 60)[]
  /**
   * What the archives in a file may unpack to, before it fails with `ZIP_LIMIT`.
   * @default 10,000 members, 100 GB, 200 times the packed size, 2 archives deep
   */
  readonly archiveLimits?: ArchiveLimits
  /** What is known beforehand of Green Button feeds, which may leave it open. */
  readonly greenButton?: {
    /**
     * The meter of every feed, 17 or 22 digits. A feed that names another one fails.
     * @default the one that the feed names
     */
    readonly esiid?: string | undefined
    /**
     * How starts are meant: `utc` as instants; `smt` as SMT's portal writes them, the wall clock of Texas taken for UTC.
     * @default what the feed itself proves; one that leaves it open fails
     */
    readonly clock?: 'utc' | 'smt' | undefined
  }
  /**
   * Whether the rows of daily register reads and monthly bills are read. Nobody has shown a real file of either; `leave`
   * records them as unhandled.
   * @default 'read'
   */
  readonly reports?: 'read' | 'leave' | undefined
  /** Who takes entries that hold no intervals. Without one they are recorded as unhandled. */
  readonly handlers?: EntryHandlers | undefined
}

const schema = z.strictObject({
  batchRows: z.number().int().min(1).max(65_536).default(8192),
  maxRejects: z.number().int().min(0).default(1000),
  maxRejectShare: z.number().min(0).max(1).default(0.001),
  layouts: z.array(layoutSchema).default([]),
  intervalMinutes: z.array(minutesSchema).min(1).default([15]),
  archiveLimits: archiveLimitsSchema.prefault({}),
  greenButton: greenButtonSchema.default({}),
  reports: z.enum(['read', 'leave']).default('read'),
  handlers: handlersSchema.default({})
})

/**
 * Reads the intervals of opened files: ZIP archives (told by their first bytes), plain CSV, header by header, Green
 * Button XML, or the JSON of SMT's REST API.
 *
 * In: opened bytes of one file. Out: batches of intervals, in file order but for the repeated autumn hour, and last one
 * {@link FileAccount}.
 * Memory: one chunk in and one unpacked, two batches, and the row a chunk cut in half. On the autumn day rows that are
 * held back, see docs/time.md: 20 MB at most. Of a Green Button feed whose meter or types stand behind the readings,
 * those readings: 60 MB at most.
 */
export class IntervalParser implements AsyncDisposable {
  readonly #options: z.output<typeof schema>
  readonly #layouts: readonly IntervalLayout[]

  constructor(options: IntervalParserOptions = {}) {
    this.#options = settle('IntervalParser', schema, options)
    this.#layouts = [...this.#options.layouts, ...knownLayouts]
  }

  /** One Node stream for one file. Rows are provisional until its pipeline resolves. */
  stream(file?: FileLabel, options: { readonly signal?: AbortSignal | undefined } = {}): Duplex {
    const body: StageBody<Uint8Array, Parsed> = (chunks, signal) => this.#read(chunks, file, signal)
    const stream = new StageStream(body, { readableObjectMode: true, readableHighWaterMark: 1 })
    return stream.obey(options.signal, { file: file?.path })
  }

  /**
   * Whether an entry of a file, by its path, that was left unhandled by this version or an older one would be taken now: by
   * a handler, or by a reader that has come since.
   */
  wouldTake(entry: Pick<EntryAccount, 'outcome' | 'kind' | 'name' | 'header'>, file?: string): boolean {
    const { outcome, kind } = entry
    if (outcome !== 'unhandled' || kind === 'intervals' || kind === 'folder') return false
    const now = kindNow({ ...entry, kind }, file)
    return this.#options.handlers[now.kind] !== undefined || (now.isReadable && this.#options.reports === 'read')
  }

  /** Holds nothing that needs closing; here so that every stage ends alike. */
  async close(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async *#read(
    chunks: AsyncIterable<Uint8Array>,
    file: FileLabel | undefined,
    signal: AbortSignal
  ): AsyncGenerator<Parsed, void> {
    const accounts: EntryAccount[] = []
    let rejected = 0
    const path = file?.path
    const input = withoutReturn(chunks)
    const labels = { name: file?.name, file: path, archiveLimits: this.#options.archiveLimits }
    const core = ScanCore.take(this.#options.batchRows, this.#options.intervalMinutes)
    try {
      for await (const entry of readEntries(input, labels)) {
        const label: EntryLabel = { index: entry.index, name: entry.name }
        const start = { core, entry: label, file: path, maxRejects: this.#options.maxRejects - rejected }
        const account: EntryAccount = yield* this.#readEntry(entry, start, { file, signal })
        rejected += account.rows.rejected
        accounts.push(account)
      }
    } catch (error) {
      await readOn(input)
      throw error
    } finally {
      core.release()
    }
    const account = new FileAccount(accounts)
    this.#judge(account, file)
    yield account
  }

  async *#readEntry(
    entry: Entry,
    start: EntryStart,
    context: Pick<OtherEntry, 'file' | 'signal'>
  ): AsyncGenerator<IntervalBatch | ReportBatch, EntryAccount> {
    const chunks = entry[Symbol.asyncIterator]()
    const { bytes, kind } = await readHead(entry, chunks, { file: start.file, layouts: this.#layouts })
    const handler = kind.kind === 'other' ? this.#options.handlers[kind.is] : undefined
    if (kind.kind === 'other' && handler) {
      const about = { ...start.entry, ...context, kind: kind.is, header: kind.header }
      const handled = { outcome: 'handled', bytes: await handOver(handler, about, bytes, chunks) } as const
      return accountOf(start.entry, kind, entry, handled)
    }
    let size = bytes.length
    let scanner: EntryScanner | undefined
    if (kind.kind === 'intervals') {
      scanner = new IntervalScanner(start, kind.layout, kind.head)
      yield* scanner.push(bytes.subarray(kind.head.next))
    } else if (kind.kind === 'green-button') {
      // Loaded when one is met: most programs never need an XML parser.
      const { GreenButtonScanner } = await import('./green-button/scanner.ts')
      scanner = new GreenButtonScanner(start, this.#options.greenButton)
      yield* scanner.push(bytes)
    } else if (kind.kind === 'read-list') {
      const { ReadListScanner } = await import('./read-list/scanner.ts')
      scanner = new ReadListScanner(start)
      yield* scanner.push(bytes)
    } else if (kind.kind === 'other' && kind.report && this.#options.reports === 'read') {
      const { ReportScanner } = await import('./reports/scanner.ts')
      scanner = new ReportScanner(start, kind.report, this.#options.batchRows)
      yield* scanner.push(bytes.subarray(kind.report.head.next))
    }
    for (let next = await chunks.next(); !next.done; next = await chunks.next()) {
      size += next.value.length
      if (scanner) yield* scanner.push(next.value)
    }
    if (scanner) yield* scanner.end()
    return accountOf(start.entry, kind, entry, { outcome: scanner ? 'used' : 'unhandled', bytes: size }, scanner)
  }

  /** Whether the file as a whole may pass. */
  #judge(account: FileAccount, file: FileLabel | undefined): void {
    const { rows, entries, reports } = account
    const place = { file: file?.path }
    const intervals = entries.filter(({ kind }) => kind === 'intervals')
    const used = intervals.length > 0 ? intervals : entries.filter(({ outcome }) => outcome === 'used')
    if (used.length > 0 && used.every(({ rows }) => rows.read === 0)) {
      const [{ name, layout }] = used as [EntryAccount]
      const what = (layout !== null && emptyKinds[layout]) || 'a header and no row'
      throw new ParseError('PARSE_NO_ROWS', what, { ...place, entry: name })
    }
    if (intervals.length === 0 && file && promisesIntervals(file.name)) {
      const header = entries[0]?.header ?? ''
      throw new ParseError('PARSE_UNKNOWN_HEADER', `no entry is an interval report, header ${header}`, place)
    }
    // Each kind by itself: many good intervals do not make up for a report beside them that nobody can read.
    this.#judgeRejects(rows, intervals, place)
    for (const [kind, counts] of Object.entries(reports)) {
      const read = entries.filter(entry => entry.kind === kind)
      this.#judgeRejects(counts, read, place)
    }
  }

  #judgeRejects(rows: RowCounts, entries: readonly EntryAccount[], place: ErrorPlace): void {
    const { maxRejectShare, maxRejects } = this.#options
    const allowed = Math.min(maxRejects, Math.max(ALWAYS_ALLOWED, Math.floor(rows.read * maxRejectShare)))
    const nothingLeft = rows.rejected > 0 && rows.accepted === 0
    if (rows.rejected <= allowed && !nothingLeft) return
    const rejects = entries.flatMap(entry => entry.rejects)
    const first = entries.find(entry => entry.rejects.length > 0)
    throw tooManyRejects(rejects, rows, { ...place, entry: first?.name })
  }
}

/** Formats that have no header, and so no layout but themselves: what one is that holds no reading. */
const emptyKinds: Readonly<Record<string, string>> = {
  'green-button': 'a Green Button feed and no reading',
  'read-list': 'an answer of interval reads and no reading'
}

function isFormat(kind: EntryKind['kind'] | 'folder'): kind is 'green-button' | 'read-list' {
  return kind in emptyKinds
}

/**
 * Reads what is left of a file that cannot be read, as far as that is cheap. Nonsense may come of an altered message,
 * which shows only at its end: then the stage before fails, and its reason is the true one.
 */
async function readOn(chunks: AsyncIterable<Uint8Array>): Promise<void> {
  let left = MOST_READ_ON
  for await (const { length } of chunks) if ((left -= length) <= 0) return
}

/** Reads an entry up to the end of its first line, and tells what it is. */
async function readHead(
  entry: Entry,
  chunks: AsyncIterator<Uint8Array>,
  { file, layouts }: Pick<EntryPlace, 'file' | 'layouts'>
): Promise<{ bytes: Uint8Array; kind: EntryKind | { kind: 'folder' } }> {
  let bytes: Uint8Array = new Uint8Array(0)
  for (;;) {
    const { done, value } = await chunks.next()
    if (!done) bytes = bytes.length === 0 ? value : Buffer.concat([bytes, value])
    if (done && bytes.length === 0 && entry.name.endsWith('/')) return { bytes, kind: { kind: 'folder' } }
    if (done && bytes.length === 0 && promisesIntervals(entry.name)) {
      throw new ParseError('PARSE_EMPTY', 'the entry is empty', { file, entry: entry.name })
    }
    const kind = classify(bytes, done === true, { name: entry.name, file, packed: entry.packed, layouts })
    if (kind) return { bytes, kind }
  }
}

function accountOf(
  label: EntryLabel,
  kind: EntryKind | { kind: 'folder' },
  entry: Entry,
  reading: Pick<EntryAccount, 'outcome' | 'bytes'>,
  scanner?: EntryScanner
): EntryAccount {
  const scanned = scanner?.counts() ?? { rows: noRows, rejects: [], quality: noQuality }
  return {
    ...label,
    kind: isFormat(kind.kind) ? 'intervals' : kind.kind === 'other' ? kind.is : kind.kind,
    ...reading,
    crc32: entry.crc32 === undefined ? null : entry.crc32.toString(16).padStart(8, '0'),
    layout: scanner ? layoutOf(kind) : null,
    header: kind.kind === 'other' && !scanner ? kind.header : null,
    ...scanned
  }
}

function layoutOf(kind: EntryKind | { kind: 'folder' }): string | null {
  if (kind.kind === 'intervals') return kind.layout.layout.name
  return kind.kind === 'other' ? kind.report!.bound.layout.name : kind.kind
}
