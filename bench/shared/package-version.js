import { readFileSync } from 'node:fs'

/** The version of an installed package. */
export function versionOf(name) {
  return versionIn(`../../node_modules/${name}/package.json`)
}

/** The version of this library. */
export const ownVersion = versionIn('../../package.json')

function versionIn(path) {
  return JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8')).version
}
