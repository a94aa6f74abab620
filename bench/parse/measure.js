// Runs contenders against each other: every pass in a process of its own.
import { fileURLToPath } from 'node:url'
import { ask, readThrough } from '../shared/ask.js'
import { say } from '../shared/command.js'
import { addPass, differences, emptyRun, lastPassText, takeTurns } from '../shared/contest.js'
import { titleOf } from './figures.js'
import { fileOf } from './files.js'

const runOne = fileURLToPath(new URL('run-one.js', import.meta.url))

/**
 * `large`: fast enough for the large files too. `rounds`: a pass over 100 MB takes seconds, so there are few and the
 * warm-up is short. `floor`: not a rival, it understands nothing.
 */
export const contenders = [
  { name: 'newlines', large: true, floor: true },
  { name: 'smt-ingest', large: true },
  { name: 'hand-loop', large: true },
  { name: 'duckdb-2', large: true },
  { name: 'duckdb-1', large: true },
  { name: 'udsv', large: true },
  { name: 'papaparse', large: true },
  { name: 'readline' },
  { name: 'csv-parse-arrays', rounds: 3 },
  { name: 'csv-parse-objects', rounds: 3 },
  { name: 'fast-csv', rounds: 3 }
]

/** Asks a contender in a process of its own. */
export function askContender(task, name, ...paths) {
  return ask(runOne, task, name, ...paths)
}

/** Lets contenders read one file. Gives the seconds and the peak memory of every pass, or what was wrong. */
export async function race(entrants, { shape, megabytes, warmUpMegabytes, rounds, deadline }) {
  const file = await fileOf(shape, megabytes)
  const long = await fileOf(shape, warmUpMegabytes)
  const short = await fileOf(shape, Math.min(10, warmUpMegabytes))
  const title = titleOf(shape, megabytes)
  await readThrough(file.path)
  const runs = entrants.map(emptyRun)
  await takeTurns(entrants, { rounds, deadline }, async (entrant, round) => {
    const run = runs[entrants.indexOf(entrant)]
    await addPass(run, () => pass(entrant, entrant.rounds ? short : long, file))
    say(`${title}, round ${round}: ${entrant.name} ${lastPassText(run)}`)
  })
  return { title, shape, megabytes, bytes: file.bytes, rows: file.truth.rows, runs }
}

async function pass({ name, floor }, warmUp, { path, truth }) {
  const { found, ...figures } = await askContender('pass', name, warmUp.path, path)
  return { wrong: differences(found, floor ? { rows: truth.rows } : truth), ...figures }
}
