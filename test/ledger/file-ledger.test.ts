import { spawnSync } from 'node:child_process'
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { FileLedger } from '../../src/ledger/file-ledger.ts'
import { FileLock } from '../../src/ledger/file-lock.ts'
import { failed, passedOver } from '../../src/ledger/receipt.ts'
import { scratchFolder } from '../support/scratch.ts'
import { corrupt, dropped, file, taken, testLedger } from './support.ts'

testLedger('FileLedger', () => FileLedger.open(newPath()))

const newPath = () => join(scratchFolder(), 'ledger.ndjson')
const linesOf = (path: string) => readFileSync(path, 'utf8').split('\n').slice(0, -1)

async function take(ledger: FileLedger, path: string): Promise<void> {
  await ledger.settle((await ledger.claim(file(path))).claim!, taken(file(path), `sha of ${path}`))
}

describe('the next process', () => {
  test('knows what was taken, set aside and passed over', async () => {
    const path = newPath()
    const first = await FileLedger.open(path)
    await take(first, 'a')
    await first.settle((await first.claim(file('bad'))).claim!, failed(file('bad'), 0, 'quarantined', corrupt))
    const left = { ...file('left'), state: 'ignored', reason: 'ignored by *.tmp' } as const
    await first.passOver(left, passedOver(left))
    await first.close()

    const second = await FileLedger.open(path)
    expect((await second.claim(file('a'))).known).toMatchObject({ state: 'duplicate', duplicateOf: 'a' })
    expect((await second.claim(file('bad'))).known).toMatchObject({ state: 'quarantined' })
    expect(await second.findPayload('sha of a')).toEqual(file('a'))
    expect(await second.passOver(left, passedOver(left))).toEqual({ known: true })
    await second.close()
  })

  test('may take what the one before had claimed when it died, under a greater epoch', async () => {
    const path = newPath()
    const first = await FileLedger.open(path)
    await first.settle((await first.claim(file('a'))).claim!, failed(file('a'), 0, 'seen', dropped))
    await first.claim(file('a'))
    await first.close()
    const second = await FileLedger.open(path)
    expect((await second.claim(file('a'))).claim?.epoch).toBe(3)
    await second.close()
  })

  test('does not count a line that was being written when the process died', async () => {
    const path = newPath()
    const first = await FileLedger.open(path)
    await take(first, 'a')
    await take(first, 'b')
    await first.close()
    const whole = readFileSync(path)
    const last = whole.lastIndexOf('\n', whole.length - 2) + 1
    for (let cut = last + 1; cut < whole.length; cut += 13) {
      writeFileSync(path, whole.subarray(0, cut))
      const second = await FileLedger.open(path)
      expect((await second.claim(file('a'))).known?.state).toBe('duplicate')
      // b was claimed and not settled: its line was the torn one.
      await take(second, 'b')
      await second.close()
      const third = await FileLedger.open(path)
      expect((await third.claim(file('b'))).known?.state).toBe('duplicate')
      await third.close()
    }
  })

  test.each([
    ['no JSON', 'this is no JSON'],
    ['zeros, as after a power cut', '\0\0\0\0'],
    ['JSON of another kind', '{"state":"committed"}'],
    ['an empty value', 'null'],
    ['an array of other things', '[1,2]']
  ])('refuses a journal with a whole line of %s, and leaves it as it is', async (_, line) => {
    const path = newPath()
    const first = await FileLedger.open(path)
    await take(first, 'a')
    await first.close()
    const [one, two] = linesOf(path)
    const damaged = `${one}\n${line}\n${two}\n`
    writeFileSync(path, damaged)
    await expect(FileLedger.open(path)).rejects.toMatchObject({ code: 'STORE_OPEN', retryable: false, file: path })
    expect(readFileSync(path, 'utf8')).toBe(damaged)
    expect(existsSync(`${path}.lock`)).toBe(false)
  })

  test('refuses a journal that cannot be read', async () => {
    const path = newPath()
    mkdirSync(path)
    await expect(FileLedger.open(path)).rejects.toMatchObject({ code: 'STORE_OPEN' })
    expect(existsSync(`${path}.lock`)).toBe(false)
  })

  test('refuses a place where no journal can be', async () => {
    const path = newPath()
    writeFileSync(path, '')
    await expect(FileLedger.open(join(path, 'ledger.ndjson'))).rejects.toMatchObject({ code: 'STORE_OPEN' })
    await expect(FileLedger.open(join(path, 'below', 'ledger.ndjson'))).rejects.toMatchObject({ code: 'STORE_OPEN' })
  })
})

