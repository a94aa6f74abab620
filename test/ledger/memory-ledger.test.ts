import { expect, test } from 'vitest'
import { MemoryLedger } from '../../src/ledger/memory-ledger.ts'
import { file, taken, testLedger } from './support.ts'

testLedger('MemoryLedger', async () => new MemoryLedger())

test('forgets when it goes', async () => {
  const first = new MemoryLedger()
  await first.settle((await first.claim(file('a'))).claim!, taken(file('a'), 'x'))
  await first.close()
  expect((await new MemoryLedger().claim(file('a'))).claim?.epoch).toBe(1)
})
