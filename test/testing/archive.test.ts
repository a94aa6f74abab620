import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inflateRawSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { makeZip, type ZipOptions } from '../../src/testing/index.ts'
import { requireReal } from '../support/real.ts'
import { scratchFolder } from '../support/scratch.ts'

const hello = Buffer.from('hello '.repeat(100))
const entries = [
  { name: 'IntervalMeterUsage.CSV', bytes: hello },
  { name: 'folder/stored.bin', bytes: Buffer.from([1, 2, 3]), method: 'store' as const },
  { name: 'empty.txt', bytes: Buffer.alloc(0) }
]

function saved(options?: ZipOptions): string {
  const path = join(scratchFolder(), 'made.zip')
  writeFileSync(path, makeZip(entries, options))
  return path
}

describe('the bytes', () => {
  test('are a local header, the member, the directory and the end record', () => {
    const zip = makeZip([{ name: 'a.txt', bytes: Buffer.from('123456789') }])
    expect(zip.readUInt32LE(0)).toBe(0x04034b50)
    // The check value of CRC-32 that every description of it gives.
    expect(zip.readUInt32LE(14)).toBe(0xcbf43926)
    const packedSize = zip.readUInt32LE(18)
    expect(zip.toString('latin1', 30, 35)).toBe('a.txt')
    expect(inflateRawSync(zip.subarray(35, 35 + packedSize)).toString()).toBe('123456789')
    const directoryAt = 35 + packedSize
    expect(zip.readUInt32LE(directoryAt)).toBe(0x02014b50)
    expect(zip.readUInt32LE(directoryAt + 16)).toBe(0xcbf43926)
    const end = zip.length - 22
    expect(zip.readUInt32LE(end)).toBe(0x06054b50)
    expect(zip.readUInt32LE(end + 12)).toBe(end - directoryAt)
    expect(zip.readUInt32LE(end + 16)).toBe(directoryAt)
  })

  test('carry sizes and CRC after the member when descriptors are asked for', () => {
    const zip = makeZip([{ name: 'a.txt', bytes: Buffer.from('123456789') }], { dataDescriptors: true })
    expect(zip.readUInt16LE(6) & 8).toBe(8)
    expect(zip.subarray(14, 26)).toEqual(Buffer.alloc(12))
    const at = zip.indexOf(Buffer.from([0x50, 0x4b, 0x07, 0x08]))
    expect([zip.readUInt32LE(at + 4), zip.readUInt32LE(at + 8), zip.readUInt32LE(at + 12)]).toEqual([
      0xcbf43926,
      at - 35,
      9
    ])
    expect(zip.readUInt32LE(at + 16)).toBe(0x02014b50)
  })

  test('are the same each time', () => {
    expect(makeZip(entries)).toEqual(makeZip(entries))
  })
})

describe.each([
  ['sizes in the local header', {}],
  ['sizes in descriptors', { dataDescriptors: true }],
  ['a comment', { comment: 'made by nobody' }]
] as [string, ZipOptions][])('with %s', (_, options) => {
  test.skipIf(!requireReal('unzip'))('unzip finds the archive whole', () => {
    const path = saved(options)
    const { status, stdout } = spawnSync('unzip', ['-t', path], { encoding: 'utf8' })
    expect(stdout).toContain('No errors detected')
    expect(status).toBe(0)
    expect(spawnSync('unzip', ['-p', path, 'IntervalMeterUsage.CSV']).stdout).toEqual(hello)
  })
})

test.skipIf(!requireReal('unzip'))('unzip finds the member whose CRC is broken, and only that one', () => {
  for (const dataDescriptors of [false, true]) {
    const path = saved({ breakCrcOf: 'IntervalMeterUsage.CSV', dataDescriptors })
    const { status, stdout, stderr } = spawnSync('unzip', ['-t', path], { encoding: 'utf8' })
    expect(stdout + stderr).toMatch(/IntervalMeterUsage\.CSV\s+bad CRC/)
    expect(stdout).toMatch(/stored\.bin\s+OK/)
    expect(status).toBe(2)
  }
})
