import { Counter, connect } from '../rivals.js'

export { version } from '../rivals.js'
export const settings = '`client.get(path, writable)`'

export async function open(place) {
  const client = await connect(place)
  return {
    async load() {
      const counter = new Counter()
      await client.get(place.path, counter)
      return counter.found
    },
    close: () => client.end()
  }
}
