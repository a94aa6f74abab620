// The figures this library wants to reach, against what was measured.
import { megabytesText, percent, ratioIn, rightRun, rssOf, tableOf } from '../shared/figures.js'
import { allowedPeak, atLeast, atMost } from '../shared/verdicts.js'

/** Storing has to keep so much of the speed of reading alone. */
const keepsAim = 0.6

export function reachTable({ races }, contenders) {
  const rows = [...races.map(speedRow), ...contenders.map(({ name }) => memoryRow(races, name))]
  return tableOf(['figure', 'must', 'aim', 'measured', 'verdict'], rows)
}

function speedRow(race) {
  const share = ratioIn(race, 'asc-to-postgres', 'asc-to-intervals')
  const shown = share === undefined ? '' : percent(share)
  const figure = `${race.title}: asc-to-postgres, of the speed of asc-to-intervals`
  return [figure, '', percent(keepsAim), shown, atLeast({ aim: keepsAim }, [share])]
}

/** One file, small and large. */
function memoryRow(races, name) {
  const figure = `${name}: peak memory does not grow with the file`
  const [small, large] = races.filter(({ files }) => files === 1).map(race => peakIn(race, name))
  if (small === undefined || large === undefined) return [figure, '', '', '', 'not measured']
  const must = allowedPeak(small)
  const shown = `${megabytesText(small)}, then ${megabytesText(large)}`
  return [figure, `at most ${megabytesText(must)}`, '', shown, atMost({ must }, [large])]
}

function peakIn(race, name) {
  const run = rightRun(race, name)
  return run && rssOf(run)
}
