// The figures this library wants to reach, against what was measured.
import { percent, raceOf, ratioTo, rightRun, rssOf, tableOf, times } from './figures.js'
import { own } from './measure.js'

const figures = [
  { shape: 'sorted', rival: 'csv-parse-objects', must: 25, aim: 30 },
  { shape: 'sorted', rival: 'papaparse', must: 5, aim: 6 },
  { shape: 'sorted', rival: 'udsv', must: 5, aim: 6 },
  { shape: 'sorted', rival: 'duckdb-2', must: 2.5, aim: 3 },
  { shape: 'shuffled', rival: 'csv-parse-objects', must: 10, aim: 15 },
  { shape: 'quoted', rival: 'csv-parse-objects', must: 10, aim: 15 }
]

/** Ours may take so many times as long as the loop that only finds line ends. */
const floorAim = 1.5

/** Peak memory may grow by this with the file, whichever is more. */
const growth = { share: 0.1, megabytes: 15 }

export function reachTable(results) {
  const sizes = [results.megabytes, results.large].filter(size => size > 0)
  const head = ['figure', 'must', 'aim', ...sizes.map(size => `${size} MB`), 'verdict']
  const rows = figures.map(({ shape, rival, must, aim }) => {
    const ratios = sizes.map(size => ratioTo(raceOf(results, shape, size), rival))
    return [`${shape}: as fast as ${rival}`, `${must}x`, `${aim}x`, ...ratios.map(shown), verdictOf(ratios, must, aim)]
  })
  return tableOf(head, [...rows, floorRow(results, sizes), ...memoryRows(results)])
}

function shown(ratio) {
  return ratio === undefined ? '' : times(ratio)
}

/** By the worse of the sizes. */
function verdictOf(ratios, must, aim) {
  const measured = ratios.filter(ratio => ratio !== undefined)
  if (measured.length === 0) return 'not measured'
  const worst = Math.min(...measured)
  if (worst >= aim) return 'met, aim too'
  if (worst >= must) return `met; ${percent(1 - worst / aim)} short of the aim`
  return `**missed by ${percent(1 - worst / must)}**`
}

function floorRow(results, sizes) {
  const ratios = sizes
    .map(size => ratioTo(raceOf(results, 'sorted', size), 'newlines'))
    .map(ratio => ratio && 1 / ratio)
  const measured = ratios.filter(ratio => ratio !== undefined)
  const worst = Math.max(...measured)
  const missed = `aim missed by ${percent(worst / floorAim - 1)}`
  const verdict = measured.length === 0 ? 'not measured' : worst <= floorAim ? 'aim met' : missed
  return ['sorted: time of newlines', '', `at most ${floorAim}x`, ...ratios.map(shown), verdict]
}

function memoryRows({ races, megabytes, large }) {
  return growths({ races, megabytes, large }).map(({ shape, small, big, allowed }) => {
    const verdict = big <= allowed ? 'met' : `**missed by ${Math.round(big - allowed)} MB**`
    const must = `at most ${Math.round(allowed)} MB`
    return [
      `${shape}: peak memory does not grow`,
      must,
      '',
      `${Math.round(small)} MB`,
      `${Math.round(big)} MB`,
      verdict
    ]
  })
}

/** Ours on the two sizes of each shape: peak memory, and what the larger file may take. */
export function growths({ races, megabytes, large }) {
  const shapes = [...new Set(races.map(({ shape }) => shape))]
  return shapes.flatMap(shape => {
    const [small, big] = [megabytes, large].map(size => rightRun(raceOf({ races }, shape, size), own))
    if (!small || !big) return []
    const from = rssOf(small)
    return [
      { shape, small: from, big: rssOf(big), allowed: Math.max(from * (1 + growth.share), from + growth.megabytes) }
    ]
  })
}
