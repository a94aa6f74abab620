// Contenders take turns, round by round, so that a machine that slows down slows all of them.

/**
 * Gives each contender a turn in every round, or in as many as it has `rounds`. After the deadline no further round is
 * begun, but each has one.
 */
export async function takeTurns(entrants, { rounds, deadline }, turn) {
  for (let round = 1; round <= rounds; round++) {
    if (round > 1 && Date.now() > deadline) return
    for (const entrant of entrants) if (round <= (entrant.rounds ?? rounds)) await turn(entrant, round)
  }
}

/** What a contender did in a race, before its first pass. */
export function emptyRun({ name }) {
  return { name, wrong: null, seconds: [], rssMb: [] }
}

/**
 * One pass of a contender, unless an earlier one was wrong. `pass` gives what was wrong, seconds, peak memory, and
 * whatever else was measured.
 */
export async function addPass(run, pass) {
  if (run.wrong !== null) return
  const { wrong, ...figures } = await pass().catch(error => ({ wrong: error.message.split('\n')[0] }))
  run.wrong = wrong
  if (wrong !== null) return
  for (const [name, figure] of Object.entries(figures)) (run[name] ??= []).push(figure)
}

/** The last pass in a word, for those who wait. */
export function lastPassText({ wrong, seconds }) {
  return wrong ?? `${seconds.at(-1).toFixed(3)} s`
}

/** What a contender found otherwise than the maker of the file knows, or null. */
export function differences(found, truth) {
  const [first, ...more] = Object.keys(truth).filter(name => found[name] !== truth[name])
  if (first === undefined) return null
  const others = more.length > 0 ? `; differs too: ${more.join(', ')}` : ''
  return `${first} ${found[first]}, not ${truth[first]}${others}`
}
