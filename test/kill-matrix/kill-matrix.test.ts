import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { openMatrix } from './matrix.js'
import { runTrial } from './trial.js'

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

test('I1: an NDJSON file that is renamed, and whose next run is killed before it has it again, stays whole and is taken once', async () => {
  const matrix = await openMatrix(2026)
  try {
    const kind = { order: '0', overSftp: false }
    const first = { point: 'rows merged, ledger not written', nth: 3 }
    for (const point of ['after the claim', 'staging made', 'after the first copy', 'before staged']) {
      const kills = [first, { point, nth: 1 }]
      const done = await runTrial(matrix, 'ndjson', point.replaceAll(' ', '_'), { kind, kills })
      expect(done).toMatchObject({ killedAt: [first.point, point], problem: undefined })
    }
  } finally {
    await matrix.close()
  }
}, 60_000)
