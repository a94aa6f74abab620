// Figures that were set before the work, against what was measured. The worst of what was measured decides.
import { percent } from './figures.js'

/** Peak memory may grow by this with the file, whichever is more. */
const growth = { share: 0.1, megabytes: 15 }

/** What the peak may be for a large file, by that for a small one. */
export function allowedPeak(small) {
  return Math.max(small * (1 + growth.share), small + growth.megabytes)
}

/** For figures that must be large. `must` and `aim` may each be left out. */
export function atLeast({ must, aim }, measured) {
  return verdictOf(measured, { must, aim }, (limit, value) => 1 - value / limit)
}

/** For figures that must be small. */
export function atMost({ must, aim }, measured) {
  return verdictOf(measured, { must, aim }, (limit, value) => value / limit - 1)
}

function verdictOf(measured, { must, aim }, shortBy) {
  const known = measured.filter(value => value !== undefined)
  if (known.length === 0) return 'not measured'
  const worst = limit => Math.max(...known.map(value => shortBy(limit, value)))
  if (must !== undefined && worst(must) > 0) return `**MISSED by ${percent(worst(must))}**`
  if (aim === undefined) return 'ok'
  if (worst(aim) <= 0) return must === undefined ? 'aim ok' : 'ok, aim too'
  return `${must === undefined ? 'aim missed by' : 'ok; short of the aim by'} ${percent(worst(aim))}`
}
