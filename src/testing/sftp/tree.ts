import { link, lstat, mkdir, open, readdir, unlink } from 'node:fs/promises'
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

/** What a server serves. Absolute paths with slashes; undefined where there is nothing. */
export interface Tree {
  look(path: string): Promise<Sight | undefined>
  names(path: string): Promise<string[] | undefined>
  open(path: string): Promise<OpenFile | undefined>
  /** These three reject when there is nothing, or something, in the way. */
  remove(path: string): Promise<void>
  rename(from: string, to: string): Promise<void>
  makeDirectory(path: string): Promise<void>
}

/** Serves a map of paths; directories are those the paths imply. A file that is replaced changes under its reader. */
export function treeOfMap(files: Map<string, ServedFile>): Tree {
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
    },
    async remove(path) {
      if (!files.delete(path)) throw new Error('there is no such file')
    },
    async rename(from, to) {
      const file = files.get(from)
      if (file === undefined || files.has(to)) throw new Error('nothing to move, or no place to move it to')
      files.delete(from)
      files.set(to, file)
    },
    // Directories are those that the paths of files imply.
    makeDirectory: async () => {}
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
    },
    remove: path => unlink(local(path)),
    async rename(from, to) {
      // As the protocol wants it: what stands at the new place is not written over.
      await link(local(from), local(to))
      await unlink(local(from))
    },
    async makeDirectory(path) {
      await mkdir(local(path))
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
