// Makes the files that are read, and notes beside each what reading it must give.
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
  writeSync
} from 'node:fs'
import { fileURLToPath } from 'node:url'
import {
  addDays,
  addTotals,
  emptyTotals,
  expectedIntervals,
  intervalReportChunks,
  makeEsiid,
  makeMeterDay,
  randomFrom,
  totalsOf
} from '@intelliwatt/smt-ingest/testing'
import { revisionsFrom } from './contenders/tally.js'

/** The three orders and forms a file comes in. */
export const shapes = ['sorted', 'shuffled', 'quoted']

// Grows when the same name would hold other bytes: files of an older recipe are made anew.
const recipe = 2
// June and July: no clock change, 61 days.
const firstDay = '2025-06-01'
const days = 61

/** Where files are kept, out of version control. */
export const folder = fileURLToPath(new URL('data', import.meta.url))

/** The file of a shape with about so many megabytes, and its truth. Made once. */
export function fileOf(shape, megabytes) {
  mkdirSync(folder, { recursive: true })
  const path = `${folder}/${shape}-${megabytes}.csv`
  const note = `${folder}/${shape}-${megabytes}.json`
  const known = existsSync(note) ? JSON.parse(readFileSync(note, 'utf8')) : undefined
  if (known?.recipe === recipe && existsSync(path) && statSync(path).size === known.bytes) return { path, ...known }
  const truth = shape === 'shuffled' ? shuffle(fileOf('sorted', megabytes), path) : write(shape, path, megabytes * 1e6)
  const made = { recipe, bytes: statSync(path).size, truth }
  writeFileSync(note, JSON.stringify(made))
  return { path, ...made }
}

/**
 * Meter after meter, each day by day. Every fourth ESIID is a long one, every eighth roof has panels, one day in 23 has
 * an estimated block.
 */
function* meterDays() {
  for (let meter = 1; ; meter++) {
    for (let day = 0; day < days; day++) {
      const date = addDays(firstDay, day)
      const estimated = (meter * days + day) % 23 === 0
      const esiid = makeEsiid(meter, meter % 4 === 3 ? 22 : 17)
      yield makeMeterDay({ esiid, date, solar: meter % 8 === 0, estimated })
    }
  }
}

/** Writes meter-days until the file is large enough. */
function write(shape, path, bytes) {
  const truth = emptyTruth()
  const totals = emptyTotals()
  const output = openSync(`${path}.part`, 'w')
  let written = 0
  function* enough() {
    for (const day of meterDays()) {
      if (written >= bytes) return
      count(truth, day)
      addTotals(totals, totalsOf([day]))
      yield day
    }
  }
  const quote = shape === 'quoted' ? quoter() : chunk => chunk
  for (const chunk of intervalReportChunks(enough())) written += writeSync(output, quote(chunk))
  closeSync(output)
  renameSync(`${path}.part`, path)
  agree(truth, totals)
  return truth
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
  const output = openSync(`${path}.part`, 'w')
  const block = Buffer.alloc(4 * 1024 * 1024)
  let filled = bytes.copy(block, 0, 0, header)
  for (const row of order) {
    const end = bytes.indexOf(10, starts[row]) + 1
    if (filled + end - starts[row] > block.length) {
      writeSync(output, block, 0, filled)
      filled = 0
    }
    filled += bytes.copy(block, filled, starts[row], end)
  }
  writeSync(output, block, 0, filled)
  closeSync(output)
  renameSync(`${path}.part`, path)
  return sorted.truth
}

/** The maker's own totals, folded elsewhere, must say the same. */
function agree(truth, { rows, milliKwh, intervals, estimated }) {
  const surplus = intervals['surplus-generation']
  const totals = {
    rows: rows.accepted,
    milliKwh: milliKwh.consumption + milliKwh['surplus-generation'],
    estimated,
    surplus
  }
  for (const [name, total] of Object.entries(totals)) {
    if (truth[name] !== total) throw new Error(`the truth is not one: ${name} ${truth[name]} and ${total}`)
  }
}

function emptyTruth() {
  return { rows: 0, milliKwh: 0, startSum: 0, revisionSum: 0, estimated: 0, surplus: 0, esiidSum: 0 }
}

/** Adds what reading a meter-day must give. */
function count(truth, day) {
  for (const { esiid, start, milliKwh, estimated, direction, revision } of expectedIntervals([day])) {
    truth.rows += 1
    truth.milliKwh += milliKwh
    truth.startSum += start / 900_000
    truth.revisionSum += revision / 1000 - revisionsFrom
    truth.estimated += estimated ? 1 : 0
    truth.surplus += direction === 'surplus-generation' ? 1 : 0
    truth.esiidSum += Number(esiid.slice(-4))
  }
}
