import { DuckDbSink } from '../../../src/sink/duckdb.ts'

// Exports a store, and stops for ever once one month is written.
const [path, directory] = process.argv.slice(2) as [string, string]

await new DuckDbSink({ path }).exportParquet({
  directory,
  onFile: () => {
    console.log('written')
    setInterval(() => {}, 60_000)
    return new Promise(() => {})
  }
})
