// Ours: decrypted, unzipped and parsed, one file at a time; nothing stored.
import { AscDecryptor } from '@intelliwatt/smt-ingest'
import { openIntervals } from '../intervals.js'

export { ownVersion as version } from '../../shared/package-version.js'
export const settings = '`ingest()`, `AscDecryptor`, `IntervalParser`, a sink that counts'

export async function open({ asc, privateKey }) {
  const decryptor = new AscDecryptor({ privateKey })
  await decryptor.open()
  return openIntervals(asc, { decryptor })
}
