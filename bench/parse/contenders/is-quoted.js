import { closeSync, openSync, readSync } from 'node:fs'

/** Whether a file's first cell stands in quotes. Settings that only fit unquoted files may ask: a kindness to rivals. */
export function isQuoted(file) {
  const byte = Buffer.alloc(1)
  const input = openSync(file, 'r')
  readSync(input, byte, 0, 1, 0)
  closeSync(input)
  return byte[0] === 34
}
