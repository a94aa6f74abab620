import { Readable } from 'node:stream'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { fingerprintOf } from '../../src/ledger/ledger.ts'
import type { IngestFile } from '../../src/source/source.ts'
import { dailyHeader, makeEsiid, makeZip, monthlyHeader } from '../../src/testing/index.ts'
import { scratchFolder } from '../support/scratch.ts'
import { csv, deliver, failing, fileOf, readParts, type SinkStand, sha256Of } from './sink.ts'

/** A sink that takes the reports beside intervals, and a way to see them. */
export interface ReportStand extends SinkStand {
  /**
   * Every visible row of a report, in any order: kind, ESIID, local days, decimals with five places or `-`, version in UTC
   * epoch milliseconds or -1.
   */
  reports(): Promise<string[]>
}

/** One that merges. */
export interface MergingReportStand extends ReportStand {
  /** The same, sorted, with the hash of the content that each row came from, its entry and its line. */
  reportProvenance(): Promise<string[]>
}

/** One row of either report. */
interface ReportRow {
  readonly kind: 'daily-reads' | 'monthly-bills'
  readonly esiid: string
  /** `YYYY-MM-DD`, the day that is part of the key. */
  readonly day: string
  /** `MM/DD/YYYY HH:MM:SS` in July 2025, or blank. */
  readonly revision: string
  /** Three for daily reads, five for monthly bills; a blank is nothing. */
  readonly values: readonly string[]
  /** Only of a bill. */
  readonly endDay: string
}

const us = (day: string) => day.replace(/(\d+)-(\d+)-(\d+)/, '$2/$3/$1')
const places = (value: string) => (value === '' ? '-' : Number(value).toFixed(5))
const versionOf = ({ revision }: ReportRow) => (revision === '' ? -1 : Date.parse(`${revision} GMT-0500`))

/** Rows of one kind as a report. */
function textOf(rows: readonly ReportRow[]): string {
  const lines = rows.map(({ kind, esiid, day, endDay, revision, values }) =>
    [`'${esiid}`, us(day), ...(kind === 'monthly-bills' ? [us(endDay)] : []), revision, ...values].join(',')
  )
  return [rows[0]?.kind === 'monthly-bills' ? monthlyHeader : dailyHeader, ...lines, ''].join('\n')
}

function rowText(row: ReportRow): string {
  const { kind, esiid, day, endDay, values } = row
  const days = kind === 'monthly-bills' ? [day, endDay] : [day]
  return [kind, esiid, ...days, ...values.map(places), versionOf(row)].join(' ')
}

const read: ReportRow = {
  kind: 'daily-reads',
  esiid: makeEsiid(1),
  day: '2025-07-14',
  revision: '07/15/2025 06:41:12',
  values: ['24002.915', '24038.915', '36'],
  endDay: ''
}
const bill: ReportRow = {
  kind: 'monthly-bills',
  esiid: makeEsiid(2, 22),
  day: '2025-06-12',
  endDay: '2025-07-14',
  revision: '',
  values: ['1532', '7.91', '0', '', '0.00001']
}

const archive = (...parts: readonly string[]) =>
  makeZip(parts.map((text, i) => ({ name: `${i}.csv`, bytes: Buffer.from(text) })))

