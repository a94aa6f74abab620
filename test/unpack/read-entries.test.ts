import { randomBytes } from 'node:crypto'
import { createReadStream, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { crc32 } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { AbortError, SourceError, UnpackError } from '../../src/errors.ts'
import { makeZip, type ZipOptions } from '../../src/testing/index.ts'
import { readEntries } from '../../src/unpack/read-entries.ts'
import { failureOf } from '../support/failure.ts'
import { scratchFolder } from '../support/scratch.ts'
import { type Handmade, handmadeZip } from './handmade.ts'
import { chunked, contents, cuts, directoryAt, leaveInTheMiddle, pieces, textOf, unpack } from './support.ts'

const hello = Buffer.from('hello '.repeat(20))
const members = [
  { name: 'IntervalMeterUsage.CSV', bytes: hello },
  { name: 'folder/stored.bin', bytes: Buffer.from([80, 75, 3, 4, 0, 255]), method: 'store' as const },
  { name: 'empty.txt', bytes: Buffer.alloc(0) }
]
const expected = members.map(({ name, bytes }) => [name, bytes.toString('latin1')])
const file = '/inbox/x.zip'

describe('what is no archive', () => {
  test('is one entry with the name of the file', async () => {
    expect(await unpack(hello, { name: 'a.csv' })).toEqual([
      { index: 0, name: 'a.csv', packed: false, text: hello.toString(), crc32: undefined }
    ])
  })

  test('is called file where nobody named it', async () => {
    expect((await unpack(Buffer.from('x')))[0]!.name).toBe('file')
  })

  test('is the same wherever a chunk ends', async () => {
    for (const chunks of cuts(Buffer.from('PK, said the file'))) {
      expect(contents(await unpack(chunks))).toEqual([['file', 'PK, said the file']])
    }
  })

  test('is told by its first bytes alone, whatever its name', async () => {
    expect((await unpack(hello, { name: 'a.zip' }))[0]!.packed).toBe(false)
    expect((await unpack(makeZip(members), { name: 'a.csv' }))[0]!.packed).toBe(true)
  })

  test('may not be empty', async () => {
    const error = await failureOf(unpack([], { name: 'a.csv', file }))
    expect(error).toMatchObject({ code: 'PARSE_EMPTY', file })
  })
})

describe('archives', () => {
  test.each([
    ['sizes in the headers', {}],
    ['sizes in descriptors', { dataDescriptors: true }],
    ['a comment', { comment: 'PK\u0005\u0006 made by nobody' }]
  ] as [string, ZipOptions][])('with %s give their members in order', async (_, options) => {
    const archive = options.dataDescriptors ? members.filter(({ method }) => !method) : members
    const entries = await unpack(makeZip(archive, options))
    expect(contents(entries)).toEqual(archive.map(({ name, bytes }) => [name, bytes.toString('latin1')]))
    expect(entries.map(({ index, packed }) => [index, packed])).toEqual(archive.map((_, i) => [i, true]))
    expect(entries.map(entry => entry.crc32)).toEqual(archive.map(({ bytes }) => crc32(bytes)))
  })

  test('are the same wherever a chunk ends', async () => {
    for (const [options, list] of [
      [{}, members],
      [{ dataDescriptors: true }, [members[0]!, members[2]!]]
    ] as const) {
      const zip = makeZip(list, options)
      const whole = await unpack(zip)
      expect(whole).toHaveLength(list.length)
      for (const chunks of cuts(zip)) expect(await unpack(chunks)).toEqual(whole)
    }
  })

  test('may hold what looks like their own signatures', async () => {
    const traps = [0x04034b50, 0x08074b50, 0x02014b50, 0x06054b50].map(n => {
      const bytes = Buffer.alloc(64)
      bytes.writeUInt32LE(n)
      return bytes.toString('latin1')
    })
    const content = traps.join('').repeat(5)
    const descriptors = [true, false].flatMap(signed => [true, false].map(wide => ({ signed, wide })))
    const list: Handmade[] = [
      { content, method: 0 },
      { content, level: 0 },
      ...descriptors.map(descriptor => ({ content, level: 0, descriptor }))
    ]
    const zip = handmadeZip(...list)
    expect((await unpack(zip)).map(({ text }) => text)).toEqual(list.map(() => content))
    for (const size of [1, 7, 64]) {
      expect((await unpack(pieces(zip, size))).map(({ text }) => text)).toEqual(list.map(() => content))
    }
  })

  test('may carry sizes of 64 bits', async () => {
    const descriptor = { signed: true, wide: true }
    const zip = handmadeZip(
      { zip64: true, content: 'one' },
      { zip64: true, method: 0, content: 'two' },
      { zip64: true, descriptor }
    )
    for (const chunks of cuts(zip))
      expect((await unpack(chunks)).map(({ text }) => text)).toEqual(['one', 'two', 'hello'])
  })

  test('may be larger than any buffer on their way', async () => {
    const noise = randomBytes(700_000)
    const text = Buffer.from('0.123,A,Consumption\n'.repeat(100_000))
    for (const dataDescriptors of [false, true]) {
      const zip = makeZip(
        [
          { name: 'noise', bytes: noise },
          { name: 'text', bytes: text }
        ],
        { dataDescriptors }
      )
      const entries = await unpack(pieces(zip, 65_536))
      expect(entries.map(entry => entry.crc32)).toEqual([crc32(noise), crc32(text)])
      expect(entries.map(entry => entry.text.length)).toEqual([noise.length, text.length])
    }
  })

  test('without members are empty files', async () => {
    expect(await failureOf(unpack(makeZip([]), { file }))).toMatchObject({ code: 'PARSE_EMPTY', file })
  })

  test('name their members as labels only, never as paths', async () => {
    const names = ['../../etc/passwd', '/abs.csv', 'C:\\x.csv', 'same', 'same', 'ümlaut.csv', '']
    const zip = makeZip(names.map(name => ({ name, bytes: hello })))
    expect((await unpack(zip)).map(({ name }) => name)).toEqual(names)
  })
})

describe('I4: verified before visible', () => {
  const refusal = async (zip: Uint8Array, code: string, entry?: string) => {
    const error = await failureOf(unpack(zip, { file }))
    expect(error).toBeInstanceOf(UnpackError)
    expect(error).toMatchObject({ code, file, entry, retryable: false, stopsRun: false })
    return error
  }

  test.each([true, false])('refuses a checksum that does not match, in descriptors: %s', async dataDescriptors => {
    const list = [members[2]!, members[0]!]
    const zip = makeZip(list, { dataDescriptors, breakCrcOf: 'IntervalMeterUsage.CSV' })
    const error = await refusal(zip, 'ZIP_CRC', 'IntervalMeterUsage.CSV')
    expect(error.message).toContain('/inbox/x.zip entry IntervalMeterUsage.CSV')
  })

  test('refuses a checksum that does not match although nobody read the entry', async () => {
    const zip = makeZip(members, { breakCrcOf: 'IntervalMeterUsage.CSV' })
    const names: string[] = []
    const work = (async () => {
      for await (const { name } of readEntries(chunked([zip]))) names.push(name)
    })()
    expect((await failureOf(work)).code).toBe('ZIP_CRC')
    expect(names).toEqual(['IntervalMeterUsage.CSV'])
  })

  test.each([
    ['a size', { lie: { size: 6 } }, 'ZIP_SIZE'],
    ['a packed size beyond its end', { lie: { packedSize: 9 }, content: 'hello' }, 'ZIP_SIZE'],
    ['a packed size short of its end', { lie: { packedSize: 3 } }, 'ZIP_CORRUPT'],
    ['a size of a stored member', { method: 0, lie: { packedSize: 4 } }, 'ZIP_SIZE'],
    ['a size of 64 bits', { zip64: true, lie: { size: 6 } }, 'ZIP_SIZE'],
    ['a size in a descriptor', { descriptor: { signed: true, wide: false }, lie: { size: 6 } }, 'ZIP_CRC'],
    ['a packed size in a descriptor', { descriptor: { signed: false, wide: true }, lie: { packedSize: 6 } }, 'ZIP_CRC']
  ] as [string, Handmade, string][])('refuses %s that is not true', async (_, member, code) => {
    await refusal(handmadeZip(member), code, 'a.csv')
  })

  test('refuses data that is no deflate stream', async () => {
    const zip = handmadeZip({ content: 'hello '.repeat(50) })
    zip.fill(0xff, 40, 50)
    const error = await refusal(zip, 'ZIP_CORRUPT', 'a.csv')
    expect(error.cause).toMatchObject({ code: expect.stringMatching(/^Z_/) })
  })

  test.each([0x1, 0x40, 0x2000])('refuses a member that is encrypted (flag %i)', async flags => {
    await refusal(handmadeZip({ flags }), 'ZIP_ENCRYPTED', 'a.csv')
  })

  test('refuses a member that WinZip encrypts by AES, and a directory that is encrypted', async () => {
    await refusal(handmadeZip({ method: 99 }), 'ZIP_ENCRYPTED', 'a.csv')
    const zip = handmadeZip({})
    const before = Buffer.from([80, 75, 6, 8, 0, 0, 0, 0])
    const hidden = Buffer.concat([zip.subarray(0, directoryAt(zip)), before, zip.subarray(directoryAt(zip))])
    expect((await refusal(hidden, 'ZIP_ENCRYPTED')).message).toContain('the directory is encrypted')
  })

  test('refuses what cannot be read front to back', async () => {
    for (const [method, name] of [
      [1, 'Shrink'],
      [9, 'Deflate64'],
      [12, 'bzip2'],
      [14, 'LZMA'],
      [93, 'Zstandard'],
      [97, 'an unknown method']
    ] as const) {
      const { message } = await refusal(handmadeZip({ method }), 'ZIP_UNSUPPORTED', 'a.csv')
      expect(message).toContain(`packed by ${name} (method ${method})`)
    }
    await refusal(handmadeZip({ flags: 0x20 }), 'ZIP_UNSUPPORTED', 'a.csv')
    const error = await refusal(makeZip(members, { dataDescriptors: true }), 'ZIP_UNSUPPORTED', 'folder/stored.bin')
    expect(error.message).toContain('a stored member of unknown length')
    // The empty descriptor that it begins with is none.
    for (const content of ['\0'.repeat(40), `PK\u0007\b${'\0'.repeat(40)}`]) {
      const zip = handmadeZip({ content, method: 0, descriptor: { signed: true, wide: false } })
      await refusal(zip, 'ZIP_UNSUPPORTED', 'a.csv')
    }
  })
})

describe('one entry after another', () => {
  test('an entry read halfway leaves the next one right', async () => {
    const long = randomBytes(600_000)
    for (const method of ['deflate', 'store'] as const) {
      const zip = makeZip([{ name: 'long', bytes: long, method }, ...members])
      const seen: string[][] = []
      for await (const entry of readEntries(chunked([zip.subarray(0, 1000), zip.subarray(1000)]))) {
        if (entry.name !== 'long') seen.push([entry.name, await textOf(entry)])
        else for await (const _ of entry) break
      }
      expect(seen).toEqual(expected)
    }
  })

  test('an entry read halfway can be read on', async () => {
    const bytes = randomBytes(600_000)
    for (const file of [makeZip([{ name: 'long', bytes }]), bytes]) {
      for await (const entry of readEntries(chunked([file.subarray(0, 1000), file.subarray(1000)]))) {
        const chunks = entry[Symbol.asyncIterator]()
        const first = Buffer.from((await chunks.next()).value!).toString('latin1')
        expect(first + (await textOf({ [Symbol.asyncIterator]: () => chunks }))).toBe(bytes.toString('latin1'))
      }
    }
  })

  test('entries that nobody reads are passed over', async () => {
    const names: string[] = []
    for await (const { name } of readEntries(chunked([makeZip(members)]))) names.push(name)
    expect(names).toEqual(members.map(({ name }) => name))
  })

  test('an entry tells its checksum only when it was read to its end', async () => {
    for await (const entry of readEntries(chunked([makeZip([members[0]!])]))) {
      expect(entry.crc32).toBeUndefined()
      await textOf(entry)
      expect(entry.crc32).toBe(crc32(hello))
    }
  })
})

describe('what happens upstream', () => {
  const noise = randomBytes(100_000)
  const zip = makeZip([{ name: 'noise', bytes: noise, method: 'deflate' }], { dataDescriptors: true })

  test.each([
    ['of ours', new SourceError('SFTP_DISCONNECTED', 'the connection broke')],
    ['of an abort', new AbortError()],
    ['of somebody else', Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' })]
  ])('an error %s comes out as it went in, wherever it strikes', async (_, broken) => {
    for (const at of [0, 2, 20, 5000, zip.length - 30]) {
      async function* source() {
        if (at > 0) yield zip.subarray(0, at)
        throw broken
      }
      await expect(unpack(source())).rejects.toBe(broken)
    }
  })

  test('a loop that is left lets go of the file', async () => {
    for (const at of [3, 1000]) {
      const path = join(scratchFolder(), 'x')
      writeFileSync(path, at === 3 ? noise : zip)
      const stream = createReadStream(path, { highWaterMark: 1000 })
      for await (const entry of readEntries(stream)) {
        for await (const _ of entry) break
        break
      }
      await sleep(10)
      expect(stream.destroyed).toBe(true)
    }
  })

  test('a loop that is left does not wait for a file that has stalled', async () => {
    const stalled = new PassThrough()
    stalled.write(zip.subarray(0, 50_000))
    expect(await leaveInTheMiddle(stalled)).toBeGreaterThan(0)
    stalled.destroy()
  })

  test('no more is asked for than what is read', async () => {
    let asked = 0
    const source = Readable.from(
      (function* () {
        for (let at = 0; at < zip.length; at += 1000) {
          asked++
          yield zip.subarray(at, at + 1000)
        }
      })(),
      { highWaterMark: 1 }
    )
    for await (const entry of readEntries(source)) {
      for await (const _ of entry) break
      break
    }
    expect(asked).toBeLessThan(50)
  })
})
