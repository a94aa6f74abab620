import { createRequire } from 'node:module'
import * as z from 'zod'
import { AbortError } from '../../errors.ts'
import { settle } from '../../options.ts'
import { ExportDirectory } from './directory.ts'
import { type ExportedFile, isAskedFor, type ParquetManifest, pathOfMonth } from './manifest.ts'
import { type Month, monthPattern, monthsOf } from './months.ts'
import type { WrittenFile } from './write.ts'

/** What is exported, and where to. */
export interface ParquetExportOptions {
  /** Where the folders of months stand, and `manifest.json`. Made when missing. */
  readonly directory: string
  /**
   * The first month in Central time, as 2025-07.
   * @default the store's first
   */
  readonly since?: string | undefined
  /**
   * The last month in Central time, as 2025-07.
   * @default the store's last
   */
  readonly until?: string | undefined
  /** Stops the export; the directory stays as it was. */
  readonly signal?: AbortSignal | undefined
  /** Is told of each month that is written; none has its name before all are. The next one waits for its promise. */
  readonly onFile?: ((file: ExportedFile) => void | Promise<void>) | undefined
}

const month = z.string().regex(monthPattern, 'must be a month such as 2025-07')

const schema = z
  .strictObject({
    directory: z.string().min(1),
    since: month.optional(),
    until: month.optional(),
    signal: z.instanceof(AbortSignal).optional(),
    onFile: z.custom<ParquetExportOptions['onFile']>(value => typeof value === 'function').optional()
  })
  .refine(({ since, until }) => !since || !until || since <= until, {
    path: ['until'],
    message: 'is before the first month'
  })

/** The intervals of a store as they stand at one moment. */
export interface Snapshot {
  readonly store: ParquetManifest['store']
  /** The UTC days, counted from 1970 on, on which intervals begin; there may be some more. */
  days(): Promise<readonly number[]>
  /** Writes a month's intervals into a file; undefined where there are none. `writing` takes what may fail over the file. */
  write(month: Month, path: string, writing: Guard): Promise<WrittenFile | undefined>
}

/** Tells failures of writing an export from those of reading a store. */
export type Guard = <T>(work: () => Promise<T>) => Promise<T>

/** Where a snapshot is taken. */
export interface SnapshotPlace {
  /** Where what does not fit in memory may wait. */
  readonly spill: string
  readonly signal: AbortSignal | undefined
}

/** Opens a snapshot, and closes it when the work has ended. */
export type TakeSnapshot = <T>(place: SnapshotPlace, work: (snapshot: Snapshot) => Promise<T>) => Promise<T>

/**
 * Writes a store's intervals into Parquet files, one for each month, all of one moment. The directory has the whole export
 * and its manifest, or is as it was.
 *
 * Memory: what DuckDB takes to sort a month; the rest of it waits in the directory or beside the store.
 */
export async function exportParquet(
  options: ParquetExportOptions,
  takeSnapshot: TakeSnapshot
): Promise<ParquetManifest> {
  const { directory, since = null, until = null, signal, onFile } = settle('exportParquet', schema, options)
  if (signal?.aborted) throw new AbortError()
  const told = new Listener(onFile)
  const target = await ExportDirectory.begin(directory)
  try {
    const exportedAt = new Date().toISOString()
    const { store, files } = await stoppable(signal, () =>
      takeSnapshot({ spill: target.spill, signal }, async snapshot => {
        const files: ExportedFile[] = []
        const months = monthsOf(await snapshot.days()).filter(({ name }) => isAskedFor(name, { since, until }))
        for (const month of months) {
          if (signal?.aborted) break
          const written = await snapshot.write(month, target.pathOf(month.name), work => target.guarded(work))
          if (written === undefined) continue
          const file = { path: pathOfMonth(month.name), ...written, exportedAt }
          files.push(file)
          await told.tell(file)
        }
        return { store: snapshot.store, files }
      })
    )
    return await target.commit({ store, version: packageVersion(), exportedAt, since, until, files })
  } catch (error) {
    throw told.error ?? error
  } finally {
    await target.close()
  }
}

/** Who is told of files. What he throws is his own: no failure of the store that it passes through. */
class Listener {
  error: unknown
  readonly #onFile: ParquetExportOptions['onFile']

  constructor(onFile: ParquetExportOptions['onFile']) {
    this.#onFile = onFile
  }

  async tell(file: ExportedFile): Promise<void> {
    try {
      await this.#onFile?.(file)
    } catch (error) {
      this.error = error
      throw error
    }
  }
}

/** Work that ends by its signal's error once that has come, whatever it ended in itself. */
async function stoppable<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } finally {
    // biome-ignore lint/correctness/noUnsafeFinally: it is to take the place of whatever the interruption caused
    if (signal?.aborted) throw new AbortError()
  }
}

function packageVersion(): string {
  return createRequire(import.meta.url)('@intelliwatt/smt-ingest/package.json').version
}
