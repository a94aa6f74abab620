// The stores as they are seen from outside: where `--to` puts them, and everything that is visible in them.
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { DuckDBInstance } from '@duckdb/node-api'
import pg from 'pg'

/** The default lease of a claim. */
const LEASE_MS = 10 * 60_000

/** What a query of `intervals`, `daily_reads`, `files` and `entries` gives, which are the same in both databases. */
const filesSql = 'SELECT name, state FROM files'
const entriesSql = `SELECT f.name, count(DISTINCT entry_id) AS entries, count(r.entry_id) AS rejects FROM entries e
  LEFT JOIN files f USING (file_id) LEFT JOIN rejects r USING (entry_id) GROUP BY f.name`
const rowsSql = ms => `SELECT esiid, direction, ${ms('start')} AS start, CAST(kwh AS varchar) AS kwh, estimated,
  coalesce(${ms('revision')}, -1) AS revision, payload_sha256
  FROM intervals LEFT JOIN entries USING (entry_id) LEFT JOIN files USING (file_id)`

const dailySql = ms => `SELECT esiid, CAST(read_date AS varchar) AS day, CAST(start_reading AS varchar) AS a,
  CAST(end_reading AS varchar) AS b, CAST(kwh AS varchar) AS kwh, coalesce(${ms('revision')}, -1) AS revision, payload_sha256
  FROM daily_reads LEFT JOIN entries USING (entry_id) LEFT JOIN files USING (file_id)`

/** Everything that is visible: intervals and daily reads. */
async function rowsOf(ask, ms) {
  const rows = (await ask(rowsSql(ms))).map(row => [
    `${row.esiid} ${row.direction} ${Number(row.start)}`,
    `${row.kwh} ${row.estimated} ${Number(row.revision)} ${row.payload_sha256}`
  ])
  const daily = (await ask(dailySql(ms))).map(row => [
    `${row.esiid} daily ${row.day}`,
    `${row.a} ${row.b} ${row.kwh} ${Number(row.revision)} ${row.payload_sha256}`
  ])
  return [...rows, ...daily]
}

function seen(files, entries, rows, left) {
  return {
    files: new Map(files.map(({ name, state }) => [name, state])),
    entries: new Map(entries.map(({ name, entries, rejects }) => [name, [Number(entries), Number(rejects)]])),
    rows,
    left
  }
}

/** A DuckDB file. It is looked at in a copy: opening it would mend what the next run must mend. */
export class DuckDbStand {
  #folder
  #path

  constructor(folder) {
    this.#folder = folder
    this.#path = join(folder, 'smt.duckdb')
    mkdirSync(folder)
    this.to = `duckdb:${this.#path}`
  }

