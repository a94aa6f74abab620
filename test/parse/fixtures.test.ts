import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { ParseError } from '../../src/errors.ts'
import { intervalJson } from '../../src/interval-json.ts'
import type { RowCounts } from '../../src/parse/file-account.ts'
import { failureOf } from '../support/failure.ts'
import { cuts, inFileOrder, iso, read } from './support.ts'

/** What stands beside a file: what reading it must give, worked out by hand or by another program. */
interface Golden {
  readonly error?: string
  readonly line?: number
  readonly rows: RowCounts
  readonly rejects: readonly { readonly line: number; readonly code: string }[]
  readonly ambiguousHourAssumed: number
  readonly intervals: readonly Readonly<Record<string, unknown>>[]
}

const folder = new URL('../fixtures/', import.meta.url)
const cases = readdirSync(folder)
  .filter(name => name.endsWith('.csv'))
  .map(name => name.slice(0, -4))

describe('the files of test/fixtures give what stands beside them', () => {
  test.each(cases)('%s', async name => {
    const bytes = readFileSync(new URL(`${name}.csv`, folder))
    const golden = JSON.parse(readFileSync(new URL(`${name}.json`, folder), 'utf8')) as Golden
    const options = { path: `/inbox/interval/${name}.csv` }
    if (golden.error !== undefined) {
      const error = await failureOf(read(bytes, options))
      expect(error).toBeInstanceOf(ParseError)
      expect(error).toMatchObject({ code: golden.error, file: options.path, line: golden.line })
      return
    }
    const reading = await read(bytes, options)
    const { account } = reading
    expect(inFileOrder(reading).map(interval => JSON.parse(intervalJson(interval)))).toEqual(golden.intervals)
    expect(account.rows).toEqual(golden.rows)
    expect(account.entries[0]!.rejects.map(({ line, code }) => ({ line, code }))).toEqual(golden.rejects)
    const starts = golden.intervals.map(interval => String(interval.start)).sort()
    const { first, last, ambiguousHourAssumed } = account.quality
    expect([iso(first), iso(last), ambiguousHourAssumed]).toEqual([
      starts[0],
      starts.at(-1),
      golden.ambiguousHourAssumed
    ])
  })

  test.each(cases.filter(name => !name.includes('day')))('%s, wherever a chunk ends', async name => {
    const bytes = readFileSync(new URL(`${name}.csv`, folder))
    const reading = (chunks: Iterable<Uint8Array>) =>
      read(chunks, { path: name }).catch((error: ParseError) => error.code)
    const whole = await reading([bytes])
    for (const chunks of cuts(bytes)) expect(await reading(chunks)).toEqual(whole)
  })
})
