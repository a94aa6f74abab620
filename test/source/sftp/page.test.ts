import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

const text = (path: string) => readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8')

test('docs/sftp.md has the options and their defaults as the source has them', () => {
  const rows = [...text('docs/sftp.md').matchAll(/^\| `(\w+)` \| ([^|]+) \|/gm)].map(([, name, value]) => [name, value])
  const defaults = [
    ...text('src/source/sftp-source.ts').matchAll(/@default ([^\n]+)\n {3}\*\/\n {2}readonly (\w+)\?:/g)
  ].map(([, value, name]) => [name, value])
  const others = ['port', 'settleMs', 'ignore', 'dispose']
  expect(rows).toEqual(defaults.filter(([name]) => !others.includes(name!)))
})
