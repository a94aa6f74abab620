import { Readable } from 'node:stream'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { fingerprintOf } from '../../src/ledger/ledger.ts'
import type { IngestFile } from '../../src/source/source.ts'
import { scratchFolder } from '../support/scratch.ts'
import { fileRows, type MergingStand, Oracle } from './merging-sink.ts'
import { csv, deliver, failing, fileOf, type Row, readParts, sha256Of } from './sink.ts'

const runs = Number(process.env.SMT_MERGE_RUNS ?? 25)
const seed = Number(process.env.SMT_MERGE_SEED ?? 2026)

/** What a faulty parser makes of rows. */
const faults: Readonly<Record<string, (rows: readonly Required<Row>[]) => readonly Required<Row>[]>> = {
  'loses every third row': rows => rows.filter((_, i) => i % 3 !== 1 || rows.length === 1),
  'reads other kWh': rows => rows.map((row, i) => (i % 2 === 0 ? { ...row, kwh: '77' } : row)),
  'takes estimates for readings': rows => rows.map(row => ({ ...row, flag: 'A' })),
  'takes every row for the newest': rows => rows.map(row => ({ ...row, revision: '07/20/2025 00:00:00' })),
  'puts rows on another day': rows => rows.map(row => ({ ...row, date: '07/19/2025' })),
  'takes rows for another direction': rows => rows.map(row => ({ ...row, direction: 'Surplus Generation' })),
  'reads it well': rows => rows
}

/** What every merging sink promises of files that are read anew. */
export function testReplayingSink(name: string, open: (folder: string) => MergingStand): void {
  const fresh = () => open(scratchFolder())

  describe(`${name}, where a file is read anew,`, () => {
    test('has what it would have had if every file had been read rightly, as an oracle says', async () => {
      const files = fc.uniqueArray(fileRows, { minLength: 1, maxLength: 4, selector: csv })
      const bent = fc.array(fc.constantFrom(...Object.keys(faults)), { minLength: 4, maxLength: 4 })
      await fc.assert(
        fc.asyncProperty(files, bent, async (files, bent) => {
          const { sink, provenance } = fresh()
          const oracle = new Oracle()
          const all = files.map(rows => fileOf(`${sha256Of(csv(rows))}.csv`, csv(rows)))
          for (const [i, rows] of files.entries()) {
            await deliver(sink, misread(all[i]!, csv(faults[bent[i]!]!(rows))))
            oracle.take(rows, sha256Of(csv(rows)))
          }
          const ledger = await sink.ledger()
          for (const [i, file] of all.entries()) {
            if (bent[i] !== 'reads it well') expect(await ledger.retry(fingerprintOf(file))).toBe(true)
          }
          for (let round = 0; ; round++) {
            const due = (await ledger.records({ isReplayDue: true })).map(({ fingerprint }) => fingerprint)
            if (due.length === 0) break
            expect(round).toBeLessThan(3)
            for (const file of all.filter(file => due.includes(fingerprintOf(file)))) {
              expect(await deliver(sink, file)).toMatchObject({ state: 'committed', known: false })
            }
          }
          expect(await provenance()).toEqual(oracle.provenance())
          await sink.close()
        }),
        { numRuns: runs, seed }
      )
    }, 120_000)

    test('changes nothing when nothing changed, and knows it afterwards', async () => {
      const { sink, provenance } = fresh()
      const files = ['0.1', '0.2'].map(kwh =>
        fileOf(`${kwh}.csv`, csv([{ kwh }, { quarter: 5, kwh: 'n/a' }, { quarter: 7 }]))
      )
      for (const file of files) await deliver(sink, file)
      const before = await provenance()
      const records = await (await sink.ledger()).records()
      for (const file of files) {
        await (await sink.ledger()).retry(fingerprintOf(file))
        const { rows } = await deliver(sink, file)
        expect(rows).toMatchObject({ accepted: 2, rejected: 1, inserted: 0, replaced: 0 })
        expect(await deliver(sink, file)).toMatchObject({ state: 'duplicate', known: true })
      }
      expect(await provenance()).toEqual(before)
      const content = ({ file, state, receipt }: (typeof records)[number]) => ({ file, state, receipt })
      const byPath = (all: typeof records) => all.map(content).sort((a, b) => (a.file.path < b.file.path ? -1 : 1))
      expect(byPath(await (await sink.ledger()).records())).toEqual(byPath(records))
      await sink.close()
    })

    test('I1: keeps what it had when that fails', async () => {
      const { sink, provenance } = fresh()
      const file = fileOf('a.csv', csv([{}, { quarter: 1 }]))
      await deliver(sink, file)
      const before = await provenance()
      await (await sink.ledger()).retry(fingerprintOf(file))
      const broken = new Error('the parser broke')
      const { receipt } = await failing(sink, file, [(await readParts(file))[0]], broken)
      expect(receipt).toMatchObject({ state: 'seen' })
      expect(await provenance()).toEqual(before)
      expect(await (await sink.ledger()).records()).toMatchObject([{ state: 'committed', isReplayDue: true }])
      expect(await deliver(sink, file)).toMatchObject({ state: 'committed' })
      await sink.close()
    })

    test('I4: refuses a file that is another one by now', async () => {
      const { sink, provenance } = fresh()
      const file = fileOf('a.csv', csv([{ kwh: '0.1' }]))
      await deliver(sink, file)
      const before = await provenance()
      await (await sink.ledger()).retry(fingerprintOf(file))
      const other = fileOf('a.csv', csv([{ kwh: '0.2' }]))
      const { error } = await failing(sink, other, await readParts(other))
      expect(error).toMatchObject({ code: 'TRANSFER_CHANGED' })
      expect(await provenance()).toEqual(before)
      await sink.close()
    })

    test('is still known by its content to others while it is read', async () => {
      const { sink, provenance } = fresh()
      const file = fileOf('a.csv', csv([{}]))
      await deliver(sink, file)
      await (await sink.ledger()).retry(fingerprintOf(file))
      const { claim } = await (await sink.ledger()).claim(file)
      expect(claim?.isReplay).toBe(true)
      const copy = await deliver(sink, fileOf('copy.csv', csv([{}])))
      expect(copy).toMatchObject({ state: 'duplicate', duplicateOf: 'a.csv' })
      expect(await provenance()).toHaveLength(1)
      await sink.close()
    })
  })
}

/** A file of which a faulty parser sees something else than what is in it. */
function misread(file: IngestFile, text: string): IngestFile {
  return { ...file, stream: () => Readable.from([Buffer.from(text)], { objectMode: false }) }
}
