// What a `Tally` over some meter-days must come to, from their maker, who shares no code with any reader.
import { addTotals, emptyTotals, expectedIntervals, totalsOf } from '@intelliwatt/smt-ingest/testing'
import { revisionsFrom } from './contenders/tally.js'

export class TallyTruth {
  #truth = { rows: 0, milliKwh: 0, startSum: 0, revisionSum: 0, estimated: 0, surplus: 0, esiidSum: 0 }
  #totals = emptyTotals()

  /** Adds what reading a meter-day must give. Gives how many rows that were. */
  add(day) {
    const truth = this.#truth
    const before = truth.rows
    for (const { esiid, start, milliKwh, estimated, direction, revision } of expectedIntervals([day])) {
      truth.rows += 1
      truth.milliKwh += milliKwh
      truth.startSum += start / 900_000
      truth.revisionSum += revision / 1000 - revisionsFrom
      truth.estimated += estimated ? 1 : 0
      truth.surplus += direction === 'surplus-generation' ? 1 : 0
      truth.esiidSum += Number(esiid.slice(-4))
    }
    addTotals(this.#totals, totalsOf([day]))
    return truth.rows - before
  }

  /** The sums. The maker's own totals, folded elsewhere, must say the same. */
  end() {
    const { rows, milliKwh, intervals, estimated } = this.#totals
    const surplus = intervals['surplus-generation']
    const totals = {
      rows: rows.accepted,
      milliKwh: milliKwh.consumption + milliKwh['surplus-generation'],
      estimated,
      surplus
    }
    for (const [name, total] of Object.entries(totals)) {
      if (this.#truth[name] !== total)
        throw new Error(`the truth is not one: ${name} ${this.#truth[name]} and ${total}`)
    }
    return this.#truth
  }
}
