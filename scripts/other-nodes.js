// Runs the built package on the other living Node.js lines: imported, required, and the whole demonstration in small.
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const lines = ['22', '24']
// The packages that bring Node's own binaries, named by platform.
const system = process.platform === 'win32' ? 'win' : process.platform
const binary = `node-${system}-${process.arch}`
const npm = process.env.npm_execpath
const folder = mkdtempSync(join(tmpdir(), 'smt-ingest-nodes-'))

try {
  const failed = lines.filter(line => !works(line))
  process.exitCode = failed.length === 0 ? 0 : 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}

function works(line) {
  const home = join(folder, line)
  const install = ['install', '--silent', '--no-save', '--prefix', home, `${binary}@${line}`]
  execFileSync(process.execPath, [npm, ...install], { stdio: 'inherit' })
  const bin = join(home, 'node_modules', binary, 'bin')
  const node = ['node', 'node.exe'].map(name => join(bin, name)).find(existsSync)
  const demo = ['dist/cli/bin.js', 'demo', '--meters', '5', '--days', '3', '--directory', join(home, 'demo')]
  return [
    ['-e', "import('@intelliwatt/smt-ingest').then(m => m.SftpSource.name)"],
    ['-e', "require('@intelliwatt/smt-ingest').IntervalParser.name"],
    demo
  ].every(args => {
    const { status, stderr } = spawnSync(node, args, { encoding: 'utf8' })
    const version = execFileSync(node, ['--version'], { encoding: 'utf8' }).trim()
    process.stdout.write(`${status === 0 ? '✓' : '✗'} ${version} ${args.slice(0, 2).join(' ')}\n`)
    if (status !== 0) process.stdout.write(stderr)
    return status === 0
  })
}
