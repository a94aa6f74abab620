import { createHash } from 'node:crypto'
import { mkdirSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { makeEsiid, makeIntervalReport, makeMeterDay } from '../../src/testing/index.ts'
import { wrong } from './check.js'
import { rowOf } from './delivery.js'
import { openMatrix } from './matrix.js'
import { start } from './trial.js'

const FILES = 500

let matrix: Awaited<ReturnType<typeof openMatrix>>
let files: { name: string; sha256: string; rows: unknown[]; entries: number; rejected: number }[]
beforeAll(async () => {
  matrix = await openMatrix(1)
  const folder = join(matrix.delivery.folder, 'many')
  mkdirSync(folder)
  // Every meter-day comes 25 times, in other versions: workers meet in the same rows.
  files = Array.from({ length: FILES }, (_, i) => {
    const [esiid, date] = [makeEsiid(i % 20), `2025-07-1${i % 5}`]
    const revision = `2025-08-01 00:0${Math.floor(i / 100)}:${10 + (i % 50)}`
    const { bytes, expected } = makeIntervalReport([makeMeterDay({ esiid, date, revision, seed: i })])
    const name = `${i}.csv`
    writeFileSync(join(folder, name), bytes)
    utimesSync(join(folder, name), 1_752_580_000, 1_752_580_000)
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    return { name, sha256, rows: [...expected()].map(rowOf), entries: 1, rejected: 0 }
  })
})
afterAll(() => matrix.close())

test.each([
  [2, 'postgres-days'],
  [4, 'postgres-days'],
  [4, 'postgres-rows'],
  [8, 'postgres-rows']
])(
  'I2: %i processes on one folder of 500 files and one store (%s) commit each file once',
  async (workers, sink) => {
    const stand = await matrix.stand(sink, `workers_${workers}`)
    const work = { sink, stand, order: 'many', overSftp: false }
    const runs = await Promise.all(Array.from({ length: workers }, () => start(matrix, work).ended))
    expect(runs.map(({ code, stderr }) => [code, stderr])).toEqual(Array(workers).fill([0, '']))
    const receipts = runs.flatMap(({ stdout }) =>
      stdout
        .split('\n')
        .filter(line => line.startsWith('{"type":"receipt"'))
        .map(line => JSON.parse(line))
    )
    const committed = receipts.filter(({ state, known }) => state === 'committed' && !known)
    expect(new Set(committed.map(({ name }) => name)).size).toBe(FILES)
    expect(committed).toHaveLength(FILES)
    // The others found it done, or in somebody's hands.
    const others = receipts.filter(receipt => !committed.includes(receipt))
    expect(others.filter(({ known, reason }) => !known && reason?.code !== 'HELD')).toEqual([])
    // Nobody did it all alone.
    expect(runs.filter(({ stdout }) => /"state":"committed"/.test(stdout)).length).toBeGreaterThan(1)
    expect(wrong(await stand.look(), files, true)).toBeUndefined()
    await stand.remove()
  },
  120_000
)
