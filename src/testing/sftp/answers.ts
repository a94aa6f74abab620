import { posix } from 'node:path'
import ssh2, { type Attributes, type SFTPWrapper } from 'ssh2'
import type { OpenFile, Sight, Tree } from './tree.ts'

const { STATUS_CODE } = ssh2.utils.sftp

/** Names per answer to READDIR. */
const namesPerAnswer = 100

type Handle = { readonly path: string } & ({ readonly file: OpenFile } | { names: string[] })

/** What goes wrong, and where. May be changed while the server runs. */
export interface SftpFaults {
  /** Paths that answer "permission denied" when opened, listed, deleted or moved. */
  deny?: readonly string[] | undefined
  /** Paths whose reading or listing answers with a bare "failure". */
  fail?: readonly string[] | undefined
  /** Paths whose reading or listing never answers. */
  hang?: readonly string[] | undefined
  /** Cuts every connection once so many bytes of files were sent. */
  cutAfterBytes?: number | undefined
  /** Answers no read with more than this. */
  maxAnswerBytes?: number | undefined
  /** Reads that may wait for their answer on a channel; those beyond them fail. */
  mostReads?: number | undefined
  /** Channels that a connection may have; more are refused. */
  mostChannels?: number | undefined
  /**
   * Is told of each request before it is answered; may change files and faults, or cut. Gives `deny`, `fail` or `hang` for a
   * request that is to meet "permission denied", a bare "failure", or silence.
   */
  onRequest?: ((request: SftpRequest) => unknown) | undefined
}

/** A request as the server meets it. `position` is that of a read. */
export interface SftpRequest {
  readonly name: 'OPENDIR' | 'READDIR' | 'LSTAT' | 'OPEN' | 'FSTAT' | 'READ' | 'CLOSE' | 'REMOVE' | 'RENAME' | 'MKDIR'
  readonly path: string
  readonly position?: number
}

