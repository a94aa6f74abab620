import { join } from 'node:path'
import { DuckDbLedger } from '../../src/sink/duckdb/ledger.ts'
import { DuckDbStore } from '../../src/sink/duckdb/store.ts'
import { testLedger } from '../ledger/support.ts'
import { scratchFolder } from '../support/scratch.ts'

/** Its store goes with it: nothing else uses it here. */
class LedgerWithStore extends DuckDbLedger {
  readonly #store: DuckDbStore

  constructor(store: DuckDbStore) {
    super(store)
    this.#store = store
  }

  override close(): Promise<void> {
    return this.#store.close()
  }
}

testLedger('DuckDbLedger', async () => {
  const path = join(scratchFolder(), 'smt.duckdb')
  return new LedgerWithStore(await DuckDbStore.open({ path, memoryLimit: '64MB', threads: 1 }))
})
