import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import type { EntryHandler, OtherEntry } from '../../src/parse/handlers.ts'
import { IntervalParser } from '../../src/parse/interval-parser.ts'
import { dailyHeader, makeMeterInfo, makeZip, meterInfoHeader } from '../../src/testing/index.ts'
import { failureOf } from '../support/failure.ts'
import { csv, cuts, esiid, goodRows, read } from './support.ts'

const intervals = { name: 'IntervalMeterUsage.CSV', bytes: Buffer.from(csv(...goodRows(3))) }
const info = { name: 'MeterInfo.CSV', bytes: makeMeterInfo([esiid]) }

/** Keeps what it is given. */
function keeper() {
  const seen: { about: Omit<OtherEntry, typeof Symbol.asyncIterator>; text: string }[] = []
  const handler: EntryHandler = async entry => {
    const { index, name, kind, header, file, signal } = entry
    const chunks: Buffer[] = []
    for await (const chunk of entry) chunks.push(Buffer.from(chunk))
    seen.push({ about: { index, name, kind, header, file, signal }, text: Buffer.concat(chunks).toString() })
  }
  return { seen, handler }
}

describe('a handler', () => {
  test('is given the entry, where it stands, and all of its bytes; the intervals come all the same', async () => {
    const { seen, handler } = keeper()
    const zip = makeZip([intervals, info])
    const { account, intervals: rows } = await read(zip, { path: '/in/a.zip', handlers: { 'meter-info': handler } })
    expect(rows).toHaveLength(3)
    expect(seen).toEqual([
      {
        about: {
          ...{ index: 1, name: 'MeterInfo.CSV', kind: 'meter-info', header: meterInfoHeader },
          ...{ file: { path: '/in/a.zip', name: 'a.zip' }, signal: expect.any(AbortSignal) }
        },
        text: info.bytes.toString()
      }
    ])
    expect(account.entries[1]).toMatchObject({
      ...{ kind: 'meter-info', outcome: 'handled', bytes: info.bytes.length, header: meterInfoHeader, layout: null },
      crc32: expect.stringMatching(/^[0-9a-f]{8}$/)
    })
  })

  test('is given the same bytes wherever a chunk ends', async () => {
    for (const chunks of cuts(info.bytes)) {
      const { seen, handler } = keeper()
      const { account } = await read(chunks, { handlers: { 'meter-info': handler } })
      expect(seen.map(({ text }) => text)).toEqual([info.bytes.toString()])
      expect(account.entries[0]).toMatchObject({ outcome: 'handled', bytes: info.bytes.length })
    }
  })

  test('of one kind is given no other', async () => {
    const { seen, handler } = keeper()
    const others = [info, { name: 'notes.txt', bytes: Buffer.from('hello\n') }]
    const { account } = await read(makeZip([...others, intervals]), { handlers: { unknown: handler } })
    expect(seen.map(({ about }) => about.name)).toEqual(['notes.txt'])
    expect(account.entries.map(({ outcome }) => outcome)).toEqual(['unhandled', 'handled', 'used'])
  })

  test('of daily reads takes the place of the reader', async () => {
    const { seen, handler } = keeper()
    const text = `Title\n${dailyHeader}\n'${esiid},07/14/2025,,1,2,1\n`
    const { account, reports } = await read(text, { handlers: { 'daily-reads': handler } })
    expect(reports).toEqual([])
    expect(seen.map(({ text }) => text)).toEqual([text])
    expect(account.entries).toMatchObject([{ kind: 'daily-reads', outcome: 'handled', header: dailyHeader }])
    expect(account.reports).toEqual({})
  })

  test.each<[string, EntryHandler]>([
    ['nothing', () => {}],
    [
      'only the first bytes',
      async entry => {
        for await (const _ of entry) break
      }
    ]
  ])('may read %s: the rest is checked all the same', async (_, handler) => {
    const bytes = Buffer.concat([info.bytes, Buffer.alloc(300_000, 'x')])
    const zip = makeZip([{ name: info.name, bytes }, intervals])
    const handlers = { 'meter-info': handler }
    const { account } = await read(zip, { handlers })
    expect(account.entries[0]).toMatchObject({ outcome: 'handled', bytes: bytes.length })
    // The last byte of the entry is another one.
    const altered = makeZip([{ name: info.name, bytes, method: 'store' }])
    altered[altered.lastIndexOf('x')]! ^= 1
    expect(await failureOf(read(altered, { handlers }))).toMatchObject({ code: 'ZIP_CRC', entry: info.name })
  })

  test('that throws fails the file by name, to be tried again', async () => {
    const cause = new Error('no room')
    const failing = () => {
      throw cause
    }
    const error = await failureOf(read(makeZip([info]), { path: '/in/a.zip', handlers: { 'meter-info': failing } }))
    expect(error).toMatchObject({ code: 'PARSE_HANDLER', retryable: true, file: '/in/a.zip', entry: info.name, cause })
    const later = { 'meter-info': () => Promise.reject(cause) }
    expect(await failureOf(read(makeZip([info]), { handlers: later }))).toMatchObject({ code: 'PARSE_HANDLER', cause })
  })

  test('that swallows what is wrong with the bytes does not save the file', async () => {
    const zip = makeZip([{ ...info, method: 'store' }])
    zip[zip.lastIndexOf('Active')]! ^= 1
    const swallowing: EntryHandler = async entry => {
      try {
        for await (const _ of entry);
      } catch {}
    }
    const error = await failureOf(read(zip, { handlers: { 'meter-info': swallowing } }))
    expect(error).toMatchObject({ code: 'ZIP_CRC', entry: info.name })
    const passing: EntryHandler = async entry => {
      for await (const _ of entry);
    }
    expect(await failureOf(read(zip, { handlers: { 'meter-info': passing } }))).toMatchObject({ code: 'ZIP_CRC' })
  })

  test('hears when the file is given up, and keeps nobody waiting', async () => {
    let heard = false
    const hanging: EntryHandler = entry =>
      new Promise(() => {
        entry.signal.addEventListener('abort', () => {
          heard = true
        })
      })
    const abort = new AbortController()
    const parser = new IntervalParser({ handlers: { 'meter-info': hanging } })
    const work = pipeline(Readable.from([info.bytes]), parser.stream(), { signal: abort.signal })
    setTimeout(() => abort.abort(), 20)
    await expect(work).rejects.toMatchObject({ name: 'AbortError' })
    await pause(1)
    expect(heard).toBe(true)
  })

  test('that is none is refused, and so is one of a kind that there is not', () => {
    const wrong = { 'meter-info': 'print' } as never
    expect(() => new IntervalParser({ handlers: wrong })).toThrow(/`handlers.meter-info` must be a function/)
    expect(() => new IntervalParser({ handlers: { meters: () => {} } as never })).toThrow(/`meters` is not an option/)
  })
})

