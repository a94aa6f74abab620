// Lets contenders take in the same files, each pass in a process of its own.
import { fileURLToPath } from 'node:url'
import { ask } from '../shared/ask.js'
import { say } from '../shared/command.js'
import { addPass, differences, emptyRun, lastPassText, takeTurns } from '../shared/contest.js'
import { PostgresPlace } from '../shared/postgres.js'
import { oneFile } from './files.js'

const runOne = fileURLToPath(new URL('run-one.js', import.meta.url))

/** `stores`: it is the store that is looked into, not the intervals that came out. */
export const contenders = [
  { name: 'csv-to-intervals', own: true },
  { name: 'asc-to-intervals', own: true },
  { name: 'asc-to-postgres', own: true, stores: true }
]

/** Lets contenders take in all files of a delivery. */
export async function race(entrants, server, title, delivery, { warmUpMegabytes, rounds, deadline }) {
  const warmUp = await oneFile(warmUpMegabytes)
  const [place, spare] = ['store', 'spare'].map(word => new PostgresPlace(server, `bench_${word}`))
  const runs = entrants.map(emptyRun)
  await takeTurns(entrants, { rounds, deadline }, async (entrant, round) => {
    const run = runs[entrants.indexOf(entrant)]
    await addPass(run, async () => {
      for (const each of [place, spare]) await each.empty()
      await place.settle()
      const strings = [filesOf(warmUp), spare.place, filesOf(delivery), place.place].map(value => JSON.stringify(value))
      const { found, ...figures } = await ask(runOne, 'load', entrant.name, ...strings)
      if (!entrant.stores) return { wrong: differences(found, delivery.intervals), ...figures }
      const truth = { ...delivery.stored, committed: delivery.files }
      return { wrong: differences({ ...(await place.look()), ...found }, truth), ...figures }
    })
    say(`${title}, round ${round}: ${entrant.name} ${lastPassText(run)}`)
  })
  for (const each of [place, spare]) await each.empty()
  const { sizes, files, intervals } = delivery
  return { title, files, bytes: sizes.csv, ascBytes: sizes.asc, rows: intervals.rows, runs }
}

function filesOf({ csv, asc, privateKey }) {
  return { csv, asc, privateKey }
}
