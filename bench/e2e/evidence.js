// What a receipt proves of one file, as a line that its maker can write too: hashes of what came and of what was in it,
// the checksum of the entry, and the account of its rows. The lines of all files, in any order, have one digest.
import { createHash } from 'node:crypto'

/** `fetched` and `payload` are SHA-256 in hex, `crc32` is null outside an archive; all rows read are accepted here. */
export function fileLine({ fetched, payload, crc32, entryBytes, rows, accepted }) {
  return `fetched ${fetched}, payload ${payload}, crc32 ${crc32} of ${entryBytes} bytes, rows ${accepted} of ${rows}`
}

/** The same line from a receipt. One that is not committed, or has other entries than one, says so instead. */
export function receiptLine({ state, reason, fetched, payload, entries, rows }) {
  if (state !== 'committed' || entries.length !== 1) return `${state}, ${reason?.code}, ${entries.length} entries`
  const [{ crc32, bytes: entryBytes }] = entries
  const { read, accepted, inserted, replaced, unchanged, superseded } = rows
  const stored = inserted + replaced + unchanged + superseded
  if (stored !== accepted) return `${stored} rows stored, ${accepted} accepted`
  return fileLine({ fetched: fetched.sha256, payload: payload.sha256, crc32, entryBytes, rows: read, accepted })
}

export function digestOf(lines) {
  return createHash('sha256').update(lines.sort().join('\n')).digest('hex')
}
