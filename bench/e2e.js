// The whole way, from `.asc` files to intervals and to committed rows. See README.md.
import { dailyFiles, oneFile } from './e2e/files.js'
import { contenders, loopDelays, race } from './e2e/measure.js'
import { sectionsOf } from './e2e/report.js'
import { idleRssMb, settingsOf } from './shared/ask.js'
import { deadlineAfter, runBench, say } from './shared/command.js'
import { thousands } from './shared/figures.js'
import { serverSettings, startPostgres } from './shared/postgres.js'

await runBench({
  name: 'e2e',
  options: {
    sizes: '1,50,500',
    files: '1000',
    rounds: '5',
    minutes: '20'
  },
  contenders,
  measure,
  sectionsOf
})

async function measure(options, asked) {
  const [files, rounds] = [options.files, options.rounds].map(Number)
  const sizes = options.sizes.split(',').map(Number).filter(Boolean)
  const settings = await settingsOf(asked, new URL('e2e/', import.meta.url))
  const missing = asked.map(({ name }) => name).filter(name => settings[name].version === undefined)
  for (const name of missing) say(`${name}: its programs are not installed, so it takes no part`)
  const entrants = asked.filter(({ name }) => !missing.includes(name))
  const deliveries = []
  for (const size of sizes) {
    say(`files: one of ${size} MB`)
    deliveries.push([`one file of ${size} MB`, await oneFile(size)])
  }
  if (files > 0) {
    say(`files: ${files} of one day`)
    deliveries.push([`${thousands(files)} files of one day`, await dailyFiles(files)])
  }
  const server = await startPostgres()
  try {
    const postgres = await serverSettings(server)
    const common = { warmUpMegabytes: Math.min(10, ...sizes.filter(size => size > 1)), rounds }
    const races = []
    for (const [title, delivery] of deliveries) {
      const deadline = deadlineAfter((options.minutes * (races.length + 1)) / deliveries.length)
      races.push(await race(entrants, server, title, delivery, { ...common, deadline }))
    }
    const largest = deliveries.filter(([, { files }]) => files === 1).at(-1)
    const loop = largest && { title: largest[0], delays: await loopDelays(entrants, server, largest[1], common) }
    return { rounds, postgres, settings, missing, idleRssMb: await idleRssMb(), races, loop }
  } finally {
    await server.stop()
  }
}
