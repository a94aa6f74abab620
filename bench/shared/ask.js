// Work in a process of its own, so that none warms up or fills the memory of another. What is found comes back as JSON.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createReadStream, readFileSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

const about = fileURLToPath(new URL('about.js', import.meta.url))

/** Asks a program for one of its tasks. Its error is thrown here, without the stack. */
export async function ask(program, task, ...values) {
  const child = spawn(process.execPath, [program, task, ...values], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [output, [status, signal]] = await Promise.all([text(child.stdout), once(child, 'close')])
  if (status !== 0) throw new Error(`its process ended with ${signal ?? status}`)
  const answer = JSON.parse(output)
  if (answer.failed !== undefined) throw new Error(answer.failed)
  return answer
}

/** The other side of {@link ask}: does the task that the command line names. */
export async function answer(tasks) {
  const [, , task, ...values] = process.argv
  // An error is an answer too; without this, only a stack trace would leave.
  const found = await tasks[task](...values).catch(error => ({ failed: error.message }))
  process.stdout.write(JSON.stringify(found))
}

/** Peak memory of this process so far, or of another one, which only Linux tells. */
export function peakRssMb(pid = 'self') {
  // Not `maxRSS`: on Linux that begins with what the parent had when it started the process.
  if (process.platform !== 'linux') return process.resourceUsage().maxRSS / 1024
  return Number(readFileSync(`/proc/${pid}/status`, 'latin1').match(/VmHWM:\s+(\d+)/)[1]) / 1024
}

/** Peak memory of a Node process that does nothing. */
export async function idleRssMb() {
  const { rssMb } = await ask(about, 'idle')
  return rssMb
}

/** Versions and settings of contenders, whose files stand in `contenders/` of a folder. */
export async function settingsOf(entrants, folder) {
  const settings = {}
  for (const { name } of entrants) {
    settings[name] = await ask(about, 'settings', new URL(`contenders/${name}.js`, folder).href)
  }
  return settings
}

/** Files come from the page cache for the first contender too. */
export async function readThrough(path) {
  for await (const _ of createReadStream(path, { highWaterMark: 1024 * 1024 }));
}
