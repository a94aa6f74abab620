import type { Attributes } from 'ssh2'
import type { Sight } from '../listed-file.ts'
import type { SftpSession } from './session.ts'

/** How much of a file is asked for ahead of the reader. */
export interface ReadAhead {
  /** Requests in flight. */
  readonly requests: number
  /** Bytes per request. */
  readonly requestBytes: number
}

/** One file to read: `size` as listed. */
export interface RemoteFile {
  readonly path: string
  readonly size: number
}

/**
 * Reads a remote file through an ordered window: several requests in flight, chunks in file order.
 *
 * In: answers of the server, as short as it likes. Out: chunks in file order.
 * Memory: `requests` times `requestBytes`.
 */
export async function* readRemoteFile(
  session: SftpSession,
  { path, size }: RemoteFile,
  { requests, requestBytes }: ReadAhead,
  saw: (sight: Sight) => void,
  signal: AbortSignal
): AsyncGenerator<Uint8Array, void> {
  const handle = await session.open(path, signal)
  try {
    saw(sightOf(await session.fstat(path, handle, signal)))
    const spans = spansOf(size, requestBytes)
    const window: { length: number; chunk: Promise<Buffer> }[] = []
    const ask = () => {
      const span = spans.next().value
      if (span === undefined) return
      const chunk = fill(session, path, handle, span, signal)
      // Whoever waits for it hears of its failure; nobody may be left to wait.
      chunk.catch(() => {})
      window.push({ length: span.length, chunk })
    }
    for (let i = 0; i < requests; i++) ask()
    for (let head = window.shift(); head !== undefined; head = window.shift()) {
      const chunk = await head.chunk
      ask()
      if (chunk.length > 0) yield chunk
      if (chunk.length < head.length) break
    }
    saw(sightOf(await session.fstat(path, handle, signal)))
  } finally {
    session.release(handle)
  }
}

interface Span {
  readonly position: number
  readonly length: number
}

/** What to ask for: the listed bytes, then once beyond them, which proves that the file ends there. */
function* spansOf(size: number, requestBytes: number): Generator<Span, undefined> {
  for (let position = 0; position < size; position += requestBytes) {
    yield { position, length: Math.min(requestBytes, size - position) }
  }
  yield { position: size, length: requestBytes }
  return undefined
}

/** What a server says of a file; SFTP knows whole seconds, and some servers no time at all. */
export function sightOf({ size, mtime }: Attributes): Sight {
  return { size, modifiedAt: (mtime ?? 0) * 1000 }
}

/** Asks until the span is full or the file ends: an answer may be shorter than what was asked for. */
async function fill(
  session: SftpSession,
  path: string,
  handle: Buffer,
  { position, length }: Span,
  signal: AbortSignal
): Promise<Buffer> {
  const buffer = Buffer.allocUnsafeSlow(length)
  let filled = 0
  while (filled < length) {
    const bytes = await session.read(path, handle, buffer.subarray(filled), position + filled, signal)
    if (bytes === 0) return buffer.subarray(0, filled)
    filled += bytes
  }
  return buffer
}
