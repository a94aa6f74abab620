import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { makeEsiid, makeZip } from '../../src/testing/index.ts'
import { scratchFolder } from '../support/scratch.ts'
import { csv, deliver, fileOf, type Row, type SinkStand, sha256Of, visible } from './sink.ts'

export interface MergingStand extends SinkStand {
  /**
   * Every visible interval with the content it came from and the place in it, sorted: ESIID, direction, start in UTC
   * epoch milliseconds, kWh with five places, whether estimated, revision or -1, payload hash, entry, line.
   */
  provenance(): Promise<string[]>
}

/** What every sink promises that merges the files of a store: the newest reading wins, whatever the order of files. */
export function testMergingSink(name: string, open: (folder: string) => MergingStand): void {
  const fresh = () => open(scratchFolder())

  describe(`I6: ${name}, of two readings of one interval`, () => {
    const key = { quarter: 4 }

    test.each<[string, Row, Row]>([
      ['the later revision wins', { revision: '07/15/2025 06:41:12' }, { revision: '07/15/2025 06:41:13' }],
      ['any revision wins over a blank one', { revision: '' }, { revision: '01/01/2019 00:00:00' }],
      [
        'the later revision wins although it is an estimate',
        { revision: '07/15/2025 06:00:00', flag: 'A' },
        { revision: '07/16/2025 06:00:00', flag: 'E' }
      ],
      ['the actual one wins over the estimate of the same revision', { flag: 'E' }, { flag: 'A' }],
      [
        'the actual one wins over the estimate when both have no revision',
        { revision: '', flag: 'E' },
        { revision: '', flag: 'A' }
      ]
    ])('%s', async (_, older, newer) => {
      const [low, high] = [csv([{ ...key, ...older, kwh: '0.9' }]), csv([{ ...key, ...newer, kwh: '0.1' }])]
      const upwards = fresh()
      await deliver(upwards.sink, fileOf('low.csv', low))
      const replaced = await deliver(upwards.sink, fileOf('high.csv', high))
      expect(replaced.rows).toMatchObject({ inserted: 0, replaced: 1, unchanged: 0, superseded: 0, conflicts: 0 })

      const downwards = fresh()
      await deliver(downwards.sink, fileOf('high.csv', high))
      const superseded = await deliver(downwards.sink, fileOf('low.csv', low))
      expect(superseded.rows).toMatchObject({ inserted: 0, replaced: 0, unchanged: 0, superseded: 1, conflicts: 0 })

      const stored = await upwards.rows()
      expect(stored).toEqual(await downwards.rows())
      expect(stored.map(row => row.split(' ')[3])).toEqual(['0.10000'])
      expect(await upwards.provenance()).toEqual(await downwards.provenance())
    })

    test('the one of the greater payload hash wins when all else is equal, and the conflict is counted', async () => {
      const texts = ['0.9', '0.1'].map(kwh => csv([{ ...key, kwh }]))
      const [low, high] = texts.sort((a, b) => (sha256Of(a) < sha256Of(b) ? -1 : 1))
      const upwards = fresh()
      await deliver(upwards.sink, fileOf('low.csv', low!))
      const replaced = await deliver(upwards.sink, fileOf('high.csv', high!))
      expect(replaced.rows).toMatchObject({ replaced: 1, superseded: 0, conflicts: 1 })
      const downwards = fresh()
      await deliver(downwards.sink, fileOf('high.csv', high!))
      const superseded = await deliver(downwards.sink, fileOf('low.csv', low!))
      expect(superseded.rows).toMatchObject({ replaced: 0, superseded: 1, conflicts: 1 })
      expect(await upwards.rows()).toEqual(await downwards.rows())
    })

    test('equal ones are unchanged, whichever came first, and are no conflict', async () => {
      const { sink, rows } = fresh()
      const more = csv([{ quarter: 4 }, { quarter: 5 }])
      await deliver(sink, fileOf('a.csv', csv([{ quarter: 4 }])))
      expect((await deliver(sink, fileOf('b.csv', more))).rows).toMatchObject({
        inserted: 1,
        unchanged: 1,
        conflicts: 0
      })
      expect(await rows()).toHaveLength(2)
    })

    test('the two directions are two series', async () => {
      const { sink, rows } = fresh()
      await deliver(sink, fileOf('a.csv', csv([{ ...key, kwh: '1' }])))
      const surplus = csv([{ ...key, kwh: '2', direction: 'Surplus Generation' }])
      expect((await deliver(sink, fileOf('b.csv', surplus))).rows).toMatchObject({ inserted: 1, replaced: 0 })
      expect((await rows()).map(row => row.split(' ')[3]).sort()).toEqual(['1.00000', '2.00000'])
    })

    test('in one file the loser is superseded', async () => {
      const { sink, rows } = fresh()
      const text = csv([
        { ...key, revision: '07/16/2025 06:00:00', kwh: '0.3' },
        { ...key, revision: '07/15/2025 06:00:00', kwh: '0.2' },
        { ...key, revision: '', kwh: '0.1' },
        { quarter: 5, kwh: '0.5' }
      ])
      expect((await deliver(sink, fileOf('a.csv', text))).rows).toMatchObject({
        accepted: 4,
        inserted: 2,
        superseded: 2,
        conflicts: 0
      })
      expect((await visible(rows)).map(row => row.split(' ')[3])).toEqual(['0.30000', '0.50000'])
    })

    test('in one file a conflict is counted wherever the other readings stand', async () => {
      for (const texts of [
        ['0.2', '0.1', '0.1'],
        ['0.1', '0.2', '0.1'],
        ['0.1', '0.1', '0.2']
      ]) {
        const { sink } = fresh()
        const file = fileOf('x.csv', csv(texts.map(kwh => ({ ...key, kwh }))))
        expect((await deliver(sink, file)).rows).toMatchObject({ inserted: 1, superseded: 2, conflicts: 1 })
        await sink.close()
      }
    })

    test('in one file the later line wins when all else is equal, and the conflict is counted', async () => {
      const { sink, rows, provenance } = fresh()
      const text = csv([{ ...key, kwh: '0.9' }, { quarter: 5 }, { ...key, kwh: '0.1' }])
      expect((await deliver(sink, fileOf('a.csv', text))).rows).toMatchObject({
        inserted: 2,
        superseded: 1,
        conflicts: 1
      })
      expect((await visible(rows)).map(row => row.split(' ')[3])).toEqual(['0.10000', '0.31000'])
      expect((await provenance()).map(row => row.split(' ').at(-1))).toEqual(['4', '3'])
    })

    test('in one archive the later entry wins when all else is equal', async () => {
      const { sink, rows } = fresh()
      const zip = makeZip(
        ['0.9', '0.1'].map((kwh, i) => ({
          name: `IntervalMeterUsage${i}.CSV`,
          bytes: Buffer.from(csv([{ quarter: 9 }, { ...key, kwh }].slice(1 - i)))
        }))
      )
      expect((await deliver(sink, fileOf('a.zip', zip))).rows).toMatchObject({
        accepted: 3,
        superseded: 1,
        conflicts: 1
      })
      expect((await visible(rows)).map(row => row.split(' ')[3])).toEqual(['0.10000', '0.31000'])
    })

    test('a blank reading never replaces one', async () => {
      const { sink, rows } = fresh()
      await deliver(sink, fileOf('a.csv', csv([{ ...key, kwh: '0.7' }])))
      const blank = csv([
        { ...key, kwh: '', flag: '', revision: '07/20/2025 06:00:00' },
        { quarter: 5, revision: '07/20/2025 06:00:00' }
      ])
      expect((await deliver(sink, fileOf('b.csv', blank))).rows).toMatchObject({ missing: 1, inserted: 1, replaced: 0 })
      expect((await visible(rows)).map(row => row.split(' ')[3])).toEqual(['0.70000', '0.31000'])
    })
  })

  test(`I6: ${name} gives the same store for any order of files, as an oracle has it, and counts what the oracle counts`, async () => {
    await fc.assert(
      fc.asyncProperty(orders, async orders => {
        const stores: string[][] = []
        for (const order of orders) {
          const { sink, provenance } = fresh()
          const oracle = new Oracle()
          const taken = new Set<string>()
          for (const [i, rows] of order.entries()) {
            const text = csv(rows)
            const sha256 = sha256Of(text)
            const receipt = await deliver(sink, fileOf(`${i}.csv`, text), { batchRows: 50 })
            if (taken.has(sha256)) expect(receipt).toMatchObject({ state: 'duplicate', rows: null })
            else expect(receipt.rows).toMatchObject(oracle.take(rows, sha256))
            taken.add(sha256)
          }
          stores.push(await provenance())
          expect(stores.at(-1)).toEqual(oracle.provenance())
          await sink.close()
        }
        expect(stores[1]).toEqual(stores[0])
      }),
      { numRuns: runs, seed }
    )
  }, 120_000)

  test(`${name} stores every kWh of DECIMAL(12,5) exactly`, async () => {
    const units = fc.oneof(fc.integer({ min: 0, max: 999_999_999_999 }), fc.integer({ min: 0, max: 2_000_000 }))
    await fc.assert(
      fc.asyncProperty(fc.array(units, { minLength: 50, maxLength: 90 }), async units => {
        const { sink, rows } = fresh()
        const kwh = units.map(units => `${Math.floor(units / 1e5)}.${String(units % 1e5).padStart(5, '0')}`)
        await deliver(sink, fileOf('a.csv', csv(kwh.map((kwh, quarter) => ({ quarter, kwh })))))
        const stored = (await rows()).sort((a, b) => Number(a.split(' ')[1]) - Number(b.split(' ')[1]))
        expect(stored.map(row => row.split(' ')[3])).toEqual(kwh)
        await sink.close()
      }),
      { numRuns: 5 }
    )
  })
}

