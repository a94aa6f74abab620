// What the benches have in common: options, a trial or a run, `results/*.json`, and the marked sections of RESULTS.md.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { wrongRuns } from './figures.js'

const begun = Date.now()
const resultsFolder = fileURLToPath(new URL('../results', import.meta.url))
const resultsPage = fileURLToPath(new URL('../RESULTS.md', import.meta.url))

/**
 * Runs a bench. `options` are those of the command line with their defaults; `measure` gets their values and gives the
 * results, `sectionsOf` makes Markdown of these; `own` names the contenders that must be right. Where there are
 * `contenders`, an option of that name chooses among them, and `measure` gets those chosen.
 */
export async function runBench({ name, options, contenders = [], measure, sectionsOf, own = ownOf(contenders) }) {
  const flags = { write: { type: 'boolean', default: false }, report: { type: 'boolean', default: false } }
  const all = contenders.length > 0 ? { ...options, contenders: contenders.map(({ name }) => name).join() } : options
  const texts = Object.entries(all).map(([option, value]) => [option, { type: 'string', default: value }])
  const { values } = parseArgs({ options: { ...Object.fromEntries(texts), ...flags } })
  const file = `${resultsFolder}/${name}.json`
  if (values.report) return writeSections(name, sectionsOf(JSON.parse(readFileSync(file, 'utf8'))))

  const chosen = contenders.filter(({ name }) => values.contenders.split(',').includes(name))
  const measured = await measure(values, chosen)
  const results = { machine: machine(), ...measured, minutes: Math.round((Date.now() - begun) / 6000) / 10 }
  const sections = sectionsOf(results)
  for (const [title, text] of Object.entries(sections)) process.stdout.write(`## ${title}\n\n${text}\n\n`)
  const oursIsWrong = results.races.some(race => wrongRuns(race).some(run => own.includes(run.name)))
  process.exitCode = oursIsWrong ? 1 : 0
  // A trial must not pass for a run.
  if (!values.write && process.argv.length > 2) return say('a trial: nothing was written')
  mkdirSync(resultsFolder, { recursive: true })
  writeFileSync(file, `${JSON.stringify(results, null, 1)}\n`)
  writeSections(name, sections)
}

function ownOf(contenders) {
  return contenders.filter(({ own }) => own).map(({ name }) => name)
}

/** The moment so many minutes after the start. */
export function deadlineAfter(minutes) {
  return begun + Number(minutes) * 60_000
}

export function say(text) {
  process.stderr.write(`[${Math.round((Date.now() - begun) / 1000)} s] ${text}\n`)
}

/** Puts each section between its marks. What stands outside them was written by hand and stays. */
function writeSections(bench, sections) {
  let page = readFileSync(resultsPage, 'utf8')
  for (const [name, text] of Object.entries(sections)) {
    const [open, close] = [`<!-- ${bench}:${name} -->`, `<!-- /${bench}:${name} -->`]
    const [before, rest] = page.split(open)
    const after = rest?.split(close)[1]
    if (after === undefined) throw new Error(`no place for the section: ${open}`)
    page = `${before}${open}\n\n${text}\n\n${close}${after}`
  }
  writeFileSync(resultsPage, page)
}

function machine() {
  const [{ model }] = cpus()
  const memory = `${Math.round(totalmem() / 2 ** 30)} GiB`
  return `Node ${process.versions.node}, ${process.platform} ${process.arch}, ${cpus().length} cores (${model}), ${memory}`
}
