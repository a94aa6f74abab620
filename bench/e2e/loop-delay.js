// How late the event loop of a process is while it takes in a file, beside a twin that does nothing at the same time.
//
//   node loop-delay.js        the twin: prints its own delays when its input ends
import { spawn } from 'node:child_process'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

const program = fileURLToPath(import.meta.url)

if (process.argv[1] === program) {
  const watch = watchLoop()
  process.stdout.write('.')
  process.stdin.resume().on('end', () => process.stdout.write(JSON.stringify(watch())))
}

/** Delays of both, in milliseconds, during some work. */
export async function delaysDuring(work) {
  const twin = spawn(process.execPath, [program], { stdio: ['pipe', 'pipe', 'inherit'] })
  await new Promise(resolve => twin.stdout.once('data', resolve))
  const watch = watchLoop()
  await work()
  const own = watch()
  twin.stdin.end()
  return { own, twin: JSON.parse(await text(twin.stdout)) }
}

function watchLoop() {
  const delays = monitorEventLoopDelay({ resolution: 1 })
  delays.enable()
  return () => {
    delays.disable()
    return { p99: delays.percentile(99) / 1e6, max: delays.max / 1e6 }
  }
}
