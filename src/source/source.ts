import type { Readable } from 'node:stream'
import type { Reason } from '../ledger/receipt.ts'

/** As much of a file as a stage needs to name it in errors. */
export interface FileLabel {
  readonly path: string
  readonly name: string
}

/** What a source lists: one file, with the way to read it and the way to prove that it was read whole. */
export interface IngestFile extends FileLabel {
  /** The source it comes from, as a short address without secrets: `sftp://user@host:22`. */
  readonly source: string
  /** Its path at the source; together with `source` its identity. */
  readonly path: string
  /** The last part of the path. */
  readonly name: string
  /** Bytes, as listed. */
  readonly size: number
  /** UTC epoch milliseconds, as listed. Many servers know whole seconds only. */
  readonly modifiedAt: number
  /** The bytes as fetched. Each call reads the file anew. */
  stream(options?: { readonly signal?: AbortSignal | undefined }): Readable
  /**
   * Proves the last {@link IngestFile.stream}: the bytes received equal the size listed before and the file as it
   * stands now. Reject with a {@link SourceError} otherwise.
   */
  verify(): Promise<Transfer>
  /** Deletes or moves the file; there when the source is to. Called once the store has all of it. Gives what was done. */
  dispose?(): Promise<Disposal | undefined>
}

/** What became of a file at its source, once the store had it. */
export interface Disposal {
  readonly action: 'deleted' | 'moved' | 'kept'
  /** Where it was moved to. */
  readonly to?: string
  /** Why it was kept although it was to go. */
  readonly reason?: Reason | null
}

/** The proof of one reading. */
export interface Transfer {
  /** Bytes received. */
  readonly bytes: number
  /** SHA-256 of the bytes as fetched, lower-case hex. */
  readonly sha256: string
  /** True when the path was gone after the reading; the sizes agreed before that. */
  readonly vanished: boolean
  /** How often the connection broke and the rest was read over a new one; left out where it never did. */
  readonly resumed?: number
}

/** A file that was listed and is not offered, and why. */
export interface PassedOver {
  readonly source: string
  readonly path: string
  readonly name: string
  readonly size: number
  readonly modifiedAt: number
  /** `ignored`: a filter or its type leaves it out. `changing`: it was still growing; the next run looks again. */
  readonly state: 'ignored' | 'changing'
  /** The filter that left it out, or what was seen to change. */
  readonly reason: string
}

/** How one pass over a source is asked for. */
export interface FilesOptions {
  readonly signal?: AbortSignal | undefined
  /** Hears of every listed file that is not offered. */
  readonly onPassedOver?: ((file: PassedOver) => void) | undefined
  /**
   * Called when the last file was given, and resolves when all are done with: a source whose files need a session keeps
   * it until then.
   */
  readonly untilDone?: (() => Promise<void>) | undefined
}

/** Where files come from. */
export interface Source extends AsyncDisposable {
  /** The files that stood still between two looks, oldest first. The session closes when the loop ends. */
  files(options?: FilesOptions): AsyncIterable<IngestFile>
  close(): Promise<void>
}
