// Kills runs at named points and at random moments, and compares the store with an oracle:
// npm run kill-matrix -- --sink postgres-days --trials 300 [--seed 7] [--only 12] [--jobs 2]
//
// The plan follows from the seed and the number of the trial; what a kill overtakes does not, so that a failure may take
// several attempts to be had again.
import { parseArgs } from 'node:util'
import { openMatrix } from './matrix.js'
import { points } from './points.js'
import { measure, planTrial, runTrial } from './trial.js'

const { values } = parseArgs({
  options: {
    trials: { type: 'string', default: '300' },
    seed: { type: 'string' },
    sink: { type: 'string', default: 'all' },
    jobs: { type: 'string', default: '2' },
    only: { type: 'string' }
  }
})
const [trials, jobs] = [Number(values.trials), Number(values.jobs)]
const seed = Number(values.seed ?? Math.floor(Math.random() * 1e9))
const only = values.only === undefined ? undefined : Number(values.only)
if (![trials, jobs, seed, only ?? 0].every(Number.isInteger)) throw new Error('all but --sink are whole numbers')
const sinks = Object.keys(points).filter(name => values.sink === 'all' || name === values.sink)
if (sinks.length === 0) throw new Error(`--sink is ${Object.keys(points).join(', ')} or all`)

const matrix = await openMatrix(seed)

process.stdout.write(`seed ${seed}, ${trials} trials for each sink\n`)
let failures = 0
for (const sink of sinks) failures += await runAll(sink)
await matrix.close(failures === 0)
if (failures > 0) process.stderr.write(`what was left: ${matrix.folder}\n`)
process.exitCode = failures === 0 ? 0 : 1

/** All trials of one sink, some at a time; gives how many went wrong. */
async function runAll(sink) {
  const startedAt = performance.now()
  const known = new Map()
  const measured = kind => {
    const name = JSON.stringify(kind)
    if (!known.has(name)) known.set(name, measure(matrix, sink, kind))
    return known.get(name)
  }
  const problems = []
  const sum = { trials: 0, runs: 0, atMoments: 0, retried: 0, reached: {} }
  let next = 0
  const work = async () => {
    while (next < trials) {
      const number = next++
      if (only !== undefined && number !== only) continue
      const plan = await planTrial(measured, sink, seed, number)
      const done = await runTrial(matrix, sink, number, plan)
      sum.trials++
      sum.runs += done.runs
      sum.atMoments += done.atMoments
      sum.retried += done.retried
      for (const point of done.killedAt) sum.reached[point] = (sum.reached[point] ?? 0) + 1
      if (done.problem === undefined) continue
      problems.push(`trial ${number}: ${done.problem}\n  ${JSON.stringify(plan)}`)
      problems.push(`  again: npm run kill-matrix -- --sink ${sink} --seed ${seed} --only ${number}`)
    }
  }
  await Promise.all(Array.from({ length: jobs }, work))
  const names = Object.keys(points[sink])
  if (trials >= names.length && only === undefined) {
    for (const name of names) if (!sum.reached[name]) problems.push(`never killed: ${name}`)
  }
  const seconds = Math.round((performance.now() - startedAt) / 1000)
  report(sink, sum, seconds)
  for (const problem of problems) process.stderr.write(`${problem}\n`)
  return problems.length
}

function report(sink, { trials, runs, atMoments, retried, reached }, seconds) {
  const atPoints = Object.values(reached).reduce((sum, count) => sum + count, 0)
  process.stdout.write(
    `\n${sink}: ${trials} trials, ${atPoints} kills at ${Object.keys(reached).length} named points and ${atMoments} at ` +
      `random moments, ${runs} runs (${retried} waited for a lock without a name), ${seconds} s\n`
  )
  for (const [name, count] of Object.entries(reached).sort(([, a], [, b]) => b - a)) {
    process.stdout.write(`${String(count).padStart(8)} ${name}\n`)
  }
}