  async look() {
    if (!existsSync(this.#path)) return seen([], [], [], [])
    const copy = join(this.#folder, 'copy')
    mkdirSync(copy)
    for (const name of ['smt.duckdb', 'smt.duckdb.wal']) {
      if (existsSync(join(this.#folder, name))) cpSync(join(this.#folder, name), join(copy, name))
    }
    const instance = await DuckDBInstance.create(join(copy, 'smt.duckdb'), { threads: '1' })
    const connection = await instance.connect()
    const ask = async sql => (await connection.runAndReadAll(sql)).getRowObjectsJS()
    try {
      const tables = await ask("SELECT 1 FROM duckdb_tables() WHERE table_name = 'rejects'")
      if (tables.length === 0) return seen([], [], [], [])
      const rows = await rowsOf(ask, instant => `epoch_ms(${instant})`)
      return seen(await ask(filesSql), await ask(entriesSql), rows, this.#left())
    } finally {
      connection.closeSync()
      instance.closeSync()
      rmSync(copy, { recursive: true })
    }
  }

  #left() {
    return readdirSync(this.#folder).filter(name => !['smt.duckdb', 'copy'].includes(name))
  }

  /** Nobody else can hold the file: the next run takes a dead one's claims over at once. */
  async waitForLease() {}
  async endLeases() {}

  async remove() {
    rmSync(this.#folder, { recursive: true })
  }
}

/** A schema of a PostgreSQL database. */
export class PostgresStand {
  #url
  #schema

  constructor(url, schema, layout) {
    this.#url = url
    this.#schema = schema
    const address = new URL(url)
    for (const [name, value] of Object.entries({ schema, layout, application_name: schema })) {
      address.searchParams.set(name, value)
    }
    this.to = address.href
  }

  look() {
    return this.#connected(async ask => {
      await ask('BEGIN ISOLATION LEVEL REPEATABLE READ')
      const left = await ask(`SELECT relname FROM pg_class WHERE relname LIKE 'staging%' AND relnamespace =
        (SELECT oid FROM pg_namespace WHERE nspname = '${this.#schema}')`)
      const [{ there }] = await ask(`SELECT to_regclass('${this.#schema}.files') IS NOT NULL AS there`)
      if (!there) return seen([], [], [], [])
      await ask(`SET LOCAL search_path = ${this.#schema}`)
      const rows = await rowsOf(ask, instant => `(extract(epoch FROM ${instant}) * 1000)::bigint`)
      const names = left.map(({ relname }) => relname)
      return seen(await ask(filesSql), await ask(entriesSql), rows, names)
    })
  }

  /** A dead worker's claim holds until its lease is over, which begins when its last statement has. */
  async waitForLease() {
    await this.#connected(async ask => {
      const working = `SELECT FROM pg_stat_activity WHERE application_name = '${this.#schema}'`
      for (let i = 0; (await ask(working)).length > 0; i++) {
        if (i === 2000) throw new Error('a killed run’s connection is still at work after 10 s')
        await pause(5)
      }
    })
    await this.endLeases()
  }

  /**
   * Nothing shortens a lease from outside, so it is over by an UPDATE, as it would be when its time has passed; that it
   * is no longer than a lease is checked.
   */
  endLeases() {
    return this.#connected(async ask => {
      const [{ there }] = await ask(`SELECT to_regclass('${this.#schema}.files') IS NOT NULL AS there`)
      if (!there) return
      const left = await ask(`SELECT name, extract(epoch FROM lease_until - clock_timestamp()) * 1000 AS ms
        FROM ${this.#schema}.files WHERE state IN ('claimed', 'staged')`)
      const stuck = left.find(({ ms }) => !(Number(ms) <= LEASE_MS))
      if (stuck) throw new Error(`${stuck.name} is stuck for ${stuck.ms} ms, longer than one lease`)
      await ask(`UPDATE ${this.#schema}.files SET lease_until = clock_timestamp() WHERE state IN ('claimed', 'staged')`)
    })
  }

  async remove() {
    await this.#connected(ask => ask(`DROP SCHEMA IF EXISTS ${this.#schema} CASCADE`))
  }

  async #connected(work) {
    const client = new pg.Client({ connectionString: this.#url })
    await client.connect()
    try {
      return await work(async (text, values) => (await client.query(text, values)).rows)
    } finally {
      await client.end()
    }
  }
}

/** A folder of NDJSON files, and the ledger's journal beside them. */
export class NdjsonStand {
  #folder

  constructor(folder) {
    this.#folder = folder
    this.to = `ndjson:${folder}`
  }

  async look() {
    const names = existsSync(this.#folder) ? readdirSync(this.#folder) : []
    const visible = names.filter(name => name.endsWith('.ndjson') && !name.startsWith('.'))
    const contents = visible.map(name => ({
      hash: name.split('.').at(-2),
      rows: readFileSync(join(this.#folder, name), 'utf8').split('\n').filter(Boolean).map(textOf)
    }))
    const journal = names.includes('.ledger.ndjson') ? readFileSync(join(this.#folder, '.ledger.ndjson'), 'utf8') : ''
    const records = journal
      .split('\n')
      .slice(0, -1)
      .map(line => JSON.parse(line))
    return {
      files: new Map(records.map(([, { file, state }]) => [file.name, state])),
      contents,
      left: names.filter(name => !visible.includes(name) && name !== '.ledger.ndjson')
    }
  }

  /** Nobody else can hold the folder: the next run takes a dead one's claims over at once. */
  async waitForLease() {}
  async endLeases() {}

  async remove() {
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

function textOf(line) {
  const { type, esiid, date, startReading, endReading, start, kwh, estimated, direction, revision } = JSON.parse(line)
  const version = revision === null ? -1 : Date.parse(revision)
  if (type) {
    const numbers = [startReading, endReading, kwh].map(number => number.toFixed(5))
    return `${esiid} daily ${date} ${numbers.join(' ')} ${version}`
  }
  const value = `${kwh.toFixed(5)} ${estimated} ${version}`
  return `${esiid} ${direction} ${Date.parse(start)} ${value}`
}
