// A sink that stores nothing and counts all: what comes of its files are the sums over the values of every row, and
// receipts, which no file gets whose hashes, checksums or rows do not add up.
import { Sink } from '@intelliwatt/smt-ingest'
import { ColumnTally } from '../parse/contenders/smt-ingest.js'

export class CountingSink extends Sink {
  /** Of the files that were committed. */
  tally = new ColumnTally()

  async begin() {
    const tally = new ColumnTally()
    return {
      write: batch => tally.add(batch),
      commit: async account => {
        this.tally.merge(tally)
        return { inserted: account.rows.accepted, replaced: 0, unchanged: 0, superseded: 0, conflicts: 0 }
      },
      rollback: async () => {}
    }
  }
}
