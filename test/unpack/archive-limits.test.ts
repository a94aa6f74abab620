import { deflateRawSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { ConfigError, UnpackError } from '../../src/errors.ts'
import { IntervalParser } from '../../src/parse/interval-parser.ts'
import { makeZip } from '../../src/testing/index.ts'
import type { ArchiveLimits } from '../../src/unpack/archive-limits.ts'
import { readEntries } from '../../src/unpack/read-entries.ts'
import { csv, read, row } from '../parse/support.ts'
import { failureOf } from '../support/failure.ts'
import { chunked, unpack } from './support.ts'

const file = '/inbox/x.zip'
const member = (name: string, bytes: Buffer | string = 'hello') => ({ name, bytes: Buffer.from(bytes as string) })
const zip = makeZip([member('a'), member('x/', ''), member('b')])

async function refusal(bytes: Uint8Array, archiveLimits: ArchiveLimits, entry?: string) {
  const error = await failureOf(unpack(bytes, { file, archiveLimits }))
  expect(error).toBeInstanceOf(UnpackError)
  expect(error).toMatchObject({ code: 'ZIP_LIMIT', file, entry, retryable: false, stopsRun: false })
  return error.message
}

describe('ZIP_LIMIT', () => {
  test('members: so many and not one more, with those in archives', async () => {
    expect(await unpack(zip, { archiveLimits: { maxEntries: 3 } })).toHaveLength(3)
    expect(await refusal(zip, { maxEntries: 2 })).toContain('more than 2 members (maxEntries)')
    const outer = makeZip([member('in.zip', zip), member('c')])
    expect(await unpack(outer, { archiveLimits: { maxEntries: 5 } })).toHaveLength(4)
    await refusal(outer, { maxEntries: 4 })
    await refusal(outer, { maxEntries: 3 }, 'in.zip')
  })

  test('members: 10,000 where nothing is said', async () => {
    const many = (count: number) =>
      makeZip(Array.from({ length: count }, (_, i) => ({ ...member(`${i}`), method: 'store' })))
    expect(await unpack(many(10_000))).toHaveLength(10_000)
    expect(await refusal(many(10_001), {})).toContain('more than 10000 members')
  })

  test('bytes: so many and not one more, of all members together', async () => {
    expect(await unpack(zip, { archiveLimits: { maxBytes: 10 } })).toHaveLength(3)
    const message = await refusal(zip, { maxBytes: 9 }, 'b')
    expect(message).toContain('unpacks to more than 9 bytes (maxBytes)')
    // One in another counts with what is in it.
    const outer = makeZip([member('in.zip', zip)])
    expect(await unpack(outer, { archiveLimits: { maxBytes: zip.length + 10 } })).toHaveLength(3)
    await refusal(outer, { maxBytes: zip.length + 9 }, 'in.zip/b')
  })

  test('bytes: the member that is too long is not unpacked to its end', async () => {
    const long = makeZip([member('long', Buffer.alloc(50_000_000))])
    let seen = 0
    const work = (async () => {
      for await (const entry of readEntries(chunked([long]), { archiveLimits: { maxBytes: 1_000_000 } })) {
        for await (const chunk of entry) seen += chunk.length
      }
    })()
    expect((await failureOf(work)).code).toBe('ZIP_LIMIT')
    expect(seen).toBeLessThanOrEqual(1_000_000)
  })

  test.each([false, true])(
    'ratio: a bomb is stopped soon after its first 64 MiB (descriptors: %s)',
    async dataDescriptors => {
      const bomb = makeZip([member('a'), member('bomb', Buffer.alloc(150_000_000))], { dataDescriptors })
      let seen = 0
      const work = (async () => {
        for await (const entry of readEntries(chunked([bomb]))) for await (const chunk of entry) seen += chunk.length
      })()
      const error = await failureOf(work)
      expect(error).toMatchObject({ code: 'ZIP_LIMIT', entry: 'bomb' })
      expect(error.message).toContain('more than 200 times its size (maxRatio)')
      expect(seen).toBeGreaterThan(64 * 1024 * 1024 - 262_144)
      expect(seen).toBeLessThan(66 * 1024 * 1024)
      const taken = await unpackedLength(bomb, { maxRatio: 1100 })
      expect(taken).toBe(150_000_005)
    }
  )

  test('ratio: nobody asks below 64 MiB', async () => {
    expect(await unpackedLength(makeZip([member('zeros', Buffer.alloc(60_000_000))]), {})).toBe(60_000_000)
  })

  test('ratio: a bomb in a bomb is weighed with what is in it', async () => {
    // Inside, each of forty members is too small to be asked; together they come of a member of a few kilobytes.
    const packed = makeZip(Array.from({ length: 40 }, (_, i) => member(`${i}`, Buffer.alloc(2_000_000))))
    const outer = makeZip([member('in.zip', packed)])
    expect(outer.length).toBeLessThan(40_000)
    const error = await failureOf(unpackedLength(outer, {}))
    expect(error).toMatchObject({ code: 'ZIP_LIMIT', entry: expect.stringMatching(/^in\.zip\/3\d$/) })
    expect(await unpackedLength(packed, {})).toBe(80_000_000)
  })

  test('ratio: a report of nothing but zeros is far from it', () => {
    const rows = Array.from({ length: 96 * 365 }, (_, i) => zeroRow(i))
    const bytes = Buffer.from(csv(...rows))
    expect(bytes.length / deflateRawSync(bytes, { level: 9 }).length).toBeLessThan(40)
  })

  test('depth: two archives deep in the file, and no deeper', async () => {
    const [one, two, three] = [1, 2, 3].map(depth => wrapped(depth))
    expect((await unpack(two!))[0]!.name).toBe('1.zip/0.zip/a')
    expect(await refusal(three!, {}, '2.zip/1.zip/0.zip')).toContain('more than 2 deep (maxDepth)')
    expect((await unpack(three!, { archiveLimits: { maxDepth: 3 } }))[0]!.name).toBe('2.zip/1.zip/0.zip/a')
    await refusal(one!, { maxDepth: 0 }, '0.zip')
    expect(await unpack(zip, { archiveLimits: { maxDepth: 0 } })).toHaveLength(3)
  })

  test('are asked for by the parser, too', async () => {
    const reports = makeZip(['a', 'b'].map(name => member(`${name}.csv`, csv(row()))))
    expect((await read(reports)).intervals).toHaveLength(2)
    const error = await failureOf(read(reports, { path: file, archiveLimits: { maxEntries: 1 } }))
    expect(error).toMatchObject({ code: 'ZIP_LIMIT', file })
    expect(error.advice).toContain('archiveLimits')
  })

  test.each([
    [{ maxEntries: 0 }, 'archiveLimits.maxEntries'],
    [{ maxBytes: -1 }, 'archiveLimits.maxBytes'],
    [{ maxRatio: 0.5 }, 'archiveLimits.maxRatio'],
    [{ maxDepth: 1.5 }, 'archiveLimits.maxDepth'],
    [{ maxEntrys: 1 }, 'maxEntrys']
  ] as [ArchiveLimits, string][])('%j is refused before anything is read', (archiveLimits, name) => {
    for (const make of [
      () => new IntervalParser({ archiveLimits }),
      () => readEntries(chunked([]), { archiveLimits })
    ]) {
      expect(make).toThrow(ConfigError)
      expect(make).toThrow(name)
    }
  })
})

/** An archive of so many archives, one in the other. */
function wrapped(depth: number): Buffer {
  let inner = makeZip([member('a')])
  for (let i = 0; i < depth; i++) inner = makeZip([member(`${i}.zip`, inner)])
  return inner
}

async function unpackedLength(bytes: Uint8Array, archiveLimits: ArchiveLimits): Promise<number> {
  let length = 0
  for await (const entry of readEntries(chunked([bytes]), { archiveLimits })) {
    for await (const chunk of entry) length += chunk.length
  }
  return length
}

function zeroRow(i: number): string {
  const [day, minutes] = [new Date(Date.UTC(2025, 0, 1 + Math.floor(i / 96))), (i % 96) * 15]
  const [, month, date] = day.toISOString().slice(0, 10).split('-')
  const clock = (n: number) => ` ${String(Math.floor(n / 60) % 24).padStart(2, '0')}:${String(n % 60).padStart(2, '0')}`
  return row({ date: `${month}/${date}/2025`, start: clock(minutes), end: clock(minutes + 15), kwh: '0' })
}
