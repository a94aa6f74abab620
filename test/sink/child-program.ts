import { pipeline } from 'node:stream/promises'
import { findIngestError } from '../../src/errors.ts'
import type { Ledger } from '../../src/ledger/ledger.ts'
import { FileAccount } from '../../src/parse/file-account.ts'
import { IntervalParser } from '../../src/parse/interval-parser.ts'
import { DuckDbSink } from '../../src/sink/duckdb.ts'
import { NdjsonSink } from '../../src/sink/ndjson.ts'
import type { Sink } from '../../src/sink/sink.ts'
import { DirectorySource } from '../../src/source/directory-source.ts'

// What a child process does: `take` all files of a folder, `hold` the store, or stop for ever at a named point.
const [task, kind, store, folder] = process.argv.slice(2) as [string, 'duckdb' | 'ndjson', string, string]

/** Stays where it is until it is killed. */
function stopFor(point: string): Promise<never> {
  console.log(point)
  setInterval(() => {}, 60_000)
  return new Promise(() => {})
}

/** Dies between the renaming and the ledger's entry. */
class SlowLedgerSink extends NdjsonSink {
  protected override async openLedger(): Promise<Ledger> {
    const ledger = await super.openLedger()
    return {
      claim: (file, options) => ledger.claim(file, options),
      renew: (claim, state) => ledger.renew(claim, state),
      findPayload: sha256 => ledger.findPayload(sha256),
      settle: () => stopFor('renamed'),
      passOver: (file, receipt) => ledger.passOver(file, receipt),
      records: query => ledger.records(query),
      retry: fingerprint => ledger.retry(fingerprint),
      forget: fingerprint => ledger.forget(fingerprint),
      close: () => ledger.close()
    }
  }
}

function open(): Sink {
  if (kind === 'duckdb') return new DuckDbSink({ path: store })
  return task === 'stop-before-ledger' ? new SlowLedgerSink({ directory: store }) : new NdjsonSink({ directory: store })
}

/** Lets every batch pass, and stops before the account of them. */
async function* withoutEnd(parts: AsyncIterable<unknown>) {
  for await (const part of parts) {
    if (task === 'stop-while-staging' && part instanceof FileAccount) await stopFor('staged')
    yield part
  }
}

const sink = open()
try {
  if (task === 'hold') {
    await sink.passOver({ source: '', path: '', name: '', size: 0, modifiedAt: 0, state: 'ignored', reason: 'held' })
    await stopFor('held')
  }
  for await (const file of new DirectorySource({ directories: [folder], settleMs: 1 }).files()) {
    const stream = sink.stream(file)
    await pipeline(file.stream(), new IntervalParser().stream(file), withoutEnd, stream)
    console.log(stream.receipt!.state)
  }
  await sink.close()
} catch (error) {
  console.log(findIngestError(error)?.code ?? error)
  process.exitCode = 1
}
