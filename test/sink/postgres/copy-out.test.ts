import { buffer } from 'node:stream/consumers'
import pg from 'pg'
import { to } from 'pg-copy-streams'
import { expect, test } from 'vitest'
import { type PostgresClient, Sql } from '../../../src/sink/postgres/connection.ts'
import { DoubleRows } from '../../../src/sink/postgres/copy-out.ts'
import { usePostgres } from '../../support/postgres.ts'

const postgres = usePostgres()

/** What PostgreSQL's COPY gives for a query. */
async function copied(query: string): Promise<Buffer> {
  const client = new pg.Client({ connectionString: postgres.connectionString })
  await client.connect()
  try {
    return await buffer(client.query(to(`COPY (${query}) TO STDOUT (FORMAT binary)`)))
  } finally {
    await client.end()
  }
}

/** The batches of two columns of what comes in these pieces. */
function read(...pieces: Buffer[]): number[][][] {
  const batches: number[][][] = []
  const rows = new DoubleRows(2, 3, columns => batches.push(columns.map(column => [...column])))
  for (const piece of pieces) rows.push(piece)
  rows.end()
  return batches
}

const batches = [
  [
    [1, 2, 3],
    [-0.5, Number.NaN, 1e300]
  ],
  [
    [4, Number.NaN],
    [Number.NaN, Number.NaN]
  ]
]

test('reads the same rows wherever a piece ends', async () => {
  const bytes = await copied(`SELECT a::float8, b::float8 FROM (VALUES
    (1, -0.5), (2, NULL), (3, 1e300), (4, NULL), (NULL, NULL)) v(a, b)`)
  expect(read(bytes)).toEqual(batches)
  for (let cut = 0; cut <= bytes.length; cut++) {
    expect(read(bytes.subarray(0, cut), bytes.subarray(cut)), `cut at ${cut}`).toEqual(batches)
  }
  expect(read(...[...bytes].map(byte => Buffer.of(byte)))).toEqual(batches)
})

test('reads no rows, and refuses rows without their end', async () => {
  const bytes = await copied('SELECT 1::float8, 2::float8 WHERE false')
  expect(read(bytes)).toEqual([])
  expect(() => read(bytes.subarray(0, -1))).toThrow(RangeError)
})

test('a connection keeps nothing of what it has given', async () => {
  const pool = new pg.Pool({ connectionString: postgres.connectionString, max: 1 })
  const sql = new Sql((await pool.connect()) as unknown as PostgresClient, 10_000)
  const before = process.memoryUsage().arrayBuffers
  let [total, most] = [0, 0]
  const query = 'SELECT i::float8, i::float8, i::float8, i::float8 FROM generate_series(1, 4000000) i'
  for await (const piece of sql.copyOut(`COPY (${query}) TO STDOUT (FORMAT binary)`)) {
    total += piece.length
    most = Math.max(most, process.memoryUsage().arrayBuffers - before)
  }
  sql.release()
  await pool.end()
  expect(total).toBeGreaterThan(190e6)
  expect(most).toBeLessThan(total / 2)
})
