// Ours in the layout `days`.
import { PostgresSink } from '@intelliwatt/smt-ingest/postgres'
import { openOurs } from '../ours.js'

export { version } from '../ours.js'
export const settings = "`new PostgresSink({ layout: 'days' })`"

export function open({ connectionString, schema }, path) {
  return openOurs(new PostgresSink({ connectionString, schema, layout: 'days' }), path)
}
