import { describe, expect, test } from 'vitest'
import { UnpackError } from '../../src/errors.ts'
import { makeZip } from '../../src/testing/index.ts'
import { failureOf } from '../support/failure.ts'
import { handmadeArchive, handmadeZip } from './handmade.ts'
import { cuts, directoryAt, pieces, type ReadEntry, unpack } from './support.ts'

const file = '/inbox/x.zip'
const content = 'PK\u0003\u0004, said the file. '.repeat(2)

const descriptors = [true, false].flatMap(signed => [true, false].map(wide => ({ signed, wide })))

/** Small archives of every kind that there is. */
const archives: readonly (readonly [string, Buffer])[] = [
  ['stored', handmadeZip({ content, method: 0 }, { name: 'b', content: 'two', method: 0 })],
  ['deflated', handmadeZip({ content }, { name: 'b', content: 'two' })],
  ['empty members and folders', handmadeZip({ content: '' }, { name: 'x/', content: '', method: 0 })],
  [
    'empty stored members before descriptors',
    handmadeZip(...[true, false].map(wide => ({ content: '', method: 0, descriptor: { signed: false, wide } })))
  ],
  ['a comment', handmadeArchive([{ content }], { comment: Buffer.from('made by nobody') })],
  ['64-bit sizes', handmadeZip({ content, zip64: true }, { name: 'b', content: 'two', method: 0, zip64: true })],
  [
    'a ZIP in it',
    makeZip([{ name: 'in.zip', method: 'store', bytes: makeZip([{ name: 'a.csv', bytes: Buffer.from(content) }]) }])
  ],
  ...descriptors.map(descriptor => {
    const title = `descriptors, signed: ${descriptor.signed}, wide: ${descriptor.wide}`
    return [title, handmadeZip({ content, descriptor }, { name: 'b', content: '', descriptor })] as const
  })
]

/** An answer in time, or an error that says there was none. */
async function within<T>(work: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no end after five seconds: ${what}`)), 5000)
  })
  return Promise.race([work, late]).finally(() => clearTimeout(timer))
}

describe.each(archives)('an archive with %s', (_, zip) => {
  test('gives the same wherever a chunk ends', async () => {
    const whole = await unpack(zip)
    expect(whole.length).toBeGreaterThan(0)
    for (const chunks of cuts(zip)) expect(await within(unpack(chunks), `${chunks[0]!.length}`)).toEqual(whole)
    for (const length of [2, 3, 7, 64]) expect(await unpack(pieces(zip, length))).toEqual(whole)
  })

  test('is refused when it ends anywhere before its end', async () => {
    for (let length = 4; length < zip.length; length++) {
      const start = zip.subarray(0, length)
      for (const chunks of [[start], [start.subarray(0, 4), start.subarray(4)], pieces(start, 1)]) {
        const error = await failureOf(within(unpack(chunks, { file }), `cut at ${length}`))
        expect(error, `cut at ${length}`).toMatchObject({ code: 'ZIP_TRUNCATED', file })
      }
    }
    // Three bytes do not tell an archive yet; they are a file of no use.
    expect(await unpack(zip.subarray(0, 3))).toMatchObject([{ packed: false, text: 'PK\u0003' }])
  })

  test('gives an error, or the very same, for every byte that is changed', async () => {
    const whole = await unpack(zip)
    const inert = inertBytes(zip)
    const found = new Set<number>()
    // The first four bytes tell an archive: without them the file is another one, and its header refuses it.
    for (let at = 4; at < zip.length; at++) {
      for (const mask of [0x01, 0x04, 0x80, 0xff]) {
        const changed = Buffer.from(zip)
        changed[at]! ^= mask
        for (const chunks of mask === 0xff ? [[changed], pieces(changed, 16)] : [[changed]]) {
          const outcome = await within(outcomeOf(chunks), `byte ${at} ^ ${mask}`)
          if (outcome instanceof Error) {
            expect(outcome, `byte ${at}`).toBeInstanceOf(UnpackError)
            expect(outcome, `byte ${at}`).toMatchObject({ file })
          } else {
            expect(outcome, `byte ${at}`).toEqual(whole)
            expect(inert.has(at), `byte ${at} ^ ${mask} changes nothing, and is not known to`).toBe(true)
            found.add(at)
          }
        }
      }
    }
    // The list of what changes nothing is no longer than it must be.
    expect([...inert].filter(at => !found.has(at))).toEqual([])
  })
})

function outcomeOf(chunks: Uint8Array[]): Promise<ReadEntry[] | Error> {
  return unpack(chunks, { file }).catch((error: Error) => error)
}

/** The bytes that say nothing of the members: versions, times, attributes, comments, what foreign extra fields hold. */
function inertBytes(zip: Buffer): Set<number> {
  const inert = new Set<number>()
  const add = (from: number, length: number) => {
    for (let at = from; at < from + length; at++) inert.add(at)
  }
  let central = directoryAt(zip)
  if (central === 0xffffffff) central = Number(zip.readBigUInt64LE(zip.indexOf(Buffer.from([80, 75, 6, 6])) + 48))
  for (; zip.readUInt32LE(central) === 0x02014b50; ) {
    const [nameLength, extraLength] = [zip.readUInt16LE(central + 28), zip.readUInt16LE(central + 30)]
    const extra = central + 46 + nameLength
    const isWide = extraLength > 0
    const [packed, offset] = isWide
      ? [extra + 17, extra + 25].map(at => Number(zip.readBigUInt64LE(at)))
      : [zip.readUInt32LE(central + 20), zip.readUInt32LE(central + 42)]
    const isDeflated = zip.readUInt16LE(central + 10) === 8
    addLocal(offset!, packed!, isDeflated, nameLength, isWide)
    // Versions; hints for the packer, and that a descriptor follows; time and date; attributes.
    add(central + 4, 5)
    add(central + 12, 4)
    add(central + 36, 6)
    addForeign(extra, isWide)
    central = extra + extraLength
  }
  addEnd()
  return inert

  function addLocal(at: number, packed: number, isDeflated: boolean, nameLength: number, isWide: boolean): void {
    // Version; hints for the packer; time and date.
    add(at + 4, 3)
    add(at + 10, 4)
    // With a descriptor, checksum and sizes stand behind the data.
    if (zip.readUInt16LE(at + 6) & 8) add(at + 14, 12)
    const extra = at + 30 + nameLength
    addForeign(extra, isWide)
    // Deflate ends within a byte; the bits behind its end mean nothing.
    if (isDeflated) add(extra + zip.readUInt16LE(at + 28) + packed - 1, 1)
  }

  /** The field of five bytes that no reader knows: number and content. */
  function addForeign(extra: number, isThere: boolean): void {
    if (!isThere) return
    add(extra, 2)
    add(extra + 4, 1)
    // That the field behind it is longer than what stands there.
    add(extra + 7, 2)
  }

  function addEnd(): void {
    const wide = zip.lastIndexOf(Buffer.from([80, 75, 6, 6]))
    if (wide >= 0) {
      add(wide + 12, 4)
      // One disk, or none counted.
      add(wide + 56 + 16, 1)
    }
    const end = zip.lastIndexOf(Buffer.from([80, 75, 5, 6]))
    add(end + 22, zip.length - end - 22)
  }
}
