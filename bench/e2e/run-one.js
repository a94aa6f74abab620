// One contender in a process of its own.
//
//   load <name> <warm-up files> <warm-up place> <files> <place>    the warm-up, then the timed pass over all files
import { answer } from '../shared/ask.js'
import { timedPass } from '../shared/timed-pass.js'

await answer({ load })

async function load(name, ...strings) {
  const { open } = await import(`./contenders/${name}.js`)
  const [warmUp, warmUpPlace, files, place] = strings.map(string => JSON.parse(string))
  await timedPass(open, warmUp, warmUpPlace)
  return timedPass(open, files, place)
}
