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
    for (const { fileName } of ts.preProcessFile(readFileSync(path, 'utf8'), true, true).importedFiles) {
      if (fileName.startsWith('.')) walk(join(dirname(path), fileName))
      else if (!isBuiltin(fileName)) packages.add(fileName)
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
  expect([packages.has('ssh2-sftp-client'), packages.has('openpgp')]).toEqual([true, true])
})
