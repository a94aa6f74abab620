import { mkdir, mkdtemp, open, readdir, rename, rm, rmdir, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { IngestError, SinkError } from '../../errors.ts'
import { syncDirectory } from '../../ledger/file-ledger.ts'
import { isAskedFor, monthOfPath, type ParquetManifest, pathOfMonth, readManifest } from './manifest.ts'

/** Folders of exports under way. */
const STAGING = /^\.export-\w{6}$/

const MANIFEST = 'manifest.json'

/**
 * The directory of an export, and in it the folder in which everything is written before any of it counts.
 *
 * Once all months are there, the manifest is written into that folder: from then on the export is done, whatever happens.
 * The old manifest is taken away, the files are put in place, and last comes the new manifest. A run that dies on the way
 * is finished by the next one, which begins by looking for such a folder; one without a manifest is thrown away.
 */
export class ExportDirectory {
  readonly #directory: string
  readonly #staging: string
  #isDone = false

  private constructor(directory: string, staging: string) {
    this.#directory = directory
    this.#staging = staging
  }

  static begin(path: string): Promise<ExportDirectory> {
    const directory = resolve(path)
    return guarded(directory, async () => {
      await mkdir(directory, { recursive: true })
      for (const name of await readdir(directory)) {
        if (STAGING.test(name)) await finish(directory, join(directory, name))
      }
      await readManifest(join(directory, MANIFEST))
      return new ExportDirectory(directory, await mkdtemp(join(directory, '.export-')))
    })
  }

  /** Where what does not fit in memory may wait. */
  get spill(): string {
    return join(this.#staging, 'spill')
  }

  /** Where a month's file is written. Readers look for names that end in .parquet, also in here. */
  pathOf(month: string): string {
    return stagedPath(this.#staging, month)
  }

  /** An error of writing as one of ours. */
  guarded<T>(work: () => Promise<T>): Promise<T> {
    return guarded(this.#directory, work)
  }

  /** Puts everything in place. Months that were not asked for stay, and stay in the manifest. Gives what it says. */
  commit(manifest: ParquetManifest): Promise<ParquetManifest> {
    return this.guarded(async () => {
      const files = [...(await this.#kept(manifest)), ...manifest.files].sort((a, b) => (a.path < b.path ? -1 : 1))
      const whole = { ...manifest, files }
      await writeDurably(join(this.#staging, MANIFEST), `${JSON.stringify(whole, null, 2)}\n`)
      await syncDirectory(this.#directory)
      this.#isDone = true
      await finish(this.#directory, this.#staging)
      return whole
    })
  }

  /** Throws away what does not count. */
  async close(): Promise<void> {
    if (!this.#isDone) await rm(this.#staging, { recursive: true, force: true })
  }

  /** Files of the old manifest that this export is not about, and that are as they were. */
  async #kept(asked: ParquetManifest): Promise<ParquetManifest['files']> {
    const { files = [] } = (await readManifest(join(this.#directory, MANIFEST))) ?? {}
    const others = files.filter(({ path }) => !isAskedFor(monthOfPath(path)!, asked))
    const sizes = await Promise.all(others.map(({ path }) => sizeOf(join(this.#directory, path))))
    return others.filter(({ bytes }, i) => bytes === sizes[i])
  }
}

/** Puts in place what has its manifest, and may have been begun already; throws away the rest. */
async function finish(directory: string, staging: string): Promise<void> {
  const manifest = await readManifest(join(staging, MANIFEST))
  if (manifest) {
    await rm(join(directory, MANIFEST), { force: true })
    await syncDirectory(directory)
    const months = manifest.files.map(({ path }) => monthOfPath(path)!)
    for (const month of months) await putInPlace(directory, staging, month)
    for (const name of await readdir(directory)) {
      const month = monthOfPath(name)
      if (month && isAskedFor(month, manifest) && !months.includes(month)) await remove(directory, month)
    }
    await syncDirectory(directory)
    await rename(join(staging, MANIFEST), join(directory, MANIFEST))
    await syncDirectory(directory)
  }
  await rm(staging, { recursive: true, force: true })
}

/** Gives a month's file its name. One that is not there has it already, or is an older one that stays. */
async function putInPlace(directory: string, staging: string, month: string): Promise<void> {
  const staged = stagedPath(staging, month)
  if ((await sizeOf(staged)) === undefined) return
  const path = join(directory, pathOfMonth(month))
  await mkdir(dirname(path), { recursive: true })
  await rename(staged, path)
  await syncDirectory(dirname(path))
}

/** Removes a month of which the store has nothing any more; what else is in its folder stays. */
async function remove(directory: string, month: string): Promise<void> {
  const path = join(directory, pathOfMonth(month))
  await rm(path, { force: true })
  await rmdir(dirname(path)).catch(() => {})
}

const stagedPath = (staging: string, month: string) => join(staging, `${month}.tmp`)

async function sizeOf(path: string): Promise<number | undefined> {
  return stat(path).then(
    ({ size }) => size,
    () => undefined
  )
}

async function writeDurably(path: string, text: string): Promise<void> {
  const next = `${path}.tmp`
  const file = await open(next, 'w')
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(next, path)
  await syncDirectory(dirname(path))
}

async function guarded<T>(directory: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    if (cause instanceof IngestError) throw cause
    const what = `the export cannot be written: ${(cause as Error).message}`
    throw new SinkError('STORE_EXPORT', what, { file: directory, cause })
  }
}
