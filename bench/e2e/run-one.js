// One contender in a process of its own.
//
//   load <name> <warm-up files> <warm-up place> <files> <place>    the warm-up, then the timed pass over all files
//   loop <name> <warm-up files> <warm-up place> <files> <place>    how late the event loop is during that pass
import { answer } from '../shared/ask.js'
import { timedPass } from '../shared/timed-pass.js'
import { delaysDuring } from './loop-delay.js'

await answer({ load, loop })

async function load(name, ...strings) {
  const { open } = await import(`./contenders/${name}.js`)
  const [warmUp, warmUpPlace, files, place] = strings.map(string => JSON.parse(string))
  await timedPass(open, warmUp, warmUpPlace)
  return timedPass(open, files, place)
}

async function loop(name, ...strings) {
  const { open } = await import(`./contenders/${name}.js`)
  const [warmUp, warmUpPlace, files, place] = strings.map(string => JSON.parse(string))
  await timedPass(open, warmUp, warmUpPlace)
  const opened = await open(files, place)
  try {
    return await delaysDuring(() => opened.load())
  } finally {
    await opened.close()
  }
}
