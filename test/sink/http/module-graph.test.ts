import { readFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { expect, test } from 'vitest'

const dist = fileURLToPath(new URL('../../../dist/', import.meta.url))

/** Everything that is loaded, now or later, when a built module is: its own chunks are walked, packages are named. */
function packagesOf(entry: string): Set<string> {
  const packages = new Set<string>()
  const seen = new Set<string>()
  const walk = (path: string) => {
    if (seen.has(path)) return
    seen.add(path)
    const code = readFileSync(path, 'utf8')
    const imported = ts.preProcessFile(code, true, true).importedFiles.map(({ fileName }) => fileName)
    // What createRequire made has another name in a bundle.
    const required = [...code.matchAll(/\brequire\w*\(\s*["']([^"']+)["']\s*\)/g)].map(([, name]) => name!)
    for (const name of [...imported, ...required]) {
      if (name.startsWith('.')) walk(join(dirname(path), name))
      else if (!isBuiltin(name)) packages.add(name)
    }
  }
  walk(join(dist, entry))
  return packages
}

test('/http/receive loads nothing of SSH, OpenPGP or databases: Standard Webhooks is all it needs', () => {
  expect([...packagesOf('sink/http/receive.js')]).toEqual(['standardwebhooks'])
})

test('/http loads what sends, and nothing of SSH, OpenPGP or databases', () => {
  expect([...packagesOf('sink/http.js')].sort()).toEqual(['p-retry', 'standardwebhooks', 'undici'])
})

test('the walk finds what is there: the package itself loads both', () => {
  const packages = packagesOf('index.js')
  expect([packages.has('ssh2'), packages.has('openpgp')]).toEqual([true, true])
})
