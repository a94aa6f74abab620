import { createHash } from 'node:crypto'
import { type FileHandle, mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod'
import type { IntervalBatch } from '../batch.ts'
import { IngestError, SinkError } from '../errors.ts'
import { intervalJson } from '../interval-json.ts'
import { FileLedger, syncDirectory } from '../ledger/file-ledger.ts'
import type { Ledger } from '../ledger/ledger.ts'
import { nothingStored, payloadOf, type Stored } from '../ledger/receipt.ts'
import { settle } from '../options.ts'
import type { FileAccount, RowCounts } from '../parse/file-account.ts'
import type { ReportBatch } from '../report-batch.ts'
import { reportLines } from '../report-json.ts'
import type { IngestFile } from '../source/source.ts'
import { type Closing, Sink, type SinkTransaction } from './sink.ts'

/** Where NDJSON goes. */
export interface NdjsonSinkOptions {
  /** Directory of the finished files. Made when missing. */
  readonly directory: string
}

const schema = z.strictObject({ directory: z.string().min(1) })

/** A file under way; the next run removes those that a dead one left behind. */
const STAGING = /^\.staging-.*\.ndjson$/

/**
 * One NDJSON file for each file taken, one row a line, and a ledger beside them (`.ledger.ndjson`).
 *
 * A file is written under another name, made durable, then renamed: it is there whole or not at all. Its name holds the
 * hash of its content, so that a run that died between the renaming and the ledger's entry writes the same name again.
 * It does not merge: of several versions of a reading each stands in its own file, and `revision` tells the newest.
 *
 * In: the batches of one file. Out: `<name>.<hash>.ndjson`.
 * Memory: the text of one batch.
 */
export class NdjsonSink extends Sink {
  protected override readonly takesAnyLength = true
  readonly #directory: string

  constructor(options: NdjsonSinkOptions) {
    super()
    this.#directory = settle('NdjsonSink', schema, options).directory
  }

  protected override async openLedger(): Promise<Ledger> {
    const ledger = await FileLedger.open(join(this.#directory, '.ledger.ndjson'))
    try {
      for (const name of await readdir(this.#directory)) {
        if (STAGING.test(name)) await rm(join(this.#directory, name), { force: true })
      }
    } catch (cause) {
      await ledger.close()
      throw new SinkError('STORE_OPEN', 'the directory cannot be cleaned', { file: this.#directory, cause })
    }
    return ledger
  }

  protected override async begin(file: IngestFile): Promise<SinkTransaction> {
    const id = createHash('sha256').update(`${file.source} ${file.path} ${Math.random()}`).digest('hex').slice(0, 16)
    const staging = join(this.#directory, `.staging-${id}.ndjson`)
    return guarded(staging, async () => {
      await mkdir(this.#directory, { recursive: true })
      return new NdjsonTransaction(this.#directory, staging, await open(staging, 'wx'))
    })
  }
}

class NdjsonTransaction implements SinkTransaction {
  readonly #directory: string
  readonly #staging: string
  readonly #file: FileHandle

  constructor(directory: string, staging: string, file: FileHandle) {
    this.#directory = directory
    this.#staging = staging
    this.#file = file
  }

  async write(batch: IntervalBatch): Promise<void> {
    let text = ''
    for (const interval of batch) text += `${intervalJson(interval)}\n`
    await guarded(this.#staging, () => this.#file.appendFile(text))
  }

  async writeReports(batch: ReportBatch): Promise<void> {
    await guarded(this.#staging, () => this.#file.appendFile(reportLines(batch)))
  }

  async commit(account: FileAccount, { evidence }: Closing): Promise<Stored> {
    const { sha256 } = payloadOf(evidence.fetched, evidence.opened)
    const used = account.entries.filter(({ outcome }) => outcome === 'used')
    const entry = used.find(({ kind }) => kind === 'intervals') ?? used[0]
    if (entry === undefined) {
      await this.rollback()
      return nothingStored
    }
    const ending = `.${sha256.slice(0, 16)}.ndjson`
    await guarded(this.#directory, async () => {
      await this.#file.sync()
      await this.#file.close()
      // A run that died before the ledger's entry left the same content, perhaps under the name of another entry.
      const left = (await readdir(this.#directory)).find(name => name.endsWith(ending))
      const final = left ?? `${safeName(entry.name)}${ending}`
      await rename(this.#staging, join(this.#directory, final))
      await syncDirectory(this.#directory)
    })
    const inserted = ({ accepted }: RowCounts) => ({ ...nothingStored, inserted: accepted })
    const reports = Object.entries(account.reports).map(([kind, counts]) => [kind, inserted(counts)])
    return { ...inserted(account.rows), reports: Object.fromEntries(reports) }
  }

  async rollback(): Promise<void> {
    await this.#file.close().catch(() => {})
    await rm(this.#staging, { force: true })
  }
}

/** The last part of a name, with nothing in it that a file system could take for more than a name. */
function safeName(name: string): string {
  const last = name.slice(Math.max(name.lastIndexOf('/'), name.lastIndexOf('\\')) + 1)
  const plain = last.replace(/\.(csv|asc)$/i, '').replace(/[^A-Za-z0-9._-]/g, '_')
  return plain.replace(/^\.+/, '').slice(0, 100) || 'intervals'
}

async function guarded<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    if (cause instanceof IngestError) throw cause
    throw new SinkError('STORE_WRITE', 'the file cannot be written', { file: path, cause })
  }
}