const runs = Number(process.env.SMT_MERGE_RUNS ?? 25)
const seed = Number(process.env.SMT_MERGE_SEED ?? 2026)

/** A part of a meter-day, whole days often, as one row for each quarter hour. */
const block = fc
  .record({
    esiid: fc.constantFrom(makeEsiid(1), makeEsiid(2, 22)),
    date: fc.constantFrom('07/14/2025', '07/15/2025'),
    direction: fc.constantFrom('Consumption', 'Surplus Generation'),
    revision: fc.constantFrom('', '07/16/2025 06:41:12', '07/17/2025 06:41:12'),
    flags: fc.constantFrom('A', 'A', 'E', 'AE', 'AAE'),
    kwh: fc.constantFrom('0.1', '0.2', '12.5'),
    other: fc.option(fc.integer({ min: 0, max: 95 })),
    span: fc.oneof(
      fc.constant([0, 96] as const),
      fc.tuple(fc.integer({ min: 0, max: 90 }), fc.integer({ min: 1, max: 8 }))
    )
  })
  .map(({ span: [from, count], flags, other, kwh, ...cells }) =>
    Array.from({ length: Math.min(count, 96 - from) }, (_, i): Required<Row> => {
      const quarter = from + i
      return { ...cells, quarter, flag: flags[quarter % flags.length]!, kwh: quarter === other ? '0.3' : kwh }
    })
  )

