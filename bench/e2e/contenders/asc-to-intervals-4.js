// Ours: as asc-to-intervals, with four files on their way at a time.
import { AscDecryptor } from '@intelliwatt/smt-ingest'
import { openIntervals } from '../intervals.js'

export { ownVersion as version } from '../../shared/package-version.js'
export const settings = 'the same with `concurrency` 4'

export async function open({ asc, privateKey }) {
  const decryptor = new AscDecryptor({ privateKey })
  await decryptor.open()
  return openIntervals(asc, { decryptor, concurrency: 4 })
}
