import { ConfigError, findIngestError } from '../errors.ts'
import { buildDatabase } from '../settings.ts'
import type { ExportedFile, ParquetManifest } from '../sink/parquet/manifest.ts'
import { errorJson, many, number, printError, say, sayJson } from './print.ts'
import type { ExitCode, Surroundings } from './surroundings.ts'

/** Flags of `export`. */
export interface ExportFlags {
  readonly from?: string
  readonly to: string
  readonly since?: string
  readonly until?: string
  readonly json?: boolean
}

/** Writes the intervals of a database into Parquet files, one for each month. */
export async function exportStore(flags: ExportFlags, { env, signal }: Surroundings): Promise<ExitCode> {
  const { from, to: directory, since, until, json = false } = flags
  const store = await buildDatabase(from, env)
  try {
    const onFile = (file: ExportedFile) => (json ? sayJson({ type: 'file', ...file }) : say(fileLine(file)))
    const manifest = await store.exportParquet({ directory, since, until, signal, onFile })
    if (json) sayJson(summary(manifest))
    else say(`${summaryLine(manifest)} in ${directory}`)
    return 0
  } catch (error) {
    const found = findIngestError(error) ?? error
    if (found instanceof ConfigError) throw found
    if (json) sayJson(errorJson(found))
    else printError(found)
    return 1
  } finally {
    await store.close()
  }
}

function fileLine({ path, rows, kwh, bytes }: ExportedFile): string {
  const sums = Object.entries(kwh).filter(([, sum]) => Number(sum) > 0)
  const parts = [many(rows, 'interval'), ...sums.map(([direction, sum]) => `${sum} kWh ${direction}`)]
  return `✓ ${path}  ${parts.join(', ')}, ${number(Math.ceil(bytes / 1024))} KiB`
}

function summaryLine(manifest: ParquetManifest): string {
  const { files, intervals, kept } = summary(manifest)
  const keptToo = kept > 0 ? `, ${number(kept)} kept of an earlier export` : ''
  return `${many(files, 'month')}, ${many(intervals, 'interval')} written${keptToo}`
}

function summary({ files, exportedAt }: ParquetManifest) {
  const written = files.filter(file => file.exportedAt === exportedAt)
  const intervals = written.reduce((sum, { rows }) => sum + rows, 0)
  return { type: 'summary', files: written.length, kept: files.length - written.length, intervals, exportedAt }
}
