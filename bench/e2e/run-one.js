// One contender in a process of its own.
//
//   load <name> <warm-up files> <warm-up place> <files> <place>    the warm-up, then the timed pass over all files
//   settings <name>                                                version and settings only
import { answer } from '../shared/ask.js'
import { timedPass } from '../shared/timed-pass.js'

await answer({ load, settings })

async function load(name, ...strings) {
  const { open } = await import(`./contenders/${name}.js`)
  const [warmUp, warmUpPlace, files, place] = strings.map(string => JSON.parse(string))
  await timedPass(open, warmUp, warmUpPlace)
  return timedPass(open, files, place)
}

async function settings(name) {
  const { version, settings } = await import(`./contenders/${name}.js`)
  return { version, settings }
}