/** Answers the requests of one SFTP channel out of a tree, with the faults as they are at that moment. */
export function answerSftp(sftp: SFTPWrapper, tree: Tree, faults: SftpFaults, send: (bytes: number) => boolean): void {
  const handles = new Map<number, Handle>()
  let lastHandle = 0
  /** Reads that wait for their answer. */
  let reads = 0
  let isClosed = false

  /** Answers with what `work` does; what it throws becomes a status. */
  const attempt = (request: number, work: () => Promise<void>): void => {
    work().catch(error => {
      sftp.status(request, error?.code === 'EACCES' ? STATUS_CODE.PERMISSION_DENIED : STATUS_CODE.FAILURE)
    })
  }
  /** The same, unless a fault is set for the request or, where `paths` hit it, for its path. */
  const answer = (request: number, asked: SftpRequest, work: () => Promise<void>, paths = true): void => {
    const { path } = asked
    const met = faults.onRequest?.(asked)
    const meets = (fault: 'deny' | 'fail' | 'hang') => met === fault || (paths && faults[fault]?.includes(path))
    if (meets('hang')) return
    if (meets('deny')) sftp.status(request, STATUS_CODE.PERMISSION_DENIED)
    else if (meets('fail')) sftp.status(request, STATUS_CODE.FAILURE)
    else attempt(request, work)
  }
  const keep = (request: number, handle: Handle) => {
    const id = Buffer.alloc(4)
    id.writeUInt32BE(++lastHandle)
    handles.set(lastHandle, handle)
    sftp.handle(request, id)
  }
  const take = (id: Buffer) => (id.length === 4 ? handles.get(id.readUInt32BE()) : undefined)
  const tell = (request: number, sight: Sight | undefined) =>
    sight === undefined ? sftp.status(request, STATUS_CODE.NO_SUCH_FILE) : sftp.attrs(request, attributesOf(sight))
  const pathOf = (handle: Handle | undefined) => handle?.path ?? ''
  const look = (request: number, path: string) => {
    const asked = { name: 'LSTAT', path: normal(path) } as const
    answer(request, asked, async () => tell(request, await tree.look(asked.path)), false)
  }

  sftp.on('REALPATH', (request, path) => {
    sftp.name(request, [{ filename: normal(path), longname: normal(path), attrs: {} as Attributes }])
  })
  sftp.on('STAT', look)
  sftp.on('LSTAT', look)
  sftp.on('OPENDIR', (request, given) => {
    const path = normal(given)
    answer(request, { name: 'OPENDIR', path }, async () => {
      const names = await tree.names(path)
      if (names === undefined) sftp.status(request, STATUS_CODE.NO_SUCH_FILE)
      else keep(request, { path, names })
    })
  })
  sftp.on('READDIR', (request, id) => {
    const handle = take(id)
    answer(request, { name: 'READDIR', path: pathOf(handle) }, async () => {
      if (handle === undefined || !('names' in handle)) return sftp.status(request, STATUS_CODE.FAILURE)
      const names = handle.names.splice(0, namesPerAnswer)
      if (names.length === 0) return sftp.status(request, STATUS_CODE.EOF)
      const sights = await Promise.all(names.map(name => tree.look(posix.join(handle.path, name))))
      const entries = names.flatMap((name, i) => entryOf(name, sights[i]))
      sftp.name(request, entries)
    })
  })
  sftp.on('OPEN', (request, given, flags) => {
    const path = normal(given)
    if (flags !== ssh2.utils.sftp.OPEN_MODE.READ) return sftp.status(request, STATUS_CODE.PERMISSION_DENIED)
    const open = async () => {
      if (faults.deny?.includes(path)) return sftp.status(request, STATUS_CODE.PERMISSION_DENIED)
      const file = await tree.open(path)
      if (file === undefined) sftp.status(request, STATUS_CODE.NO_SUCH_FILE)
      else if (isClosed) await file.close()
      else keep(request, { path, file })
    }
    answer(request, { name: 'OPEN', path }, open, false)
  })
  sftp.on('FSTAT', (request, id) => {
    const handle = take(id)
    const stat = async () => tell(request, handle && 'file' in handle ? await handle.file.stat() : undefined)
    answer(request, { name: 'FSTAT', path: pathOf(handle) }, stat, false)
  })
  sftp.on('READ', (request, id, position, length) => {
    const handle = take(id)
    if (handle === undefined || !('file' in handle)) return sftp.status(request, STATUS_CODE.FAILURE)
    answer(request, { name: 'READ', path: handle.path, position }, async () => {
      if (reads >= (faults.mostReads ?? Number.POSITIVE_INFINITY)) return sftp.status(request, STATUS_CODE.FAILURE)
      reads++
      // Those that came together wait together.
      if (faults.mostReads !== undefined) await new Promise(resolve => setImmediate(resolve))
      const bytes = await handle.file.read(position, Math.min(length, faults.maxAnswerBytes ?? length))
      reads--
      if (bytes.length === 0) sftp.status(request, STATUS_CODE.EOF)
      else if (send(bytes.length)) sftp.data(request, Buffer.from(bytes))
    })
  })
  sftp.on('CLOSE', (request, id) => {
    const handle = take(id)
    const close = async () => {
      handles.delete(id.readUInt32BE())
      if (handle !== undefined && 'file' in handle) await handle.file.close()
      sftp.status(request, handle === undefined ? STATUS_CODE.FAILURE : STATUS_CODE.OK)
    }
    answer(request, { name: 'CLOSE', path: pathOf(handle) }, close, false)
  })
  const change = (name: SftpRequest['name'], request: number, path: string, work: () => Promise<void>) => {
    answer(request, { name, path: normal(path) }, async () => {
      await work()
      sftp.status(request, STATUS_CODE.OK)
    })
  }
  sftp.on('REMOVE', (request, path) => change('REMOVE', request, path, () => tree.remove(normal(path))))
  sftp.on('RENAME', (request, from, to) => {
    change('RENAME', request, from, () => tree.rename(normal(from), normal(to)))
  })
  sftp.on('MKDIR', (request, path) => change('MKDIR', request, path, () => tree.makeDirectory(normal(path))))
  // A client that says it has ended waits for the same from here.
  sftp.on('end', () => sftp.end())
  sftp.on('close', () => {
    isClosed = true
    for (const handle of handles.values()) if ('file' in handle) handle.file.close().catch(() => {})
    handles.clear()
  })
}

function normal(path: string): string {
  return posix.resolve('/', path)
}

function entryOf(filename: string, sight: Sight | undefined) {
  if (sight === undefined) return []
  const letter = { file: '-', directory: 'd', link: 'l' }[sight.kind]
  const longname = `${letter}r--r--r-- 1 smt smt ${sight.size} Jan  1 00:00 ${filename}`
  return [{ filename, longname, attrs: attributesOf(sight) }]
}

function attributesOf({ kind, size, modifiedAt }: Sight): Attributes {
  const mode = { file: 0o100444, directory: 0o040555, link: 0o120777 }[kind]
  const seconds = Math.floor(modifiedAt / 1000)
  return { mode, size, uid: 0, gid: 0, atime: seconds, mtime: seconds }
}
