// DuckDB with one thread, see duckdb.js.
import { reader } from './duckdb.js'

export { version } from './duckdb.js'
export const settings =
  '`threads` 1, `auto_detect = false`, typed `columns`, `dateformat`, `timestampformat`, `buffer_size` 16 MiB'
export const run = reader(1)
