// Ours in the layout `rows`.
import { PostgresSink } from '@intelliwatt/smt-ingest/postgres'
import { openOurs } from '../ours.js'

export { version } from '../ours.js'
export const settings = "`new PostgresSink({ layout: 'rows' })`"

export function open({ connectionString, schema }, path) {
  return openOurs(new PostgresSink({ connectionString, schema, layout: 'rows' }), path)
}
