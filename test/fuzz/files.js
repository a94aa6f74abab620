// Files that follow from a seed and a number: random bytes, or what SMT sends, damaged.
import * as testing from '@intelliwatt/smt-ingest/testing'

const { makeBills, makeDailyReport, makeEsiid, makeIntervalReport, makeMeterDay, makeMonthlyReport } = testing
const { makeZip, randomFrom } = testing

const dates = ['2025-07-14', '2025-07-15', '2025-03-09', '2025-11-02', '2024-11-03', '2024-02-29', '2025-12-31']
const names = ['IntervalMeterUsage.csv', 'IntervalData 10443720009999001.csv', 'report.csv', 'a/b.txt', undefined]
const makers = {
  'random bytes': makeRandom,
  csv: makeCsv,
  'csv in a zip': makeArchive,
  'green button': makeFeed,
  'report beside intervals': makeReport
}

/** What to read, how it is cut, and with which options. */
export function makeFile(seed, number) {
  const chance = new Chance(seed, number)
  const [kind, make] = Object.entries(makers)[number % Object.keys(makers).length]
  const bytes = make(chance)
  const options = {
    batchRows: chance.pick([1, 7, 64, 8192]),
    intervalMinutes: chance.pick([[15], [15], [15], [15, 30, 60], [15, 30, 60], [30]]),
    // Half of the files may be as bad as they like.
    maxRejectShare: chance.pick([0.001, 1]),
    maxRejects: chance.pick([0, 5, 1000, 1000])
  }
  const name = chance.pick(names)
  const label = name === undefined ? undefined : { path: `/in/${name}`, name }
  const longest = chance.pick([1, 20, 500, 20_000])
  return { kind, bytes, options, label, pieces: () => cut(bytes, longest, new Chance(seed, number, 'cut')) }
}

/** Random pieces, empty ones among them, so many that a big file is not read byte by byte. */
function* cut(bytes, longest, chance) {
  const most = Math.max(longest, bytes.length >> 8)
  for (let at = 0; at < bytes.length; ) {
    const size = chance.below(most + 1)
    yield bytes.subarray(at, at + size)
    at += size
  }
}

class Chance {
  #random

  constructor(...seeds) {
    this.#random = randomFrom(...seeds)
  }

