import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

const root = fileURLToPath(new URL('..', import.meta.url))
const page = readFileSync(join(root, 'docs/security.md'), 'utf8')

/** Every source below a folder. */
function sourcesIn(folder: string): string[] {
  const names = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
  return names.filter(name => /\.(ts|tsx|js|mjs)$/.test(name)).map(name => join(folder, name))
}

describe('docs/security.md', () => {
  test('has the ten faults, in their order; test/reliability.test.ts looks for the tests that it names', () => {
    const numbers = [...page.matchAll(/^\| (\d+) \|/gm)].map(([, number]) => Number(number))
    expect(numbers).toEqual(Array.from({ length: 10 }, (_, i) => 52 + i))
  })

  test('no part that runs on a server starts a process', () => {
    // The demonstration starts itself anew; what makes servers for tests starts a real sshd.
    const others = [join('src', 'cli', 'demo'), join('src', 'testing')]
    const sources = ['src', 'examples/droplet-webhook/src', 'examples/vercel-route/app', 'examples/vercel-route/lib']
      .flatMap(sourcesIn)
      .filter(path => !others.some(other => path.startsWith(other)))
    expect(sources.length).toBeGreaterThan(100)
    const starting = /child_process|\bexecFile|\bspawn|process\.binding|node:cluster|\beval\(|new Function\(/
    expect(sources.filter(path => starting.test(readFileSync(join(root, path), 'utf8')))).toEqual([])
  })
})
