// Reading intervals from CSV, side by side: races on files of three shapes and two sizes, the days of the clock change, a
// report. See README.md.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { readClockChanges } from './clock-change.js'
import { shapes } from './files.js'
import { ask, contenders, idleRssMb, own, race } from './measure.js'
import { sectionsOf, writeResultsPage } from './report.js'

const { values: options } = parseArgs({
  options: {
    megabytes: { type: 'string', default: '100' },
    large: { type: 'string' },
    rounds: { type: 'string', default: '5' },
    only: { type: 'string', default: shapes.join() },
    contenders: { type: 'string', default: contenders.map(({ name }) => name).join() },
    minutes: { type: 'string', default: '18' },
    write: { type: 'boolean', default: false },
    report: { type: 'boolean', default: false }
  }
})
const resultsFile = fileURLToPath(new URL('results/parse.json', import.meta.url))
const begun = Date.now()

if (options.report) writeResultsPage(sectionsOf(JSON.parse(readFileSync(resultsFile, 'utf8'))))
else await main()

async function main() {
  const results = await measure()
  const sections = sectionsOf(results)
  for (const [name, text] of Object.entries(sections)) process.stdout.write(`## ${name}\n\n${text}\n\n`)
  const oursIsWrong = results.races.some(({ runs }) => runs.some(({ name, wrong }) => name === own && wrong))
  process.exitCode = oursIsWrong ? 1 : 0
  // A trial must not pass for a run.
  if (!options.write && process.argv.length > 2) return say('a trial: nothing was written')
  mkdirSync(fileURLToPath(new URL('results', import.meta.url)), { recursive: true })
  writeFileSync(resultsFile, `${JSON.stringify(results, null, 1)}\n`)
  writeResultsPage(sections)
}

async function measure() {
  const megabytes = Number(options.megabytes)
  const large = Number(options.large ?? (megabytes === 100 ? 500 : 0))
  const entrants = contenders.filter(({ name }) => options.contenders.split(',').includes(name))
  const deadline = begun + Number(options.minutes) * 60_000
  const common = { warmUpMegabytes: Math.min(megabytes, 100), rounds: Number(options.rounds), deadline, say }
  const chosen = shapes.filter(shape => options.only.split(',').includes(shape))
  const races = []
  for (const size of [megabytes, large].filter(Boolean)) {
    const fit = size > megabytes ? entrants.filter(entrant => entrant.large) : entrants
    for (const shape of chosen) races.push(await race(fit, { shape, megabytes: size, ...common }))
  }
  return {
    machine: machine(),
    megabytes,
    large,
    rounds: common.rounds,
    settings: Object.fromEntries(entrants.map(({ name }) => [name, ask('settings', name)])),
    idleRssMb: idleRssMb(),
    clockChanges: readClockChanges(
      entrants.filter(({ floor }) => !floor).map(({ name }) => name),
      say
    ),
    races,
    minutes: Math.round((Date.now() - begun) / 6000) / 10
  }
}

function machine() {
  const [{ model }] = cpus()
  const memory = `${Math.round(totalmem() / 2 ** 30)} GiB`
  return `Node ${process.versions.node}, ${process.platform} ${process.arch}, ${cpus().length} cores (${model}), ${memory}`
}

function say(text) {
  process.stderr.write(`[${Math.round((Date.now() - begun) / 1000)} s] ${text}\n`)
}