/** What every sink promises that takes the reports beside intervals. */
export function testReportSink(name: string, open: (folder: string) => ReportStand): void {
  const fresh = () => open(scratchFolder())

  describe(`${name} as a sink of reports beside intervals`, () => {
    test('I7: stores them with the same decimals, beside the intervals, and counts them by themselves', async () => {
      const { sink, rows, reports } = fresh()
      const other = { ...read, day: '2025-07-15', values: ['999999999.99999', '', '.145'], revision: '' }
      const zip = archive(csv([{}, { quarter: 1 }]), textOf([read, other]), textOf([bill]))
      const receipt = await deliver(sink, fileOf('a.zip', zip), { batchRows: 1 })
      const nothing = { rejected: 0, placeholder: 0, missing: 0, repeatedHeader: 0 }
      const became = { replaced: 0, unchanged: 0, superseded: 0, conflicts: 0, undeliverable: 0 }
      expect(receipt).toMatchObject({
        rows: { read: 2, accepted: 2, inserted: 2 },
        reports: {
          'daily-reads': {
            ...{ read: 2, accepted: 2, ...nothing, inserted: 2, ...became },
            dates: { first: '2025-07-14', last: '2025-07-15' }
          },
          'monthly-bills': {
            ...{ read: 1, accepted: 1, ...nothing, inserted: 1, ...became },
            dates: { first: '2025-06-12', last: '2025-06-12' }
          }
        }
      })
      expect(await rows()).toHaveLength(2)
      expect((await reports()).sort()).toEqual([read, other, bill].map(rowText).sort())
      await sink.close()
    })

    test('takes a file that has no intervals', async () => {
      const { sink, rows, reports } = fresh()
      const receipt = await deliver(sink, fileOf('MonthlyBilling.csv', textOf([bill])))
      expect(receipt).toMatchObject({
        state: 'committed',
        rows: { read: 0 },
        reports: { 'monthly-bills': { inserted: 1 } }
      })
      expect(await rows()).toEqual([])
      expect(await reports()).toEqual([rowText(bill)])
      expect(await deliver(sink, fileOf('again.csv', textOf([bill])))).toMatchObject({ state: 'duplicate' })
      expect(await reports()).toEqual([rowText(bill)])
      await sink.close()
    })

    test('takes more of them than fit into one piece', async () => {
      const { sink, reports } = fresh()
      const many = Array.from({ length: 30_000 }, (_, i) => ({ ...read, esiid: makeEsiid(i) }))
      const receipt = await deliver(sink, fileOf('a.csv', textOf(many)))
      expect(receipt.reports?.['daily-reads']).toMatchObject({ accepted: 30_000, inserted: 30_000 })
      expect(new Set(await reports()).size).toBe(30_000)
      await sink.close()
    })

    test('I7: says how many rows were rejected, and where', async () => {
      const { sink, reports } = fresh()
      const receipt = await deliver(sink, fileOf('a.csv', textOf([read, { ...read, values: ['1', '2', 'x'] }])))
      expect(receipt.reports?.['daily-reads']).toMatchObject({ read: 2, accepted: 1, rejected: 1, inserted: 1 })
      expect(receipt.entries[0]?.rejects).toMatchObject([{ code: 'ROW_BAD_NUMBER', line: 3 }])
      expect(await reports()).toHaveLength(1)
      await sink.close()
    })

    test('I1: shows nothing of a file that breaks off, neither intervals nor reports', async () => {
      const { sink, rows, reports } = fresh()
      const file = fileOf('a.zip', archive(csv([{}]), textOf([read]), textOf([bill])))
      const parts = await readParts(file)
      expect(parts).toHaveLength(4)
      for (const count of [2, 3, 4]) {
        const { receipt } = await failing(sink, file, parts.slice(0, count), new Error('broken'))
        expect(receipt?.state).toBe('seen')
        expect([await rows(), await reports()]).toEqual([[], []])
      }
      expect(await deliver(sink, file, { retryNow: true })).toMatchObject({ state: 'committed' })
      expect([(await rows()).length, (await reports()).length]).toEqual([1, 2])
      await sink.close()
    })

    test('I7: refuses an account of other rows than came', async () => {
      const { sink, reports } = fresh()
      const file = fileOf('a.csv', textOf([read]))
      const parts = await readParts(file)
      for (const wrong of [[parts[0], ...parts], parts.slice(1)]) {
        const { error } = await failing(sink, file, wrong)
        expect(error).toMatchObject({ code: 'SINK_ROW_EQUATION' })
        expect(await deliver(sink, file, {})).toMatchObject({ state: 'quarantined' })
        await (await sink.ledger()).retry(fingerprintOf(file))
      }
      expect(await reports()).toEqual([])
      await sink.close()
    })
  })
}

