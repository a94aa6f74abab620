import { ReadableStream } from 'node:stream/web'

/** The library, loaded when the first key or message needs it: it takes a tenth of a second. */
export const loadOpenPgp = () => import('openpgp')

/** Which of the library's many switches are not at their defaults. */
export const openpgpConfig = {
  // Keys made by old programs do not say what they are for.
  allowMissingKeyFlags: true
}

/**
 * Bytes as the kind of stream that the library reads, pulled one chunk at a time. Made by hand, for
 * `Readable.toWeb` buffers ahead and, given text, ends the process from inside.
 */
export function webStreamOf(bytes: AsyncIterable<Uint8Array>): ReadableStream<Uint8Array> {
  const iterator = bytes[Symbol.asyncIterator]()
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        let next = await iterator.next()
        // The library takes an empty chunk for a byte that is not there.
        while (!next.done && next.value.length === 0) next = await iterator.next()
        if (next.done) controller.close()
        else controller.enqueue(plain(next.value))
      }
    },
    { highWaterMark: 0 }
  )
}

/**
 * The same bytes, and never as a `Buffer`: the library copies with `slice`, which copies a `Uint8Array` and only looks
 * at a `Buffer`. It would alter the nonce of an OCB message while reading it, and the caller's bytes with it.
 */
export function plain(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** The bytes of a stream that the library gives. */
export async function* bytesOf(data: unknown): AsyncGenerator<Uint8Array, void> {
  const reader = (data as ReadableStream<Uint8Array>).getReader()
  try {
    // Only `done` proves anything: the library's late errors come after the last byte.
    for (let part = await reader.read(); !part.done; part = await reader.read()) yield part.value!
  } finally {
    // Not awaited: inside the library it waits for a twin of this stream that nobody reads any more.
    reader.cancel().catch(() => {})
  }
}
