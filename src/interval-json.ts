import type { Interval } from './batch.ts'

/** One interval as one line of NDJSON: instants as UTC ISO text, kWh as the number of its decimal text. */
export function intervalJson({ esiid, start, kwh, estimated, direction, revision, minutes }: Interval): string {
  return JSON.stringify({
    esiid,
    start: new Date(start).toISOString(),
    kwh,
    estimated,
    direction,
    revision: revision === null ? null : new Date(revision).toISOString(),
    minutes
  })
}
