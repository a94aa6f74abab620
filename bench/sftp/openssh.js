// The `sftp` of OpenSSH. It connects before the time begins, and writes to nowhere; that it gets the right bytes is seen
// beforehand, over the same connection and with the same settings.
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createReadStream, rmSync } from 'node:fs'
import { join } from 'node:path'
import { peakRssMb } from '../shared/ask.js'

export async function fetchWith(options, { host, port, username, keyPath, path, size, scratch }) {
  const trust = ['-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null']
  const args = ['-q', ...options, '-P', String(port), '-i', keyPath, ...trust, '-b', '-', `${username}@${host}`]
  const child = spawn('sftp', args, { stdio: ['pipe', 'pipe', 'inherit'] })
  let said = ''
  let heard = () => {}
  child.stdout.on('data', text => {
    said += text
    heard()
  })
  child.once('close', () => heard())
  /** Gives a command, and waits for the answer to the next one. */
  const run = async command => {
    said = ''
    child.stdin.write(`${command}\npwd\n`)
    while (!said.includes('Remote working directory')) {
      if (child.exitCode !== null) throw new Error(`sftp ended with ${child.exitCode}`)
      await new Promise(resolve => {
        heard = resolve
      })
    }
  }
  await run('version')
  const sha256 = await hashOfGet(run, path, join(scratch, `got-${process.pid}`))
  return {
    async load() {
      await run(`get ${path} /dev/null`)
      return { bytes: size, sha256 }
    },
    peakRssMb: () => peakRssMb(child.pid),
    async close() {
      child.stdin.end('bye\n')
    }
  }
}

async function hashOfGet(run, path, local) {
  await run(`get ${path} ${local}`)
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(local)) hash.update(chunk)
  rmSync(local)
  return hash.digest('hex')
}
