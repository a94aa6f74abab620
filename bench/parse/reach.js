// The figures this library wants to reach, against what was measured.
import { megabytesText, rightRun, rssOf, tableOf, times } from '../shared/figures.js'
import { allowedPeak, atLeast, atMost } from '../shared/verdicts.js'
import { own, raceOf, ratioTo } from './figures.js'

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

export function reachTable(results) {
  const sizes = [results.megabytes, results.large].filter(size => size > 0)
  const head = ['figure', 'must', 'aim', ...sizes.map(size => `${size} MB`), 'verdict']
  const ratiosOf = (shape, rival) => sizes.map(size => ratioTo(raceOf(results.races, shape, size), rival))
  const rows = figures.map(({ shape, rival, must, aim }) => {
    const ratios = ratiosOf(shape, rival)
    const verdict = atLeast({ must, aim }, ratios)
    return [`${shape}: as fast as ${rival}`, `${must}x`, `${aim}x`, ...ratios.map(shown), verdict]
  })
  const overFloor = ratiosOf('sorted', 'newlines').map(ratio => ratio && 1 / ratio)
  const verdict = atMost({ aim: floorAim }, overFloor)
  const floorRow = ['sorted: time of newlines', '', `at most ${floorAim}x`, ...overFloor.map(shown), verdict]
  return tableOf(head, [...rows, floorRow, ...growths(results).map(memoryRow)])
}

function shown(ratio) {
  return ratio === undefined ? '' : times(ratio)
}

function memoryRow({ shape, small, big, allowed }) {
  const figure = `${shape}: peak memory does not grow`
  const must = `at most ${megabytesText(allowed)}`
  return [figure, must, '', megabytesText(small), megabytesText(big), atMost({ must: allowed }, [big])]
}

/** Ours on the two sizes of each shape: peak memory, and what the larger file may take. */
export function growths({ races, megabytes, large }) {
  const shapes = [...new Set(races.map(({ shape }) => shape))]
  return shapes.flatMap(shape => {
    const [small, big] = [megabytes, large].map(size => rightRun(raceOf(races, shape, size), own))
    if (!small || !big) return []
    return [{ shape, small: rssOf(small), big: rssOf(big), allowed: allowedPeak(rssOf(small)) }]
  })
}
