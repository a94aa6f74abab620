import { lstat, open, readdir } from 'node:fs/promises'
import { join, posix } from 'node:path'

/** A file that exists in memory only. */
export interface ServedFile {
  readonly content: Uint8Array
  /** UTC epoch milliseconds; SFTP carries whole seconds. */
  readonly modifiedAt: number
}

/** What stands at a path. */
export interface Sight {
  readonly kind: 'file' | 'directory' | 'link'
  readonly size: number
  readonly modifiedAt: number
}

export interface OpenFile {
  stat(): Promise<Sight>
  read(position: number, length: number): Promise<Uint8Array>
  close(): Promise<void>
}

/** What a server serves, read-only. Absolute paths with slashes; undefined where there is nothing. */
export interface Tree {
  look(path: string): Promise<Sight | undefined>
  names(path: string): Promise<string[] | undefined>
  open(path: string): Promise<OpenFile | undefined>
}

/** Serves a map of paths; directories are those the paths imply. A file that is replaced changes under its reader. */
export function treeOfMap(files: ReadonlyMap<string, ServedFile>): Tree {
  const sightOf = ({ content, modifiedAt }: ServedFile): Sight => ({ kind: 'file', size: content.length, modifiedAt })
  const below = (path: string) => {
    const prefix = path === '/' ? '/' : `${path}/`
    const names = [...files.keys()].filter(file => file.startsWith(prefix))
    return new Set(names.map(file => file.slice(prefix.length).split('/')[0]!))
  }
  return {
    async look(path) {
      const file = files.get(path)
      if (file !== undefined) return sightOf(file)
      return below(path).size > 0 || path === '/' ? { kind: 'directory', size: 0, modifiedAt: 0 } : undefined
    },
    async names(path) {
      const names = [...below(path)]
      return names.length > 0 || path === '/' ? names : undefined
    },
    async open(path) {
      let file = files.get(path)
      if (file === undefined) return undefined
      const now = () => (file = files.get(path) ?? file!)
      return {
        stat: async () => sightOf(now()),
        read: async (position, length) => now().content.subarray(position, position + length),
        close: async () => {}
      }
    }
  }
}

/** Serves a local folder as `/`. Links are shown, not followed. */
export function treeOfDirectory(directory: string): Tree {
  const local = (path: string) => join(directory, posix.resolve('/', path))
  return {
    async look(path) {
      return await lstat(local(path)).then(sightOf, missing)
    },
    async names(path) {
      return await readdir(local(path)).catch(missing)
    },
    async open(path) {
      const sight = await lstat(local(path)).catch(missing)
      if (!sight?.isFile()) return undefined
      const handle = await open(local(path), 'r').catch(missing)
      return (
        handle && {
          stat: async () => sightOf(await handle.stat()),
          async read(position, length) {
            const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, position)
            return buffer.subarray(0, bytesRead)
          },
          close: () => handle.close()
        }
      )
    }
  }
}

function sightOf(stats: Awaited<ReturnType<typeof lstat>>): Sight {
  const kind = stats.isDirectory() ? 'directory' : stats.isSymbolicLink() ? 'link' : 'file'
  return { kind, size: Number(stats.size), modifiedAt: Number(stats.mtimeMs) }
}

function missing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT' && error.code !== 'ENOTDIR') throw error
}
