// Ours: the whole way by `ingest()`, to committed rows in the layout `days`.
import { AscDecryptor, DirectorySource, IntervalParser, ingest } from '@intelliwatt/smt-ingest'
import { PostgresSink } from '@intelliwatt/smt-ingest/postgres'
import { openStore } from '../../shared/open-store.js'

export { ownVersion as version } from '../../shared/package-version.js'
export const settings = '`ingest()` with four files at a time, `AscDecryptor`, `IntervalParser`, `PostgresSink`'

export async function open({ asc, privateKey }, { connectionString, schema }) {
  const source = new DirectorySource({ directories: [asc], settleMs: 0 })
  const decryptor = new AscDecryptor({ privateKey })
  const parser = new IntervalParser()
  const sink = new PostgresSink({ connectionString, schema })
  await openStore(sink)
  return {
    async load() {
      const states = {}
      for await (const { state } of ingest({ source, decryptor, parser, sink, concurrency: 4 }))
        states[state] = (states[state] ?? 0) + 1
      return states
    },
    close: () => sink.close()
  }
}
