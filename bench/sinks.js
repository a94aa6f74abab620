// Storing intervals, side by side: the same files into PostgreSQL and DuckDB, by our sinks and by what one would write
// without them. See README.md.
import { idleRssMb } from './shared/ask.js'
import { deadlineAfter, runBench, say } from './shared/command.js'
import { settingsOf as serverSettings, startPostgres } from './shared/postgres.js'
import { contenders, race, settingsOf } from './sinks/measure.js'
import { sectionsOf } from './sinks/report.js'

await runBench({
  name: 'sinks',
  options: {
    meters: '350',
    days: '33',
    rounds: '5',
    contenders: contenders.map(({ name }) => name).join(),
    minutes: '20'
  },
  measure,
  sectionsOf,
  own: contenders.filter(({ own }) => own).map(({ name }) => name)
})

async function measure(options) {
  const [meters, days, rounds] = [options.meters, options.days, options.rounds].map(Number)
  const asked = contenders.filter(({ name }) => options.contenders.split(',').includes(name))
  const settings = {}
  for (const entrant of asked) settings[entrant.name] = await settingsOf(entrant)
  const missing = asked.map(({ name }) => name).filter(name => settings[name].version === undefined)
  for (const name of missing) say(`${name}: its program is not installed, so it takes no part`)
  const entrants = asked.filter(({ name }) => !missing.includes(name))
  const server = await startPostgres()
  try {
    const postgres = await serverSettings(server)
    const measured = await race(entrants, server, { meters, days, rounds, deadline: deadlineAfter(options.minutes) })
    return { meters, days, rounds, postgres, settings, missing, idleRssMb: await idleRssMb(), ...measured }
  } finally {
    await server.stop()
  }
}
