import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const dist = fileURLToPath(new URL('../dist/', import.meta.url))

test('what is loaded with the package is small: every garbage collection walks through it', () => {
  const program = `
    const live = () => { gc(); gc(); return process.memoryUsage().heapUsed / 1e6 }
    const before = live()
    await import(${JSON.stringify(new URL('../dist/index.js', import.meta.url).href)})
    console.log(live() - before)`
  const output = execFileSync(process.execPath, ['--expose-gc', '--input-type=module', '--eval', program])
  // 3.2 on Node 20, of which Node's own modules are 0.7. zod as a whole would add 2.5, the SSH packages 3, openpgp 4.
  expect(Number(output.toString())).toBeLessThan(4.5)
})

test('the licence of what is bundled is in the package, and no public type mentions it', () => {
  expect(readFileSync(`${dist}LICENSE.zod`, 'utf8')).toContain('Permission is hereby granted')
  const types = readdirSync(dist, { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith('.d.ts'))
  expect(types.length).toBeGreaterThan(3)
  for (const name of types) expect(readFileSync(dist + name, 'utf8'), name).not.toMatch(/\bzod\b/)
})