/** What every sink promises of these reports that merges the files of a store. */
export function testMergingReportSink(name: string, open: (folder: string) => MergingReportStand): void {
  const fresh = () => open(scratchFolder())

  describe(`I6: ${name}, of two rows of a report with one key`, () => {
    test.each<[string, ReportRow, ReportRow]>([
      ['the later version wins', read, { ...read, revision: '07/15/2025 06:41:13', values: ['1', '2', '1'] }],
      [
        'any version wins over a blank one',
        bill,
        { ...bill, revision: '07/01/2025 00:00:00', values: ['1', '', '', '', ''] }
      ],
      ['a later bill wins with another end', bill, { ...bill, revision: '07/01/2025 00:00:00', endDay: '2025-07-15' }]
    ])('%s, whichever came first', async (_, older, newer) => {
      const stores: string[][] = []
      for (const [order, outcome] of [
        [[older, newer], { replaced: 1, superseded: 0 }],
        [[newer, older], { replaced: 0, superseded: 1 }]
      ] as const) {
        const { sink, reports, reportProvenance } = fresh()
        await deliver(sink, fileOf('first.csv', textOf([order[0]])))
        const receipt = await deliver(sink, fileOf('second.csv', textOf([order[1]])))
        expect(receipt.reports?.[newer.kind]).toMatchObject({ inserted: 0, unchanged: 0, conflicts: 0, ...outcome })
        expect(await reports()).toEqual([rowText(newer)])
        stores.push(await reportProvenance())
        await sink.close()
      }
      expect(stores[0]).toEqual(stores[1])
    })

    test('the same values in other words are no conflict', async () => {
      const { sink } = fresh()
      await deliver(sink, fileOf('a.csv', textOf([read])))
      const receipt = await deliver(
        sink,
        fileOf('b.csv', textOf([{ ...read, values: ['024002.91500', '24038.915', '36.0'] }]))
      )
      expect(receipt.reports?.['daily-reads']).toMatchObject({ unchanged: 1, conflicts: 0 })
      await sink.close()
    })
  })

  test(`I6: ${name} has the same reports for any order of files, as an oracle has it, and counts what the oracle counts`, async () => {
    await fc.assert(
      fc.asyncProperty(orders, async orders => {
        const stores: string[][] = []
        for (const order of orders) {
          const { sink, reportProvenance } = fresh()
          const oracle = new ReportOracle()
          const taken = new Set<string>()
          for (const [i, rows] of order.entries()) {
            const text = textOf(rows)
            const sha256 = sha256Of(text)
            const receipt = await deliver(sink, fileOf(`${i}.csv`, text), { batchRows: 3 })
            if (taken.has(sha256)) expect(receipt.state).toBe('duplicate')
            else expect(receipt.reports?.[rows[0]!.kind]).toMatchObject(oracle.take(rows, sha256))
            taken.add(sha256)
          }
          stores.push(await reportProvenance())
          expect(stores.at(-1)).toEqual(oracle.provenance())
          await sink.close()
        }
        expect(stores[1]).toEqual(stores[0])
      }),
      { numRuns: runs, seed }
    )
  }, 120_000)

  test(`I6: ${name} has what the oracle has when files come at the same time`, async () => {
    await fc.assert(
      fc.asyncProperty(files, async files => {
        const { sink, reportProvenance } = fresh()
        const oracle = new ReportOracle()
        const texts = files.map(textOf)
        for (const [i, rows] of files.entries()) oracle.take(rows, sha256Of(texts[i]!))
        await Promise.all(texts.map((text, i) => deliver(sink, fileOf(`${i}.csv`, text))))
        expect(await reportProvenance()).toEqual(oracle.provenance())
        await sink.close()
      }),
      { numRuns: Math.ceil(runs / 2), seed }
    )
  }, 120_000)

  test(`${name} has, where files are read anew, what it would have had if all had been read rightly`, async () => {
    const bent = fc.array(fc.constantFrom(...Object.keys(faults)), { minLength: 4, maxLength: 4 })
    await fc.assert(
      fc.asyncProperty(files, bent, async (files, bent) => {
        const { sink, reportProvenance } = fresh()
        const oracle = new ReportOracle()
        const all = files.map(rows => fileOf(`${sha256Of(textOf(rows))}.csv`, textOf(rows)))
        for (const [i, rows] of files.entries()) {
          await deliver(sink, misread(all[i]!, faults[bent[i]!]!(rows)))
          oracle.take(rows, sha256Of(textOf(rows)))
        }
        const ledger = await sink.ledger()
        for (const file of all) expect(await ledger.retry(fingerprintOf(file))).toBe(true)
        for (let round = 0; ; round++) {
          const due = (await ledger.records({ isReplayDue: true })).map(({ fingerprint }) => fingerprint)
          if (due.length === 0) break
          expect(round).toBeLessThan(4)
          for (const file of all.filter(file => due.includes(fingerprintOf(file)))) {
            expect(await deliver(sink, file)).toMatchObject({ state: 'committed', known: false })
          }
        }
        expect(await reportProvenance()).toEqual(oracle.provenance())
        await sink.close()
      }),
      { numRuns: runs, seed }
    )
  }, 120_000)
}

const runs = Number(process.env.SMT_MERGE_RUNS ?? 25)
const seed = Number(process.env.SMT_MERGE_SEED ?? 2026)

/** What a faulty reader makes of rows; of none an entry that nobody reads. */
const faults: Readonly<Record<string, (rows: readonly ReportRow[]) => string>> = {
  'loses every third row': rows => textOf(rows.filter((_, i) => i % 3 !== 1 || rows.length === 1)),
  'reads other values': rows =>
    textOf(rows.map((row, i) => (i % 2 === 0 ? { ...row, values: row.values.map(() => '77') } : row))),
  'takes every row for the newest': rows => textOf(rows.map(row => ({ ...row, revision: '07/20/2025 00:00:00' }))),
  'puts rows on another day': rows => textOf(rows.map(row => ({ ...row, day: '2025-06-30', endDay: '2025-07-30' }))),
  'does not know it': () => 'a,b\n',
  'reads it well': textOf
}

