import { setImmediate as soon } from 'node:timers/promises'
import { AscDecryptor, type FilesOptions, type Source } from '@intelliwatt/smt-ingest'
import { NdjsonSink } from '@intelliwatt/smt-ingest/ndjson'
import Fastify from 'fastify'
import { describe, expect, test } from 'vitest'
import { Runs } from '../src/runs.ts'
import { scratchFolder } from './support.ts'

/** A source that lists so many files, of which it offers none. */
function sourceOf(count: number, listing: () => Promise<void> = async () => {}): Source {
  return {
    async *files({ onPassedOver }: FilesOptions = {}) {
      await listing()
      yield* []
      for (let i = 0; i < count; i++) {
        const name = `${i}.part`
        onPassedOver?.({
          source: 'test:',
          path: `/${name}`,
          name,
          size: 1,
          modifiedAt: 0,
          state: 'ignored',
          reason: '*.part'
        })
      }
    },
    async close() {},
    async [Symbol.asyncDispose]() {}
  }
}

function runsOver(source: Source): Runs {
  const { log } = Fastify()
  return new Runs({
    source,
    decryptor: new AscDecryptor(),
    sink: new NdjsonSink({ directory: scratchFolder() }),
    log,
    graceMs: 100
  })
}

async function ended(runs: Runs, id: string) {
  while (runs.find(id)?.endedAt === null) await soon()
  return runs.find(id)
}

describe('runs', () => {
  test('are remembered, the last hundred of them', async () => {
    const runs = runsOver(sourceOf(0))
    const ids: string[] = []
    for (let i = 0; i < 102; i++) {
      const { id } = runs.trigger({ reason: 'user_refresh' })
      await ended(runs, id)
      ids.push(id)
    }
    expect(ids.filter(id => runs.find(id) !== undefined)).toEqual(ids.slice(2))
  })

  test('name the last two hundred files, and count all', async () => {
    const runs = runsOver(sourceOf(205))
    const { id } = runs.trigger({ reason: 'user_refresh' })
    const run = (await ended(runs, id))!
    expect([run.state, run.files, run.receipts.length]).toEqual(['done', { ignored: 205 }, 200])
    expect(run.receipts.at(-1)).toEqual({ path: '/204.part', state: 'ignored', intervals: 0, code: 'FILTERED' })
  })

  test('are two, however many trigger', async () => {
    let listings = 0
    let go = () => {}
    const gate = new Promise<void>(resolve => {
      go = resolve
    })
    const listing = async () => {
      listings++
      await gate
    }
    const runs = runsOver(sourceOf(0, listing))
    const triggered = Array.from({ length: 1000 }, () => runs.trigger({ reason: 'user_refresh' }))
    expect(triggered.slice(0, 2).map(({ state }) => state)).toEqual(['running', 'queued'])
    expect(new Set(triggered.map(({ id }) => id)).size).toBe(2)
    go()
    expect((await ended(runs, triggered.at(-1)!.id))?.triggers).toBe(999)
    expect(listings).toBe(2)
  })

  test('that wait when the daemon ends are stopped, and say so', async () => {
    const runs = runsOver(sourceOf(0))
    runs.trigger({ reason: 'user_refresh' })
    const { id } = runs.trigger({ reason: 'user_refresh' })
    await runs.stop()
    expect(runs.find(id)).toMatchObject({ state: 'stopped', startedAt: null, endedAt: expect.any(String) })
  })
})
