// Lets contenders take in the same files, each pass in a process of its own.
import { fileURLToPath } from 'node:url'
import { ask } from '../shared/ask.js'
import { say } from '../shared/command.js'
import { addPass, differences, emptyRun, lastPassText, takeTurns } from '../shared/contest.js'
import { PostgresPlace } from '../shared/postgres.js'
import { dailyFiles, oneFile } from './files.js'

const runOne = fileURLToPath(new URL('run-one.js', import.meta.url))

/**
 * `proves`: its receipts have the hashes, checksums and accounts of these files. `stores`: it is the store that is looked
 * into, not the sums of the intervals that came out. `several`: only where there are several files. `opens`: no rival, it
 * opens session keys and nothing else. `watched`: its event loop is looked at. `rounds`: a pass over 500 MB takes half a minute, so there are few.
 */
export const contenders = [
  { name: 'csv-to-intervals', own: true, proves: 'csv' },
  { name: 'asc-to-intervals', own: true, proves: 'asc', watched: true },
  { name: 'asc-to-intervals-4', own: true, proves: 'asc', several: true },
  { name: 'asc-to-postgres', own: true, proves: 'asc', stores: true, watched: true },
  { name: 'gpg-funzip-parser' },
  { name: 'gpg-funzip-duckdb' },
  { name: 'composition', rounds: 3 },
  { name: 'composition-arrays', rounds: 3 },
  { name: 'session-keys-library', rounds: 3, several: true, opens: true },
  { name: 'session-keys-openssl', rounds: 3, several: true, opens: true }
]

/** Lets contenders take in all files of a delivery. */
export async function race(all, server, title, delivery, { warmUpMegabytes, rounds, deadline }) {
  const entrants = all.filter(({ several }) => !several || delivery.files > 1)
  const warmUp = await oneFile(warmUpMegabytes)
  // For what only opens session keys, which has to be of the same kind.
  const fewKeys = await dailyFiles(20)
  const [place, spare] = ['store', 'spare'].map(word => new PostgresPlace(server, `bench_${word}`))
  const runs = entrants.map(emptyRun)
  await takeTurns(entrants, { rounds, deadline }, async (entrant, round) => {
    const run = runs[entrants.indexOf(entrant)]
    await addPass(run, async () => {
      for (const each of [place, spare]) await each.empty()
      await place.settle()
      const before = entrant.opens ? fewKeys : warmUp
      const strings = [filesOf(before), spare.place, filesOf(delivery), place.place].map(value => JSON.stringify(value))
      const { found, ...figures } = await ask(runOne, 'load', entrant.name, ...strings)
      const seen = entrant.stores ? { ...(await place.look()), ...found } : found
      return { wrong: differences(seen, truthFor(entrant, delivery)), ...figures }
    })
    say(`${title}, round ${round}: ${entrant.name} ${lastPassText(run)}`)
  })
  for (const each of [place, spare]) await each.empty()
  const { sizes, files, intervals } = delivery
  return { title, files, bytes: sizes.csv, ascBytes: sizes.asc, rows: intervals.rows, runs }
}

/** How late the event loop is while a file is taken in, in milliseconds, beside that of a process that does nothing. */
export async function loopDelays(entrants, server, delivery, { warmUpMegabytes, rounds }) {
  const warmUp = await oneFile(warmUpMegabytes)
  const [place, spare] = ['store', 'spare'].map(word => new PostgresPlace(server, `bench_${word}`))
  const delays = []
  for (const { name } of entrants.filter(({ watched }) => watched)) {
    const [own, twin] = [[], []]
    for (let round = 0; round < rounds; round++) {
      for (const each of [place, spare]) await each.empty()
      const strings = [filesOf(warmUp), spare.place, filesOf(delivery), place.place].map(value => JSON.stringify(value))
      const found = await ask(runOne, 'loop', name, ...strings)
      own.push(found.own)
      twin.push(found.twin)
      say(
        `event loop, round ${round + 1}: ${name} ${found.own.p99.toFixed(1)} ms, its twin ${found.twin.p99.toFixed(1)} ms`
      )
    }
    delays.push({ name, own, twin })
  }
  for (const each of [place, spare]) await each.empty()
  return delays
}

function truthFor({ opens, stores, proves }, delivery) {
  if (opens) return { opened: delivery.files }
  const sums = stores ? delivery.stored : delivery.intervals
  return proves ? { ...sums, evidence: delivery.evidence[proves] } : sums
}

function filesOf({ csv, asc, privateKey }) {
  return { csv, asc, privateKey }
}
