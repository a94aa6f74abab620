// One contender in a process of its own.
//
//   load <name> <warm-up place> <place>    the warm-up, then the timed pass
//   copy <round trip> <bytes>              what nothing but a copy takes over such a line
import net from 'node:net'
import { answer } from '../shared/ask.js'
import { timedPass } from '../shared/timed-pass.js'
import { lineTo } from './measure.js'

await answer({ load, copy })

async function load(name, ...strings) {
  const { open } = await import(`./contenders/${name}.js`)
  const [warmUp, place] = strings.map(string => JSON.parse(string))
  const { found } = await timedPass(open, warmUp)
  if (found.sha256 !== warmUp.sha256) throw new Error(`${found.bytes} bytes, and not those of the file`)
  return timedPass(open, place)
}

async function copy(trip, bytes) {
  const piece = Buffer.alloc(256 * 1024)
  const server = net.createServer(socket => {
    let left = Number(bytes)
    const send = () => {
      while (left > 0) {
        const part = piece.subarray(0, left)
        left -= part.length
        if (!socket.write(part)) return socket.once('drain', send)
      }
      socket.end()
    }
    socket.once('data', send).on('error', () => {})
  })
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve))
  const line = await lineTo(server.address().port, Number(trip))
  const socket = net.connect({ host: '127.0.0.1', port: line.port, noDelay: true })
  await new Promise(resolve => socket.once('connect', resolve))
  const start = performance.now()
  socket.write('.')
  let got = 0
  for await (const chunk of socket) got += chunk.length
  const seconds = (performance.now() - start) / 1000
  line.stop()
  server.close()
  if (got !== Number(bytes)) throw new Error(`${got} bytes came`)
  return { seconds }
}
