import { posix } from 'node:path'
import type { Attributes, FileEntry } from 'ssh2'
import type { ErrorCode } from '../../errors.ts'
import { type DisposeOption, type Disposer, dispose } from '../disposal.ts'
import { ListedFile, type Observer, type Origin, type Sight } from '../listed-file.ts'
import type { Listed, Lister } from '../listing.ts'
import type { IngestFile } from '../source.ts'
import type { SftpLink } from './link.ts'
import { type ReaderSettings, readRemoteFile } from './reader.ts'
import { sightOf } from './window.ts'

interface ListerSettings extends ReaderSettings {
  /** As {@link plainPath} gives them. */
  readonly directories: readonly string[]
  readonly dispose: DisposeOption
}

/** A remote path without what changes nothing. */
export function plainPath(path: string): string {
  return posix.normalize(path).replace(/(?<=.)\/$/, '')
}

/** The directories and files at the end of a link, in the words of {@link Lister} and {@link Origin}. */
export class SftpLister implements Lister, Origin, Disposer {
  readonly directories: readonly string[]
  readonly dispose: Origin['dispose']
  readonly #link: SftpLink
  readonly #address: string
  readonly #settings: ListerSettings

  constructor(link: SftpLink, address: string, settings: ListerSettings) {
    const { directories, dispose: how } = settings
    this.directories = directories
    if (how !== 'keep') this.dispose = entry => dispose(entry, how, this)
    this.#link = link
    this.#address = address
    this.#settings = settings
  }

  async list(directory: string, root: string): Promise<Listed[]> {
    // A directory that went away below the given one is a fault of the moment, not of the configuration.
    const missing: ErrorCode = directory === root ? 'SFTP_NO_SUCH_DIRECTORY' : 'SFTP_LIST'
    const codes = [missing, 'SFTP_LIST', 'SFTP_LIST'] as const
    const entries = await this.#link.ask(directory, channel => channel.list(directory, codes))
    const listed: Listed[] = []
    for (const entry of entries) {
      // With a slash it cannot be a name, and points elsewhere; with a NUL no file system has it.
      if (entry.filename === '' || /[/\0]/.test(entry.filename)) continue
      const path = posix.join(directory, entry.filename)
      const attributes = entry.attrs.size === undefined ? await this.#lstat(path) : entry.attrs
      if (attributes === undefined) continue
      listed.push({
        source: this.#address,
        path,
        name: entry.filename,
        ...sightOf(attributes),
        kind: kindOf(entry, attributes)
      })
    }
    return listed
  }

  offer(entry: Listed): IngestFile {
    return new ListedFile(entry, this)
  }

  read(entry: Listed, observer: Observer, signal: AbortSignal): AsyncGenerator<Uint8Array, void> {
    return readRemoteFile(this.#link, entry, this.#settings, observer, signal)
  }

  async look({ path }: Listed): Promise<Sight | undefined> {
    const attributes = await this.#lstat(path)
    return attributes && sightOf(attributes)
  }

  async makeDirectory(path: string): Promise<void> {
    if ((await this.#lstat(path)) !== undefined) return
    const above = posix.dirname(path)
    if (above !== path) await this.makeDirectory(above)
    await (await this.#link.session(path)).channel.makeDirectory(path)
  }

  // What changes something is not asked for twice: nobody knows whether it was done when the connection broke.

  async move(from: string, to: string): Promise<void> {
    await (await this.#link.session(from)).channel.rename(from, to)
  }

  async remove(path: string): Promise<void> {
    await (await this.#link.session(path)).channel.remove(path)
  }

  join(directory: string, name: string): string {
    return posix.join(directory, name)
  }

  #lstat(path: string): Promise<Attributes | undefined> {
    return this.#link.ask(path, channel => channel.lstat(path))
  }
}

/** The type stands in the mode; servers that leave it out still draw it as the first letter of the long name. */
export function kindOf({ longname }: Pick<FileEntry, 'longname'>, { mode = 0 }: Partial<Attributes>): Listed['kind'] {
  switch (mode & 0o170000) {
    case 0o100000:
      return 'file'
    case 0o040000:
      return 'directory'
    case 0o120000:
      return 'link'
    case 0:
      return kindOfLetter(longname[0])
    default:
      return 'other'
  }
}

function kindOfLetter(letter: string | undefined): Listed['kind'] {
  if (letter === '-') return 'file'
  if (letter === 'd') return 'directory'
  return letter === 'l' ? 'link' : 'other'
}
