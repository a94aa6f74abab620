// Loaded into the app before anything else: each connection that it tries to open is written down in the file that
// CONNECTIONS names, and refused.
import dgram from 'node:dgram'
import { appendFileSync } from 'node:fs'
import net from 'node:net'

const refuse = (...args) => {
  appendFileSync(process.env.CONNECTIONS, `${JSON.stringify(args.flat().filter(arg => typeof arg !== 'function'))}\n`)
  throw new Error('no connection goes out of here')
}
net.Socket.prototype.connect = refuse
dgram.Socket.prototype.connect = refuse
dgram.Socket.prototype.send = refuse
