// Packs this package and runs the tests of examples/*/ against it, as somebody has them who installed it: each example
// is a package of its own, copied to a temporary folder, installed there with its own dependencies, tested with its own
// `npm test`. Names after the command choose some of them: `npm run test:examples -- vercel-route`.
//
// Examples have no lock file: the packed package in it would be another one at every build. Versions that they name
// are exact.
import { execFileSync, spawnSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const out = join(root, '.ci/out')
const npm = process.env.npm_execpath
// Tools compare paths with what the system calls them.
const folder = realpathSync(mkdtempSync(join(tmpdir(), 'smt-ingest-examples-')))
// A PostgreSQL that root starts is another user's, who must get at its programs.
chmodSync(folder, 0o755)

try {
  const packages = readdirSync(join(root, 'examples')).filter(isPackage)
  const names = process.argv.length > 2 ? process.argv.slice(2) : packages
  const unknown = names.filter(name => !packages.includes(name))
  if (unknown.length > 0) throw new Error(`no such example: ${unknown.join(', ')}`)
  const tarball = pack()
  // Each runs whatever the one before said.
  const failed = names.filter(name => !works(name, tarball))
  process.exitCode = names.length > 0 && failed.length === 0 ? 0 : 1
} finally {
  rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
}

function isPackage(name) {
  return existsSync(join(root, 'examples', name, 'package.json'))
}

/** Builds (`prepack`) and packs. */
function pack() {
  execFileSync(process.execPath, [npm, 'pack', '--silent', '--pack-destination', folder], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit']
  })
  return join(
    folder,
    readdirSync(folder).find(name => name.endsWith('.tgz'))
  )
}

function works(name, tarball) {
  const start = performance.now()
  const home = join(folder, name)
  const ours = new Set(['node_modules', '.next', 'package-lock.json'])
  cpSync(join(root, 'examples', name), home, { recursive: true, filter: path => !ours.has(basename(path)) })
  mkdirSync(out, { recursive: true })
  const report = join(out, `example-${name}.json`)
  rmSync(report, { force: true })
  const succeeded =
    run(home, ['install', '--no-package-lock', '--prefer-offline', '--no-audit', '--no-fund', tarball]) &&
    run(home, ['test', '--', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`])
  const { numPassedTests: passed = 0, numTotalTests: total = 0 } = existsSync(report) ? readJson(report) : {}
  const works = succeeded && passed > 0 && passed === total
  const seconds = ((performance.now() - start) / 1000).toFixed(1)
  process.stdout.write(`${works ? '✓' : '✗'} ${name}: ${passed} of ${total} tests passed (${seconds} s)\n`)
  return works
}

function run(cwd, args) {
  return spawnSync(process.execPath, [npm, ...args], { cwd, stdio: 'inherit' }).status === 0
}

function readJson(path) {
  return JSON.parse(readFileSync(path, 'utf8'))
}
