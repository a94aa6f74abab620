// Lets contenders store the same files, each pass in a process of its own, and looks into the store after each.
import { mkdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { ask, readThrough } from '../shared/ask.js'
import { say } from '../shared/command.js'
import { addPass, differences, emptyRun, lastPassText, takeTurns } from '../shared/contest.js'
import { PostgresPlace } from '../shared/postgres.js'
import { folder } from '../shared/report-files.js'
import { DuckDbPlace } from './duckdb-place.js'
import { filesFor } from './files.js'
import { readingTimes } from './reading.js'

const runOne = fileURLToPath(new URL('run-one.js', import.meta.url))

/** `rounds`: a round takes half a minute, so there are few. */
export const contenders = [
  { name: 'postgres-days', database: 'PostgreSQL', own: true },
  { name: 'postgres-rows', database: 'PostgreSQL', own: true },
  { name: 'psql-copy', database: 'PostgreSQL', rounds: 3 },
  { name: 'multi-row-insert', database: 'PostgreSQL', rounds: 3 },
  { name: 'duckdb-sink', database: 'DuckDB', own: true },
  { name: 'duckdb-csv', database: 'DuckDB' }
]

/**
 * What is stored one after another. Only ours can know the same bytes again. Only ours keeps which file a reading is of:
 * of a file with a greater hash it writes every row, where its rivals write none, so no figure is set for that.
 */
export const cases = [
  { name: 'empty store', file: 'empty', holds: 'first' },
  { name: 'identical again', file: 'smaller', holds: 'first' },
  { name: 'identical again, greater hash', file: 'greater', holds: 'first', noFigure: true },
  { name: 'the same bytes again', file: 'duplicate', holds: 'first', state: 'duplicate', onlyOwn: true },
  { name: 'newer revision', file: 'newer', holds: 'newer' }
]

/** Races by database and case, and what was seen of the stores that came of them. */
export async function race(entrants, server, { meters, days, rounds, deadline }) {
  const files = await filesFor(meters, days)
  const warmUp = await filesFor(Math.min(20, meters), days)
  for (const path of Object.values(files.paths)) await readThrough(path)
  const races = racesOf(entrants)
  const stores = entrants.map(({ name, database }) => ({ name, database, sizes: {}, monthMs: [], allMs: [] }))

  await takeTurns(entrants, { rounds, deadline }, async ({ name, database, own }, round) => {
    const [place, spare] = ['store', 'spare'].map(word => placeOf[database](server, word))
    const store = stores.find(store => store.name === name)
    const passes = races.flatMap(race => race.runs.filter(run => run.name === name).map(run => [race.case, run]))
    await place.empty()
    for (const [title, run] of passes) {
      const { file, holds, state = 'committed' } = cases.find(({ name }) => name === title)
      await spare.empty()
      await addPass(run, async () => {
        const warmUpStrings = [JSON.stringify(spare.place), warmUp.paths.empty]
        const strings = [JSON.stringify(place.place), files.paths[file]]
        const { found, ...figures } = await ask(runOne, 'load', name, ...warmUpStrings, ...strings)
        store.sizes[title] = await place.size()
        await place.settle()
        const truth = { ...files[holds], ...(own && { state }) }
        return { wrong: differences({ ...(await place.look()), ...found }, truth), ...figures }
      })
      say(`round ${round}, ${name}, ${title}: ${lastPassText(run)}`)
    }
    if (database === 'PostgreSQL' && passes.every(([, { wrong }]) => wrong === null)) {
      const { monthMs, allMs } = await readingTimes(place, { meters, days })
      store.monthMs.push(monthMs)
      store.allMs.push(allMs)
    }
    await place.empty()
    await spare.empty()
  })
  return { bytes: files.bytes, races: races.map(race => ({ ...race, rows: rowsOf(files.first) })), stores }
}

function racesOf(entrants) {
  const databases = [...new Set(entrants.map(({ database }) => database))]
  return databases.flatMap(database =>
    cases.map(({ name, onlyOwn }) => {
      const here = entrants.filter(entrant => entrant.database === database && (entrant.own || !onlyOwn))
      return { title: `${database}, ${name}`, database, case: name, runs: here.map(emptyRun) }
    })
  )
}

const placeOf = {
  PostgreSQL: (server, word) => new PostgresPlace(server, `bench_${word}`),
  DuckDB(_server, word) {
    mkdirSync(folder, { recursive: true })
    return new DuckDbPlace(`${folder}/${word}.duckdb`)
  }
}

function rowsOf(truth) {
  return ['consumption', 'surplus-generation'].reduce((sum, name) => sum + Number(truth[`${name} intervals`] ?? 0), 0)
}
