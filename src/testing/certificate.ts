import { createPrivateKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto'

/** A certificate that signs itself, with its key. */
export interface Certificate {
  /** PEM. A client that is given it as `ca` trusts it. */
  readonly certificate: string
  /** PEM. */
  readonly privateKey: string
}

export interface CertificateOptions {
  /** Epoch milliseconds. @default a day ago */
  readonly notBefore?: number | undefined
  /** Epoch milliseconds. @default in a day */
  readonly notAfter?: number | undefined
}

const DAY_MS = 86_400_000

/** Makes a certificate for 127.0.0.1 and localhost. */
export function makeCertificate({
  notBefore = Date.now() - DAY_MS,
  notAfter = Date.now() + DAY_MS
}: CertificateOptions = {}): Certificate {
  const { privateKey, publicKey } = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'der' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' }
  })
  const algorithm = sequence(objectId(ecdsaWithSha256))
  const name = sequence(set(sequence(objectId(commonName), tagged(0x0c, Buffer.from('localhost')))))
  const content = sequence(
    explicit(0, integer(Buffer.of(2))),
    integer(Buffer.concat([Buffer.of(1), randomBytes(8)])),
    algorithm,
    name,
    sequence(time(notBefore), time(notAfter)),
    name,
    publicKey,
    explicit(3, sequence(extension(basicConstraints, sequence(tagged(0x01, Buffer.of(0xff)))), alternativeNames()))
  )
  const signature = sign('sha256', content, createPrivateKey(privateKey))
  const der = sequence(content, algorithm, tagged(0x03, Buffer.concat([Buffer.of(0), signature])))
  const lines = der.toString('base64').match(/.{1,64}/g)!
  return {
    certificate: `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`,
    privateKey
  }
}

// Object identifiers as they are encoded, X.509 and X9.62.
const ecdsaWithSha256 = '2a8648ce3d040302'
const commonName = '550403'
const basicConstraints = '551d13'
const subjectAltName = '551d11'

function alternativeNames(): Buffer {
  return extension(
    subjectAltName,
    sequence(tagged(0x82, Buffer.from('localhost')), tagged(0x87, Buffer.of(127, 0, 0, 1)))
  )
}

function extension(id: string, value: Buffer): Buffer {
  return sequence(objectId(id), tagged(0x04, value))
}

/** GeneralizedTime would do for every year, but up to 2049 the standard asks for UTCTime. */
function time(instant: number): Buffer {
  const digits = new Date(instant).toISOString().replace(/\D/g, '').slice(2, 14)
  return tagged(0x17, Buffer.from(`${digits}Z`))
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return tagged(0x30, Buffer.concat(parts))
}

function set(...parts: readonly Buffer[]): Buffer {
  return tagged(0x31, Buffer.concat(parts))
}

function explicit(number: number, value: Buffer): Buffer {
  return tagged(0xa0 | number, value)
}

function integer(bytes: Buffer): Buffer {
  return tagged(0x02, bytes)
}

function objectId(hex: string): Buffer {
  return tagged(0x06, Buffer.from(hex, 'hex'))
}

/** A DER value: its kind, its length, and what it holds. */
function tagged(tag: number, value: Buffer): Buffer {
  if (value.length < 0x80) return Buffer.concat([Buffer.of(tag, value.length), value])
  const length = Buffer.alloc(4)
  length.writeUInt32BE(value.length)
  const digits = length.subarray(length.findIndex(byte => byte !== 0))
  return Buffer.concat([Buffer.of(tag, 0x80 | digits.length), digits, value])
}
