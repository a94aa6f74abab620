// A long line, in a process of its own, so that nobody's event loop makes it longer.
//
//   node delay-proxy.js <port on this machine> <round trip in ms>      prints the port it listens on
import { FaultProxy } from '../../dist/testing/index.js'

const [port, roundTripMs] = process.argv.slice(2).map(Number)
const proxy = await FaultProxy.start({ port, roundTripMs })
process.stdout.write(`${proxy.port}\n`)
// It goes with whoever started it.
process.stdin.resume().on('end', () => process.exit())
