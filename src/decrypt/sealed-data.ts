import { createDecipheriv, createHash, type Decipher } from 'node:crypto'

/** What Node calls the ciphers that it has. CAST5, Blowfish, Twofish and IDEA are not in OpenSSL 3 as it ships. */
const ciphers: Record<string, { readonly name: string; readonly blockBytes: number }> = {
  aes128: { name: 'aes-128-cfb', blockBytes: 16 },
  aes192: { name: 'aes-192-cfb', blockBytes: 16 },
  aes256: { name: 'aes-256-cfb', blockBytes: 16 },
  tripledes: { name: 'des-ede3-cfb', blockBytes: 8 }
}

/** The integrity packet: its header, then the SHA-1 of everything before. */
const mdcHeader = Uint8Array.of(0xd3, 0x14)
const mdcBytes = mdcHeader.length + 20

/** Whether {@link SealedData} can open data of this cipher. */
export function canUnseal(algorithm: string): boolean {
  return Object.hasOwn(ciphers, algorithm)
}

/**
 * Opens encrypted data with an integrity packet at its end, RFC 9580 §5.13.1: in CFB, a block of noise and its last two
 * bytes again; packets; and a hash of it all. What {@link SealedData.push} gives is provisional until
 * {@link SealedData.isIntact} has been asked.
 */
export class SealedData {
  readonly #decipher: Decipher
  readonly #hash = createHash('sha1')
  /** Bytes of noise still to come. */
  #noise: number
  /** The last bytes so far, which may be the integrity packet. */
  #tail: Uint8Array = new Uint8Array(0)

  constructor(algorithm: string, key: Uint8Array) {
    const { name, blockBytes } = ciphers[algorithm]!
    this.#decipher = createDecipheriv(name, key, new Uint8Array(blockBytes))
    this.#noise = blockBytes + 2
  }

  /** Takes the next bytes and gives those packets' bytes that are certainly no integrity packet. */
  push(bytes: Uint8Array): Uint8Array {
    const known = Buffer.concat([this.#tail, this.#decipher.update(bytes)])
    const end = Math.max(0, known.length - mdcBytes)
    // A copy, so that 22 bytes do not hold a chunk.
    this.#tail = Uint8Array.from(known.subarray(end))
    this.#hash.update(known.subarray(0, end))
    const start = Math.min(this.#noise, end)
    this.#noise -= start
    return known.subarray(start, end)
  }

  /** Whether the data, now that all of it was pushed, is what the sender sealed. */
  isIntact(): boolean {
    const hash = Buffer.concat([mdcHeader, this.#hash.update(mdcHeader).digest()])
    return this.#noise === 0 && hash.equals(this.#tail)
  }
}
