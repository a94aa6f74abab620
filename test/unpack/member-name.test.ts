import { readdirSync, statSync, writeFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { ingest } from '../../src/ingest.ts'
import { IntervalParser } from '../../src/parse/interval-parser.ts'
import { NdjsonSink } from '../../src/sink/ndjson.ts'
import { DirectorySource } from '../../src/source/directory-source.ts'
import { makeZip } from '../../src/testing/index.ts'
import { csv, read, row } from '../parse/support.ts'
import { failureOf } from '../support/failure.ts'
import { scratchFolder } from '../support/scratch.ts'
import { type Handmade, handmadeZip, numbers } from './handmade.ts'
import { unpack } from './support.ts'

const nameOf = async (member: Handmade) => (await unpack(handmadeZip(member)))[0]!.name
const isUtf8 = 0x800

describe('a name', () => {
  test('in code page 437 has the letters that IBM gave it', async () => {
    const high = Buffer.from(Array.from({ length: 128 }, (_, i) => 128 + i))
    const name = await nameOf({ name: high })
    expect(name).toHaveLength(128)
    // Beginning, middle and end of the chart; every character but once.
    expect(name).toMatch(/^ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒ.*└┴┬├─┼.*αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00a0$/u)
    expect(new Set(name).size).toBe(128)
    expect(await nameOf({ name: Buffer.from('z\x84hler.csv', 'latin1') })).toBe('zähler.csv')
  })

  test('is UTF-8 where its flag says so, and where it can hardly be anything else', async () => {
    const bytes = Buffer.from('zähler-⚡.csv')
    expect(await nameOf({ name: bytes, flags: isUtf8 })).toBe('zähler-⚡.csv')
    expect(await nameOf({ name: bytes })).toBe('zähler-⚡.csv')
  })

  test('in UTF-8 that is none has a mark where it cannot be read', async () => {
    expect(await nameOf({ name: Buffer.from('a\xffb\xc3', 'latin1'), flags: isUtf8 })).toBe('a\ufffdb\ufffd')
  })

  test('stands in Info-ZIP’s extra field, if that belongs to it', async () => {
    const plain = Buffer.from('z?hler.csv')
    const field = (crc: number, version = 1) => {
      const text = Buffer.from('zähler.csv')
      return Buffer.concat([numbers([2, 0x7075], [2, 5 + text.length], [1, version], [4, crc]), text])
    }
    expect(await nameOf({ name: plain, extra: field(crc32(plain)) })).toBe('zähler.csv')
    expect(await nameOf({ name: plain, extra: field(crc32(plain) - 1) })).toBe('z?hler.csv')
    expect(await nameOf({ name: plain, extra: field(crc32(plain), 2) })).toBe('z?hler.csv')
    expect(await nameOf({ name: plain, extra: numbers([2, 0x7075], [2, 4], [4, 1]) })).toBe('z?hler.csv')
    expect(await nameOf({ name: plain, extra: numbers([2, 0x7075], [2, 60_000], [1, 1]) })).toBe('z?hler.csv')
  })

  test('may be long, empty, or have a NUL, which no store would take', async () => {
    expect(await nameOf({ name: 'x'.repeat(65_535) })).toHaveLength(65_535)
    expect(await nameOf({ name: '' })).toBe('')
    expect(await nameOf({ name: 'a.csv\0.exe' })).toBe('a.csv\ufffd.exe')
  })

  test('is shown without what a terminal would obey, or what would turn it round', async () => {
    const name = 'Interval\u001b[2J\r\n\u202Evsc.exe'
    const bytes = Buffer.from(csv(row(), row({ kwh: 'x' })))
    const { message } = await failureOf(read(makeZip([{ name, bytes }]), { maxRejects: 0 }))
    expect(message).toContain('Interval·[2J···vsc.exe')
  })
})

describe('a name is never a path', () => {
  const names = [
    '../../escaped.csv',
    '/tmp/escaped.csv',
    '..\\..\\escaped.csv',
    'C:\\escaped.csv',
    '\\\\server\\share\\escaped.csv',
    'nul\0.csv',
    '..',
    '/',
    '.ledger.jsonl',
    'x'.repeat(5000),
    ''
  ]

  test.each(names)('%j writes nothing outside of its store', async name => {
    const folder = scratchFolder()
    const [inbox, directory] = [join(folder, 'a', 'inbox'), join(folder, 'a', 'intervals')]
    await mkdir(inbox, { recursive: true })
    // Twice: as a member, and as an archive with a member of that name.
    const inner = makeZip([{ name, bytes: Buffer.from(csv(row({ start: ' 00:15', end: ' 00:30' }))) }])
    const zip = makeZip([
      { name, bytes: Buffer.from(csv(row())) },
      { name, bytes: inner }
    ])
    writeFileSync(join(inbox, 'Interval.zip'), zip)
    const outside = () => listed(folder).filter(path => !path.startsWith(join('a', 'intervals')))
    const before = outside()
    const sink = new NdjsonSink({ directory })
    const outcomes: unknown[] = []
    const source = new DirectorySource({ directories: [inbox], settleMs: 1 })
    for await (const { state, rows } of ingest({ source, parser: new IntervalParser(), sink })) {
      outcomes.push([state, rows?.inserted])
    }
    await sink.close()
    expect(outcomes).toEqual([['committed', 2]])
    expect(outside()).toEqual(before)
    expect(before).toEqual(['a', join('a', 'inbox'), join('a', 'inbox', 'Interval.zip')])
    const made = readdirSync(directory).filter(path => path.endsWith('.ndjson') && !path.startsWith('.'))
    expect(made).toHaveLength(1)
    expect(statSync(join(directory, made[0]!)).isFile()).toBe(true)
  })
})

function listed(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort()
}
