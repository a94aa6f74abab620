import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { constants, crc32, deflateRawSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { readEntries } from '../../src/unpack/read-entries.ts'
import { descriptorOf, handmadeZip, numbers } from './handmade.ts'
import { directoryAt } from './support.ts'

const MIB = 1024 * 1024

/** A deflated megabyte that ends at a whole byte, so that it may come again and again. */
const block = Buffer.alloc(MIB, 'hello, said the meter\n')
const packedBlock = deflateRawSync(block, { finishFlush: constants.Z_FULL_FLUSH })
const lastBlock = Buffer.from([3, 0])

test('a member of more than 4 GiB is read whole, and its 64-bit sizes are compared', async () => {
  const blocks = 4097
  const [packedSize, size] = [blocks * packedBlock.length + lastBlock.length, blocks * MIB]
  let crc = 0
  for (let i = 0; i < blocks; i++) crc = crc32(block, crc)

  // The parts of an archive whose only member says all this, with the data taken out.
  const read = async (said: number) => {
    const lie = { crc, packedSize, size: said }
    const descriptor = { signed: true, wide: true }
    const zip = handmadeZip({ zip64: true, content: '', descriptor, lie })
    const head = zip.subarray(0, zip.indexOf(descriptorOf(lie, descriptor)) - deflateRawSync('').length)
    const central = zip.indexOf(Buffer.from([80, 75, 1, 2]))
    const tail = Buffer.from(zip.subarray(central))
    // Directory and end stand so much later.
    const moved = central + packedSize - deflateRawSync('').length
    const wideEnd = tail.indexOf(Buffer.from([80, 75, 6, 6]))
    tail.writeBigUInt64LE(BigInt(moved), wideEnd + 48)
    tail.writeBigUInt64LE(BigInt(moved + wideEnd), tail.indexOf(Buffer.from([80, 75, 6, 7])) + 8)
    async function* chunks() {
      yield head
      for (let i = 0; i < blocks; i++) yield packedBlock
      yield Buffer.concat([lastBlock, descriptorOf(lie, descriptor), tail])
    }
    let length = 0
    for await (const entry of readEntries(chunks(), { archiveLimits: { maxRatio: 1100 } })) {
      for await (const chunk of entry) length += chunk.length
      expect(entry.crc32).toBe(crc)
    }
    return length
  }

  expect(await read(size)).toBe(size)
}, 120_000)

test('I8: 70,000 members stream by in flat memory, counted in 64 bits', async () => {
  const members = 70_000
  const bytes = Buffer.from('hello')
  const sample = handmadeZip({ name: '000000', content: bytes, method: 0 })
  const central = directoryAt(sample)
  const [local, listed] = [sample.subarray(0, central), sample.subarray(central, -22)]
  const named = (part: Buffer, at: number, i: number) => {
    const copy = Buffer.from(part)
    copy.write(String(i).padStart(6, '0'), at)
    return copy
  }
  async function* chunks() {
    for (let i = 0; i < members; i++) yield named(local, 30, i)
    for (let i = 0; i < members; i++) {
      const header = named(listed, 46, i)
      header.writeUInt32LE(i * local.length, 42)
      yield header
    }
    const [at, size] = [members * local.length, members * listed.length]
    yield numbers([4, 0x06064b50], [8, 44], [4, 0], [8, 0], [8, members], [8, members], [8, size], [8, at])
    yield numbers([4, 0x07064b50], [4, 0], [8, at + size], [4, 1])
    yield numbers([4, 0x06054b50], [4, 0], [4, 0xffffffff], [4, size], [4, at], [2, 0])
  }
  let count = 0
  let sum = 0
  const held: number[] = []
  for await (const entry of readEntries(chunks(), { archiveLimits: { maxEntries: members } })) {
    for await (const chunk of entry) sum += chunk.length
    if (++count % 20_000 === 0) held.push(heldMemory())
  }
  expect([count, sum]).toEqual([members, members * bytes.length])
  const [first, , third] = held as [number, number, number]
  // What is kept of each is compared with the directory.
  expect((third - first) / 40_000).toBeLessThan(300)
}, 60_000)

/** Bytes that the collector leaves. */
function heldMemory(): number {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}
