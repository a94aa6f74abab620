// A TCP proxy that holds everything back for half a round trip, each way, and lets any number of bytes be on the way: a
// long line, not a narrow one. A process of its own, so that nobody's event loop delays it further.
//
//   node delay-proxy.js <port on loopback> <round trip in ms>      prints the port it listens on
import net from 'node:net'

const host = '127.0.0.1'

/** Bytes on the way, above which the sender waits. At 100 MB/s a round trip of 100 ms holds 10 MB. */
const MOST_ON_THE_WAY = 64 * 1024 * 1024

/** Sends on what comes from one socket, each piece after the delay. */
function delay(from, to, ms) {
  const onTheWay = []
  let bytes = 0
  let timer
  const deliver = () => {
    timer = undefined
    const now = performance.now()
    while (onTheWay.length > 0 && onTheWay[0].due <= now) {
      const { piece } = onTheWay.shift()
      if (piece === undefined) to.end()
      else to.write(piece)
      bytes -= piece?.length ?? 0
    }
    if (bytes < MOST_ON_THE_WAY) from.resume()
    if (onTheWay.length > 0) timer = setTimeout(deliver, Math.max(0, onTheWay[0].due - performance.now()))
  }
  const send = piece => {
    onTheWay.push({ piece, due: performance.now() + ms })
    bytes += piece?.length ?? 0
    if (bytes >= MOST_ON_THE_WAY) from.pause()
    timer ??= setTimeout(deliver, ms)
  }
  from.on('data', send).on('end', () => send(undefined))
}

const [port, roundTrip] = process.argv.slice(2).map(Number)
const server = net.createServer({ noDelay: true, allowHalfOpen: true }, near => {
  const far = net.connect({ host, port, noDelay: true, allowHalfOpen: true })
  for (const [socket, other] of [[near, far], [far, near]]) socket.on('error', () => other.destroy()).on('close', () => other.destroy())
  delay(near, far, roundTrip / 2)
  delay(far, near, roundTrip / 2)
})
server.listen(0, host, () => process.stdout.write(`${server.address().port}\n`))
// It goes with whoever started it.
process.stdin.resume().on('end', () => process.exit())
