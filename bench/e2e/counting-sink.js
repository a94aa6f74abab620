// A sink that stores nothing and counts all: what comes of its files are the sums over the values of every row, and
// receipts, which no file gets whose hashes, checksums or rows do not add up.
import { Sink } from '@intelliwatt/smt-ingest'
import { addColumns } from '../parse/contenders/smt-ingest.js'
import { Tally } from '../parse/contenders/tally.js'

export class CountingSink extends Sink {
  /** Of the files that were committed. */
  tally = new Tally()

  async begin() {
    const tally = new Tally()
    return {
      write: batch => addColumns(tally, batch),
      commit: async account => {
        for (const [name, value] of Object.entries(tally)) this.tally[name] += value
        return { inserted: account.rows.accepted, replaced: 0, unchanged: 0, superseded: 0, conflicts: 0 }
      },
      rollback: async () => {}
    }
  }
}