describe('the journal', () => {
  test('has each change durable, one a line, before it counts', async () => {
    const path = newPath()
    const ledger = await FileLedger.open(path)
    await ledger.claim(file('a'))
    expect(linesOf(path).map(line => JSON.parse(line)[1].state)).toEqual(['claimed'])
    await take(ledger, 'b')
    expect(linesOf(path).map(line => JSON.parse(line)[1].state)).toEqual(['claimed', 'claimed', 'committed'])
    await ledger.close()
  })

  test('keeps the order of changes that come at the same time', async () => {
    const path = newPath()
    const ledger = await FileLedger.open(path)
    await Promise.all(Array.from({ length: 50 }, (_, i) => take(ledger, `${i}`)))
    await ledger.close()
    expect(linesOf(path)).toHaveLength(100)
    const again = await FileLedger.open(path)
    const states = await Promise.all(
      Array.from({ length: 50 }, async (_, i) => (await again.claim(file(`${i}`))).known)
    )
    expect(states.every(known => known?.state === 'duplicate')).toBe(true)
    await again.close()
  })

  test('is rewritten at opening when it has grown over many changes of few files', async () => {
    const path = newPath()
    const first = await FileLedger.open(path)
    await take(first, 'a')
    for (let i = 0; i < 10; i++) {
      await first.settle((await first.claim(file('b'))).claim!, failed(file('b'), 0, 'seen', dropped))
    }
    await first.close()
    expect(linesOf(path)).toHaveLength(22)

    const second = await FileLedger.open(path)
    expect(linesOf(path)).toHaveLength(2)
    expect((await second.claim(file('a'))).known?.state).toBe('duplicate')
    expect((await second.claim(file('b'))).claim?.epoch).toBe(11)
    await second.close()
    expect(readdirSync(join(path, '..'))).toEqual(['ledger.ndjson'])
  })

  test('has whole what it keeps of a file, however long its line, in this process and the next', async () => {
    const path = newPath()
    const first = await FileLedger.open(path)
    const lengths = [10, 4_000, 4_096, 70_000, 1_500_000]
    const receiptOf = (length: number) => ({
      ...taken(file(`${length}`), `sha ${length}`),
      duplicateOf: 'x'.repeat(length)
    })
    for (const length of lengths) {
      await first.settle((await first.claim(file(`${length}`))).claim!, receiptOf(length))
    }
    const allOf = async (ledger: FileLedger) => {
      const answers = await Promise.all(lengths.map(length => ledger.claim(file(`${length}`))))
      return answers.map(({ known }) => known?.rows)
    }
    const all = lengths.map(length => receiptOf(length).rows)
    expect(await allOf(first)).toEqual(all)
    await first.close()
    const second = await FileLedger.open(path)
    expect(await allOf(second)).toEqual(all)
    const [longest] = await second.records({ path: '1500000' })
    expect(longest!.receipt).toEqual(receiptOf(1_500_000))
    expect(await second.records()).toHaveLength(lengths.length)
    expect(await second.findPayload('sha 70000')).toEqual(file('70000'))
    await second.close()
  })

  test('survives a rewriting that was cut off', async () => {
    const path = newPath()
    const first = await FileLedger.open(path)
    await take(first, 'a')
    await first.close()
    writeFileSync(`${path}.next`, '["half')
    appendFileSync(path, '["torn')
    const second = await FileLedger.open(path)
    expect((await second.claim(file('a'))).known?.state).toBe('duplicate')
    await second.close()
    expect(linesOf(path)).toHaveLength(1)
  })
})