const row = (kind: ReportRow['kind']) =>
  fc.record({
    kind: fc.constant(kind),
    esiid: fc.constantFrom(makeEsiid(1), makeEsiid(2, 22)),
    day: fc.constantFrom('2025-07-01', '2025-07-02', '2025-07-03'),
    revision: fc.constantFrom('', '07/16/2025 06:41:12', '07/17/2025 06:41:12'),
    values: fc
      .array(fc.constantFrom('1', '2.5', ''), { minLength: 2, maxLength: 2 })
      .map(values => [...(kind === 'daily-reads' ? ['7'] : ['7', '0', '0.00001']), ...values]),
    endDay: fc.constantFrom('2025-07-30', '2025-07-31')
  })
const fileRows = fc
  .constantFrom('daily-reads' as const, 'daily-reads' as const, 'monthly-bills' as const)
  .chain(kind => fc.array(row(kind), { minLength: 1, maxLength: 8 }))
const files = fc.uniqueArray(fileRows, { minLength: 2, maxLength: 4, selector: textOf })
const orders = fc.tuple(files, fc.integer({ min: 0, max: 2 })).chain(([files, again]) => {
  const all = [...files, ...files.slice(0, again)]
  const order = () => fc.shuffledSubarray(all, { minLength: all.length, maxLength: all.length })
  return fc.tuple(order(), order())
})

interface Kept {
  readonly row: ReportRow
  readonly sha256: string
  readonly line: number
}

/** The rule itself, row by row, in memory. */
class ReportOracle {
  readonly #store = new Map<string, Kept>()

  /** Takes a file of one entry; gives its counts. */
  take(rows: readonly ReportRow[], sha256: string) {
    const counts = { inserted: 0, replaced: 0, unchanged: 0, superseded: 0, conflicts: 0 }
    const own = new Map<string, Kept[]>()
    for (const [i, row] of rows.entries()) {
      const key = `${row.kind} ${row.esiid} ${row.day}`
      own.set(key, [...(own.get(key) ?? []), { row, sha256, line: i + 2 }])
    }
    for (const [key, rivals] of own) {
      const winner = rivals.reduce((a, b) => (isGreater(b, a) ? b : a))
      const before = this.#store.get(key)
      const isSameVersion = (kept: Kept) => versionOf(kept.row) === versionOf(winner.row)
      const differs = (kept: Kept) => isSameVersion(kept) && rowText(kept.row) !== rowText(winner.row)
      counts.superseded += rivals.length - 1
      if (rivals.some(differs) || (before && differs(before))) counts.conflicts++
      const wins = before === undefined || isGreater(winner, before)
      if (before === undefined) counts.inserted++
      else if (rowText(before.row) === rowText(winner.row)) counts.unchanged++
      else if (wins) counts.replaced++
      else counts.superseded++
      if (wins) this.#store.set(key, winner)
    }
    return counts
  }

  provenance(): string[] {
    return [...this.#store.values()].map(({ row, sha256, line }) => `${rowText(row)} ${sha256} 0 ${line}`).sort()
  }
}

/** (version, payload hash, line). */
function isGreater(a: Kept, b: Kept): boolean {
  const [x, y] = [versionOf(a.row), versionOf(b.row)]
  if (x !== y) return x > y
  return a.sha256 === b.sha256 ? a.line > b.line : a.sha256 > b.sha256
}

/** A file of which a faulty reader sees something else than what is in it. */
function misread(file: IngestFile, text: string): IngestFile {
  return { ...file, stream: () => Readable.from([Buffer.from(text)], { objectMode: false }) }
}

/** The query of a database for {@link MergingReportStand.reportProvenance}; `ms` makes an instant epoch milliseconds. */
export function reportsSql(
  schema: string,
  { ms, withPlace }: { ms(instant: string): string; withPlace: boolean }
): string {
  const number = (name: string) => `coalesce(CAST(${name} AS text), '-')`
  const columns = {
    daily_reads: [`'daily-reads'`, 'esiid', 'read_date', ...['start_reading', 'end_reading', 'kwh'].map(number)],
    monthly_bills: [
      ...[`'monthly-bills'`, 'esiid', 'start_date', 'end_date'],
      ...['actual_kwh', 'metered_kw', 'billed_kw', 'metered_kva', 'billed_kva'].map(number)
    ]
  }
  const place = withPlace ? ['payload_sha256', 'ordinal', 'line'] : []
  return Object.entries(columns)
    .map(([table, names]) => {
      const parts = [...names, `coalesce(${ms('revision')}, -1)`, ...place].join(', ')
      const from = `${schema}${table} JOIN ${schema}entries USING (entry_id) JOIN ${schema}files USING (file_id)`
      return `SELECT concat_ws(' ', ${parts}) AS "row" FROM ${from}`
    })
    .join(' UNION ALL ')
}
