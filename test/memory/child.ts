import { basename, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { IntervalParser } from '../../src/parse/interval-parser.ts'
import { DuckDbSink } from '../../src/sink/duckdb.ts'
import { NdjsonSink } from '../../src/sink/ndjson.ts'
import { PostgresSink } from '../../src/sink/postgres.ts'
import { Sink, type SinkTransaction } from '../../src/sink/sink.ts'
import { DirectorySource } from '../../src/source/directory-source.ts'
import { SftpSource } from '../../src/source/sftp-source.ts'

/** Counts and forgets. */
class DiscardingSink extends Sink {
  protected override async begin(): Promise<SinkTransaction> {
    return {
      write() {},
      commit: async ({ rows }) => ({
        inserted: rows.accepted,
        replaced: 0,
        unchanged: 0,
        superseded: 0,
        conflicts: 0
      }),
      async rollback() {}
    }
  }
}

// What the child does: brings the one file of a folder into a sink, and says what that took at most.
const [kind, folder, directory, connectionString, server] = process.argv.slice(2) as [
  string,
  string,
  string,
  string,
  string
]
function open(): Sink {
  if (kind === 'days' || kind === 'rows') {
    return new PostgresSink({ connectionString, schema: basename(directory).toLowerCase(), layout: kind })
  }
  if (kind === 'duckdb') return new DuckDbSink({ path: join(directory, 'smt.duckdb') })
  return kind === 'ndjson' ? new NdjsonSink({ directory }) : new DiscardingSink()
}

const sink = open()
const parser = new IntervalParser()

const source =
  kind === 'sftp'
    ? new SftpSource({ ...JSON.parse(server), directories: ['/'], settleMs: 1 })
    : new DirectorySource({ directories: [folder], settleMs: 1 })

for await (const file of source.files()) {
  const target = sink.stream(file)
  await pipeline(file.stream(), parser.stream(file), target)
  // Kilobytes, on every platform.
  const { maxRSS } = process.resourceUsage()
  console.log(JSON.stringify({ maxRSS, inserted: target.receipt!.rows!.inserted }))
}
await sink.close()
