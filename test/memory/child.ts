import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { basename, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { gunzipSync } from 'node:zlib'
import { IntervalParser } from '../../src/parse/interval-parser.ts'
import { DuckDbSink } from '../../src/sink/duckdb.ts'
import { HttpSink } from '../../src/sink/http.ts'
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
/** A receiver that forgets what it is sent: the sender is to be measured. */
const forgetful = createServer(async (request, response) => {
  let body: Buffer[] = []
  for await (const chunk of request) {
    // A commit is small, and says how many rows there were.
    body = body.length < 4 ? [...body, chunk] : body
  }
  const isRows = request.headers['content-type'] === 'application/x-ndjson'
  const text =
    request.headers['content-encoding'] === 'gzip' && !isRows ? gunzipSync(Buffer.concat(body)).toString() : ''
  const stored = { inserted: text ? JSON.parse(text).rows : 0, replaced: 0, unchanged: 0, superseded: 0, conflicts: 0 }
  const normalizedInline = { intervalsInserted: 1_000_000 }
  response.end(JSON.stringify({ ok: true, state: 'open', parts: [], ...(text && { stored }), normalizedInline }))
})

function pushTo(port: number): Sink {
  const options = { url: `http://127.0.0.1:${port}/`, ledger: join(directory, 'ledger.ndjson') }
  if (kind === 'http') return new HttpSink({ ...options, secret: `whsec_${Buffer.alloc(32).toString('base64')}` })
  return new HttpSink({ ...options, profile: 'intelliwatt-raw-upload', adminToken: 'token' })
}

async function open(): Promise<Sink> {
  if (kind === 'http' || kind === 'raw-upload') {
    await new Promise<void>(resolve => forgetful.listen(0, '127.0.0.1', resolve))
    return pushTo((forgetful.address() as AddressInfo).port)
  }

  if (kind === 'days' || kind === 'rows') {
    return new PostgresSink({ connectionString, schema: basename(directory).toLowerCase(), layout: kind })
  }
  if (kind === 'duckdb') return new DuckDbSink({ path: join(directory, 'smt.duckdb') })
  return kind === 'ndjson' ? new NdjsonSink({ directory }) : new DiscardingSink()
}

const sink = await open()
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
forgetful.close()
