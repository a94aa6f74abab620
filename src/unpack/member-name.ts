import { isUtf8 } from 'node:buffer'
import { crc32 } from 'node:zlib'
import { extraField } from './extra-field.ts'

/** Characters 128 to 255 of code page 437, in which names stand where nothing else is said. */
const CP437 =
  'ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐' +
  '└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00a0'

/** Flag bit 11: name and comment are UTF-8. */
const UTF8 = 0x800

/** Extra field of Info-ZIP: the name again, in UTF-8. */
const UNICODE_PATH = 0x7075

/**
 * The name of a member, as a label. UTF-8 where a flag or Info-ZIP's extra field says so, or where macOS wrote it without
 * saying so: bytes beyond ASCII that are valid UTF-8 are hardly ever anything else. What is left is code page 437.
 */
export function memberName(raw: Buffer, flags: number, extra: Buffer): string {
  const text =
    (flags & UTF8) !== 0 ? raw.toString() : (unicodePath(raw, extra) ?? (isUtf8(raw) ? raw.toString() : cp437(raw)))
  // No name has a NUL, and databases take no text with one.
  return text.replaceAll('\0', '\ufffd')
}

/** Version 1, the checksum of the plain name, the name. One whose checksum is another belongs to a name of before. */
function unicodePath(raw: Buffer, extra: Buffer): string | undefined {
  const field = extraField(extra, UNICODE_PATH)
  if (field === undefined || field.length < 5 || field[0] !== 1 || field.readUInt32LE(1) !== crc32(raw))
    return undefined
  return field.toString('utf8', 5)
}

function cp437(raw: Buffer): string {
  return Array.from(raw, byte => (byte < 128 ? String.fromCharCode(byte) : CP437[byte - 128])).join('')
}
