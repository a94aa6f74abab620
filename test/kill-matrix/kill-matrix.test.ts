import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const run = promisify(execFile)
const program = fileURLToPath(new URL('./run.js', import.meta.url))

test.each(['duckdb', 'postgres-days', 'postgres-rows', 'ndjson'])(
  'I1 and I2: a run into %s that is killed, at named points and at any moment, and begun again gives the store that the files make',
  async sink => {
    const { stdout } = await run(process.execPath, [program, '--sink', sink, '--trials', '10', '--seed', '2026'])
    const [, atPoints] = /10 trials, (\d+) kills at \d+ named points/.exec(stdout)!
    expect(Number(atPoints)).toBeGreaterThanOrEqual(10)
  },
  180_000
)
