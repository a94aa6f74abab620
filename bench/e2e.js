// The whole way, from `.asc` files to intervals and to committed rows. See README.md.
import { dailyFiles, oneFile } from './e2e/files.js'
import { contenders, race } from './e2e/measure.js'
import { sectionsOf } from './e2e/report.js'
import { idleRssMb, settingsOf } from './shared/ask.js'
import { deadlineAfter, runBench, say } from './shared/command.js'
import { thousands } from './shared/figures.js'
import { serverSettings, startPostgres } from './shared/postgres.js'

await runBench({
  name: 'e2e',
  options: {
    megabytes: '50',
    large: '500',
    files: '1000',
    rounds: '5',
    contenders: contenders.map(({ name }) => name).join(),
    minutes: '15'
  },
  measure,
  sectionsOf,
  own: contenders.filter(({ own }) => own).map(({ name }) => name)
})

async function measure(options) {
  const [megabytes, large, files, rounds] = ['megabytes', 'large', 'files', 'rounds'].map(name => Number(options[name]))
  const entrants = contenders.filter(({ name }) => options.contenders.split(',').includes(name))
  const settings = await settingsOf(entrants, new URL('e2e/', import.meta.url))
  const deliveries = []
  for (const size of [megabytes, large].filter(Boolean)) {
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
    const common = { warmUpMegabytes: Math.min(megabytes, 10), rounds, deadline: deadlineAfter(options.minutes) }
    const races = []
    for (const [title, delivery] of deliveries) races.push(await race(entrants, server, title, delivery, common))
    return { rounds, postgres, settings, idleRssMb: await idleRssMb(), races }
  } finally {
    await server.stop()
  }
}