/** The rows of a file. */
export const fileRows = fc.array(block, { minLength: 1, maxLength: 4 }).map(blocks => blocks.flat())
const files = fc.uniqueArray(fileRows, { minLength: 2, maxLength: 4, selector: csv })
const orders = fc.tuple(files, fc.integer({ min: 0, max: 2 })).chain(([files, again]) => {
  // Some come twice, under another name.
  const all = [...files, ...files.slice(0, again)]
  const order = () => fc.shuffledSubarray(all, { minLength: all.length, maxLength: all.length })
  return fc.tuple(order(), order())
})

interface Kept {
  readonly revision: number
  readonly isActual: boolean
  readonly sha256: string
  readonly line: number
  readonly kwh: string
}

/** The rule itself, row by row, in memory. */
export class Oracle {
  readonly #store = new Map<string, Kept>()

  /** Takes a file of one entry; gives its counts. */
  take(rows: readonly Required<Row>[], sha256: string) {
    const counts = { inserted: 0, replaced: 0, unchanged: 0, superseded: 0, conflicts: 0 }
    const own = new Map<string, Kept[]>()
    for (const [i, row] of rows.entries()) {
      const direction = row.direction === 'Consumption' ? 'consumption' : 'surplus-generation'
      const start = Date.UTC(2025, 6, Number(row.date.slice(3, 5)), 5) + row.quarter * 900_000
      const key = `${row.esiid} ${direction} ${start}`
      const kept = {
        revision: row.revision === '' ? -1 : Date.parse(`${row.revision} GMT-0500`),
        isActual: row.flag === 'A',
        sha256,
        line: i + 2,
        kwh: Number(row.kwh).toFixed(5)
      }
      own.set(key, [...(own.get(key) ?? []), kept])
    }
    for (const [key, rivals] of own) {
      const winner = rivals.reduce((a, b) => (isGreater(b, a) ? b : a))
      counts.superseded += rivals.length - 1
      const before = this.#store.get(key)
      const isSame = before !== undefined && isSameVersion(before, winner)
      const differs = (kept: Kept) => isSameVersion(kept, winner) && kept.kwh !== winner.kwh
      if (rivals.some(differs) || (before && differs(before))) counts.conflicts++
      const wins = before === undefined || isGreater(winner, before)
      if (before === undefined) counts.inserted++
      else if (isSame && before.kwh === winner.kwh) counts.unchanged++
      else if (wins) counts.replaced++
      else counts.superseded++
      if (wins) this.#store.set(key, winner)
    }
    return counts
  }

  provenance(): string[] {
    return [...this.#store]
      .map(([key, { kwh, isActual, revision, sha256, line }]) =>
        [key, kwh, !isActual, revision, sha256, 0, line].join(' ')
      )
      .sort()
  }
}

function isSameVersion(a: Kept, b: Kept): boolean {
  return a.revision === b.revision && a.isActual === b.isActual
}

/** (revision, actual over estimated, payload hash, line). */
function isGreater(a: Kept, b: Kept): boolean {
  if (a.revision !== b.revision) return a.revision > b.revision
  if (a.isActual !== b.isActual) return a.isActual
  if (a.sha256 !== b.sha256) return a.sha256 > b.sha256
  return a.line > b.line
}
