// One contender in a process of its own, so that none warms up or fills the memory of another. What is found goes to
// standard output as JSON.
//
//   pass <name> <warm-up file> <file>    the warm-up, then the timed pass; the answer checked is that of the timed one
//   prefixes <name> <file> <folder>      the same `run` over the file's first row, its first two rows, and so on
//   settings <name>                      version and settings only
import { readFileSync, rmSync, writeFileSync } from 'node:fs'

const [, , task, name, ...paths] = process.argv
const { run, version, settings } = await import(`./contenders/${name}.js`)
const tasks = { pass, prefixes, settings: () => ({ version, settings }) }
// An error is an answer too; without this, only a stack trace would leave.
const answer = await answerTo(task).catch(error => ({ failed: error.message }))
process.stdout.write(JSON.stringify(answer))

async function answerTo(task) {
  return await tasks[task](...paths)
}

async function pass(warmUp, file) {
  await run(warmUp)
  const start = performance.now()
  const found = await run(file)
  const seconds = (performance.now() - start) / 1000
  return { found, seconds, rssMb: process.resourceUsage().maxRSS / 1024 }
}

async function prefixes(file, folder) {
  const [header, ...rows] = readFileSync(file, 'latin1').trimEnd().split('\n')
  const found = []
  for (let count = 1; count <= rows.length; count++) {
    // A name of its own: a library may remember a file by its name.
    const prefix = `${folder}/${count}.csv`
    writeFileSync(prefix, [header, ...rows.slice(0, count), ''].join('\n'))
    found.push(await run(prefix))
    rmSync(prefix)
  }
  return found
}
