// One contender in a process of its own.
//
//   pass <name> <warm-up file> <file>    the warm-up, then the timed pass; the answer checked is that of the timed one
//   prefixes <name> <file> <folder>      the same `run` over the file's first row, its first two rows, and so on
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { answer, peakRssMb } from '../shared/ask.js'

await answer({ pass, prefixes })

function load(name) {
  return import(`./contenders/${name}.js`)
}

async function pass(name, warmUp, file) {
  const { run } = await load(name)
  await run(warmUp)
  const start = performance.now()
  const found = await run(file)
  const seconds = (performance.now() - start) / 1000
  return { found, seconds, rssMb: peakRssMb() }
}

async function prefixes(name, file, folder) {
  const { run } = await load(name)
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
