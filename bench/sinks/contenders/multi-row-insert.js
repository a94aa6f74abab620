// What most services write: `INSERT … ON CONFLICT DO UPDATE` of 1,000 rows through `pg`, all in one transaction, into a
// table keyed by the ESIID's text. The statement is prepared once. The rows come from our parser, so that only the storing
// is compared; texts of instants are kept, because the same ones come for every meter.
import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { FileAccount, IntervalParser } from '@intelliwatt/smt-ingest'
import pg from 'pg'
import { versionOf } from '../../shared/package-version.js'
import { makeTableSql, upsertSql } from '../text-key-table.js'

export const version = versionOf('pg')
export const settings = '1,000 rows a statement, prepared; one transaction'

const rowsAtOnce = 1000

export async function open({ connectionString, schema }, path) {
  const client = new pg.Client({ connectionString })
  await client.connect()
  await client.query(makeTableSql(schema))
  return {
    async load() {
      const upsert = new Upsert(client, schema)
      await client.query('BEGIN')
      await pipeline(
        createReadStream(path, { highWaterMark: 256 * 1024 }),
        new IntervalParser().stream(),
        async batches => {
          for await (const batch of batches) if (!(batch instanceof FileAccount)) await upsert.take(batch)
        }
      )
      await upsert.send()
      await client.query('COMMIT')
    },
    close: () => client.end()
  }
}

class Upsert {
  #client
  #schema
  #values = []
  #texts = new Map()

  constructor(client, schema) {
    this.#client = client
    this.#schema = schema
  }

  async take(batch) {
    const { length, start, kwh, estimated, direction, revision, meter, esiids } = batch
    for (let i = 0; i < length; i++) {
      this.#values.push(
        esiids[meter[i]],
        this.#textOf(start[i]),
        direction[i] === 0 ? 'consumption' : 'surplus-generation',
        kwh[i],
        estimated[i] === 1,
        Number.isNaN(revision[i]) ? null : this.#textOf(revision[i])
      )
      if (this.#values.length === rowsAtOnce * 6) await this.send()
    }
  }

  async send() {
    const values = this.#values
    this.#values = []
    const count = values.length / 6
    if (count > 0) await this.#client.query({ name: `upsert ${count}`, text: textFor(this.#schema, count), values })
  }

  #textOf(instant) {
    let text = this.#texts.get(instant)
    if (text === undefined) this.#texts.set(instant, (text = new Date(instant).toISOString()))
    return text
  }
}

const statements = new Map()

function textFor(schema, count) {
  const known = statements.get(`${schema} ${count}`)
  if (known) return known
  const places = Array.from({ length: count }, (_, row) => `(${[1, 2, 3, 4, 5, 6].map(n => `$${row * 6 + n}`).join()})`)
  const text = upsertSql(schema, `VALUES ${places.join()}`)
  statements.set(`${schema} ${count}`, text)
  return text
}
