// Breaks one promise at a time, in a copy, and fails unless the test that holds it turns red.
//
// Each patch begins with three lines: what it breaks, the test file, and what the title of a red test must contain.
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))
const patches = fileURLToPath(new URL('.', import.meta.url))
const wanted = process.argv.slice(2)
const names = readdirSync(patches).filter(name => name.endsWith('.patch') && (!wanted.length || wanted.includes(name)))

const unnoticed = names.filter(name => !isNoticed(name))
process.stdout.write(`\n${names.length - unnoticed.length} of ${names.length} sabotages were noticed\n`)
process.exitCode = unnoticed.length === 0 && names.length > 0 ? 0 : 1

function isNoticed(name) {
  const [, breaks, test, title] = /^Breaks: (.+)\nTest: (.+)\nRed: (.+)\n/.exec(
    readFileSync(join(patches, name), 'utf8')
  )
  const copy = mkdtempSync(join(tmpdir(), 'smt-ingest-sabotage-'))
  try {
    for (const part of [
      'src',
      'test',
      'scripts',
      'package.json',
      'tsconfig.json',
      'vitest.config.ts',
      'tsup.config.ts'
    ]) {
      cpSync(join(root, part), join(copy, part), { recursive: true })
    }
    symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'), 'junction')
    const applied = spawnSync('git', ['apply', '--whitespace=nowarn', join(patches, name)], {
      cwd: copy,
      encoding: 'utf8'
    })
    if (applied.status !== 0) return tell(name, `does not apply: ${applied.stderr.trim()}`, false)
    // Tests of the command run it as users get it.
    if (/^test\/(cli|kill-matrix)\//.test(test)) build(copy)
    const report = join(copy, '.ci/out/tests.json')
    const vitest = join(copy, 'node_modules/vitest/vitest.mjs')
    const args = [vitest, 'run', test, '-t', title]
    const run = spawnSync(process.execPath, args, { cwd: copy, encoding: 'utf8', timeout: 180_000 })
    if (!existsSync(report)) return tell(name, `did not run: ${run.stdout}${run.stderr}`, false)
    const { testResults } = JSON.parse(readFileSync(report, 'utf8'))
    const red = testResults.flatMap(file => file.assertionResults).filter(({ status }) => status === 'failed')
    const named = red.find(({ fullName }) => fullName.includes(title))
    return tell(
      name,
      named ? `${breaks} → "${named.fullName.trim()}" is red` : `${breaks}: nobody noticed`,
      Boolean(named)
    )
  } finally {
    rmSync(copy, { recursive: true, force: true })
  }
}

function build(copy) {
  const tsup = join(copy, 'node_modules/tsup/dist/cli-default.js')
  spawnSync(process.execPath, [tsup, '--no-dts'], { cwd: copy, stdio: 'ignore' })
}

function tell(name, what, good) {
  process.stdout.write(`${good ? '✓' : '✗'} ${name}: ${what}\n`)
  return good
}
