import { execFileSync } from 'node:child_process'
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
import { requireReal } from '../support/real.ts'
import { scratchFolder } from '../support/scratch.ts'
import { chunked, contents, cuts, type Handmade, handmadeZip, textOf, unpack } from './support.ts'

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
      const pieces = Array.from({ length: Math.ceil(zip.length / size) }, (_, i) =>
        zip.subarray(i * size, (i + 1) * size)
      )
      expect((await unpack(pieces)).map(({ text }) => text)).toEqual(list.map(() => content))
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
      const pieces = Array.from({ length: Math.ceil(zip.length / 65_536) }, (_, i) =>
        zip.subarray(i * 65_536, (i + 1) * 65_536)
      )
      const entries = await unpack(pieces)
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

describe('made by real programs', () => {
  const saved = () => {
    const folder = scratchFolder()
    for (const [name, bytes] of [
      ['a.csv', hello],
      ['b.bin', randomBytes(50)]
    ] as const)
      writeFileSync(join(folder, name), bytes)
    return folder
  }

  test.skipIf(!requireReal('zip'))('zip: into a file, into a pipe, from a pipe', async () => {
    const cwd = saved()
    execFileSync('zip', ['-q', 'out.zip', 'a.csv', 'b.bin'], { cwd })
    const entries = await unpack(createReadStream(join(cwd, 'out.zip')))
    expect(entries.map(({ name }) => name)).toEqual(['a.csv', 'b.bin'])
    const piped = await unpack(execFileSync('zip', ['-q', '-', 'a.csv'], { cwd }))
    expect(contents(piped)).toEqual([['a.csv', hello.toString()]])
    const stdin = await unpack(execFileSync('zip', ['-q', '-', '-'], { cwd, input: hello }))
    expect(contents(stdin)).toEqual([['-', hello.toString()]])
  })

  test.skipIf(!requireReal('python3'))('python: into a file, into a pipe, with 64-bit sizes', async () => {
    const cwd = saved()
    const script = `
import sys, zipfile
with zipfile.ZipFile('out.zip', 'w', zipfile.ZIP_DEFLATED) as z: z.write('a.csv'); z.write('b.bin', compress_type=0)
class Pipe:
    def write(self, b): return sys.stdout.buffer.write(b)
    def flush(self): pass
with zipfile.ZipFile(Pipe(), 'w', zipfile.ZIP_DEFLATED) as z:
    z.write('a.csv')
    with z.open('wide.csv', 'w', force_zip64=True) as f: f.write(open('a.csv', 'rb').read())
`
    const piped = await unpack(execFileSync('python3', ['-c', script], { cwd }))
    expect(contents(piped)).toEqual([
      ['a.csv', hello.toString()],
      ['wide.csv', hello.toString()]
    ])
    const written = await unpack(createReadStream(join(cwd, 'out.zip')))
    expect(written.map(({ name, text }) => [name, text.length])).toEqual([
      ['a.csv', 120],
      ['b.bin', 50]
    ])
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

  test('refuses a member that the directory does not list', async () => {
    const [both, one] = [makeZip(members.slice(0, 2)), makeZip(members.slice(0, 1))]
    const hidden = Buffer.concat([both.subarray(0, directoryAt(both)), one.subarray(directoryAt(one))])
    expect((await refusal(hidden, 'ZIP_DIRECTORY')).message).toContain('lists 1 of 2 members')
  })

  test('refuses a directory that lists a member that is not there', async () => {
    const [both, one] = [makeZip(members.slice(0, 2)), makeZip(members.slice(0, 1))]
    const missing = Buffer.concat([one.subarray(0, directoryAt(one)), both.subarray(directoryAt(both))])
    await refusal(missing, 'ZIP_DIRECTORY', 'folder/stored.bin')
  })

  test('refuses a directory with another name or order', async () => {
    const zip = makeZip(members)
    const renamed = Buffer.from(zip)
    renamed.write('X', directoryAt(zip) + 46)
    await refusal(renamed, 'ZIP_DIRECTORY', 'XntervalMeterUsage.CSV')
    const turned = makeZip(members.toReversed())
    await refusal(
      Buffer.concat([zip.subarray(0, directoryAt(zip)), turned.subarray(directoryAt(turned))]),
      'ZIP_DIRECTORY',
      'empty.txt'
    )
  })

  test('refuses an archive without its directory', async () => {
    const zip = makeZip(members)
    await refusal(zip.subarray(0, directoryAt(zip)), 'ZIP_TRUNCATED')
    await refusal(Buffer.concat([zip.subarray(0, directoryAt(zip)), zip.subarray(-22)]), 'ZIP_DIRECTORY')
  })

  test('refuses bytes behind the end, and between members and directory', async () => {
    const zip = makeZip(members)
    await refusal(Buffer.concat([zip, Buffer.from('\n')]), 'ZIP_CORRUPT')
    await refusal(Buffer.concat([zip, zip]), 'ZIP_CORRUPT')
    const between = [zip.subarray(0, directoryAt(zip)), Buffer.from('junk'), zip.subarray(directoryAt(zip))]
    expect((await failureOf(unpack(Buffer.concat(between)))).code).toMatch(/^ZIP_(CORRUPT|DIRECTORY)$/)
  })

  test.each([0x1, 0x40, 0x2000])('refuses a member that is encrypted (flag %i)', async flags => {
    await refusal(handmadeZip({ flags }), 'ZIP_ENCRYPTED', 'a.csv')
  })

  test('refuses what cannot be read front to back', async () => {
    for (const method of [1, 9, 12, 14, 93, 99]) await refusal(handmadeZip({ method }), 'ZIP_UNSUPPORTED', 'a.csv')
    const error = await refusal(makeZip(members, { dataDescriptors: true }), 'ZIP_UNSUPPORTED', 'folder/stored.bin')
    expect(error.message).toContain('a stored member of unknown length')
  })

  test.each([{}, { dataDescriptors: true }])(
    'refuses an archive that ends anywhere before its end (%j)',
    async options => {
      const zip = makeZip([members[0]!, members[2]!], options)
      for (let length = 4; length < zip.length; length++) {
        for (const chunks of [[zip.subarray(0, length)], [zip.subarray(0, 4), zip.subarray(4, length)]]) {
          const error = await failureOf(unpack(chunks, { file }))
          expect(error, `cut at ${length}`).toMatchObject({ code: 'ZIP_TRUNCATED', file })
        }
      }
      // Three bytes do not tell an archive yet; they are a file of no use.
      expect(await unpack(zip.subarray(0, 3))).toMatchObject([{ packed: false, text: 'PK\u0003' }])
    }
  )

  test.each([
    ['sizes in the headers', {}, [members[0]!, members[1]!]],
    ['sizes in descriptors', { dataDescriptors: true }, [members[0]!]]
  ] as const)('with %s: every byte that is changed gives an error, or the same members', async (_, options, list) => {
    const zip = makeZip(list, { ...options, comment: 'hi' })
    const whole = await unpack(zip)
    const inert = inertBytes(zip)
    // The first four bytes tell an archive: without them the file is another one, and its header refuses it.
    for (let at = 4; at < zip.length; at++) {
      for (const mask of [0x01, 0x80, 0xff]) {
        const changed = Buffer.from(zip)
        changed[at]! ^= mask
        const outcome = await unpack(changed, { file }).catch((error: unknown) => error)
        if (Array.isArray(outcome)) {
          expect(outcome, `byte ${at}`).toEqual(whole)
          expect(inert.has(at), `byte ${at} ^ ${mask} changes nothing, and is not known to`).toBe(true)
        } else {
          expect(outcome, `byte ${at}`).toBeInstanceOf(UnpackError)
          expect(outcome, `byte ${at}`).toMatchObject({ file })
        }
      }
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
    let read = 0
    for await (const entry of readEntries(stalled)) {
      for await (const chunk of entry) {
        read += chunk.length
        break
      }
      break
    }
    expect(read).toBeGreaterThan(0)
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

/** Where the directory begins, as the end record says. */
function directoryAt(zip: Buffer): number {
  return zip.readUInt32LE(zip.lastIndexOf(Buffer.from([80, 75, 5, 6])) + 16)
}

/**
 * The bytes that say nothing about the members' names and contents, or say what is said elsewhere and compared there:
 * versions, times, attributes, places to seek to, and counts in the directory and the end record.
 */
function inertBytes(zip: Buffer): Set<number> {
  const inert = new Set<number>()
  const add = (from: number, length: number) => {
    for (let at = from; at < from + length; at++) inert.add(at)
  }
  let members = 0
  for (let at = directoryAt(zip); zip.readUInt32LE(at) === 0x02014b50; at += 46 + zip.readUInt16LE(at + 28)) {
    const local = zip.readUInt32LE(at + 42)
    // Local header: version, flags (UTF-8 for a name in ASCII, hints for the packer), time and date.
    add(local + 4, 4)
    add(local + 10, 4)
    // Deflate ends within a byte; the bits behind its end mean nothing.
    add(
      local + 29 + zip.readUInt16LE(local + 26) + zip.readUInt32LE(at + 20),
      zip.readUInt16LE(local + 8) === 8 ? 1 : 0
    )
    // With a descriptor, checksum and sizes stand behind the data.
    if (zip.readUInt16LE(local + 6) & 8) add(local + 14, 12)
    // Directory: versions, flags, method, time and date; packed size; disk, attributes and offset.
    add(at + 4, 12)
    add(at + 20, 4)
    add(at + 34, 12)
    members++
  }
  // End record: disks, counts, size and offset of the directory; the comment itself.
  const end = zip.lastIndexOf(Buffer.from([80, 75, 5, 6]))
  add(end + 4, 16)
  add(end + 22, zip.length - end - 22)
  expect(members).toBeGreaterThan(0)
  return inert
}
