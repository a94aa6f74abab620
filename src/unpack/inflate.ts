import { createInflateRaw } from 'node:zlib'
import type { ByteReader } from './byte-reader.ts'
import type { MemberHeader } from './zip-format.ts'

/** Where bench/e2e stops improving: bigger pieces, fewer trips to the thread pool. */
const LARGEST_CHUNK = 1024 * 1024

/** zlib gets a buffer of a chunk's size; thousands of small members need no large ones. */
const SMALLEST_CHUNK = 2 * 1024

/** Raised where the bytes end and the member does not. */
export class EndOfArchive extends Error {}

/** The data of a member, on its way out. */
export interface Unpacking {
  /** The unpacked bytes. */
  readonly chunks: AsyncGenerator<Uint8Array, void>
  /** Bytes of the archive that were taken for them so far. */
  packed(): number
  /** Lets go of what unpacks them. */
  stop(): void
}

/** zlib's own: `Z_DATA_ERROR`, `Z_BUF_ERROR` and the like. */
export function isInflateError(error: unknown): boolean {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('Z_')
}

/** The next `size` bytes as they are. */
export function stored(bytes: ByteReader, size: number): Unpacking {
  let left = size
  return { chunks: pieces(), packed: () => size - left, stop() {} }

  async function* pieces(): AsyncGenerator<Uint8Array, void> {
    while (left > 0) {
      const piece = await bytes.next(left)
      if (piece === undefined) throw new EndOfArchive()
      left -= piece.length
      yield piece
    }
  }
}

/**
 * Inflates one member and gives back what does not belong to it. zlib stops by itself at the end of the deflate
 * stream, and `bytesWritten` tells how much it took. One chunk is under way at a time, so that only its rest can be left.
 */
export function inflated(
  bytes: ByteReader,
  known: Pick<MemberHeader, 'compressedSize' | 'size'> | undefined
): Unpacking {
  const chunkSize = Math.max(SMALLEST_CHUNK, Math.min(LARGEST_CHUNK, known?.size ?? LARGEST_CHUNK))
  const inflater = createInflateRaw({ chunkSize })
  return { chunks: pieces(), packed: () => inflater.bytesWritten, stop: () => inflater.destroy() }

  async function* pieces(): AsyncGenerator<Uint8Array, void> {
    let ended = false
    const settled = new Promise<void>(resolve => {
      inflater
        .once('end', resolve)
        .once('error', () => resolve())
        .once('close', resolve)
    }).then(() => {
      ended = true
    })
    const feeding = feed(settled, () => ended).catch(error => {
      inflater.destroy(error)
    })
    try {
      for await (const chunk of inflater) yield chunk as Buffer
      await feeding
    } finally {
      inflater.destroy()
    }
  }

  async function feed(settled: Promise<void>, ended: () => boolean): Promise<void> {
    let fed = 0
    let left = known?.compressedSize ?? Number.POSITIVE_INFINITY
    while (!ended()) {
      if (left === 0) {
        inflater.end()
        return
      }
      const piece = await bytes.next(left)
      if (piece === undefined) throw new EndOfArchive()
      left -= piece.length
      await Promise.race([new Promise<void>(written => inflater.write(piece, () => written())), settled])
      const taken = inflater.bytesWritten - fed
      if (taken < piece.length) {
        // The deflate stream ended inside this piece. Its 'end' comes later, when all output was read.
        bytes.unread(piece.subarray(taken))
        return
      }
      fed += piece.length
    }
  }
}
