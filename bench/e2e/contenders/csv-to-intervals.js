// Ours: the plain CSV to intervals, nothing stored.
import { openIntervals } from '../intervals.js'

export { ownVersion as version } from '../../shared/package-version.js'
export const settings = '`ingest()`, `IntervalParser`, a sink that counts'

export async function open({ csv }) {
  return openIntervals(csv)
}
