import { readFile } from 'node:fs/promises'
import type { Direction } from '../../batch.ts'
import { SinkError } from '../../errors.ts'

/** One file of an export: a month. */
export interface ExportedFile {
  /** From the manifest's folder on, as `month=2025-07/intervals.parquet`. */
  readonly path: string
  /** How many intervals it holds. */
  readonly rows: number
  readonly bytes: number
  /** Of the file, in hexadecimal digits. */
  readonly sha256: string
  /** Sum of each series as exact decimal text, with five places. */
  readonly kwh: Readonly<Record<Direction, string>>
  /** The earliest `start`, as UTC ISO text. */
  readonly first: string
  /** The latest `start`, as UTC ISO text. */
  readonly last: string
  /** When the export that wrote it began, as UTC ISO text. An earlier one than the manifest’s, where it was kept. */
  readonly exportedAt: string
}

/** What `manifest.json` says: every file that it names is there, whole, as it is described. */
export interface ParquetManifest {
  readonly store: { readonly kind: 'duckdb' | 'postgres'; readonly schemaVersion: number }
  /** Of this package. */
  readonly version: string
  /** When the export began, as UTC ISO text. */
  readonly exportedAt: string
  /** The first month that was asked for; null: from the beginning. */
  readonly since: string | null
  /** The last month that was asked for; null: to the end. */
  readonly until: string | null
  /** By month. */
  readonly files: readonly ExportedFile[]
}

/** A file's path, from the manifest's folder on. */
export const pathOfMonth = (month: string) => `month=${month}/intervals.parquet`

/** The month of such a path, or of its folder. */
export const monthOfPath = (path: string) => /^month=(\d{4}-\d{2})(\/intervals\.parquet)?$/.exec(path)?.[1]

/** Whether a month was asked for. */
export function isAskedFor(month: string, { since, until }: Pick<ParquetManifest, 'since' | 'until'>): boolean {
  return (since === null || month >= since) && (until === null || month <= until)
}

/** The manifest in a file; undefined where there is none. What is not ours is not written over. */
export async function readManifest(path: string): Promise<ParquetManifest | undefined> {
  const text = await readFile(path, 'utf8').catch(error => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (text === undefined) return undefined
  try {
    const manifest: ParquetManifest = JSON.parse(text)
    if (manifest.files.every(({ path }) => monthOfPath(path) !== undefined)) return manifest
  } catch {}
  throw new SinkError('STORE_EXPORT', 'the manifest is not one of an export', { file: path })
}
