import { constants, createPrivateKey, type KeyObject, privateDecrypt } from 'node:crypto'
import type { SecretKeyPacket, SecretSubkeyPacket, SessionKey } from 'openpgp'

/** Ciphers by their numbers, with the bytes of their keys. Of others the library says whether it takes them. */
const ciphers: Readonly<Record<number, readonly [name: string, keyBytes: number]>> = {
  2: ['tripledes', 24],
  7: ['aes128', 16],
  8: ['aes192', 24],
  9: ['aes256', 32]
}

type RsaParts = Readonly<Record<'n' | 'e' | 'd' | 'p' | 'q' | 'u', Uint8Array>>

/**
 * An open RSA key as Node has it; undefined for keys of other kinds.
 *
 * Why: the library asks Node to take off the padding too, which Node 20 refuses by principle, and then reckons by itself:
 * 20 ms for each message instead of 2. Node takes the number off, and {@link openRsaSessionKey} the padding.
 */
export function rsaKeyOf(packet: SecretKeyPacket | SecretSubkeyPacket): KeyObject | undefined {
  if (!/^rsaEncrypt/.test(packet.getAlgorithmInfo().algorithm)) return undefined
  const { n, e, d, p, q, u } = { ...packet.publicParams, ...packet.privateParams } as RsaParts
  const [number, first, second] = [d, p, q].map(numberOf) as [bigint, bigint, bigint]
  // OpenPGP has the inverse of p mod q, a JWK that of q mod p: so p and q change places.
  const key = {
    ...{ kty: 'RSA', n: base64(n), e: base64(e), d: base64(d), p: base64(q), q: base64(p), qi: base64(u) },
    dp: base64(bytesOf(number % (second - 1n))),
    dq: base64(bytesOf(number % (first - 1n)))
  }
  return createPrivateKey({ key, format: 'jwk' })
}

/**
 * The session key out of what was sealed for an RSA key, RFC 9580 §5.1; undefined when it is not that: whoever asks leaves
 * it to the library then, whose error says what is wrong.
 */
export function openRsaSessionKey(sealed: Uint8Array, key: KeyObject): SessionKey | undefined {
  const bytes = Math.ceil(key.asymmetricKeyDetails!.modulusLength! / 8)
  if (sealed.length > bytes) return undefined
  const whole = Buffer.concat([Buffer.alloc(bytes - sealed.length), sealed])
  const opened = openNumber(key, whole)
  // 0, 2, noise without zeros, 0; then the cipher, its key, and the sum of the key's bytes.
  const end = opened?.indexOf(0, 2) ?? -1
  if (opened === undefined || opened[0] !== 0 || opened[1] !== 2 || end < 10) return undefined
  const [algorithm, keyBytes] = ciphers[opened[end + 1]!] ?? []
  if (algorithm === undefined || opened.length !== end + 2 + keyBytes! + 2) return undefined
  const data = Uint8Array.from(opened.subarray(end + 2, -2))
  const sum = data.reduce((sum, byte) => sum + byte, 0) & 0xffff
  return sum === opened.readUInt16BE(opened.length - 2)
    ? { data, algorithm: algorithm as SessionKey['algorithm'] }
    : undefined
}

function openNumber(key: KeyObject, sealed: Buffer): Buffer | undefined {
  try {
    return privateDecrypt({ key, padding: constants.RSA_NO_PADDING }, sealed)
  } catch {
    // Greater than the modulus.
    return undefined
  }
}

function numberOf(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).toString('hex')}`)
}

function bytesOf(number: bigint): Uint8Array {
  const digits = number.toString(16)
  return Buffer.from(digits.length % 2 === 0 ? digits : `0${digits}`, 'hex')
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64url')
}
