import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const run = promisify(execFile)
const program = fileURLToPath(new URL('./run.js', import.meta.url))

test('nonsense of every kind ends in an account that adds up or in an error with a code', async () => {
  const { stdout } = await run(process.execPath, [program, '--seconds', '3', '--seed', '1'])
  expect(stdout).toContain('every row accounted for')
  const kinds = ['random bytes', 'csv', 'csv in a zip', 'green button', 'report beside intervals']
  for (const kind of kinds) expect(stdout).toContain(kind)
  // Much of what is damaged a little is still read; the rest is refused by name.
  expect(stdout).toMatch(/\d read\n/)
  expect(stdout).toMatch(/\d read, with rejects\n/)
  expect(stdout).toMatch(/\d ZIP_\w+\n/)
  expect(stdout).toMatch(/\d PARSE_\w+\n/)
})
