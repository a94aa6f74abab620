// Brings everything new from SMT's server into smt.duckdb: the code of the README, with the checks TypeScript asks for.
import { readFileSync } from 'node:fs'
import { AscDecryptor, IntervalParser, ingest, SftpSource } from '@intelliwatt/smt-ingest'
import { DuckDbSink } from '@intelliwatt/smt-ingest/duckdb'

/** These variables of the environment; an error names those that are not set. */
function readSettings<Name extends string>(...names: Name[]): Record<Name, string> {
  const missing = names.filter(name => !process.env[name])
  if (missing.length > 0) throw new Error(`not set in the environment: ${missing.join(', ')}`)
  return Object.fromEntries(names.map(name => [name, process.env[name]])) as Record<Name, string>
}

const { SMT_HOST, SMT_USER, SMT_KEY, SMT_PGP_KEY } = readSettings('SMT_HOST', 'SMT_USER', 'SMT_KEY', 'SMT_PGP_KEY')

const source = new SftpSource({
  host: SMT_HOST,
  port: Number(process.env.SMT_SFTP_PORT ?? 22),
  username: SMT_USER,
  privateKey: readFileSync(SMT_KEY),
  hostKey: process.env.SMT_HOST_KEY, // 'SHA256:…': without it, the refusal shows the fingerprint to compare
  directories: ['/adhocusage', '/EnrollmentReports']
})
const decryptor = new AscDecryptor({ privateKey: readFileSync(SMT_PGP_KEY) })
const parser = new IntervalParser()
const sink = new DuckDbSink({ path: 'smt.duckdb' })

try {
  for await (const receipt of ingest({ source, decryptor, parser, sink })) {
    console.log(receipt.state, receipt.path, receipt.rows?.accepted ?? receipt.reason?.message)
  }
} finally {
  await sink.close()
}
