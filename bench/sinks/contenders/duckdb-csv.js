// DuckDB reads the CSV itself and merges by the same rule, in one transaction. No primary key: with one, storing takes
// several times as long. `MERGE` is slow where much is newer, `UPDATE` much like `DELETE` and an anti-join. `AT TIME ZONE`
// takes a quarter longer to make instants than this does.
import { DuckDBInstance } from '@duckdb/node-api'
import { intervalsSql } from '../../parse/contenders/duckdb.js'
import { instanceOptions, limits } from '../duckdb-place.js'

export { version } from '../../parse/contenders/duckdb.js'
export const settings = `\`read_csv\`, \`DELETE\` and anti-join \`INSERT\`; \`threads\` ${limits.threads}, \`memory_limit\` ${limits.memoryLimit}`

const sameKey = '(i.esiid = s.esiid AND i.direction = s.direction AND i.start = s.start)'

export async function open({ path: store }, path) {
  const instance = await DuckDBInstance.create(store, instanceOptions)
  const connection = await instance.connect()
  await connection.run(`CREATE TYPE IF NOT EXISTS direction AS ENUM ('consumption', 'surplus-generation')`)
  await connection.run(`CREATE TABLE IF NOT EXISTS intervals (
    esiid VARCHAR NOT NULL, start TIMESTAMPTZ NOT NULL, direction direction NOT NULL, kwh DECIMAL(12,5) NOT NULL,
    estimated BOOLEAN NOT NULL, revision TIMESTAMPTZ)`)
  return {
    async load() {
      for (const statement of statementsFor(path)) await connection.run(statement)
    },
    async close() {
      connection.closeSync()
      instance.closeSync()
    }
  }
}

function statementsFor(path) {
  return [
    'BEGIN',
    `CREATE TEMP TABLE staged AS
     SELECT esiid, make_timestamptz(epoch_us(start)) AS start,
       (CASE WHEN surplus THEN 'surplus-generation' ELSE 'consumption' END)::direction AS direction, kwh, estimated,
       make_timestamptz(epoch_us(revision)) AS revision
     FROM (${intervalsSql(path, 'DECIMAL(12,5)')})`,
    `DELETE FROM intervals i USING staged s
     WHERE ${sameKey} AND row(coalesce(s.revision, '-infinity'), NOT s.estimated)
       > row(coalesce(i.revision, '-infinity'), NOT i.estimated)`,
    `INSERT INTO intervals SELECT * FROM staged s WHERE NOT EXISTS (SELECT 1 FROM intervals i WHERE ${sameKey})`,
    'DROP TABLE staged',
    'COMMIT'
  ]
}
