// A large file over SFTP from a real sshd, near and far away. See README.md.

import { contenders, race, serverOf } from './sftp/measure.js'
import { sectionsOf } from './sftp/report.js'
import { idleRssMb, settingsOf } from './shared/ask.js'
import { deadlineAfter, runBench } from './shared/command.js'

await runBench({
  name: 'sftp',
  options: {
    megabytes: '134',
    trips: '0,10,40,100',
    rounds: '5',
    minutes: '20'
  },
  contenders,
  measure,
  sectionsOf
})

async function measure(options, entrants) {
  const [megabytes, rounds] = [Number(options.megabytes), Number(options.rounds)]
  const settings = await settingsOf(entrants, new URL('sftp/', import.meta.url))
  const server = await serverOf(megabytes)
  try {
    const common = { rounds, deadline: deadlineAfter(options.minutes) }
    const races = []
    for (const trip of options.trips.split(',').map(Number)) races.push(await race(entrants, server, trip, common))
    return { rounds, megabytes, server: server.version, settings, idleRssMb: await idleRssMb(), races }
  } finally {
    await server.stop()
  }
}
