import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Where a server's binary stands although no user's PATH names the folder. */
const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin', '/sbin']

/** The full path of a program of this machine, or undefined. */
export function findReal(name: string): string | undefined {
  return folders
    .filter(folder => folder !== '')
    .map(folder => join(folder, name))
    .find(isExecutable)
}

/** Whether this machine has the program. */
function hasReal(name: string): boolean {
  return findReal(name) !== undefined
}

/**
 * Whether a test that needs the program can run, for `test.skipIf(!requireReal('gpg'))`.
 * With `SMT_TEST_REQUIRE_REAL=1` a missing program throws: there a skipped test is a failed one.
 */
export function requireReal(name: string): boolean {
  const has = hasReal(name)
  if (!has && process.env.SMT_TEST_REQUIRE_REAL === '1') {
    throw new Error(`a real part is missing and SMT_TEST_REQUIRE_REAL is set: ${name}`)
  }
  return has
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
