// All benches, one after another: side by side they would measure each other.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

for (const name of ['parse', 'sftp', 'sinks', 'e2e', 'ledger']) {
  const program = fileURLToPath(new URL(`${name}.js`, import.meta.url))
  const { status } = spawnSync(process.execPath, [program, ...process.argv.slice(2)], { stdio: 'inherit' })
  if (status !== 0) process.exitCode = 1
}
