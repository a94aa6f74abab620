// The user's side of the demonstration, in a process of its own: the code of the README, and what came of it.
import cliProgress from 'cli-progress'
import plot from 'simple-ascii-chart'
import { AscDecryptor } from '../decrypt/asc-decryptor.ts'
import { ingest } from '../ingest.ts'
import type { Receipt } from '../ledger/receipt.ts'
import { IntervalParser } from '../parse/interval-parser.ts'
import { DuckDbSink } from '../sink/duckdb.ts'
import { SftpSource } from '../source/sftp-source.ts'
import { type Check, compareFiles, compareStore, readAverageDay } from './demo-checks.ts'
import type { DemoOffer, DemoRun } from './demo-smt.ts'
import { number, outliveReader, printError, receiptLines, say } from './print.ts'
import type { ExitCode } from './surroundings.ts'

outliveReader()
process.once('message', (run: DemoRun) => {
  demonstrate(run).then(
    exitCode => {
      process.exitCode = exitCode
    },
    error => {
      printError(error)
      process.exitCode = 1
    }
  )
})

async function demonstrate({ offer, store }: DemoRun): Promise<ExitCode> {
  const { manifest } = offer
  const first = await pull(offer, store)
  printOutcomes(first)
  const planted = await compareStore(manifest, store)
  printChart(await readAverageDay(store))

  say('\nThe same once more: everything is known, nothing may change.')
  const second = await pull(offer, store)
  const after = await compareStore(manifest, store)
  return conclude(store, [
    ...compareFiles(manifest, first),
    ...planted,
    { what: 'files new to the second run', expected: 0, found: second.filter(({ known }) => !known).length },
    { what: 'the store after the second run', expected: JSON.stringify(planted), found: JSON.stringify(after) }
  ])
}

/** One run, as any user would write it. */
async function pull(offer: DemoOffer, store: string): Promise<Receipt[]> {
  const source = new SftpSource({ ...offer.sftp, settleMs: 1000 })
  const decryptor = new AscDecryptor({ privateKey: offer.pgpKey })
  const parser = new IntervalParser()
  const sink = new DuckDbSink({ path: store, memoryLimit: '64MB' })
  const bar = progressBar(offer.manifest.files.length)
  const receipts: Receipt[] = []
  let intervals = 0
  try {
    for await (const receipt of ingest({ source, decryptor, parser, sink })) {
      receipts.push(receipt)
      intervals += receipt.known ? 0 : (receipt.rows?.accepted ?? 0)
      bar.update(receipts.length, { intervals: number(intervals) })
    }
  } finally {
    bar.stop()
    await sink.close()
  }
  return receipts
}

function progressBar(files: number): cliProgress.SingleBar {
  const bar = new cliProgress.SingleBar(
    {
      format: '  {bar} {value}/{total} files, {intervals} intervals, {duration_formatted}',
      stream: process.stdout,
      hideCursor: true,
      noTTYOutput: true,
      notTTYSchedule: 5000
    },
    cliProgress.Presets.shades_classic
  )
  bar.start(files, 0, { intervals: '0' })
  return bar
}

function printOutcomes(receipts: readonly Receipt[]): void {
  const states = new Map<string, number>()
  for (const { state } of receipts) states.set(state, (states.get(state) ?? 0) + 1)
  say(`\nFiles: ${[...states].map(([state, count]) => `${number(count)} ${state}`).join(', ')}`)
  const telling = receipts.filter(({ state, rows }) => state !== 'committed' || (rows?.rejected ?? 0) > 0)
  for (const receipt of telling) for (const line of receiptLines(receipt)) say(`  ${line}`)
}

function printChart(day: readonly (readonly [hour: number, kilowatts: number])[]): void {
  const points = day.map(([hour, kilowatts]): [number, number] => [hour, Math.round(kilowatts * 100) / 100])
  say('\nThe average day, kW of consumption per meter by hour of Central time:')
  say(plot(points, { width: 72, height: 10 }))
}

/** Prints what was planted beside what was found, and the way on. */
function conclude(store: string, checks: readonly Check[]): ExitCode {
  const wrong = checks.filter(({ expected, found }) => expected !== found)
  say(`\n${checks.length - wrong.length} of ${checks.length} counts are what was planted.`)
  for (const { what, expected, found } of wrong) say(`  ✗ ${what}: planted ${expected}, found ${found}`)
  say(`Peak memory of this process: ${Math.round(process.resourceUsage().maxRSS / 1024)} MB.`)
  say(`\nLook further, for example with the duckdb command line (duckdb ${store}):`)
  say(`  SELECT state, count(*) FROM files GROUP BY ALL;`)
  say(`  SELECT path, code, reason FROM files WHERE state <> 'committed';`)
  say(`  SELECT esiid, direction, sum(kwh) FROM intervals GROUP BY ALL ORDER BY ALL LIMIT 10;`)
  say(`  SELECT "start" AT TIME ZONE 'America/Chicago' AS local, kwh, estimated FROM intervals ORDER BY ALL LIMIT 96;`)
  return wrong.length === 0 ? 0 : 1
}
