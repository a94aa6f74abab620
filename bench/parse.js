// Reading intervals from plain CSV: contenders on the same bytes, each in a process of its own. A contender whose rows
// or kWh differ from the maker's truth is printed as wrong and not timed.
import { execFileSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync, statSync, writeFileSync, writeSync } from 'node:fs'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import {
  addDays,
  addTotals,
  emptyTotals,
  intervalReportChunks,
  makeEsiid,
  makeMeterDay,
  totalsOf
} from '@intelliwatt/smt-ingest/testing'

const here = path => fileURLToPath(new URL(path, import.meta.url))
const megabytes = Number(process.argv[2] ?? 100)
const rounds = Number(process.argv[3] ?? 5)
const contenders = ['newlines', 'smt-ingest', 'csv-parse']

mkdirSync(here('data'), { recursive: true })
mkdirSync(here('results'), { recursive: true })
const file = here(`data/sorted-${megabytes}.csv`)
const truth = makeFile(file, megabytes * 1e6)
const size = statSync(file).size

const rows = contenders.map(name => {
  const runs = []
  for (let round = 0; round < rounds; round++) {
    const output = execFileSync(process.execPath, [here('run-one.js'), name, file], { encoding: 'utf8' })
    runs.push(JSON.parse(output))
  }
  const wrong = runs.find(run => run.rows !== truth.rows || (run.milliKwh !== null && run.milliKwh !== truth.milliKwh))
  const seconds = median(runs.map(run => run.seconds))
  return { name, version: runs[0].version, wrong: wrong ?? null, seconds, rssMb: median(runs.map(run => run.rssMb)) }
})

const own = rows.find(({ name }) => name === 'smt-ingest')
const table = [
  '| contender | rows/s | MB/s | ours is so many times as fast | peak RSS |',
  '| --- | --- | --- | --- | --- |',
  ...rows.map(row => {
    const name = `${row.name}${row.version ? ` ${row.version}` : ''}`
    if (row.wrong) return `| ${name} | wrong: ${row.wrong.rows} rows, ${row.wrong.milliKwh} Wh | | | |`
    const ratio = row === own ? '' : `${(row.seconds / own.seconds).toFixed(1)}x`
    const rate = Math.round(truth.rows / row.seconds / 1000).toLocaleString('en-US')
    return `| ${name} | ${rate} k | ${Math.round(size / 1e6 / row.seconds)} | ${ratio} | ${Math.round(row.rssMb)} MB |`
  })
].join('\n')
const scope = `${(size / 1e6).toFixed(0)} MB, ${truth.rows.toLocaleString('en-US')} rows sorted by meter and day, median of ${rounds}`
const machine = `Node ${process.versions.node}, ${cpus().length} cores, ${process.platform} ${process.arch}`
process.stdout.write(`${scope}\n${machine}\n\n${table}\n`)
writeFileSync(here('results/parse.json'), JSON.stringify({ scope, machine, truth, rows }, null, 2))
const results = readFileSync(here('RESULTS.md'), 'utf8')
const marks = /(<!-- parse -->)[\s\S]*?(<!-- \/parse -->)/
writeFileSync(
  here('RESULTS.md'),
  results.replace(marks, (_, open, close) => `${open}\n\n${scope}. ${machine}.\n\n${table}\n\n${close}`)
)
process.exitCode = rows.some(row => row.wrong) ? 1 : 0

/** Ordinary days of many meters, one meter after another; gives what the file truly holds. */
function makeFile(path, bytes) {
  const output = openSync(path, 'w')
  const totals = emptyTotals()
  let written = 0
  function* meterDays() {
    for (let n = 1; written < bytes; n++) {
      for (let d = 0; d < 30; d++) {
        const day = makeMeterDay({ esiid: makeEsiid(n, 17), date: addDays('2025-06-01', d), solar: n % 8 === 0 })
        addTotals(totals, totalsOf([day]))
        yield day
      }
    }
  }
  for (const chunk of intervalReportChunks(meterDays())) written += writeSync(output, chunk)
  closeSync(output)
  const { consumption, 'surplus-generation': surplus } = totals.milliKwh
  return { rows: totals.rows.accepted, milliKwh: consumption + surplus }
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)]
}
