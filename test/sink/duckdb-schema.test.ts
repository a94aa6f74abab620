import { copyFileSync, existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { migrations, schemaText } from '../../src/sink/duckdb/schema.ts'
import { DuckDbStore } from '../../src/sink/duckdb/store.ts'
import { DuckDbSink } from '../../src/sink/duckdb.ts'
import { makeEsiid } from '../../src/testing/index.ts'
import { csv, deliver, fileOf, sha256Of } from '../conformance/sink.ts'
import { query } from '../support/duckdb.ts'
import { scratchFolder } from '../support/scratch.ts'

const versionOne = readFileSync(new URL('./duckdb-version-1.sql', import.meta.url), 'utf8')
const leases = `
  ALTER TABLE files ADD COLUMN attempts INTEGER DEFAULT 0; ALTER TABLE files ADD COLUMN lease_until TIMESTAMPTZ;
  ALTER TABLE files ADD COLUMN next_attempt_at TIMESTAMPTZ; UPDATE files SET attempts = 2 WHERE state = 'seen';`

const texts = [csv([{ quarter: 4 }, { quarter: 5 }]), csv([{ quarter: 6, esiid: makeEsiid(7) }])]
/** Two files of two meters, one that was under way, one that waits. */
const content = `
  INSERT INTO files (fingerprint, source, path, name, size, modified_at, state, epoch, payload_sha256) VALUES
    ('f1', 's', 'a.csv', 'a.csv', 1, now(), 'committed', 1, '${sha256Of(texts[0]!)}'),
    ('f2', 's', 'b.csv', 'b.csv', 1, now(), 'committed', 3, '${sha256Of(texts[1]!)}'),
    ('f3', 's', 'c.csv', 'c.csv', 1, now(), 'claimed', 5, NULL),
    ('f4', 's', 'd.csv', 'd.csv', 1, now(), 'seen', 2, NULL);
  INSERT INTO entries SELECT nextval('entry_ids'), i, 0, 'a.csv', 'intervals', 'used', 'smt-interval', NULL, 10, NULL, 2, 2,
    0, 0, 0, 0, 1 FROM range(1, 3) r(i);
  INSERT INTO rejects VALUES (1, 9, 99, 'ROW_BAD_KWH');
  INSERT INTO intervals VALUES
    ('${makeEsiid(1)}', '2025-07-14 06:00:00Z', 'consumption', 0.31, false, '2025-07-15 11:41:12Z', 1, 2),
    ('${makeEsiid(1)}', '2025-07-14 06:15:00Z', 'surplus-generation', 1.5, true, NULL, 1, 3),
    ('${makeEsiid(7)}', '2025-07-14 06:30:00Z', 'consumption', 9999999.99999, false, NULL, 2, 2);`

describe.each([
  ['version 1', versionOne + content],
  ['version 1 with columns for leases', versionOne + content + leases]
])('a store of %s', (_, text) => {
  const made = async () => {
    const path = join(scratchFolder(), 'smt.duckdb')
    await query(path, text)
    return path
  }
  const everything = async (path: string) => ({
    intervals: await query(path, 'FROM intervals ORDER BY ALL'),
    entries: await query(path, 'FROM entries ORDER BY ALL'),
    rejects: await query(path, 'FROM rejects'),
    files: await query(
      path,
      'SELECT file_id, fingerprint, path, modified_at, epoch, payload_sha256, first_seen_at FROM files ORDER BY ALL'
    )
  })

  test('is migrated with all that it holds, once', async () => {
    const path = await made()
    const before = await everything(path)
    expect(before.intervals).toHaveLength(3)
    for (let opening = 0; opening < 2; opening++) {
      const sink = new DuckDbSink({ path })
      expect(await deliver(sink, fileOf('again.csv', texts[0]!))).toMatchObject({ state: 'duplicate' })
      await sink.close()
      expect(await everything(path)).toEqual({
        ...before,
        files: [...before.files, expect.objectContaining({ path: 'again.csv', file_id: 5n })]
      })
    }
    expect(await query(path, 'FROM schema_version')).toEqual([{ version: migrations.length }])
    expect(await query(path, 'SELECT state, attempts FROM files ORDER BY file_id')).toMatchObject([
      { state: 'committed', attempts: 0 },
      { state: 'committed', attempts: 0 },
      { state: 'seen', attempts: 0 },
      { state: 'seen', attempts: text.includes('attempts = 2') ? 2 : 0 },
      { state: 'duplicate', attempts: 0 }
    ])
  })

  test('has the tables of one that is made anew, and goes on', async () => {
    const [old, fresh] = [await made(), join(scratchFolder(), 'smt.duckdb')]
    for (const path of [old, fresh]) {
      const sink = new DuckDbSink({ path })
      await deliver(sink, fileOf('e.csv', csv([{ quarter: 9, esiid: makeEsiid(1) }])))
      await sink.close()
    }
    expect(await tablesIn(old)).toEqual(await tablesIn(fresh))
    expect(await query(old, 'SELECT count(*) AS intervals, count(DISTINCT esiid) AS meters FROM intervals')).toEqual([
      { intervals: 4n, meters: 2n }
    ])
  })

  test('I1: a run killed just after the migration loses nothing', async () => {
    const path = await made()
    const store = await DuckDbStore.open({ path, memoryLimit: '64MB', threads: 1 })
    const copy = join(scratchFolder(), 'smt.duckdb')
    // What stands on the disk at this moment is all that a killed process leaves.
    expect(existsSync(`${path}.wal`)).toBe(true)
    for (const end of ['', '.wal']) copyFileSync(path + end, copy + end)
    await store.close()
    expect(await everything(copy)).toEqual(await everything(path))
  })
})

test('the schema as text makes a store like one that was opened', async () => {
  const [told, opened] = [join(scratchFolder(), 'a.duckdb'), join(scratchFolder(), 'b.duckdb')]
  await query(told, schemaText())
  for (const path of [told, opened]) {
    const sink = new DuckDbSink({ path })
    expect(await deliver(sink, fileOf('a.csv', csv([{}])))).toMatchObject({ state: 'committed' })
    await sink.close()
  }
  expect(await tablesIn(told)).toEqual(await tablesIn(opened))
})

/** Every table and view with its columns. */
function tablesIn(path: string) {
  return query(
    path,
    `SELECT table_name, column_name, data_type, is_nullable, column_default FROM duckdb_columns() ORDER BY ALL`
  )
}
