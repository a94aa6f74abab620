import { findIngestError } from '../../errors.ts'
import type { Observer, Sight } from '../listed-file.ts'
import type { SftpLink } from './link.ts'
import { Retries } from './retries.ts'
import type { SftpSession } from './session.ts'
import { type Place, WindowedReading, type WindowSettings } from './window.ts'

export interface ReaderSettings extends WindowSettings {
  readonly reconnects: number
}

/** Errors after which the rest of a file is read over a new session. */
const passing = ['SFTP_CONNECT', 'SFTP_DISCONNECTED', 'SFTP_DEADLINE', 'SFTP_TOO_SLOW'] as const

/** Bytes before a cut that must stand there still when the reading goes on. */
const TAIL = 4096

/**
 * Reads a remote file from its first byte to its end: several requests in flight, chunks in file order; after a cut the
 * rest of it over a new session.
 *
 * In: answers of the server, as short as it likes. Out: chunks in file order, each byte once.
 * Memory: 2 MiB for each channel.
 */
export async function* readRemoteFile(
  link: SftpLink,
  { path, size }: { readonly path: string; readonly size: number },
  settings: ReaderSettings,
  observer: Observer,
  signal: AbortSignal
): AsyncGenerator<Uint8Array, void> {
  const retries = new Retries(settings.reconnects, AbortSignal.any([signal, link.signal]))
  const place: Place = { path, size, position: 0, tail: Buffer.alloc(0) }
  let isCareful = false
  for (;;) {
    const from = place.position
    let session: SftpSession | undefined
    try {
      session = await link.session(path)
      const saw = (sight: Sight) => observer.saw(sight)
      for await (const chunk of new WindowedReading(session, place, settings, { saw, signal, isCareful }).chunks()) {
        place.position += chunk.length
        place.tail = Buffer.from(chunk.subarray(-TAIL))
        yield chunk
      }
      return
    } catch (error) {
      if (place.position > from) retries.reset()
      // A server that cannot answer several requests at a time fails some of them: asked one by one, it may answer.
      const mayBeOverasked: boolean = !isCareful && findIngestError(error)?.code === 'SFTP_READ'
      isCareful = mayBeOverasked || place.position === from
      await retries.after(error, mayBeOverasked ? [...passing, 'SFTP_READ'] : passing)
      if (mayBeOverasked) continue
      session?.drop()
      observer.resumed()
    }
  }
}
