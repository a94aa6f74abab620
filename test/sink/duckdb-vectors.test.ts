import * as duckdb from '@duckdb/node-api'
import { describe, expect, test } from 'vitest'
import { pieceTypes } from '../../src/sink/duckdb/staging.ts'
import { type Column, putColumn } from '../../src/sink/duckdb/vectors.ts'

const columns: [string, duckdb.DuckDBType, Column][] = [
  ['DOUBLE', duckdb.DOUBLE, Float64Array.of(0.1, -1e300, Number.NaN)],
  ['UINTEGER', duckdb.UINTEGER, Uint32Array.of(0, 1, 2 ** 32 - 1)],
  ['UTINYINT', duckdb.UTINYINT, Uint8Array.of(0, 1, 255)]
]

describe('putColumn', () => {
  // Red when the library keeps its values otherwise: staging is then right still, and ten times as slow.
  test.each(columns)('writes %s whole', (_, type, values) => {
    const chunk = duckdb.DuckDBDataChunk.create([type], values.length)
    expect(putColumn(chunk, 0, values)).toBe(true)
    expect(fresh(chunk)).toEqual([...values])
  })

  test.each(columns)('writes %s value by value into a column of another kind', (_, __, values) => {
    const small = values.map(value => (value > 1 ? 7 : 1)) as Column
    const chunk = duckdb.DuckDBDataChunk.create([duckdb.FLOAT], small.length)
    expect(putColumn(chunk, 0, small)).toBe(false)
    expect(fresh(chunk)).toEqual([...small])
  })

  test('covers every type that is staged', () => {
    const covered = columns.map(([name]) => name)
    expect(pieceTypes(duckdb).filter(type => !covered.includes(String(type)))).toEqual([])
  })
})

/** What DuckDB itself has, not the array that was written to. */
function fresh(chunk: duckdb.DuckDBDataChunk): unknown[] {
  const { rowCount } = chunk
  chunk.rowCount = rowCount
  return chunk.getColumnValues(0)
}
