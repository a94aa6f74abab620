// PostgreSQL's own tools: psql copies the text of the CSV into an unlogged table, SQL converts it and stores it by the
// same rule, in one transaction. The server's time zone puts the repeated hour on its first pass; a key that came twice
// in one file would end the statement.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { peakRssMb } from '../../shared/ask.js'
import { makeTableSql, upsertSql } from '../text-key-table.js'

/** Undefined where there is no psql. */
export const version = spawnSync('psql', ['--version'], { encoding: 'utf8' }).stdout?.match(/\d+(\.\d+)?/)?.[0]
export const settings = '`\\copy` into an unlogged table, `INSERT … SELECT … ON CONFLICT`; one transaction'

const cells = ['esiid', 'usage_date', 'revision_date', 'start_time', 'end_time', 'kwh', 'flag', 'direction']

export async function open({ connectionString, schema }, path) {
  const arguments_ = [connectionString, '--no-psqlrc', '--quiet', '--set', 'ON_ERROR_STOP=1']
  const psql = spawn('psql', arguments_, { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, TZ: 'UTC' } })
  const talk = new Talk(psql)
  await talk.say(`
    ${makeTableSql(schema)}
    CREATE UNLOGGED TABLE IF NOT EXISTS ${schema}.staging (${cells.map(cell => `${cell} text`).join(', ')});`)
  return {
    async load() {
      await talk.say(`
        BEGIN;
        \\copy ${schema}.staging FROM '${path.replaceAll("'", "''")}' WITH (FORMAT csv, HEADER)
        ${upsertSql(schema, convertedSql(schema))};
        TRUNCATE ${schema}.staging;
        COMMIT;`)
    },
    ...(process.platform === 'linux' && { peakRssMb: () => peakRssMb(psql.pid) }),
    async close() {
      psql.stdin.end('\\q\n')
      if (psql.exitCode === null) await once(psql, 'close')
    }
  }
}

function convertedSql(schema) {
  return `
    SELECT ltrim(esiid, ''''), (usage_date::date + start_time::time) AT TIME ZONE 'America/Chicago',
      CASE direction WHEN 'Consumption' THEN 'consumption' ELSE 'surplus-generation' END, kwh::numeric(12,5),
      flag = 'E', revision_date::timestamp AT TIME ZONE 'America/Chicago'
    FROM ${schema}.staging WHERE kwh IS NOT NULL`
}

/** Commands for a psql that runs already, so that its start is not measured. */
class Talk {
  #psql
  #said = ''
  #complaints = ''
  #count = 0

  constructor(psql) {
    this.#psql = psql
    psql.stdout.on('data', text => {
      this.#said += text
    })
    psql.stderr.on('data', text => {
      this.#complaints += text
    })
  }

  /** Sends commands and waits until all of them are done. */
  async say(commands) {
    const mark = `done ${++this.#count}`
    this.#psql.stdin.write(`${commands}\n\\echo ${mark}\n`)
    while (!this.#said.includes(mark)) {
      await Promise.race([once(this.#psql.stdout, 'data'), once(this.#psql, 'close')])
      if (this.#psql.exitCode !== null) throw new Error(`psql: ${this.#complaints.trim()}`)
    }
  }
}
