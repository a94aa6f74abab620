// Reading intervals from CSV, side by side: races on files of three shapes and two sizes, the days of the clock change, a
// report. See README.md.
import { readClockChanges } from './parse/clock-change.js'
import { own } from './parse/figures.js'
import { shapes } from './parse/files.js'
import { contenders, race } from './parse/measure.js'
import { sectionsOf } from './parse/report.js'
import { idleRssMb, settingsOf } from './shared/ask.js'
import { deadlineAfter, runBench } from './shared/command.js'

await runBench({
  name: 'parse',
  options: {
    megabytes: '100',
    large: undefined,
    rounds: '5',
    only: shapes.join(),
    minutes: '18'
  },
  contenders,
  measure,
  sectionsOf,
  own: [own]
})

async function measure(options, entrants) {
  const megabytes = Number(options.megabytes)
  const large = Number(options.large ?? (megabytes === 100 ? 500 : 0))
  const rounds = Number(options.rounds)
  const common = { warmUpMegabytes: Math.min(megabytes, 100), rounds, deadline: deadlineAfter(options.minutes) }
  const chosen = shapes.filter(shape => options.only.split(',').includes(shape))
  const races = []
  for (const size of [megabytes, large].filter(Boolean)) {
    const fit = size > megabytes ? entrants.filter(entrant => entrant.large) : entrants
    for (const shape of chosen) races.push(await race(fit, { shape, megabytes: size, ...common }))
  }
  const settings = await settingsOf(entrants, new URL('parse/', import.meta.url))
  const readers = entrants.filter(({ floor }) => !floor).map(({ name }) => name)
  const clockChanges = await readClockChanges(readers)
  return { megabytes, large, rounds, settings, idleRssMb: await idleRssMb(), clockChanges, races }
}
