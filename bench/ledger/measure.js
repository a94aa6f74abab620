// Fills two stores of a kind, one with few files and one with many, and asks both the same, by turns.
import { mkdirSync, rmSync, statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { ask } from '../shared/ask.js'
import { say } from '../shared/command.js'
import { takeTurns } from '../shared/contest.js'
import { PostgresPlace } from '../shared/postgres.js'
import { folder } from '../shared/report-files.js'
import { DuckDbPlace } from '../sinks/duckdb-place.js'

const runOne = fileURLToPath(new URL('run-one.js', import.meta.url))

export const kinds = ['postgres', 'duckdb', 'file']

/** One race of a kind: a run for each size, with the times of every question in each round. */
export async function measureLedger(kind, server, { few, many, rounds, deadline }) {
  const scratch = `${folder}/ledger`
  const runs = [few, many].map(count => ({ name: kind, count, wrong: null, times: [], rssMb: [], openedMb: [] }))
  const places = runs.map(({ count }) => placeOf[kind](server, `${scratch}/${kind}-${count}`, `bench_ledger_${count}`))
  const values = run => [kind, JSON.stringify(places[runs.indexOf(run)].place), scratch, String(run.count)]
  for (const run of runs) {
    await places[runs.indexOf(run)].empty()
    Object.assign(run, await ask(runOne, 'fill', ...values(run)))
    run.storeMb = await places[runs.indexOf(run)].size()
    say(`${kind}: ${run.count} files stand in the ledger, ${Math.round(run.storeMb)} MB`)
  }
  await takeTurns(runs, { rounds, deadline }, async (run, round) => {
    if (run.wrong !== null) return
    try {
      const { times, openedMb, rssMb } = await ask(runOne, 'use', ...values(run))
      run.times.push(times)
      run.openedMb.push(openedMb)
      run.rssMb.push(rssMb)
    } catch (error) {
      run.wrong = error.message
    }
    say(`${kind}, ${run.count} files, round ${round}: ${run.wrong ?? 'done'}`)
  })
  for (const place of places) await place.empty()
  return { title: kind, kind, runs }
}

const placeOf = {
  postgres(server, _path, schema) {
    const place = new PostgresPlace(server, schema)
    return {
      place: place.place,
      empty: () => place.empty(),
      size: async () => Object.values(await place.size()).reduce((sum, megabytes) => sum + megabytes)
    }
  },
  duckdb(_server, path) {
    mkdirSync(`${path}/..`, { recursive: true })
    const place = new DuckDbPlace(`${path}.duckdb`)
    return { place: place.place, empty: () => place.empty(), size: async () => (await place.size()).tables }
  },
  file(_server, path) {
    return {
      place: { directory: path },
      async empty() {
        rmSync(path, { recursive: true, force: true })
        mkdirSync(path, { recursive: true })
      },
      size: async () => statSync(`${path}/.ledger.ndjson`).size / 1e6
    }
  }
}
