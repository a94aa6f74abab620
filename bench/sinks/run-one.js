// One contender in a process of its own.
//
//   load <name> <warm-up place> <warm-up file> <place> <file>    the warm-up, then the timed pass, from file to commit
import { answer } from '../shared/ask.js'
import { timedPass } from '../shared/timed-pass.js'

await answer({ load })

async function load(name, warmUpPlace, warmUpFile, place, file) {
  const { open } = await import(`./contenders/${name}.js`)
  await timedPass(open, JSON.parse(warmUpPlace), warmUpFile)
  return timedPass(open, JSON.parse(place), file)
}
