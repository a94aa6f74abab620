// The gate: lint, types, dead code, package checks, reference. Each runs whatever the one before said; any failure
// fails all. Plain Node, no shell: it works the same on every system.
import { spawnSync } from 'node:child_process'

const steps = ['lint', 'types', 'dead-code', 'build', 'publint', 'attw', 'docs:check']

const failed = steps.filter(step => {
  const start = performance.now()
  // npm tells its scripts which npm runs them.
  const npm = process.env.npm_execpath ?? 'npm'
  const { status, stdout, stderr } = spawnSync(process.execPath, [npm, 'run', '--silent', step], { encoding: 'utf8' })
  const seconds = ((performance.now() - start) / 1000).toFixed(1)
  process.stdout.write(`${status === 0 ? '✓' : '✗'} ${step} (${seconds} s)\n`)
  if (status !== 0) process.stdout.write(`${stdout}${stderr}\n`)
  return status !== 0
})

process.exitCode = failed.length === 0 ? 0 : 1
