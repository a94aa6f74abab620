// Compiles the parser's core (src/parse/core, AssemblyScript) to WebAssembly and writes it down as a module that holds
// the bytes, so that the package needs no file beside its code. Does nothing when the sources are those of last time.
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const folder = fileURLToPath(new URL('../src/parse/core/', import.meta.url))
const target = `${folder}compiled.ts`
const options = [
  ...['--runtime', 'stub', '--noAssert', '--use', 'abort=', '--enable', 'simd', '--enable', 'bulk-memory'],
  // Pages of 64 KiB, as many as core/memory.ts lays out.
  ...['--initialMemory', '450', '--maximumMemory', '450', '-O3', '--converge']
]

/** Compiles when there is something new. */
export async function buildCore() {
  const sources = readdirSync(folder).filter(name => name.endsWith('.ts') && name !== 'compiled.ts')
  const hash = createHash('sha256').update(JSON.stringify(options))
  for (const name of sources) hash.update(name).update(readFileSync(folder + name))
  const mark = `// ${hash.digest('hex')}\n`
  if (existsSync(target) && readFileSync(target, 'utf8').startsWith(mark)) return

  const { default: asc } = await import('assemblyscript/asc')
  const outputs = new Map()
  const { error, stderr } = await asc.main(['index.ts', '--outFile', 'core.wasm', ...options], {
    baseDir: folder,
    readFile: name => (existsSync(folder + name) ? readFileSync(folder + name, 'utf8') : null),
    writeFile: (name, contents) => outputs.set(name, contents),
    listFiles: () => []
  })
  if (error) throw new Error(`the core of the parser does not compile\n${stderr.toString()}`, { cause: error })
  const bytes = Buffer.from(outputs.get('core.wasm'))
  const text = `${mark}/** The core of the parser, compiled. */\nexport const compiled =\n  '${bytes.toString('base64')}'\n`
  // Whole or not at all: tests and builds may ask at the same time.
  const draft = `${target}.${process.pid}`
  writeFileSync(draft, text)
  renameSync(draft, target)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await buildCore()
