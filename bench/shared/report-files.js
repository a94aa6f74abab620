// Files that the benches read: made once, into `data/`, with the maker's notes beside them.
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, renameSync, writeFileSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { intervalReportChunks } from '@intelliwatt/smt-ingest/testing'

/** Where files are kept, out of version control. */
export const folder = fileURLToPath(new URL('../data', import.meta.url))

/**
 * What `make` tells about the files that it makes. `recipe` grows when the same name would hold other bytes: what an
 * older recipe made, or in a folder that was moved, is made anew.
 */
export async function madeOnce(name, recipe, make) {
  const note = `${folder}/${name}.json`
  const known = existsSync(note) ? JSON.parse(readFileSync(note, 'utf8')) : undefined
  if (known?.recipe === recipe && known.folder === folder) return known
  mkdirSync(dirname(note), { recursive: true })
  const made = { recipe, folder, ...(await make(`${folder}/${name}`)) }
  writeFileSync(note, JSON.stringify(made))
  return made
}

/** Writes a file that has its name only when it is whole. `write` is given the way to write bytes; they are counted. */
export function writeWhole(path, write) {
  const output = openSync(`${path}.part`, 'w')
  let bytes = 0
  write(chunk => {
    bytes += writeSync(output, chunk)
    return bytes
  })
  closeSync(output)
  renameSync(`${path}.part`, path)
  return bytes
}

/**
 * Writes a report of meter-days, or of as many as fill so many bytes. `take` sees each of them; `edit` may change the
 * bytes of each. Gives the bytes of the file.
 */
export function writeReport(path, meterDays, { take, bytes = Number.POSITIVE_INFINITY, edit = chunk => chunk }) {
  let written = 0
  function* enough() {
    for (const day of meterDays) {
      if (written >= bytes) return
      take(day)
      yield day
    }
  }
  return writeWhole(path, write => {
    for (const chunk of intervalReportChunks(enough())) written = write(edit(chunk))
  })
}
