// DuckDB with two threads, see duckdb.js.
import { reader } from './duckdb.js'

export { version } from './duckdb.js'
export const settings =
  '`threads` 2, `auto_detect = false`, typed `columns`, `dateformat`, `timestampformat`, `buffer_size` 16 MiB'
export const run = reader(2)
