// The sinks whose ledgers are measured, and how each gets its many files: copies of the one that stands in it already, in
// the words of the store.

import { once } from 'node:events'
import { createReadStream, createWriteStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { DuckDBInstance } from '@duckdb/node-api'
import { DuckDbSink } from '@intelliwatt/smt-ingest/duckdb'
import { NdjsonSink } from '@intelliwatt/smt-ingest/ndjson'
import { PostgresSink } from '@intelliwatt/smt-ingest/postgres'
import pg from 'pg'
import { fileOf, fingerprintOf, numbered, payloadOf, quarantinedEvery, setAside } from './files.js'

/** What each kind of sink is opened with is its `place`. */
export const stores = {
  postgres: { open: place => new PostgresSink(place), fill: fillPostgres },
  duckdb: { open: place => new DuckDbSink(place), fill: fillDuckDb },
  file: { open: place => new NdjsonSink(place), fill: fillJournal }
}

/** Columns of `files` as SQL, for file number `i`; `json` makes text what the column `receipt` takes. */
function columnsOf(template, { sha256, json }) {
  const { file, receipt } = template
  const path = `replace(${text(numbered.path)}, '#', i::text)`
  const fingerprint = sha256(`'${numbered.fingerprinted.replace('#', `' || i || '`)}'`)
  const payload = sha256(`'${numbered.payload}' || i`)
  const own = [
    [file.path, numbered.path],
    [file.name, numbered.name]
  ]
  const common = own.reduce((whole, [from, to]) => whole.replaceAll(JSON.stringify(from), JSON.stringify(to)), receipt)
  const marked = text(common.replaceAll(template.sha256, '~'))
  const whole = `replace(replace(${marked}, '#', i::text), '~', ${payload})`
  const isAside = `i % ${quarantinedEvery} = 0`
  return {
    fingerprint,
    source: text(numbered.source),
    path,
    name: `replace(${text(numbered.name)}, '#', i::text)`,
    size: numbered.size,
    modified_at: `to_timestamp(${numbered.modifiedAt / 1000})`,
    state: pick(isAside, "'quarantined'", "'committed'"),
    epoch: 1,
    fetched_sha256: payload,
    payload_sha256: pick(isAside, 'NULL', payload),
    code: pick(isAside, `'${setAside.code}'`, 'NULL'),
    receipt: json(pick(isAside, text(JSON.stringify(setAside.receipt)), whole))
  }
}

const entryColumns = [
  'ordinal, name, kind, outcome, layout, header, bytes, crc32, rows_read, rows_accepted, rows_rejected',
  'rows_placeholder, rows_missing, rows_repeated_header, parser_version'
].join(', ')

const pick = (condition, yes, no) => `CASE WHEN ${condition} THEN ${yes} ELSE ${no} END`
const text = value => `'${value.replaceAll("'", "''")}'`

async function fillPostgres({ connectionString, schema }, template, count) {
  const columns = columnsOf(template, {
    sha256: value => `encode(sha256(convert_to(${value}, 'UTF8')), 'hex')`,
    json: value => `(${value})::jsonb`
  })
  const client = new pg.Client({ connectionString })
  await client.connect()
  try {
    await client.query(`INSERT INTO ${schema}.files (${Object.keys(columns)})
      SELECT ${Object.values(columns)} FROM generate_series(1, ${count}) AS g(i)`)
    await client.query(`INSERT INTO ${schema}.entries (entry_id, file_id, ${entryColumns})
      SELECT nextval('${schema}.entry_ids'), f.file_id, ${entryColumns.replaceAll(/\w+/g, 'e.$&')}
      FROM ${schema}.files f, (SELECT * FROM ${schema}.entries LIMIT 1) e WHERE f.source = ${text(numbered.source)}`)
    for (const table of ['files', 'entries']) await client.query(`VACUUM (ANALYZE) ${schema}.${table}`)
    await client.query('CHECKPOINT')
  } finally {
    await client.end()
  }
}

async function fillDuckDb({ path }, template, count) {
  const columns = columnsOf(template, { sha256: value => `sha256(${value})`, json: value => value })
  const keyOf = column => `CAST('0x' || left(sha256(${column}), 6) AS UINTEGER)`
  const ofThese = `source = ${text(numbered.source)}`
  const instance = await DuckDBInstance.create(path, { memory_limit: '4GB', threads: '2' })
  const connection = await instance.connect()
  try {
    await connection.run(`INSERT INTO files (${Object.keys(columns)}, fingerprint_key)
      SELECT ${Object.values(columns)}, ${keyOf(columns.fingerprint)} FROM range(1, ${count + 1}) AS g(i)`)
    await connection.run(`INSERT INTO entries (file_id, ${entryColumns})
      SELECT f.file_id, ${entryColumns.replaceAll(/\w+/g, 'e.$&')}
      FROM files f, (FROM entries LIMIT 1) e WHERE f.${ofThese}`)
    await connection.run(`INSERT INTO payloads
      SELECT ${keyOf('payload_sha256')}, file_id FROM files WHERE ${ofThese} AND payload_sha256 NOT NULL`)
    await connection.run('CHECKPOINT')
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
}

async function fillJournal({ directory }, _template, count) {
  const journal = `${directory}/.ledger.ndjson`
  let record
  for await (const line of createInterface({ input: createReadStream(journal) })) [, record] = JSON.parse(line)
  const output = createWriteStream(journal, { flags: 'a' })
  for (let i = 1; i <= count; i++) {
    const file = fileOf(i)
    const fingerprint = fingerprintOf(i)
    const payload = { ...record.receipt.payload, sha256: payloadOf(i) }
    const receipt =
      i % quarantinedEvery === 0 ? { ...setAside.receipt, ...file } : { ...record.receipt, ...file, payload }
    const line = JSON.stringify([fingerprint, { ...record, fingerprint, file, state: receipt.state, receipt }])
    if (!output.write(`${line}\n`)) await once(output, 'drain')
  }
  output.end()
  await once(output, 'close')
  // Else the first questions wait for the disk to take all of it.
  const written = await open(journal, 'r+')
  await written.sync()
  await written.close()
}