describe('the lock', () => {
  test('keeps a second opening out, in this process too, until it is closed', async () => {
    const path = newPath()
    const first = await FileLedger.open(path)
    for (const other of [path, join(path, '..', '.', 'ledger.ndjson')]) {
      await expect(FileLedger.open(other)).rejects.toMatchObject({ code: 'STORE_BUSY', retryable: true })
    }
    await first.close()
    await (await FileLedger.open(path)).close()
    expect(existsSync(`${path}.lock`)).toBe(false)
  })

  test('of a living process is respected', async () => {
    const path = newPath()
    writeFileSync(`${path}.lock`, String(process.ppid))
    await expect(FileLedger.open(path)).rejects.toMatchObject({ code: 'STORE_BUSY' })
    expect(readFileSync(`${path}.lock`, 'utf8')).toBe(String(process.ppid))
  })

  test.each([
    ['a dead process', () => String(spawnSync(process.execPath, ['-e', '']).pid)],
    ['a dead process that had our number, as the first of every container has', () => String(process.pid)],
    ['nobody', () => 'x']
  ])('of %s is taken over', async (_, holder) => {
    const path = newPath()
    writeFileSync(`${path}.lock`, holder())
    const ledger = await FileLedger.open(path)
    expect(readFileSync(`${path}.lock`, 'utf8')).toBe(String(process.pid))
    await ledger.close()
    expect(existsSync(`${path}.lock`)).toBe(false)
  })

  test('without a name is respected while it may be just being made, and taken over later', async () => {
    const path = newPath()
    writeFileSync(`${path}.lock`, '')
    await expect(FileLedger.open(path)).rejects.toMatchObject({ code: 'STORE_BUSY' })
    utimesSync(`${path}.lock`, new Date(), new Date(Date.now() - 10_000))
    await (await FileLedger.open(path)).close()
    expect(existsSync(`${path}.lock`)).toBe(false)
  })
})

test('what a process left that died while it took a lock away is gone after the next opening', async () => {
  const path = newPath()
  mkdirSync(`${path}.lock.takeover`)
  await (await FileLedger.open(path)).close()
  expect(existsSync(`${path}.lock.takeover`)).toBe(false)
})

describe('what the disk refuses', () => {
  /** The next line cannot be made durable, as on a full disk. */
  async function refuseOnce(): Promise<void> {
    const handle = await open(newPath(), 'w')
    const refusal = Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
    vi.spyOn(Object.getPrototypeOf(handle), 'datasync').mockRejectedValueOnce(refusal)
    await handle.close()
  }

  test('is not remembered: the file can be claimed again', async () => {
    const ledger = await FileLedger.open(newPath())
    await refuseOnce()
    await expect(ledger.claim(file('a'))).rejects.toMatchObject({ code: 'STORE_WRITE', retryable: true })
    expect((await ledger.claim(file('a'))).claim).toMatchObject({ epoch: 1 })
    await ledger.close()
  })

  test('is not taken for settled, in this process or the next', async () => {
    const path = newPath()
    const ledger = await FileLedger.open(path)
    const { claim } = await ledger.claim(file('a'))
    await refuseOnce()
    await expect(ledger.settle(claim!, taken(file('a'), 'sha'))).rejects.toMatchObject({ code: 'STORE_WRITE' })
    expect(await ledger.findPayload('sha')).toBeUndefined()
    await ledger.settle(claim!, taken(file('a'), 'sha'))
    await ledger.close()
    expect(linesOf(path)).toHaveLength(2)
    const next = await FileLedger.open(path)
    expect((await next.claim(file('a'))).known?.state).toBe('duplicate')
    await next.close()
  })
})

test('a dead process’s lock goes to one of many that want it', async () => {
  const { pid } = spawnSync(process.execPath, ['--version'])
  for (let round = 0; round < 60; round++) {
    const path = newPath()
    writeFileSync(`${path}.lock`, String(pid))
    const outcomes = await Promise.allSettled(Array.from({ length: 4 }, () => FileLedger.open(path)))
    const winners = outcomes.flatMap(outcome => (outcome.status === 'fulfilled' ? [outcome.value] : []))
    expect(winners).toHaveLength(1)
    await winners[0]!.close()
    expect(existsSync(`${path}.lock.takeover`)).toBe(false)
  }
})

test('one process holds it once, also while it is being given back', async () => {
  const path = newPath()
  for (let round = 0; round < 100; round++) {
    const first = await FileLock.take(path)
    const takers: Promise<FileLock | undefined>[] = []
    const released = first.release()
    for (let turn = 0; turn < 4; turn++) {
      takers.push(FileLock.take(path).catch(() => undefined))
      await new Promise(resolve => setImmediate(resolve))
    }
    const taken = (await Promise.all(takers)).filter(lock => lock !== undefined)
    expect(taken.length).toBeLessThanOrEqual(1)
    await released
    for (const lock of taken) await lock.release()
  }
})
