// Which races there are, and which contender is ours.
import { ratioIn } from '../shared/figures.js'

/** The one that is ours. */
export const own = 'smt-ingest'

/** `quoted, 100 MB` */
export function titleOf(shape, megabytes) {
  return `${shape}, ${megabytes} MB`
}

/** The race of a shape and size, or undefined. */
export function raceOf(races, shape, megabytes) {
  return races.find(race => race.shape === shape && race.megabytes === megabytes)
}

/** How many times as fast as a contender ours is, or undefined. */
export function ratioTo(race, name) {
  return ratioIn(race, own, name)
}
