import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { DuckDbSink } from '../../src/sink/duckdb.ts'
import { makeIntervalReport } from '../../src/testing/index.ts'
import { csv, days, deliver, failing, fileOf, readParts } from '../conformance/sink.ts'
import { query } from '../support/duckdb.ts'
import { SmallDisk } from '../support/small-disk.ts'

describe.skipIf(!SmallDisk.isPossible())('I1: a disk that is full', () => {
  let disk: SmallDisk
  beforeAll(() => {
    disk = new SmallDisk(64)
  })
  afterAll(() => disk?.remove())

  test.each([
    ['while rows wait for their commit', 1500, '24MB', /offload/],
    ['at the commit', 100, '128MB', /No space left/]
  ])(
    '%s: a retryable STORE_WRITE, nothing half, and the file goes in when there is room',
    async (_, count, memoryLimit, saying) => {
      const path = join(disk.folder, `${count}.duckdb`)
      const report = makeIntervalReport(days(count))
      const file = fileOf('big.csv', report.bytes)
      const sink = new DuckDbSink({ path, memoryLimit })
      await deliver(sink, fileOf('small.csv', csv([{ date: '01/15/2020' }])))
      const room = disk.fill(256 * 1024)
      const { error, receipt } = await failing(sink, file, await readParts(file))
      expect(error).toMatchObject({ code: 'STORE_WRITE', retryable: true, stopsRun: true })
      expect(String((error as Error).cause)).toMatch(saying)
      expect(receipt).toMatchObject({ state: 'seen', reason: { code: 'STORE_WRITE' } })
      await sink.close()

      room.free()
      const kept = `SELECT
      (SELECT count(*) FROM intervals) AS intervals, (SELECT count(*) FROM entries) AS entries,
      (SELECT list(state ORDER BY file_id) FROM files)::VARCHAR AS states`
      expect(await query(path, kept)).toEqual([{ intervals: 1n, entries: 1n, states: '[committed, seen]' }])
      const next = new DuckDbSink({ path, memoryLimit })
      expect(await deliver(next, file)).toMatchObject({ state: 'committed', rows: { inserted: count * 144 } })
      await next.close()
    }
  )
})
