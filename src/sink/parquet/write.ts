import { createHash } from 'node:crypto'
import { open, rm } from 'node:fs/promises'
import type { Sql } from '../duckdb/store.ts'
import type { ExportedFile } from './manifest.ts'

/** What can be said of a month's file before it has its name. */
export type WrittenFile = Omit<ExportedFile, 'path' | 'exportedAt'>

/**
 * Has DuckDB write intervals into a Parquet file, makes it durable, and tells what stands in it, by reading it. Gives
 * undefined where there are none.
 *
 * `intervals` is a query of them with the columns of the view, in any order.
 */
export async function writeParquet(sql: Sql, intervals: string, path: string): Promise<WrittenFile | undefined> {
  await sql.run(`COPY (
    SELECT esiid, start, direction::VARCHAR AS direction, kwh::DECIMAL(12,5) AS kwh, estimated, revision,
      entry_id::BIGINT AS entry_id, line::BIGINT AS line
    FROM (${intervals}) ORDER BY esiid, direction, start
  ) TO ${quote(path)} (FORMAT parquet, COMPRESSION zstd)`)
  const sum = (direction: string) => `coalesce(sum(kwh) FILTER (direction = '${direction}'), 0)::DECIMAL(38,5)::VARCHAR`
  const [row] = await sql.rows(`
    SELECT count(*)::DOUBLE AS rows, epoch_ms(min(start))::DOUBLE AS first, epoch_ms(max(start))::DOUBLE AS last,
      ${sum('consumption')} AS consumption, ${sum('surplus-generation')} AS surplus
    FROM read_parquet(${quote(literally(path))})`)
  const { rows, first, last, consumption, surplus } = row as Record<'rows' | 'first' | 'last', number> &
    Record<'consumption' | 'surplus', string>
  if (rows === 0) {
    await rm(path)
    return undefined
  }
  return {
    rows,
    ...(await sealed(path)),
    kwh: { consumption, 'surplus-generation': surplus },
    first: new Date(first).toISOString(),
    last: new Date(last).toISOString()
  }
}

/** Makes a file durable; gives its size and its hash. */
async function sealed(path: string): Promise<Pick<WrittenFile, 'bytes' | 'sha256'>> {
  // Windows makes only durable what is open for writing.
  const file = await open(path, 'r+')
  try {
    await file.sync()
    const hash = createHash('sha256')
    let bytes = 0
    for await (const chunk of file.createReadStream({ autoClose: false, start: 0 })) {
      hash.update(chunk)
      bytes += chunk.length
    }
    return { bytes, sha256: hash.digest('hex') }
  } finally {
    await file.close()
  }
}

const quote = (text: string) => `'${text.replaceAll("'", "''")}'`

/** A path in which nothing stands for several. */
const literally = (path: string) => path.replace(/[*?[]/g, '[$&]')
