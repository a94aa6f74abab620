import { sniffOpenPgp } from '../decrypt/openpgp-format.ts'

/** What containers begin with: bytes that a stage before the parser has to open. */
const containers: readonly (readonly [name: string, magic: Buffer])[] = [
  ['a gzip file', Buffer.from([0x1f, 0x8b])],
  ['a bzip2 file', Buffer.from('BZh')],
  ['an xz file', Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a])],
  ['a Zstandard file', Buffer.from([0x28, 0xb5, 0x2f, 0xfd])],
  ['a 7-Zip archive', Buffer.from([0x37, 0x7a, 0xbc, 0xaf, 0x27, 0x1c])],
  ['a RAR archive', Buffer.from('Rar!')]
]

/** How a program for Windows, Linux or macOS begins: most likely a self-extracting archive. Text has no zeros. */
const programs = ['MZ', '\u007fELF', '\u00cf\u00fa\u00ed\u00fe']

/** How far into a file the signature of a ZIP, or the line that begins an armored message, is looked for. */
export const NEAR = 4096

/** The name of a container that stands here unopened: it has no rows to be read, and is not empty either. */
export function unopened(bytes: Uint8Array): string | undefined {
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.byteLength, NEAR))
  const armored = /^-----BEGIN PGP /m.test(head.toString('latin1'))
  if (armored || sniffOpenPgp(head, true) === 'encrypted-message') return 'an OpenPGP message'
  // A whole ZIP is told by its first four bytes and never comes here.
  if (head.subarray(0, 2).toString('latin1') === 'PK' || head.includes('PK\u0003\u0004')) return 'a damaged ZIP archive'
  const isProgram = head.includes(0) && programs.some(magic => head.toString('latin1', 0, magic.length) === magic)
  if (isProgram) return 'a program or a self-extracting archive'
  const known = containers.find(([, magic]) => head.subarray(0, magic.length).equals(magic))
  return known?.[0]
}
