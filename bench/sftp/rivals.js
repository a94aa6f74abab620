// What the Node rivals have in common.
import { createHash } from 'node:crypto'
import { Writable } from 'node:stream'
import SftpClient from 'ssh2-sftp-client'
import { versionOf } from '../shared/package-version.js'

export const version = versionOf('ssh2-sftp-client')

/** As its README connects. */
export async function connect({ host, port, username, privateKey }) {
  const client = new SftpClient('bench', { error() {}, end() {}, close() {} })
  await client.connect({ host, port, username, privateKey })
  return client
}

/** Counts and hashes what is written to it. */
export class Counter extends Writable {
  #hash = createHash('sha256')
  bytes = 0

  _write(chunk, _encoding, done) {
    this.#hash.update(chunk)
    this.bytes += chunk.length
    done()
  }

  get found() {
    return { bytes: this.bytes, sha256: this.#hash.digest('hex') }
  }
}
