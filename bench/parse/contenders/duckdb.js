// DuckDB's read_csv, in memory. Nothing is detected: columns get their types from the reader, dates and stamps by
// `dateformat` and `timestampformat`; `buffer_size` "can significantly impact performance", and 16 MiB share 100 MB best
// between two threads (https://duckdb.org/docs/stable/data/csv/overview). The aggregates are made of the typed columns,
// so that every one of them has to be there; a table in between costs a sixth more and is left out.
//
// Of the ways to UTC this is the fastest: the two offsets of Texas by the moments at which they change, which Intl
// tells for eleven years. With `timezone('America/Chicago', …)` of the bundled ICU the file takes 1.6 times as long, with
// a join to a table of offsets per date 1.25 times. All three put the repeated hour on its first pass.
import { DuckDBInstance } from '@duckdb/node-api'
import { versionOf } from '../../shared/package-version.js'
import { instantsOf } from './convert.js'
import { revisionsFrom } from './tally.js'

export const version = versionOf('@duckdb/node-api')

const hour = 3_600_000
const summers = Array.from({ length: 11 }, (_, n) => {
  const year = 2020 + n
  return { from: changeIn(year, 3, 5), to: changeIn(year, 11, 6) }
})

/** The first day of a month whose noon is so many hours behind UTC, at two in the night. */
function changeIn(year, month, behind) {
  let day = 1
  while (instantsOf(year, month, day)[48] !== Date.UTC(year, month - 1, day, 12) + behind * hour) day++
  return `TIMESTAMP '${year}-${month}-${day} 02:00:00'`
}

function utc(local) {
  const summer = summers.map(({ from, to }) => `(${local} >= ${from} AND ${local} < ${to})`).join(' OR ')
  return `${local} + CASE WHEN ${summer} THEN INTERVAL 5 HOUR ELSE INTERVAL 6 HOUR END`
}

/** Typed intervals out of a file of ours, `start` and `revision` without a zone, in UTC. */
export function intervalsSql(file, kwhType) {
  return `
    SELECT esiid, ${utc('begin')} AS start, ${utc('revised')} AS revision, kwh, estimated, surplus
    FROM (
      SELECT
        substr(ESIID, 2) AS esiid,
        USAGE_DATE + USAGE_END_TIME
          + CASE USAGE_END_TIME WHEN TIME '00:00' THEN INTERVAL 1425 MINUTE ELSE INTERVAL '-15' MINUTE END AS begin,
        REVISION_DATE AS revised,
        USAGE_KWH AS kwh,
        ESTIMATED_ACTUAL = 'E' AS estimated,
        CONSUMPTION_SURPLUSGENERATION = 'Surplus Generation' AS surplus
      FROM read_csv('${file.replaceAll("'", "''")}',
        auto_detect = false, header = true, delim = ',', quote = '"', new_line = '\\n', buffer_size = 16777216,
        dateformat = '%m/%d/%Y', timestampformat = '%m/%d/%Y %H:%M:%S',
        columns = {
          'ESIID': 'VARCHAR', 'USAGE_DATE': 'DATE', 'REVISION_DATE': 'TIMESTAMP', 'USAGE_START_TIME': 'VARCHAR',
          'USAGE_END_TIME': 'TIME', 'USAGE_KWH': '${kwhType}', 'ESTIMATED_ACTUAL': 'VARCHAR',
          'CONSUMPTION_SURPLUSGENERATION': 'VARCHAR'
        })
      WHERE USAGE_KWH IS NOT NULL
    )`
}

const aggregates = file => `
  SELECT
    count(*) AS "rows",
    sum(round(kwh * 1000)) AS "milliKwh",
    sum(epoch(start) / 900) AS "startSum",
    sum(epoch(revision) - ${revisionsFrom}) AS "revisionSum",
    count(*) FILTER (estimated) AS "estimated",
    count(*) FILTER (surplus) AS "surplus",
    sum(CAST(right(esiid, 4) AS INTEGER)) AS "esiidSum"
  FROM (${intervalsSql(file, 'DOUBLE')})`

/** A contender's `run` with so many threads. */
export function reader(threads) {
  const settings = { threads: String(threads) }
  let connecting
  return async file => {
    connecting ??= DuckDBInstance.create(':memory:', settings).then(instance => instance.connect())
    const connection = await connecting
    const result = await connection.runAndReadAll(aggregates(file))
    const [found] = result.getRowObjects()
    return Object.fromEntries(Object.entries(found).map(([name, value]) => [name, Number(value)]))
  }
}
