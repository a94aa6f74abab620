// Ours: the whole way by `ingest()`, to committed rows in the layout `days`.
import { AscDecryptor } from '@intelliwatt/smt-ingest'
import { PostgresSink } from '@intelliwatt/smt-ingest/postgres'
import { openStore } from '../../shared/open-store.js'
import { takeIn } from '../intervals.js'

export { ownVersion as version } from '../../shared/package-version.js'
export const settings = '`ingest()` with four files at a time, `AscDecryptor`, `IntervalParser`, `PostgresSink`'

export async function open({ asc, privateKey }, { connectionString, schema }) {
  const decryptor = new AscDecryptor({ privateKey })
  await decryptor.open()
  const sink = new PostgresSink({ connectionString, schema })
  await openStore(sink)
  return {
    load: async () => ({ evidence: await takeIn(asc, { decryptor, sink, concurrency: 4 }) }),
    close: () => sink.close()
  }
}
