export const ATOM = 'http://www.w3.org/2005/Atom'
export const ESPI = 'http://naesb.org/espi'

/** What may stand before the first element. With a DOCTYPE it is refused, but by name. */
const PROLOGUE =
  /^(?:\ufeff|\u00ef\u00bb\u00bf)?\s*(?:<\?[\s\S]*?\?>\s*|<!--[\s\S]*?-->\s*|<!DOCTYPE[^>[]*(?:\[[\s\S]*?\]\s*)?>\s*)*/

/**
 * Whether text is the beginning of a Green Button file: its first element is one of ESPI's own, or an Atom feed or entry
 * that names ESPI. A comment of some kilobytes may stand before it, so give 16 KiB, decoded as UTF-8 or Latin-1.
 */
export function looksLikeGreenButton(head: string): boolean {
  const prologue = PROLOGUE.exec(head)![0]
  const text = head.slice(prologue.length)
  const root = /^<(?:[\w.-]+:)?([\w.-]+)((?:\s[^>]*)?)/.exec(text)
  if (!root) return false
  const [, name, attributes] = root
  if (attributes!.includes(ESPI)) return true
  return (name === 'feed' || name === 'entry') && attributes!.includes(ATOM) && text.includes(ESPI)
}
