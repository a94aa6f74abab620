// The files that a ledger knows: numbered, with paths, hashes and receipts that SQL can make too.
import { createHash } from 'node:crypto'

const source = 'sftp://smt@files.example:22'
const size = 5021
const modifiedAt = 1_752_480_000_000

/** `#` stands for the number. */
export const numbered = {
  source,
  size,
  modifiedAt,
  name: 'IntervalMeterUsage20250714_#.asc',
  path: '/adhocusage/2025/IntervalMeterUsage20250714_#.asc',
  payload: 'payload ',
  /** What a fingerprint is the hash of. */
  fingerprinted: JSON.stringify([source, '/adhocusage/2025/IntervalMeterUsage20250714_#.asc', size, modifiedAt])
}

/** One file in so many is set aside. */
export const quarantinedEvery = 200

/** What stands in the ledger of a file that was set aside. */
export const setAside = {
  code: 'DECRYPT_CORRUPT',
  receipt: {
    ...{ source, path: '', name: '', size, modifiedAt, state: 'quarantined', known: false },
    reason: { code: 'DECRYPT_CORRUPT', message: 'the message was altered', advice: 'Ask for the file again.' },
    ...{ duplicateOf: null, fetched: null, payload: null, entries: [], rows: null, quality: null },
    ...{ startedAt: modifiedAt, elapsedMs: 12 }
  }
}

/** A file as a source lists it. */
export function fileOf(i) {
  const [path, name] = [numbered.path, numbered.name].map(text => text.replace('#', i))
  return { source, path, name, size, modifiedAt }
}

export function fingerprintOf(i) {
  return sha256(numbered.fingerprinted.replace('#', i))
}

export function payloadOf(i) {
  return sha256(`${numbered.payload}${i}`)
}

function sha256(text) {
  return createHash('sha256').update(text).digest('hex')
}
