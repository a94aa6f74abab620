import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { findReal, requireReal } from '../support/real.ts'

const here = fileURLToPath(new URL('.', import.meta.url))
const root = fileURLToPath(new URL('../..', import.meta.url))
const patches = readdirSync(here).filter(name => name.endsWith('.patch'))

// Running them takes minutes and has its own command; that they still fit takes none.
test.skipIf(!requireReal('git')).each(patches)('the sabotage %s still fits the code', name => {
  const { status, stderr } = spawnSync(findReal('git')!, ['apply', '--check', `${here}${name}`], {
    cwd: root,
    encoding: 'utf8'
  })
  expect(stderr).toBe('')
  expect(status).toBe(0)
})
