// Ours: decrypted, unzipped and parsed, nothing stored.
import { AscDecryptor } from '@intelliwatt/smt-ingest'
import { openIntervals } from '../intervals.js'

export { ownVersion as version } from '../../shared/package-version.js'
export const settings = '`AscDecryptor`, `IntervalParser`'

export async function open({ asc, privateKey }) {
  return openIntervals(asc, new AscDecryptor({ privateKey }))
}
