/** The first pause before a file is tried again, and the longest. */
const FIRST_MS = 30_000
const LONGEST_MS = 60 * 60_000

/**
 * Milliseconds from a failed attempt to the next one: twice as long each time, up to the longest; half a minute and an hour
 * by default, as for files. Half of it is left to chance, so that what failed together does not come back together.
 */
export function pauseAfter(
  attempts: number,
  { firstMs = FIRST_MS, longestMs = LONGEST_MS, random = Math.random } = {}
): number {
  const longest = Math.min(longestMs, firstMs * 2 ** (attempts - 1))
  return Math.round(longest * (0.5 + random() / 2))
}