describe('wouldTake', () => {
  const left = (over: object) =>
    ({ outcome: 'unhandled', kind: 'unknown', name: 'x.csv', header: 'a,b', ...over }) as const
  const handlers = { 'meter-info': () => {}, enrolment: () => {} }

  test.each<[boolean, string, Parameters<IntervalParser['wouldTake']>[0], string?]>([
    [true, 'what a handler is there for', left({ kind: 'meter-info' })],
    [true, 'what an older version did not know, by its header', left({ header: meterInfoHeader })],
    [true, 'what an older version did not know, by its name', left({ name: 'EnrollmentReport.csv' })],
    [true, 'what an older version did not know, by its folder', left({}), '/EnrollmentReports/x.asc'],
    [true, 'daily reads that an older version left', left({ header: dailyHeader })],
    [true, 'what is named like daily reads and whose header nobody looked for', left({ name: 'DailyMeterUsage1.CSV' })],
    [false, 'what is named so and has another header', left({ kind: 'daily-reads', name: 'DailyMeterUsage1.CSV' })],
    [false, 'what nobody is there for', left({})],
    [false, 'what was handed over', left({ kind: 'meter-info', outcome: 'handled' })],
    [false, 'a folder', left({ kind: 'folder' })]
  ])('says %s of %s', (expected, _, entry, file) => {
    expect(new IntervalParser({ handlers }).wouldTake(entry, file)).toBe(expected)
  })

  test('says no of reports that are to be left', () => {
    expect(new IntervalParser({ reports: 'leave' }).wouldTake(left({ header: dailyHeader }))).toBe(false)
  })
})
