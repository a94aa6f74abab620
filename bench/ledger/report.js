// Writes what was measured: Markdown for the terminal and for RESULTS.md.
import { databaseText, median, megabytesText, tableOf, thousands, times } from '../shared/figures.js'
import { atMost } from '../shared/verdicts.js'

/** How many times as long a question may take with many files. */
const must = 2

/** What is asked for every file. The others are asked once, or by people. */
const forEveryFile = [
  'claim, known',
  'claim, new',
  'renew',
  'findPayload, found',
  'findPayload, not found',
  'settle',
  'a report of 96 rows'
]

/** Every section by the name of its marks in RESULTS.md. */
export function sectionsOf(results) {
  return {
    scope: scope(results),
    tables: results.races.map(race => `### ${titles[race.kind]}\n\n${ledgerTable(race)}`).join('\n\n'),
    reach: reachTable(results)
  }
}

const titles = { postgres: 'PostgreSQL', duckdb: 'DuckDB', file: 'One file' }

function scope({ machine, few, many, rounds, minutes, databases, races, idleRssMb }) {
  const bytes = races[0]?.runs[0].receiptBytes
  return [
    `Ledgers with ${thousands(few)} and with ${thousands(many)} files, a receipt of ${thousands(bytes)} bytes for each; every 200th is set aside.`,
    `Medians of ${rounds} rounds, each the median of 100 calls (40 reports, 5 and 3 listings) in a process of its own; the run took ${minutes} minutes.`,
    `${machine}. A Node process that does nothing peaks at ${megabytesText(idleRssMb)}.`,
    '',
    ...Object.entries(databases).map(([name, settings]) => `- ${databaseText(name, settings)}`)
  ].join('\n')
}

function ledgerTable({ runs: [few, many] }) {
  const wrong = [few, many].find(run => run.wrong !== null)
  if (wrong) return `With ${thousands(wrong.count)} files: ${wrong.wrong}.`
  const rows = Object.keys(few.times[0]).map(name => {
    const [small, large] = [few, many].map(run => timeOf(run, name))
    return [name, ...[small, large].map(ms => `${ms.toFixed(ms < 10 ? 2 : 0)} ms`), times(large / small)]
  })
  const sizes = [
    ['peak memory, opened', ({ openedMb }) => median(openedMb)],
    ['peak memory, all of it', ({ rssMb }) => median(rssMb)],
    ['size of the store', ({ storeMb }) => storeMb]
  ].map(([name, of]) => [name, megabytesText(of(few)), megabytesText(of(many)), ''])
  const head = ['', ...[few, many].map(({ count }) => `${thousands(count)} files`), 'ratio']
  return tableOf(head, [...rows, ...sizes])
}

function reachTable({ races }) {
  const rows = races.map(({ kind, runs: [few, many] }) => {
    const ratios = forEveryFile.map(name => [name, ratioOf(few, many, name)])
    const known = ratios.filter(([, ratio]) => ratio !== undefined)
    const [worst] = known.sort(([, a], [, b]) => b - a)
    const verdict = atMost(
      { must },
      ratios.map(([, ratio]) => ratio)
    )
    return [titles[kind], `at most ${must}x`, worst ? `${times(worst[1])} (${worst[0]})` : '', verdict]
  })
  return tableOf(['what is asked for every file', 'must', 'the worst', 'verdict'], rows)
}

function ratioOf(few, many, name) {
  if (few.times.length === 0 || many.times.length === 0) return undefined
  return timeOf(many, name) / timeOf(few, name)
}

function timeOf({ times }, name) {
  return median(times.map(round => round[name]))
}
