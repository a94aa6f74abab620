// Makes the files that are read, and notes beside each what reading it must give.
import { readFileSync, statSync } from 'node:fs'
import { randomFrom } from '@intelliwatt/smt-ingest/testing'
import { meterDays } from '../shared/meter-days.js'
import { madeOnce, writeReport, writeWhole } from '../shared/report-files.js'
import { TallyTruth } from './tally-truth.js'

/** The three orders and forms a file comes in. */
export const shapes = ['sorted', 'shuffled', 'quoted']

const recipe = 3

/** The file of a shape with about so many megabytes, and its truth. */
export function fileOf(shape, megabytes) {
  return madeOnce(`${shape}-${megabytes}`, recipe, async name => {
    const path = `${name}.csv`
    if (shape !== 'shuffled') return { path, ...write(shape, path, megabytes * 1e6) }
    const sorted = await fileOf('sorted', megabytes)
    shuffle(sorted, path)
    return { path, bytes: statSync(path).size, truth: sorted.truth }
  })
}

function write(shape, path, bytes) {
  const truth = new TallyTruth()
  const edit = shape === 'quoted' ? { edit: quoter() } : {}
  const written = writeReport(path, meterDays(), { take: day => truth.add(day), bytes, ...edit })
  return { bytes: written, truth: truth.end() }
}

/** Puts every cell in quotes. Chunks begin with a line end, but for the first; the last is nothing but a line end. */
function quoter() {
  let first = true
  return chunk => {
    const text = chunk.toString('latin1')
    if (text === '\n') return Buffer.from('"\n')
    const quoted = text.replaceAll(',', '","').replaceAll('\n', '"\n"')
    const bytes = Buffer.from(first ? `"${quoted}` : quoted, 'latin1')
    first = false
    return bytes
  }
}

/** Writes the rows of another file in an order that is always the same and follows nothing. */
function shuffle(sorted, path) {
  const bytes = readFileSync(sorted.path)
  const header = bytes.indexOf(10) + 1
  const starts = new Uint32Array(sorted.truth.rows + 1)
  let at = header
  for (let row = 0; row < sorted.truth.rows; row++) {
    starts[row] = at
    at = bytes.indexOf(10, at) + 1
  }
  const order = Uint32Array.from({ length: sorted.truth.rows }, (_, row) => row)
  const random = randomFrom('shuffled')
  for (let last = order.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1))
    const row = order[last]
    order[last] = order[other]
    order[other] = row
  }
  const block = Buffer.alloc(4 * 1024 * 1024)
  let filled = bytes.copy(block, 0, 0, header)
  writeWhole(path, write => {
    for (const row of order) {
      const end = bytes.indexOf(10, starts[row]) + 1
      if (filled + end - starts[row] > block.length) {
        write(block.subarray(0, filled))
        filled = 0
      }
      filled += bytes.copy(block, filled, starts[row], end)
    }
    write(block.subarray(0, filled))
  })
}
