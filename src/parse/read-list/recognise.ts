/** Bytes of JSON within which the first key of the lists must stand: SMT writes it third. */
export const READ_LIST_HEAD = 16 * 1024

/**
 * Whether text is the beginning of SMT's JSON answer of interval reads: an object, or a list of them, in which a key
 * `energyData` has a list. Give 16 KiB, decoded as UTF-8 or Latin-1.
 */
export function looksLikeReadList(head: string): boolean {
  return isJson(head) && /"energyData"\s*:\s*\[/.test(head)
}

/** Whether text begins as a JSON object or list does. */
export function isJson(head: string): boolean {
  return /^(?:\ufeff|\u00ef\u00bb\u00bf)?\s*[[{]/.test(head)
}
