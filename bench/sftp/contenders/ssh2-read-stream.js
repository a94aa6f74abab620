import { pipeline } from 'node:stream/promises'
import { Counter, connect } from '../rivals.js'

export { version } from '../rivals.js'
export const settings = '`client.createReadStream(path)`'

export async function open(place) {
  const client = await connect(place)
  return {
    async load() {
      const counter = new Counter()
      await pipeline(client.createReadStream(place.path), counter)
      return counter.found
    },
    close: () => client.end()
  }
}
