import { DESCRIPTOR } from './zip-format.ts'

/** What was measured while a member was unpacked. */
export interface Measured {
  readonly crc32: number
  readonly compressedSize: number
  readonly size: number
}

/** The longest descriptor: signature, CRC, two sizes of 8 bytes. */
export const LONGEST_DESCRIPTOR = 24

/**
 * The length of the descriptor behind a member, found by what it must say: with or without a signature, with 4- or
 * 8-byte sizes. Undefined: none of the four fits. `bytes` holds at least {@link LONGEST_DESCRIPTOR}.
 */
export function descriptorLength(bytes: Buffer, measured: Measured): number | undefined {
  for (const signed of [true, false]) {
    if (signed && bytes.readUInt32LE(0) !== DESCRIPTOR) continue
    // Of an empty member the shorter one always fits where the longer one stands; the other way round is a signature.
    for (const wide of [true, false]) {
      const from = signed ? 4 : 0
      if (bytes.readUInt32LE(from) !== measured.crc32) continue
      const read = (at: number) => (wide ? Number(bytes.readBigUInt64LE(at)) : bytes.readUInt32LE(at))
      const isSame = read(from + 4) === measured.compressedSize && read(from + (wide ? 12 : 8)) === measured.size
      if (isSame) return from + (wide ? 20 : 12)
    }
  }
  return undefined
}
