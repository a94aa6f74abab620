// Storing intervals, side by side: the same files into PostgreSQL and DuckDB, by our sinks and by what one would write
// without them. See README.md.
import { idleRssMb, settingsOf } from './shared/ask.js'
import { deadlineAfter, runBench, say } from './shared/command.js'
import { serverSettings, startPostgres } from './shared/postgres.js'
import { duckDbSettings } from './sinks/duckdb-place.js'
import { contenders, race } from './sinks/measure.js'
import { sectionsOf } from './sinks/report.js'

await runBench({
  name: 'sinks',
  options: {
    meters: '350',
    days: '33',
    rounds: '5',
    minutes: '20'
  },
  contenders,
  measure,
  sectionsOf
})

async function measure(options, asked) {
  const [meters, days, rounds] = [options.meters, options.days, options.rounds].map(Number)
  const settings = await settingsOf(asked, new URL('sinks/', import.meta.url))
  const missing = asked.map(({ name }) => name).filter(name => settings[name].version === undefined)
  for (const name of missing) say(`${name}: its program is not installed, so it takes no part`)
  const entrants = asked.filter(({ name }) => !missing.includes(name))
  const server = await startPostgres()
  try {
    const databases = { PostgreSQL: await serverSettings(server), DuckDB: await duckDbSettings() }
    const measured = await race(entrants, server, { meters, days, rounds, deadline: deadlineAfter(options.minutes) })
    return { meters, days, rounds, databases, settings, missing, idleRssMb: await idleRssMb(), ...measured }
  } finally {
    await server.stop()
  }
}
