import { createMessage, decryptKey, encrypt, enums, type PrivateKey, readKey, readPrivateKey } from 'openpgp'
import { makeZip, type ZipEntry } from './archive.ts'
import type { PgpKey } from './keys.ts'

export interface MessageOptions {
  /** Armored public keys; each of their owners can open the message. */
  readonly publicKeys: readonly string[]
  /** Text with a PGP MESSAGE header, or bare packets. @default true */
  readonly armor?: boolean | undefined
  /** Compression inside the message. @default 'none' */
  readonly compression?: 'none' | 'zip' | 'zlib' | undefined
  /** Signs inside the encryption. */
  readonly signWith?: Pick<PgpKey, 'privateKey' | 'passphrase'> | undefined
}

/** Encrypts bytes as SMT's sender does: AES-256 with an integrity packet (SEIPD v1). Never the same bytes twice. */
export async function encryptMessage(bytes: Uint8Array, options: MessageOptions): Promise<Buffer> {
  const { publicKeys, armor = true, compression = 'none', signWith } = options
  const common = {
    message: await createMessage({ binary: bytes }),
    encryptionKeys: await Promise.all(publicKeys.map(armoredKey => readKey({ armoredKey }))),
    ...(signWith && { signingKeys: await unlock(signWith) }),
    config: {
      aeadProtect: false,
      preferredCompressionAlgorithm: compressions[compression]
    }
  }
  return armor
    ? Buffer.from(await encrypt({ ...common, format: 'armored' }), 'latin1')
    : Buffer.from(await encrypt({ ...common, format: 'binary' }))
}

/** What SMT puts on its server: reports in a ZIP in an armored OpenPGP message. */
export function wrapAsSmt(entries: readonly ZipEntry[], publicKey: string): Promise<Buffer> {
  return encryptMessage(makeZip(entries), { publicKeys: [publicKey] })
}

const compressions = {
  none: enums.compression.uncompressed,
  zip: enums.compression.zip,
  zlib: enums.compression.zlib
}

async function unlock({ privateKey, passphrase }: Pick<PgpKey, 'privateKey' | 'passphrase'>): Promise<PrivateKey> {
  const key = await readPrivateKey({ armoredKey: privateKey })
  return passphrase === undefined ? key : decryptKey({ privateKey: key, passphrase })
}
