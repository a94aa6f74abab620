// Ours. Threads and memory are those that it has by itself, said aloud because the rival must have the same.
import { DuckDbSink } from '@intelliwatt/smt-ingest/duckdb'
import { limits } from '../duckdb-place.js'
import { openOurs } from '../ours.js'

export { version } from '../ours.js'
export const settings = `\`new DuckDbSink()\`, \`threads\` ${limits.threads}, \`memoryLimit\` ${limits.memoryLimit}`

export function open({ path: store }, path) {
  return openOurs(new DuckDbSink({ path: store, ...limits }), path)
}
