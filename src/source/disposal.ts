import * as z from 'zod'
import { IngestError } from '../errors.ts'
import type { Listed } from './listing.ts'
import type { Disposal } from './source.ts'

/** What a source does with a file once the store has it. */
export type DisposeOption = 'keep' | 'delete' | { readonly moveTo: string }

export const disposeOption = z.union(
  [z.literal('keep'), z.literal('delete'), z.strictObject({ moveTo: z.string().min(1) })],
  "must be 'keep', 'delete', or { moveTo: directory }"
)

/** The part of a source that changes what it listed. */
export interface Disposer {
  /** Makes a directory, and those above it; one that is there is left alone. */
  makeDirectory(path: string): Promise<void>
  /** Gives a file another place; rejects when something stands there. */
  move(from: string, to: string): Promise<void>
  remove(path: string): Promise<void>
  join(directory: string, name: string): string
}

/** Deletes or moves a file that the store has. */
export async function dispose(
  entry: Listed,
  how: Exclude<DisposeOption, 'keep'>,
  disposer: Disposer
): Promise<Disposal> {
  if (how === 'delete') {
    await disposer.remove(entry.path)
    return { action: 'deleted' }
  }
  await disposer.makeDirectory(how.moveTo)
  const to = disposer.join(how.moveTo, entry.name)
  try {
    await disposer.move(entry.path, to)
    return { action: 'moved', to }
  } catch (error) {
    // A file of this name was taken before: the report was delivered again, with other content.
    if (!(error instanceof IngestError) || error.code === 'TRANSFER_CHANGED') throw error
    const beside = `${to}.${entry.modifiedAt}`
    await disposer.move(entry.path, beside).catch(() => {
      throw error
    })
    return { action: 'moved', to: beside }
  }
}

/** The directory that files are moved to. */
export function movedTo(how: DisposeOption): string | undefined {
  return typeof how === 'string' ? undefined : how.moveTo
}

/** What a source's options must satisfy: nothing is moved to where it is listed again. */
export const elsewhere: [
  (options: { readonly dispose: DisposeOption; readonly directories: readonly string[] }) => boolean,
  { path: string[]; message: string }
] = [
  ({ dispose, directories }) => !directories.includes(movedTo(dispose) ?? ''),
  { path: ['dispose', 'moveTo'], message: 'must not be one of the directories' }
]