  /** A whole number from 0, below another. */
  below(n) {
    return Math.floor(this.#random() * n)
  }

  /** True once in n times. */
  one(n) {
    return this.below(n) === 0
  }

  pick(values) {
    return values[this.below(values.length)]
  }

  times(most, make) {
    return Array.from({ length: this.below(most + 1) }, make)
  }

  bytes(length) {
    return Buffer.from(Array.from({ length }, () => this.below(256)))
  }
}

function makeRandom(chance) {
  const bytes = chance.bytes(chance.pick([0, 1, 3, 30, 300, 3000, 10_000]))
  // Some begin like something that is known.
  const heads = [
    '',
    '',
    'PK\x03\x04',
    '\xef\xbb\xbf',
    '\xff\xfe',
    '<?xml version="1.0"?>',
    `${testing.intervalHeader}\n`
  ]
  return Buffer.concat([Buffer.from(chance.pick(heads), 'latin1'), bytes])
}

function meterDays(chance, most, alike) {
  const days = [undefined, ...chance.times(most - 1, () => undefined)]
  const esiid = () => makeEsiid(chance.below(3), chance.pick([17, 17, 22]))
  const same = { esiid: esiid(), solar: chance.one(2) }
  return days.map((_, i) =>
    makeMeterDay({
      esiid: alike || chance.one(2) ? same.esiid : esiid(),
      date: alike ? dates[i % dates.length] : chance.pick(dates),
      seed: chance.below(4),
      solar: same.solar,
      estimated: chance.one(3),
      missing: chance.pick([0, 0, 3]),
      revision: chance.pick([undefined, null, '2025-07-16 07:00:00'])
    })
  )
}

function plainCsv(chance) {
  const options = {
    lineEnd: chance.pick(['\n', '\n', '\r\n']),
    lastLineEnd: chance.one(2),
    form: chance.pick(['smt', 'smt', 'spreadsheet']),
    secondPass: chance.one(2),
    properRepeat: chance.one(2),
    placeholders: chance.one(2),
    bareDecimal: chance.one(2),
    apostrophe: !chance.one(3)
  }
  return makeIntervalReport(meterDays(chance, chance.one(20) ? 40 : 3, false), options).bytes
}

function makeCsv(chance) {
  const bytes = plainCsv(chance)
  return damaged(chance.one(8) ? Buffer.concat([bytes, plainCsv(chance)]) : bytes, chance)
}

function makeArchive(chance) {
  const members = [undefined, ...chance.times(2, () => undefined)].map((_, i) => ({
    name: `${chance.pick(['IntervalMeterUsage', 'Daily', 'folder/Interval', 'note'])}${chance.one(9) ? '' : i}.csv`,
    bytes: chance.pick([
      () => plainCsv(chance),
      () => makeCsv(chance),
      () => makeReport(chance),
      () => makeRandom(chance)
    ])(),
    method: chance.pick(['deflate', 'deflate', 'store'])
  }))
  const zip = makeZip(members, {
    dataDescriptors: chance.one(2),
    comment: chance.pick(['', 'a comment']),
    breakCrcOf: chance.one(9) ? members[0].name : undefined
  })
  const file = chance.one(5) ? makeZip([{ name: 'inner.zip', bytes: zip }, members[0]]) : zip
  return chance.one(3) ? file : damaged(file, chance)
}

function makeReport(chance) {
  const bills = () => makeBills({ esiid: makeEsiid(chance.below(3)), from: chance.pick(dates), periods: 20 })
  const rows = chance.one(2) ? makeDailyReport(meterDays(chance, 3, true)) : makeMonthlyReport(bills())
  const titles = Buffer.from(chance.pick(['', '', 'Report\n\n', '"\n', `${'x'.repeat(4050)}\n`]))
  return damaged(Buffer.concat([titles, rows]), chance)
}

function makeFeed(chance) {
  const options = {
    prefixes: chance.pick(['default', 'espi', 'ns0', 'swapped']),
    esiid: chance.pick(['title', 'link', 'name', 'nowhere']),
    order: chance.pick(['first', 'last']),
    clock: chance.pick(['utc', 'smt']),
    power: chance.pick([0, -3]),
    quality: chance.one(2)
  }
  const { bytes } = testing.makeGreenButton(meterDays(chance, 3, true), options)
  if (chance.one(4)) return bytes
  const feed = damaged(bytes, chance)
  return chance.one(4) ? makeZip([{ name: 'feed.xml', bytes: feed }]) : feed
}

/** Some damage, or none. */
function damaged(bytes, chance) {
  let out = bytes
  for (let left = chance.pick([0, 1, 1, 2, 5, 20]); left > 0; left--) out = chance.pick(damages)(out, chance)
  return out
}

const replace = (bytes, at, size, middle) =>
  Buffer.concat([bytes.subarray(0, at), Buffer.from(middle), bytes.subarray(at + size)])

/** What a file may have in it that nobody expects there. */
const oddities = [
  ...['\0', '"', '""', "'", '\r', '\n', '\r\n', '\r\r\n', ',', ',,', '\t', ' ', '-', '+', '.', '/', ':', '<', '>', '&'],
  ...[
    '\ufeff',
    'é',
    '\u{1f4a1}',
    '\u2028',
    '0',
    '99',
    '1e9',
    'NaN',
    '24:00',
    '02:00',
    '\x1a',
    'PK\x05\x06',
    ']]>',
    '<!--'
  ],
  ...['02/30/2025', '12/31/9999', '10443720009999009', '7/1/25', 'AM', '<!DOCTYPE a [', '&#0;', 'x'.repeat(9000)],
  `"${'a'.repeat(9000)}`
]

const damages = [
  // Bytes.
  (bytes, chance) => {
    const at = chance.below(bytes.length)
    return replace(bytes, at, 1, [(bytes[at] ?? 0) ^ (1 << chance.below(8))])
  },
  (bytes, chance) => replace(bytes, chance.below(bytes.length), 1, chance.bytes(1)),
  (bytes, chance) => replace(bytes, chance.below(bytes.length), 0, chance.bytes(chance.below(20))),
  (bytes, chance) => replace(bytes, chance.below(bytes.length), chance.below(chance.pick([3, 40, 500])), []),
  (bytes, chance) => {
    const [from, to, size] = [chance.below(bytes.length), chance.below(bytes.length), chance.below(500)]
    return replace(bytes, to, 0, bytes.subarray(from, from + size))
  },
  (bytes, chance) => {
    const [a, b] = [chance.below(bytes.length), chance.below(bytes.length)].sort((a, b) => a - b)
    const size = chance.below(Math.max(1, Math.min(b - a, 60)))
    const swapped = Buffer.from(bytes)
    bytes.copy(swapped, a, b, b + size)
    bytes.copy(swapped, b, a, a + size)
    return swapped
  },
  (bytes, chance) => replace(bytes, chance.below(bytes.length), chance.below(4), chance.pick(oddities)),
  (bytes, chance) => replace(bytes, chance.below(bytes.length), chance.below(4), chance.pick(oddities)),
  // The beginning and the end.
  (bytes, chance) => bytes.subarray(0, chance.below(bytes.length + 1)),
  (bytes, chance) => (chance.one(4) ? bytes.subarray(chance.below(bytes.length + 1)) : bytes),
  (bytes, chance) => replace(bytes, 0, 0, chance.pick(['\ufeff', '\n\n', ' ', '\0'])),
  // Lines and cells.
  (bytes, chance) => inLines(bytes, lines => lines.splice(chance.below(lines.length), 1 + chance.below(3))),
  (bytes, chance) => inLines(bytes, lines => lines.splice(chance.below(lines.length), 0, chance.pick(lines))),
  (bytes, chance) => inLines(bytes, lines => lines.splice(chance.below(lines.length), 0, lines[0])),
  (bytes, chance) => {
    return inLines(bytes, lines => {
      const [a, b] = [chance.below(lines.length), chance.below(lines.length)]
      const kept = lines[a]
      lines[a] = lines[b]
      lines[b] = kept
    })
  },
  (bytes, chance) => {
    return inLines(bytes, lines => {
      const at = chance.below(lines.length)
      const cells = lines[at].split(',')
      cells[chance.below(cells.length)] = chance.pick(oddities)
      lines[at] = cells.join(',')
    })
  },
  (bytes, chance) => {
    const [from, to] = chance.pick([
      ['\n', '\r'],
      ['\n', '\r\n'],
      [',', ';'],
      ['A,', '"A",'],
      ['.', '.0'],
      ['07/14', '11/02']
    ])
    return Buffer.from(bytes.toString('latin1').replaceAll(from, to), 'latin1')
  }
]

function inLines(bytes, change) {
  const lines = bytes.toString('latin1').split('\n')
  change(lines)
  return Buffer.from(lines.join('\n'), 'latin1')
}
